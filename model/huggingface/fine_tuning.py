"""Fine-tuning a decoder of Hugging Face's on texts, with transformers' Trainer; the work of `regard finetune`.

No code that comes with a checkpoint is run, and only safetensors are read. The app does not import this.
"""

import json
import math
import shutil
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.utils import logging

from model.run import ModelNotAvailable, VisitorError, short
from model.sources.cost import cost_of

N_JUDGED = 200  # texts on which a model is judged, at most
N_LOG, SILENCE = 50, 10.0  # lines of progress of a run, about; and seconds after which there is one anyway
RANK, ALPHA = 8, 16  # of an adapter: 8 numbers are between its two matrices, and it counts twice
CHECKPOINTS, ASKED = "checkpoints", "asked.json"
Example = dict[str, list[int]]


@dataclass(frozen=True)
class Asked:
    """What is trained, and how."""

    model: Path  # the folder of a checkpoint
    out: Path
    rate: float
    lora: bool = False
    by: str = "lines"  # or blocks
    epochs: float = 3.0
    steps: int = 0  # 0: as many as the epochs have
    batch: int = 8
    block: int = 256
    seed: int = 0
    save_every: int = 0  # steps; 0: a tenth of all, and ten at least
    cpu: bool = False


def fine_tune(
    asked: Asked, texts: Sequence[str], held_out: Sequence[str], resume: bool, say: Callable[[str], None]
) -> None:
    """Train, and write the model, or its adapter, to `asked.out`; `say` is told how far it is.

    Raises `VisitorError`: the model cannot be read or is no decoder, the loss is lost, the disk is full.
    """
    warnings.filterwarnings("ignore", category=FutureWarning)  # of one library to another
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    check_same(asked, texts, resume)
    config = decoder_config(asked.model)
    n_context = getattr(config, "max_position_embeddings", None) or asked.block
    try:
        options = {"local_files_only": True, "trust_remote_code": False}
        tokenizer = AutoTokenizer.from_pretrained(asked.model, **options)
        network = AutoModelForCausalLM.from_pretrained(
            asked.model, dtype=torch.float32, use_safetensors=True, **options
        )
    except Exception as error:  # of any library that reads one of the formats
        raise ModelNotAvailable(f"“{asked.model}” cannot be trained: {short(error)}.") from error
    if asked.lora:
        network = with_adapter(network)
    data, judged = (
        examples(tokenizer, some, asked.by, min(asked.block, n_context), of)
        for some, of in ((texts, "--data"), (held_out, "--held-out"))
    )
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    told = Told(asked, say)
    trainer = trainer_of(asked, network, data, told)
    say(
        f"{len(data):,} {asked.by} · {trained:,} of {sum(p.numel() for p in network.parameters()):,} parameters are "
        f"trained · on {trainer.args.device}"
    )
    judges = {"your texts": data[:N_JUDGED], "held-out texts": judged[:N_JUDGED]}
    before = {name: loss_on(trainer, some) for name, some in judges.items() if some}
    say("Before: " + in_words(before))
    try:
        with until_asked_to_stop(told):
            trainer.train(resume_from_checkpoint=last_whole(asked.out / CHECKPOINTS) if resume else None)
        after = {name: loss_on(trainer, some) for name, some in judges.items() if some}
        say("After:  " + in_words(after))
        network.save_pretrained(asked.out)
        tokenizer.save_pretrained(asked.out)
        shutil.rmtree(asked.out / CHECKPOINTS)
    except (OSError, RuntimeError) as error:  # a full disk; too little memory
        if not isinstance(error, OSError) and "memory" not in str(error):
            raise
        raise VisitorError(
            f"It ended early: {short(error)}. A smaller --batch or --block takes less memory, --lora less of both; "
            "--resume goes on from the last checkpoint, if there is one."
        ) from error
    say(f"Written to {asked.out}. In Regard, give this path under “Use a model of your own”.")


