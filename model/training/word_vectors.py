"""A start for an encoder: token vectors that know which tokens keep company, and attention that looks nearby.

Where tokens are hidden, a network of random weights learns for long nothing but how frequent each token is: to learn
what its neighbours say, it must first have found out that there are neighbours, and what they mean. Both can be given
to it. The vectors are those of a singular value decomposition of pointwise mutual information, which is what word2vec
approximates (Levy and Goldberg 2014); they see all of the text in seconds. The positions begin as sinusoids (Vaswani et
al. 2017, §3.5), and keys as the same map as queries, so that the scores are highest where the positions are near.
"""

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import svds

from model.builtin.transformer import Transformer
from model.text.tokenizer import Tokenizer
from model.training.data import Stream

NEAR = 4  # tokens to either side that are company
_AT_ONCE = 2**21  # tokens whose pairs are counted together
LONGEST = 100.0  # wavelength of the slowest sinusoid, in radians


def counts_nearby(streams: list[Stream], n_vocab: int, end: int) -> sparse.csr_matrix:
    """How often two tokens stand at most `NEAR` apart (V, V): 1 for a neighbour, 1 / `NEAR` for the farthest. The end
    of a text is nobody's company."""
    total = sparse.csr_matrix((n_vocab, n_vocab))
    for stream in streams:
        for start in range(0, len(stream.ids), _AT_ONCE):
            ids = stream.ids[start : start + _AT_ONCE].astype(np.int64)
            for apart in range(1, NEAR + 1):
                one, other = ids[:-apart], ids[apart:]
                both = (one != end) & (other != end)
                pairs, n = np.unique(one[both] * n_vocab + other[both], return_counts=True)
                weighted = n * (NEAR + 1 - apart) / NEAR
                total += sparse.csr_matrix((weighted, (pairs // n_vocab, pairs % n_vocab)), total.shape)
    return total + total.T


def mutual_information(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    """Positive pointwise mutual information: max(0, ln p(a, b) / (p(a) p(b))), with p(b) to the power of 3/4."""
    counts = counts.tocoo()
    first = np.asarray(counts.sum(1)).ravel()
    second = first**0.75
    value = np.log(counts.data * second.sum() / (first[counts.row] * second[counts.col]))
    kept = value > 0
    return sparse.csr_matrix((value[kept], (counts.row[kept], counts.col[kept])), counts.shape)


def token_vectors(streams: list[Stream], tokenizer: Tokenizer, d_model: int) -> np.ndarray:
    """(V, D), each of length 1; a token that was never seen has a zero vector."""
    table = mutual_information(counts_nearby(streams, tokenizer.n_vocab, tokenizer.end_of_text))
    left, strength, _ = svds(table, k=d_model, random_state=0)
    vectors = left * np.sqrt(strength)  # (V, D)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    seen = length > 1e-6 * length.max()  # the others are rounding
    return np.where(seen, vectors, 0) / np.where(seen, length, 1)


@torch.no_grad()
def start_from(transformer: Transformer, vectors: np.ndarray, scale: float = 0.05) -> None:
    """Put token vectors (V, D) and positions into a new transformer; `scale`: the size of their numbers."""
    config, d = transformer.config, transformer.config.d_model
    tokens = torch.from_numpy(vectors).float() * scale * d**0.5  # (V, D)
    transformer.token_embedding.weight.copy_(torch.where(tokens == 0, transformer.token_embedding.weight, tokens))
    turns = torch.arange(config.n_context)[:, None] * LONGEST ** (-torch.arange(d // 2) / (d // 2))  # (T, D / 2)
    transformer.position_embedding.weight.copy_(torch.cat([turns.sin(), turns.cos()], 1) * scale * 2**0.5)
    for block in transformer.blocks:
        torch.nn.init.normal_(block.attention.query.weight, std=d**-0.5)
        block.attention.key.weight.copy_(block.attention.query.weight)
