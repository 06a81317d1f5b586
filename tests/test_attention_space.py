"""Every registered mechanism: what it makes of places. Rows and columns, shuffled positions, a constant map."""

import pytest
import torch
from properties import CASES, MAP, each, looks_at_regions, over, picture, turned

from course_utils.attention import ELA, EMA, PatchSelection, SelectiveKernel, SpatialTransformer, SplitAttention, formula


@each
def test_height_and_width_are_not_swapped(case):
    """With height and width exchanged in the parameters, a turned picture gives the turned result."""
    shape = case.shape(2, 6, 5, 9)
    module, x = case.trained(shape), picture(*shape)
    y = module(x)
    torch.testing.assert_close(turned(module)(x.mT), y.mT if y.ndim == 4 else y)


@each
def test_the_parameters_for_rows_and_columns_are_different_ones(case):
    """The test above would pass with kernels that are the same both ways; with different ones, turning must matter."""
    shape = case.shape(2, 12, 7, 7)
    module, x = case.trained(shape), picture(*shape)
    kept = [torch.equal(a, b) for a, b in zip(module.parameters(), turned(module).parameters(), strict=True)]
    y = module(x.mT)
    blind = torch.allclose(y, module(x).mT if y.ndim == 4 else module(x))
    assert blind == all(kept)


def shuffled(x, seed=1):
    """The same positions in another order, for all samples and channels alike."""
    order = torch.randperm(x.shape[2] * x.shape[3], generator=torch.Generator().manual_seed(seed))
    return x.flatten(2)[..., order].view_as(x)


@over([case for case in CASES if case.cls.family == "channel" and not looks_at_regions(case)])
def test_a_channel_gate_does_not_care_where_things_are(case):
    shape = case.shape(2, 6, 5, 9)
    module, x = case.trained(shape), picture(*shape)
    torch.testing.assert_close(module.gate(shuffled(x)), module.gate(x))


def knows_places(case):
    """Mixing that knows where things are: by a table of positions, by rows and columns, by pooling neighbours."""
    return MAP in case.options.values() or case.name in ("criss_cross", "halo") or case.options.get("subsample", False)


MIXING = [case for case in CASES if case.cls.family in ("mixing", "head")]


@over(MIXING)
def test_mixing_without_position_does_not_care_where_things_are(case):
    shape = case.shape(2, 8, 5, 9)
    module, x = case.trained(shape), picture(*shape)
    y = module(x)
    followed = torch.allclose(module(shuffled(x)), shuffled(y) if y.ndim == 4 else y)
    assert followed != knows_places(case)


@over([case for case in MIXING if case.name == "criss_cross"])
def test_a_cross_follows_whole_rows_and_columns(case):
    shape = case.shape(2, 8, 5, 9)
    module, x = case.trained(shape), picture(*shape)
    rows, columns = torch.tensor([3, 0, 4, 1, 2]), torch.tensor([8, 2, 0, 1, 7, 3, 6, 5, 4])
    torch.testing.assert_close(module(x[:, :, rows][..., columns]), module(x)[:, :, rows][..., columns])


def same_on_a_larger_map(case):
    """All but a table of positions, which fixes the size, and means over what convolutions make that have seen the border."""
    return MAP not in case.options.values() and case.cls not in (SelectiveKernel, SplitAttention, ELA, EMA)


@each
def test_a_constant_map_gives_a_constant_and_the_same_on_a_larger_map(case):
    """Away from the border nothing differs from place to place, and no sum grows with the size of the map."""
    if case.cls is SpatialTransformer:
        pytest.skip("a turned picture has its border anywhere")
    shapes = [case.shape(2, 4, 33, 37), case.shape(2, 4, 41, 35)]
    module, middles = case.trained(shapes[0]), []
    for shape in shapes if same_on_a_larger_map(case) else shapes[:1]:
        y = module(picture(*shape[:2], 1, 1).expand(shape))
        if y.ndim == 4:
            h, w = y.shape[2:]
            y = y if issubclass(case.cls, PatchSelection) else y[:, :, h // 2 - 1:h // 2 + 2, w // 2 - 1:w // 2 + 2]
            torch.testing.assert_close(y, y[:, :, :1, :1].expand_as(y))
            y = y[:, :, 0, 0]
        middles.append(y)
    torch.testing.assert_close(middles[0], middles[-1], rtol=1e-4, atol=1e-6)      # gct's eps counts once for all positions


@over([case for case in CASES if formula(case.name) == "0"])
def test_without_parameters_all_channels_are_alike(case):
    shape = case.shape(2, 6, 5, 9)
    module, x, order = case.trained(shape), picture(*shape), [3, 0, 5, 1, 2, 4]
    torch.testing.assert_close(module(x[:, order]), module(x)[:, order])
