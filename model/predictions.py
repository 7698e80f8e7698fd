"""What logits say of a text: the best tokens of each position, and how likely the token was that is really there."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from model.language_model import Said
from model.run import Predictions

TOP_K = 20  # kept for each position
_ROWS_AT_ONCE = 8  # of a vocabulary of 50,000: small enough for the processor's cache


def predictions(blocks: Iterable[Tensor], ids: Tensor, *, of_next: bool = True) -> Predictions:
    """From logits (T, V), which come as blocks of rows, so that a long text's table never stands whole.

    ids (T,): the text. of_next: row t is about token t + 1 (decoders), else about token t itself (encoders).
    """
    n_token = len(ids)
    # the last entry of a decoder is a stand-in, overwritten below
    actual_id = torch.cat([ids[1:], ids[:1]]) if of_next else ids
    top_id, top_log_prob, actual_log_prob, rank, entropy = [], [], [], [], []
    start = 0
    for logits in (rows for block in blocks for rows in block.split(_ROWS_AT_ONCE)):
        log_prob = logits.log_softmax(-1)  # (R, V)
        best = log_prob.topk(min(TOP_K, log_prob.shape[-1]))
        actual = log_prob.gather(-1, actual_id[start : start + len(logits), None])  # (R, 1)
        top_id.append(best.indices)
        top_log_prob.append(best.values)
        actual_log_prob.append(actual[:, 0])
        better = torch.gt(log_prob, actual, out=torch.empty_like(log_prob))  # as floats: to add bools takes 30 times
        rank.append(better.sum(-1).long())
        entropy.append(-log_prob.exp().mul_(log_prob).sum(-1))
        start += len(logits)
    if start != n_token:
        raise ValueError(f"logits of {start} positions for {n_token} tokens")
    log_probs, ranks = torch.cat(actual_log_prob), torch.cat(rank)
    if of_next:
        log_probs[-1], ranks[-1] = float("nan"), -1
    return Predictions(
        torch.cat(top_id).numpy(),
        torch.cat(top_log_prob).numpy(),
        log_probs.numpy(),
        ranks.numpy(),
        torch.cat(entropy).numpy(),
        of_next=of_next,
    )


def mean_said(logits: Tensor, said: Sequence[Said]) -> Tensor:
    """The mean log-probability, in nats and double precision, of entries at positions of a text's logits (T, V)."""
    rows = logits[[each.position for each in said]].double()  # (N, V)
    return rows.log_softmax(-1)[range(len(said)), [each.id for each in said]].mean()
