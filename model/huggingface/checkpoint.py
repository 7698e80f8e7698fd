"""A checkpoint's folder, read into a `LanguageModel` of the kind that it is."""

from contextlib import nullcontext
from pathlib import Path

from model.huggingface.classifier import HuggingFaceClassifier
from model.huggingface.language_model import HuggingFaceModel
from model.huggingface.loading import builder, fingerprint_of, read_tokenizer
from model.huggingface.merging import Merger
from model.huggingface.translator import HuggingFaceTranslator
from model.run import ModelNotAvailable, short
from model.sources import cost
from model.sources.snapshot import Within, snapshot


def load(
    folder: Path, *, name: str, title: str, within: Within = None, adapter: tuple[Path, Within] | None = None
) -> "HuggingFaceModel":
    """From a folder as ``save_pretrained`` writes it: safetensors only, no code of the checkpoint's own.

    `within`: where files may lie that are links; None is anywhere. `adapter`: the folder of one to merge into it, and
    the same of that. Raises `ModelNotAvailable` with a sentence, whatever is wrong with the folder.
    """
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    with snapshot(folder, within) as held, snapshot(*adapter) if adapter else nullcontext() as patch:
        judged = cost.judge(held, patch)  # what headers alone can tell is told there
        merger = judged.adapter and Merger(judged.adapter, patch, held)
        try:
            tokenizer = read_tokenizer(judged.tokenizer, judged.config)
            build, judges = builder(held.path, judged.config, judged.shapes, title, merger)
            pair = getattr(judged.config, "is_encoder_decoder", False)
            kind = HuggingFaceClassifier if judges else HuggingFaceTranslator if pair else HuggingFaceModel
            lm = kind(build, tokenizer, name=name, title=title, fingerprint=fingerprint_of(held.path))
            return merger.told(lm) if merger else lm
        except (ModelNotAvailable, MemoryError):
            raise
        # each architecture fails in a way of its own; whatever is wrong, the visitor gets the sentence
        except Exception as error:
            if "can't allocate memory" in str(error):
                raise MemoryError from error
            reason = short(error).replace(str(held.path), str(folder))
            says = f"The model “{title}” in “{folder}” cannot be read ({reason}). Copy or download it again, or choose "
            raise ModelNotAvailable(says + "another model.") from error
