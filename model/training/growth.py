"""A larger transformer that starts where a smaller one of the same vocabulary ended (Net2Net, Chen et al. 2016).

It computes nearly what the smaller one computes (exactly, without noise, where the residual stream's mean is zero) and
has room to learn more: wider vectors, more heads, more blocks. Chen et al. copy units; here what is new starts near
zero, so that no two copies have to be told apart first.
"""

import torch
from torch import nn

from model.builtin.transformer import Transformer

NOISE = 0.1


@torch.no_grad()
def grow(small: Transformer, large: Transformer, noise: float = NOISE) -> None:
    """Put the weights of `small` into `large`, a fresh one of at least its width, heads and blocks.

    `noise`: of the new dimensions of embeddings, in standard deviations of the old ones.
    Raises ValueError where the small one does not fit: another vocabulary, context or width of a head.
    """
    a, b = small.config, large.config
    if (a.n_vocab, a.n_context, a.d_head) != (b.n_vocab, b.n_context, b.d_head):
        raise ValueError(f"vocabulary, context and width of a head differ: {a} does not fit into {b}")
    if a.n_layer > b.n_layer or a.d_model > b.d_model:
        raise ValueError(f"{a} is larger than {b}")
    for table in ("token_embedding", "position_embedding"):
        _embedding(getattr(small, table), getattr(large, table), noise)
    _norm(small.final_norm, large.final_norm)
    grown = blocks_of(a.n_layer, b.n_layer)
    for place, block in enumerate(large.blocks):
        if place in grown:
            _block(small.blocks[grown.index(place)], block)
        else:  # it adds nothing yet
            for writer in (block.attention.output, block.mlp.down):
                nn.init.zeros_(writer.weight)


def blocks_of(n_small: int, n_large: int) -> list[int]:
    """Where the small one's blocks stand among the large one's: evenly, the first and the last kept in their places."""
    return torch.linspace(0, n_large - 1, n_small).round().int().tolist()


def _block(small: nn.Module, large: nn.Module) -> None:
    for name in ("attention_norm", "mlp_norm"):
        _norm(getattr(small, name), getattr(large, name))
    for name in ("query", "key", "value"):
        _reader(getattr(small.attention, name), getattr(large.attention, name))
    _reader(small.mlp.up, large.mlp.up)
    _writer(small.attention.output, large.attention.output)
    _writer(small.mlp.down, large.mlp.down)


def _embedding(small: nn.Embedding, large: nn.Embedding, noise: float) -> None:
    """(V, d) into (V, D): the new dimensions hold a little noise."""
    d = small.weight.shape[1]
    large.weight.normal_(std=noise * small.weight.std().item())
    large.weight[:, :d] = small.weight


def _norm(small: nn.LayerNorm, large: nn.LayerNorm) -> None:
    """Over D dimensions, most of the new ones zero, the deviation is smaller by √(d / D): the gain makes up for it."""
    d, wide = len(small.weight), len(large.weight)
    large.weight[:d] = small.weight * (d / wide) ** 0.5
    large.bias[:d] = small.bias


def _reader(small: nn.Linear, large: nn.Linear) -> None:
    """Reads the stream: what is old reads nothing of what is new; new units stay as they were made."""
    n, d = small.weight.shape
    large.weight[:n] = 0.0
    large.weight[:n, :d] = small.weight
    large.bias[:n] = small.bias


def _writer(small: nn.Linear, large: nn.Linear) -> None:
    """Writes to the stream: what is old writes nothing to what is new, new units write nothing."""
    n, d = small.weight.shape
    large.weight.zero_()
    large.weight[:n, :d] = small.weight
    large.bias[:n] = small.bias
