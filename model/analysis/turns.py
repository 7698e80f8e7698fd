"""How the messages of a conversation look at one another: attention added up over the tokens of each."""

import numpy as np

from model.analysis.attention import ROWS_AT_ONCE, layer_weights
from model.analysis.attention_map import between_units, sink_keys, without_sink
from model.run import ModelRun, NoAttention
from model.text.units import Units, and_sink


def between_turns(run: ModelRun, turns: Units, sink: str = "as is") -> np.ndarray:
    """(L, H, U, W): of the attention of each turn's tokens, in the mean over them, the part on each turn's tokens.

    `sink`: as in `attention_map`. W is U, and one more where heads have learned a sink. NaN for what a layer has not,
    and for a turn that looks at nothing but what was taken out. Rows sum to 1, unless the sink is hidden.
    """
    keys = and_sink(turns) if run.has_sink() else turns
    its_sink = sink_keys(run.sides()[1])
    shares = np.full((run.info.n_layer, run.info.n_head, len(turns), len(keys)), np.nan, np.float32)
    for layer, attention in enumerate(run.attention):
        if isinstance(attention, NoAttention):
            continue
        for head in range(run.info.n_head):
            weights = np.concatenate(
                [
                    layer_weights(attention, slice(first, first + ROWS_AT_ONCE), [head])[0]
                    for first in range(0, attention.n_query, ROWS_AT_ONCE)
                ]
            )
            shares[layer, head] = between_units(without_sink(weights, its_sink, sink)[0], turns, keys)
    return shares
