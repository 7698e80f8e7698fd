"""A larger transformer begins where a smaller one ended."""

import pytest
import torch

from model.builtin.transformer import Config, Transformer
from model.training import growth

SMALL = Config(n_vocab=20, n_context=8, n_layer=2, n_head=2, d_model=8)
LARGE = Config(n_vocab=20, n_context=8, n_layer=4, n_head=3, d_model=12)


def trained(config: Config) -> Transformer:
    """With weights that say something, and a residual stream of mean zero, as training brings about."""
    torch.manual_seed(0)
    transformer = Transformer(config)
    with torch.no_grad():
        for parameter in transformer.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
        for table in (transformer.token_embedding, transformer.position_embedding):
            table.weight -= table.weight.mean(1, keepdim=True)
        for block in transformer.blocks:
            for writer in (block.attention.output, block.mlp.down):
                writer.weight -= writer.weight.mean(0)
                writer.bias -= writer.bias.mean()
    return transformer


def test_it_computes_what_the_smaller_one_computes():
    small, large = trained(SMALL), Transformer(LARGE)
    growth.grow(small, large, noise=0.0)
    ids = torch.arange(8)[None]
    with torch.no_grad():
        torch.testing.assert_close(large(ids)[0], small(ids)[0], rtol=1e-3, atol=1e-3)


def test_noise_gives_what_is_new_something_to_learn_from():
    small, large = trained(SMALL), Transformer(LARGE)
    growth.grow(small, large)
    large(torch.arange(8)[None])[0].logsumexp(-1).sum().backward()
    new = large.blocks[0].attention.query.weight.grad[:, 8:]
    assert new.abs().max() > 0


def test_blocks_stand_evenly_among_the_new_ones():
    assert growth.blocks_of(6, 8) == [0, 1, 3, 4, 6, 7]
    assert growth.blocks_of(1, 4) == [0]


@pytest.mark.parametrize(
    "other",
    [Config(21, 8, 4, 3, 12), Config(20, 9, 4, 3, 12), Config(20, 8, 4, 6, 12), Config(20, 8, 1, 2, 8)],
    ids=["vocabulary", "context", "width of a head", "fewer blocks"],
)
def test_what_does_not_fit_is_refused(other):
    with pytest.raises(ValueError, match=r"fit|larger"):
        growth.grow(trained(SMALL), Transformer(other))
