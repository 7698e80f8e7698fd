"""The built-in models: transformer + tokenizer + weights, as a `LanguageModel`.

`BuiltinModel` is a decoder or an encoder; what is more than that (`model.builtin.translator`,
`model.builtin.classifier`) builds on it.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from model.analysis.attention import layer_weights
from model.architecture import Architecture, described
from model.attention_call import AttentionCall, Changes, Probe
from model.builtin.decoding import RunDecoding, StepWeights, TextDecoding, laid_out
from model.builtin.together import last_of_each
from model.builtin.transformer import Block, Config, Transformer
from model.growing import growing_batches
from model.intervention import UNCHANGED, Intervention, sizes_of
from model.language_model import Recording, Said
from model.layer import AttentionOutput, LayerParameters, Norm
from model.predictions import mean_said, predictions
from model.run import Attention, ModelInfo, ModelNotAvailable, ModelRun, PromptError, Token, short
from model.sources import builtin_files
from model.text.conversation import Message
from model.text.cut import Cutting
from model.text.lengths import check_characters, check_tokens
from model.text.tokenizer import PAIR_JOINT, Tokenizer
from model.unembedding import Unembedding

LOGITS_BYTES = 4 << 20  # that are made at once: memory of a few is used again and again


@contextmanager
def readable(folder: Path) -> Iterator[None]:
    """Around whatever reads a folder of a built-in model. Raises `ModelNotAvailable`."""
    builtin_files.check_complete(folder)
    try:
        yield
    # tokenizers raises a bare Exception for a broken file; whatever is wrong, the visitor gets the sentence
    except Exception as error:
        raise ModelNotAvailable(
            f"The model “{folder.name}” cannot be read: a file in {folder} is damaged or cut short "
            f"({short(error)}). Install Regard again, or choose another model."
        ) from error


def config_in(stated: dict) -> Config:
    """The shape in what a config.json says, and out of that, so that the rest is left."""
    return Config(**{field.name: stated.pop(field.name) for field in fields(Config) if field.name in stated})


def check_fit(tokenizer: Tokenizer, config: Config) -> None:
    """Raises ValueError."""
    if tokenizer.n_vocab != config.n_vocab:
        raise ValueError(f"tokenizer of {tokenizer.n_vocab} entries, embedding of {config.n_vocab}")


class BuiltinModel:
    """A transformer that Regard carries itself, loaded from a folder written by `model.training`."""

    def __init__(self, info: ModelInfo, transformer: nn.Module, tokenizer: Tokenizer):
        self.info = info
        self._transformer = laid_out(transformer.eval().requires_grad_(False))
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, folder: Path) -> "BuiltinModel":
        """Raises `ModelNotAvailable` if a file is missing, cut short, or does not fit the others."""
        with readable(folder):
            stated = builtin_files.config(folder)
            config = config_in(stated)
            title = json.loads((folder / builtin_files.CARD).read_text(encoding="utf-8"))["title"]
            tokenizer = Tokenizer.load(builtin_files.body(folder) / builtin_files.TOKENIZER)
            files = builtin_files.weight_files(folder)
            transformer = cls._network(config, stated)
            # float16 on disk, copied into float32 parameters
            transformer.load_state_dict({name: t for path in files for name, t in load_file(path).items()})
            check_fit(tokenizer, config)
            fingerprint = builtin_files.fingerprint(*files)
        return cls._of(config, transformer, tokenizer, folder.name, title, fingerprint)

    @classmethod
    def of(cls, transformer: nn.Module, tokenizer: Tokenizer, *, title: str, name: str = "") -> "BuiltinModel":
        """A network that was made here, and what cuts its texts; from now on it is read, and not trained any more."""
        digest = hashlib.sha256(f"{transformer.config}{tokenizer.backend_tokenizer.to_str()}".encode())
        for parameter, tensor in transformer.state_dict().items():
            digest.update(parameter.encode() + tensor.numpy().tobytes())
        return cls._of(transformer.config, transformer, tokenizer, name, title, digest.hexdigest()[:16])

    @classmethod
    def _of(cls, config: Config, transformer: nn.Module, tokenizer: Tokenizer, name: str, title: str, digest: str):
        info = ModelInfo(
            name=name,
            title=title,
            n_layer=config.n_layer,
            n_head=config.n_head,
            n_key_head=config.n_head,
            d_model=config.d_model,
            d_head=config.d_head,
            n_vocab=config.n_vocab,
            n_context=config.n_context,
            n_parameter=sum(parameter.numel() for parameter in transformer.parameters()),
            causal=config.causal,
            fingerprint=digest,
            family=cls._family(config),
        )
        return cls(info, transformer, tokenizer)

    @classmethod
    def _network(cls, config: Config, stated: dict) -> nn.Module:
        """The untrained network; `stated`: what else config.json says. ValueError if that is not understood."""
        if stated.pop("architecture", None) not in (None, cls._family(config)) or stated:
            raise ValueError(f"config.json says {stated or 'another architecture'}")
        return Transformer(config)

    @classmethod
    def _family(cls, config: Config) -> str:
        return "decoder" if config.causal else "encoder"

    @property
    def tokenizer(self) -> Tokenizer:
        return self._tokenizer

    @property
    def transformer(self) -> nn.Module:
        return self._transformer

    @property
    def unknown(self) -> int | None:
        """The id of what stands for all that has no entry in its vocabulary; None: it can write everything."""
        return self._tokenizer.unknown

    def encode(self, text: str, second: str | None = None) -> tuple[Token, ...]:
        """Two texts are read as one, with a blank line between them."""
        text = text if second is None else text + PAIR_JOINT + second
        check_characters(self.info.title, self.info.n_context, self._tokenizer.longest, text)
        return self._tokenizer.encode(text)

    def cutting(self) -> Cutting:
        return self._tokenizer.cutting()

    def token(self, id: int) -> Token:
        return self._tokenizer.token(id)

    def mask_token(self) -> Token | None:
        return None if self._tokenizer.mask is None else self.token(self._tokenizer.mask)

    def start_token(self) -> None:
        return None

    def chat_text(self, text: str, before: Sequence[Message] = ()) -> None:
        return None

    @torch.inference_mode()
    def run(
        self, tokens: Sequence[Token], intervention: Intervention = UNCHANGED, source: Sequence[Token] = ()
    ) -> ModelRun:
        (ids,) = self._texts(tokens, source)
        logits, record = self._transformer(ids, self._changes(intervention, tokens))
        return self._run(tokens, intervention, logits, record.hidden, attention=record.attention)

    def logits(
        self,
        tokens: Sequence[Token],
        interventions: Sequence[Intervention] = (UNCHANGED,),
        source: Sequence[Token] = (),
        positions: Sequence[int] | None = None,
    ) -> Iterator[np.ndarray]:
        texts = self._texts(tokens, source)
        for intervention in interventions:
            self._changes(intervention, tokens, source)
        places = np.arange(len(tokens))[slice(None) if positions is None else list(positions)].tolist()
        return self._logits(texts, interventions, places)

    def _logits(
        self, texts: Sequence[Tensor], interventions: Sequence[Intervention], places: Sequence[int]
    ) -> Iterator[np.ndarray]:
        at_once = max(1, LOGITS_BYTES // (4 * self.info.n_vocab * len(places)))
        for hidden in self._last(*texts, interventions=interventions, places=places):
            for some in hidden.split(at_once):
                with torch.inference_mode():
                    logits = self._transformer.unembed(some)  # (B, P, V)
                yield from logits.numpy()

    def decoding(self, tokens: Sequence[Token], source: Sequence[Token] = ()) -> TextDecoding:
        (ids,) = self._texts(tokens, source)
        if not self.info.causal:
            raise PromptError(f"{self.info.title} reads a whole text at once, and writes none.")
        with torch.inference_mode():
            record = self._transformer.read(self._transformer.embed(ids))
        return TextDecoding(
            self._step_weights, [kept(call) for call in record.attention], record.hidden[-1][0, -1].numpy()
        )

    def go_on(self, run: ModelRun) -> Recording:
        if run.info != self.info or run.intervention != UNCHANGED:
            raise ValueError("no run of this model as it was trained")
        return RunDecoding(self._step_weights, self.token, run)

    @cached_property
    def _step_weights(self) -> StepWeights:
        return StepWeights(self._transformer)

    def token_vectors(self, tokens: Sequence[Token]) -> np.ndarray:
        return self._transformer.token_embedding(self._ids(tokens))[0].numpy()

    def gradients(self, tokens: Sequence[Token], said: Said, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self._texts(tokens, ())
        with torch.inference_mode(False), torch.enable_grad():
            x = torch.tensor(vectors).requires_grad_()  # (N, T, D)
            placed = x + self._positions().weight[: x.shape[1]]  # (N, T, D)
            value = self._said(self._transformer.read(placed).hidden[-1], said)  # (N,)
            (gradient,) = torch.autograd.grad(value.sum(), x)  # (N, T, D)
        return value.detach().numpy(), gradient.numpy()

    def head_gradients(
        self,
        tokens: Sequence[Token],
        said: Sequence[Said],
        layer: int,
        kind: str = "self",
        source: Sequence[Token] = (),
    ) -> tuple[float, np.ndarray]:
        texts, probe = self._texts(tokens, source), Probe(kind=kind, layer=layer)
        with torch.inference_mode(False), torch.enable_grad():
            logits, _ = self._transformer(*texts, changes=probe)  # (1, T, V)
            value = mean_said(logits[0], said)
            (gradient,) = torch.autograd.grad(value, probe.added[0])  # (1, H, T, K)
        return value.item(), gradient[0].numpy()

    def _said(self, hidden: Tensor, said: Said) -> Tensor:
        """(N, T, D) -> (N,) in double precision."""
        return self._transformer.unembed(hidden[:, said.position]).double().log_softmax(-1)[:, said.id]

    def _last(self, ids: Tensor, *, interventions: Sequence[Intervention], places: Sequence[int]) -> Iterator[Tensor]:
        """The residual stream after the last block at some places, (B, P, D), of ids (1, T) under each intervention in
        turn, several at a time.
        """
        for growing in growing_batches(self.info, interventions, ids.shape[1], whole=False):
            yield last_of_each(self._transformer, ids, growing, places)

    def _texts(self, tokens: Sequence[Token], source: Sequence[Token]) -> tuple[Tensor, ...]:
        """What the transformer reads, as token ids. Raises `PromptError`."""
        if source:
            raise PromptError(f"{self.info.title} reads one text only.")
        return (self._ids(tokens),)

    def _ids(self, tokens: Sequence[Token], what: str = "text") -> Tensor:
        """Token ids as a batch of one (1, T). Raises `PromptError`."""
        check_tokens(self.info, tokens, what)
        return torch.tensor([[token.id for token in tokens]])

    def _run(
        self,
        tokens: Sequence[Token],
        intervention: Intervention,
        logits: Tensor | None,
        hidden: Sequence[Tensor],
        source: Sequence[Token] = (),
        **records: Sequence[AttentionCall],
    ) -> ModelRun:
        """What a forward pass returned, as plain data. logits (1, T, V); hidden: L + 1 of (1, T, D)."""
        ids = torch.tensor([token.id for token in tokens])
        of_next = self.info.family != "encoder"
        return ModelRun(
            info=self.info,
            tokens=tuple(tokens),
            hidden=torch.cat(tuple(hidden)).numpy(),  # (L + 1, T, D)
            predictions=None if logits is None else predictions([logits[0]], ids, of_next=of_next),
            intervention=intervention,
            source=tuple(source),
            **{kind: tuple(map(kept, layers)) for kind, layers in records.items()},
        )

    @torch.inference_mode()
    def unembed(self, hidden: np.ndarray) -> np.ndarray:
        return self._transformer.unembed(torch.tensor(hidden)).numpy()

    @torch.inference_mode()
    def unembedding(self, hidden: np.ndarray, ids: Sequence[int]) -> Unembedding:
        normed = self._transformer.final_norm(torch.tensor(hidden))
        return Unembedding(normed.numpy(), self._transformer.token_embedding.weight[list(ids)].numpy())

    def embeddings(self) -> tuple[np.ndarray, np.ndarray]:
        tables = self._transformer.token_embedding.weight.numpy(), self._positions().weight.numpy()
        for table in tables:
            table.setflags(write=False)  # they are the model's own memory
        return tables

    def _positions(self) -> nn.Embedding:
        return self._transformer.position_embedding

    def _blocks(self) -> Sequence[Block]:
        """The blocks whose attention is a run's "self"."""
        return self._transformer.blocks

    @torch.inference_mode()
    def recompute_layer(self, run: ModelRun, layer: int) -> float:
        """Do one layer again by hand, with the weights that `model.analysis.attention` shows, and compare.

        Returns the largest difference between softmax(QKᵀ·scale)·V, carried through the layer's output projection and
        MLP, and the residual stream that the model itself wrote, ``run.hidden[layer + 1]``.
        """
        block = self._blocks()[layer]
        x = torch.tensor(run.hidden[layer])  # (T, D)
        x = x + block.attention.output(_mixed(run, "self", layer))
        if run.cross:
            x = x + block.cross.output(_mixed(run, "cross", layer))
        x = block.think(x)
        return float((x - torch.tensor(run.hidden[layer + 1])).abs().max())

    def unfollowed(self, layer: int) -> None:
        return None

    def layer_parameters(self, layer: int) -> LayerParameters:
        block = self._blocks()[layer]
        norm, attention = block.attention_norm, block.attention
        by_head = (self.info.n_head, self.info.d_head)

        def split(linear: torch.nn.Linear) -> tuple[np.ndarray, np.ndarray]:
            return linear.weight.unflatten(0, by_head).numpy(), linear.bias.view(by_head).numpy()  # (H, K, D), (H, K)

        return LayerParameters(
            Norm(norm.weight.view(-1).numpy(), norm.bias.view(-1).numpy(), norm.eps),
            *split(attention.query),
            *split(attention.key),
            *split(attention.value),
            attention.output.weight.unflatten(1, by_head).transpose(0, 1).numpy(),  # (H, D, K)
            attention.output.bias.numpy(),
            alone=block.mlp is None,
        )

    @torch.inference_mode()
    def attention_output(self, run: ModelRun, layer: int) -> AttentionOutput:
        block, x = self._blocks()[layer], torch.tensor(run.hidden[layer])[None]  # (1, T, D)
        written = block.attention(block.attention_norm(x))[0]
        return AttentionOutput(written[0].numpy(), (x + written)[0].numpy())

    def architecture(self) -> Architecture:
        return described(self._transformer.config, self.info.family)

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(parameter.shape) for name, parameter in self._transformer.named_parameters()}

    def _changes(self, intervention: Intervention, tokens: Sequence[Token], source: Sequence[Token] = ()) -> Changes:
        """What each attention layer does otherwise. ValueError if there is no such head or token."""
        n_layer, n_head = self.info.n_layer, self.info.n_head
        intervention.check(sizes_of(n_layer, n_head, len(tokens), len(source), n_layer), self.info.causal)
        return Changes((intervention,))


def kept(call: AttentionCall) -> Attention:
    """One layer's call in a batch of one text, as plain data."""
    bias = None if call.bias is None else call.bias[0].numpy()
    query, key, value = (each[0].numpy() for each in (call.query, call.key, call.value))
    return Attention(query, key, value, call.scale, call.causal, bias=bias)


def _mixed(run: ModelRun, kind: str, layer: int) -> Tensor:
    """softmax(QKᵀ·scale)·V of every head side by side, (T, D), by the weights that are shown; zeros of heads that are
    off: all else that was changed is in the record.
    """
    attention = run.layers(kind)[layer]
    mixed = run.intervention.of(kind).written(layer, layer_weights(attention) @ attention.value)  # (H, T, K)
    return torch.from_numpy(mixed).transpose(0, 1).flatten(1)
