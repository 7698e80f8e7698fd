"""The most probable target of each of many sources, by the built-in encoder-decoder: what training is judged by.

It uses the cache of keys and values. A target begins after the start token and ends with the end token; the built-in
translator has one token for both.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from model.builtin.transformer import DecoderCache, EncoderDecoder


def padded(rows: Sequence[Sequence[int]], fill: int) -> tuple[Tensor, Tensor]:
    """Rows of ids as one tensor (B, S), filled up at the end, and which positions are real (B, S)."""
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[fill] * (longest - len(row))] for row in rows])
    real = torch.arange(longest) < torch.tensor([[len(row)] for row in rows])
    return ids, real


@torch.inference_mode()
def greedy(transformer: EncoderDecoder, sources: Sequence[Sequence[int]], end: int, most: int) -> list[list[int]]:
    """The most probable token each time, for several sources at once; without the end token, at most `most` tokens."""
    device = transformer.token_embedding.weight.device
    ids, visible = (each.to(device) for each in padded(sources, end))
    memory, _ = transformer.encode(ids, visible)
    cache = DecoderCache(transformer.config.n_layer)
    token = torch.full((len(ids), 1), end, device=device)
    done, written = torch.zeros(len(ids), dtype=torch.bool, device=device), []
    for _ in range(most):
        logits, _ = transformer.decode(token, memory, visible, cache)
        token = logits[:, -1].argmax(-1, keepdim=True)  # (B, 1)
        done |= token[:, 0] == end
        if done.all():
            break
        written.append(token[:, 0])
    rows = torch.stack(written, 1).tolist() if written else [[] for _ in sources]
    return [row[: row.index(end)] if end in row else row for row in rows]