def check_same(asked: Asked, texts: Sequence[str], resume: bool) -> None:
    """Note what a run is of; or hold one that goes on against that. Raises `VisitorError`."""
    note = asked.out / CHECKPOINTS / ASKED
    now = asdict(asked) | {"model": str(asked.model.resolve()), "out": "", "texts": [len(texts), sum(map(len, texts))]}
    if not resume:
        note.write_text(json.dumps(now), encoding="utf-8")
        return
    try:
        before = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VisitorError(
            f"--resume: {note} cannot be read ({short(error)}). Start anew, in another --out."
        ) from error
    may = ("cpu", "epochs", "steps", "save_every")
    if other := [name for name in now if name not in may and now[name] != before.get(name)]:
        raise VisitorError(
            f"--resume: the run in {asked.out} was of another {', '.join(other)}. Give the same, or another --out."
        )


def decoder_config(folder: Path) -> Any:
    """Raises `ModelNotAvailable` for what is no checkpoint of a decoder that predicts the next token."""
    cost_of(folder)  # its headers, and sentences on what is wrong with them
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    known = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), ())
    names = {each.__name__ for each in (known if isinstance(known, tuple) else (known,))}
    saved = config.architectures or sorted(names)
    both_ways = type(config) in MODEL_FOR_MASKED_LM_MAPPING and not getattr(config, "is_decoder", False)
    if config.is_encoder_decoder or both_ways or not names & set(saved):
        raise ModelNotAvailable(
            f"“{folder}” is a {', '.join(saved) or config.model_type}, and no decoder that predicts the next token: "
            "only such are trained here. Choose one such as GPT-2, Llama or Qwen."
        )
    return config


def with_adapter(network: Any) -> Any:
    """The same with an adapter of low rank in each matrix of its blocks, which alone is trained."""
    from peft import LoraConfig, get_peft_model

    gpt2 = {"fan_in_fan_out": True} if network.config.model_type == "gpt2" else {}  # its matrices lie the other way
    return get_peft_model(
        network,
        LoraConfig(task_type="CAUSAL_LM", r=RANK, lora_alpha=ALPHA, target_modules="all-linear", **gpt2),
    )


