"""Training steps of our mechanisms beside timm's. In the normal run each step runs once, on a small map, untimed.

To time them:     pytest tests/benchmarks -n 0 --benchmark-enable
One thread, unless OMP_NUM_THREADS says otherwise. On a busy machine trust compare.py more: it alternates between the two.
"""

import pairs
import pytest
import torch
from pairs import PAIRS, PLACES, SIZES
from timm.layers import GatherExcite, SEModule
from timm.layers.cbam import ChannelAttn

HERE = ["cpu"] + [pytest.param(place, marks=pytest.mark.gpu) for place in PLACES if place != "cpu" and torch.cuda.is_available()]


@pytest.mark.parametrize("place", HERE)
@pytest.mark.parametrize("shape", SIZES, ids=pairs.label)
@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("side", ["ours", "timm"])
def test_a_step_fails_or_the_pair_has_drifted_apart(benchmark, name, shape, side, place):
    device, half = PLACES[place]
    if not benchmark.enabled:
        shape = (2, shape[1], 5, 7)
    benchmark.group = f"{name} {pairs.label(shape)} {place}"
    step = pairs.training_step(pairs.make(name, shape, device)[side], shape, device, half)

    def finished():
        step()
        pairs.wait(device)

    finished()      # the first call chooses kernels and fills caches
    benchmark(finished)


@pytest.mark.parametrize("name, other", [
    ("se", lambda c, hw: ({}, SEModule(c))),                                                # 8 hidden channels instead of 4
    ("ge", lambda c, hw: ({"extent": 2}, GatherExcite(c, use_mlp=False))),                  # neither has a parameter
    ("channel_gate", lambda c, hw: ({"pool": "mean", "bias": False}, ChannelAttn(c))),      # the same parameters
], ids=["width", "extent", "pool"])
def test_a_pair_that_is_not_the_same_function_is_timed(monkeypatch, name, other):
    monkeypatch.setitem(pairs.PAIRS, name, other)
    with pytest.raises(AssertionError):
        pairs.make(name, (2, 64, 5, 7))


@pytest.mark.parametrize("half", [False, True])
def test_the_backward_pass_is_left_out(half):
    """A step that times only the forward pass looks the same from outside: count the calls of a backward hook."""
    module, calls = pairs.make("se", (2, 64, 5, 7))["ours"], []
    step = pairs.training_step(module, (2, 64, 5, 7), half=half)
    for p in module.parameters():
        p.register_hook(lambda gradient: calls.append(gradient.dtype))
    step()
    assert calls == [torch.float32] * 4
