"""The comparators' own parts against their equations in float64 numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy_layers import as_array, batch_norm, check, conv_of, linear, made, map_of, relative_error, relu, sigmoid

from mien.core.errors import ModelError
from mien.models import registry
from mien.models.layers.stochastic_depth import StochasticDepth
from mien.models.losses import Problem
from mien.models.losses.attention_variance import AttentionVariance
from mien.models.network import Outputs
from mien.models.papers.dan import CrossAttentionHead
from mien.models.papers.ddamfn import CoordinateGate, WholeMap
from mien.models.papers.emonext import BatchAttention, SpatialTransformer

SHAPE = (3, 5, 4)


def test_dan_a_head_is_its_equations():
    head, x = made(CrossAttentionHead(8, 4)), map_of(8, SHAPE)
    reduced = batch_norm(conv_of(as_array(x), head.reduce[0]), head.reduce[1])
    spatial = relu(sum(batch_norm(conv_of(reduced, conv), norm) for conv, norm in head.branches)).sum(1, keepdims=True)
    pooled = (as_array(x) * spatial).mean((2, 3))
    first, norm, _, second, _ = head.channel
    hidden = linear(pooled, first)
    hidden = batch_norm(hidden[:, :, None, None], norm)[:, :, 0, 0]
    check(head, x, pooled * sigmoid(linear(relu(hidden), second)))


def test_ddamfn_the_gate_is_its_equations():
    gate = made(CoordinateGate(16))
    rows, columns = map_of(16, (2, 5, 1)), map_of(16, (2, 1, 4))

    def hidden(descriptors):
        y = batch_norm(conv_of(as_array(descriptors), gate.reduce), gate.bn)
        return y * np.clip(y + 3, 0, 6) / 6

    by_row, by_column = conv_of(hidden(rows), gate.rows), conv_of(hidden(columns), gate.columns)
    assert relative_error(gate(rows, columns), sigmoid(by_row) * sigmoid(by_column)) < 1e-10


def test_ddamfn_a_kernel_over_the_whole_map_keeps_its_sum_when_resized():
    whole = WholeMap(4, 7).double()
    nominal = torch.randn(2, 4, 7, 7, dtype=torch.float64)
    wanted = np.einsum("nchw,chw->nc", as_array(nominal), as_array(whole.weight)[:, 0])
    assert relative_error(whole(nominal).flatten(1), wanted) < 1e-10
    flat = torch.ones(1, 4, 3, 5, dtype=torch.float64)
    torch.testing.assert_close(whole(flat).flatten(), whole.weight.sum((1, 2, 3)))


def test_emonext_the_transformer_starts_as_the_identity_and_moves_by_its_affine_map():
    transformer, x = SpatialTransformer(1, 4).double().eval(), map_of(1, (2, 33, 41))
    transformer.initialize()
    torch.testing.assert_close(transformer(x), x)
    # two pixels to the right in the source, of the 40 steps between the outer pixels
    transformer.affine.bias.data[2] = 2 * 2 / 40
    torch.testing.assert_close(transformer(x)[..., :-2], x[..., 2:])


def test_emonext_attention_is_over_the_batch():
    attention, features = made(BatchAttention(6)), torch.randn(5, 6, dtype=torch.float64)
    z = as_array(features)
    z = (z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + 1e-5)
    z = z * as_array(attention.norm.weight) + as_array(attention.norm.bias)
    scores = np.exp(linear(z, attention.query) @ linear(z, attention.key).T / np.sqrt(np.sqrt(6)))
    wanted = scores / scores.sum(1, keepdims=True)
    assert relative_error(attention(features), wanted) < 1e-10
    loss = AttentionVariance(Problem((1.0,), 6))
    outputs = Outputs(features, features, attention(features)[:, None, None])
    assert loss(outputs, features).item() == pytest.approx(((wanted - wanted.mean()) ** 2).mean())
    with pytest.raises(ModelError, match="the network 'emonext_tiny' has them"):
        loss(Outputs(features, features), features)


def test_dropped_blocks_keep_the_mean():
    torch.manual_seed(0)
    layer, x = StochasticDepth(0.25), torch.ones(4000, 1, 2, 2)
    kept = layer.train()(x)
    assert sorted(kept.unique().tolist()) == pytest.approx([0, 4 / 3])
    assert kept.mean().item() == pytest.approx(1, abs=0.03)
    assert torch.equal(layer.eval()(x), x)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resemotenet", {"width": 2}),
        ("dan", {"heads": 0}),
        ("ddamfn", {"repeats": [1, 1]}),
        ("emonext_tiny", {"depths": [1, 1]}),
        ("efficientnet_b2", {"width": 0.0}),
    ],
)
def test_impossible_options_are_refused(name, options):
    with torch.device("meta"), pytest.raises(Exception, match="Options of network"):
        registry.create(name, options=options)
