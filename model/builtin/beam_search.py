"""Writing a target, over the built-in encoder-decoder: greedily, or by beam search with the tree it grew; and the
search alone, over whatever says what may come next.

Both use the cache of keys and values. A built-in target begins after the start token and ends with the end token; the
built-in translator has one token for both. Scores are natural log-probabilities.
"""

from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor

from model.builtin.beam import Beam, Candidate
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


@torch.inference_mode()
def beam_search(
    transformer: EncoderDecoder, source: Sequence[int], end: int, most: int, width: int, length_penalty: float = 1.0
) -> Beam:
    """By `search`, with a token that a target begins and ends with."""
    memory, _ = transformer.encode(torch.tensor([source]))
    cache = DecoderCache(transformer.config.n_layer)

    def log_prob(alive: Sequence[Candidate]) -> Tensor:
        if alive[0].ids:
            cache.choose(torch.tensor([each.parent for each in alive]))
        token = torch.tensor([[each.ids[-1] if each.ids else end] for each in alive])
        logits, _ = transformer.decode(token, memory.expand(len(alive), -1, -1), cache=cache)
        return logits[:, -1].log_softmax(-1)

    return search(log_prob, {end}, most, width, length_penalty)


def search(
    log_prob_of: Callable[[Sequence[Candidate]], Tensor],
    ends: Collection[int],
    most: int,
    width: int,
    length_penalty: float,
) -> Beam:
    """Keep the `width` best targets at each step; those that end leave the beam. Width 1 is the greedy search.

    It stops when `width` have ended and none that goes on scores better, or after `most` tokens. `log_prob_of`: (W, V)
    of what may come next, −∞ what may not, for the targets that go on, each the child of one that it was given before.
    """
    alive, finished, steps, left = [Candidate((), 0.0, -1, False)], [], [], []
    for _ in range(most):
        log_prob = log_prob_of(alive) + torch.tensor([[each.log_prob] for each in alive])  # (W, V)
        best = log_prob.flatten().topk(min(2 * width, log_prob.numel()))
        kept, dropped = [], []
        for value, place in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            if value == float("-inf"):
                break  # not allowed, and so is all that follows
            parent, id = divmod(place, log_prob.shape[1])
            ended = id in ends
            ids = alive[parent].ids + (() if ended else (id,))
            full = sum(not each.finished for each in kept) == width
            late = ended and len(kept) >= width  # only what is among the best of its step may end
            (dropped if full or late else kept).append(Candidate(ids, value, parent, ended))
        steps.append(tuple(kept))
        left.append(tuple(dropped))
        finished += [each for each in kept if each.finished]
        alive = [each for each in kept if not each.finished]
        if not alive:
            break
        ranked = sorted((each.score(length_penalty) for each in finished), reverse=True)
        if len(ranked) >= width and alive[0].score(length_penalty) <= ranked[width - 1]:
            break
    finished = finished or alive
    ranked = sorted(finished, key=lambda each: -each.score(length_penalty))
    return Beam(tuple(steps), tuple(left), tuple(ranked))