def examples(tokenizer: Any, texts: Sequence[str], by: str, most: int, option: str) -> list[Example]:
    """Token ids of each text, with the token that ends one behind it, cut where it is too long; or of all texts joined,
    in blocks. Raises `VisitorError` if nothing of it can be foreseen.
    """
    end = [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else []
    cut = [[*ids, *end] for ids in tokenizer(list(texts))["input_ids"]] if texts else []
    if by == "blocks":
        cut = [[id for ids in cut for id in ids]]
    pieces = [ids[i : i + most] for ids in cut for i in range(0, len(ids), most)]
    found = [{"input_ids": ids} for ids in pieces if len(ids) > 1]
    if texts and not found:
        raise VisitorError(f"{option} holds no two tokens in a row, so nothing can be foreseen. Write more.")
    return found


def side_by_side(some: Sequence[Example]) -> dict[str, torch.Tensor]:
    """A batch: shorter ones are filled up behind, where nobody looks and nothing is asked."""
    n = max(len(each["input_ids"]) for each in some)
    rows = {"input_ids": 0, "labels": -100, "attention_mask": 0}
    batch = {name: torch.full((len(some), n), empty) for name, empty in rows.items()}
    for row, each in enumerate(some):
        ids = torch.tensor(each["input_ids"])
        for name, values in (("input_ids", ids), ("labels", ids), ("attention_mask", torch.ones_like(ids))):
            batch[name][row, : len(ids)] = values
    return batch


def trainer_of(asked: Asked, network: Any, data: list[Example], told: "Told") -> Trainer:
    n_step = asked.steps or math.ceil(len(data) / asked.batch) * math.ceil(asked.epochs)
    on_gpu = not asked.cpu and torch.cuda.is_available()
    arguments = TrainingArguments(
        output_dir=str(asked.out / CHECKPOINTS),
        learning_rate=asked.rate,
        num_train_epochs=asked.epochs,
        max_steps=asked.steps or -1,
        per_device_train_batch_size=asked.batch,
        per_device_eval_batch_size=asked.batch,
        seed=asked.seed,
        use_cpu=asked.cpu,
        bf16=on_gpu and torch.cuda.is_bf16_supported(),
        logging_strategy="steps",
        logging_steps=max(1, n_step // N_LOG),
        save_strategy="steps",
        save_steps=asked.save_every or max(10, n_step // 10),
        save_total_limit=1,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=on_gpu,
    )
    trainer = Trainer(model=network, args=arguments, train_dataset=data, data_collator=side_by_side, callbacks=[told])
    trainer.remove_callback(PrinterCallback)  # to stdout
    return trainer


class Told(TrainerCallback):
    """Says how far a training is, and ends it when the loss is lost."""

    def __init__(self, asked: Asked, say: Callable[[str], None]):
        self.asked, self.say = asked, say
        self.begun = self.said = time.monotonic()
        self.first = 0
        self.stop = False  # behind the next step, which is saved

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.begun, self.first = time.monotonic(), state.global_step
        state.logging_steps = max(1, state.max_steps // N_LOG)  # of this run, not of the one that it goes on with
        if state.global_step:
            self.say(f"Going on after step {state.global_step:,}.")

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == state.max_steps or time.monotonic() - self.said > SILENCE:
            control.should_log = True
        if self.stop:
            control.should_save = control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict | None = None, **_: Any) -> None:
        if not logs or "loss" not in logs:
            return
        self.said = time.monotonic()
        step, took = state.global_step, self.said - self.begun
        loss = float(logs["loss"])
        if not math.isfinite(loss) or not math.isfinite(float(logs.get("grad_norm", 0.0))):
            raise VisitorError(
                f"At step {step:,} the loss is no number any more: a learning rate of {self.asked.rate:g} is likely "
                "too high. Try a tenth of it, in another --out."
            )
        left = took / max(1, step - self.first) * (state.max_steps - step)
        self.say(f"step {step:,} of {state.max_steps:,} · loss {loss:.3f} · {took:.0f} s, about {left:.0f} s left")


@contextmanager
def until_asked_to_stop(told: Told) -> Iterator[None]:
    """Let the first Ctrl-C end the training behind its next step, saved; the second at once. Raises KeyboardInterrupt
    in both cases.
    """

    def stop(number: int, frame: Any) -> None:
        told.stop = True
        told.say("Stopping behind this step … (Ctrl-C again: at once)")
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if told.stop:
        raise KeyboardInterrupt


def last_whole(checkpoints: Path) -> str:
    """The newest checkpoint that was written to its end. Raises `VisitorError`."""
    whole = [path.parent for path in checkpoints.glob("checkpoint-*/trainer_state.json")]  # which is written last
    if not whole:
        raise VisitorError(f"--resume: no checkpoint in {checkpoints} is whole. Start anew, in another --out.")
    return str(max(whole, key=lambda folder: int(folder.name.rpartition("-")[2])))


def loss_on(trainer: Trainer, some: list[Example]) -> float:
    """Nats a token, in the mean over all tokens that can be foreseen."""
    total, n, network = 0.0, 0, trainer.model.eval()
    with torch.no_grad():
        for i in range(0, len(some), trainer.args.per_device_eval_batch_size):
            batch = side_by_side(some[i : i + trainer.args.per_device_eval_batch_size])
            batch = {name: tensor.to(trainer.args.device) for name, tensor in batch.items()}
            count = int((batch["labels"][:, 1:] != -100).sum())
            total, n = total + float(network(**batch).loss) * count, n + count
    return total / n


def in_words(losses: dict[str, float]) -> str:
    return " · ".join(
        f"{loss:.3f} nats a token on {name} (perplexity {math.exp(loss):,.1f})" for name, loss in losses.items()
    )
