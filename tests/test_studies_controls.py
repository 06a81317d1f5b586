"""The controls of studies are what their words say: as much of a mechanism, with one thing changed."""

import pytest
import torch

from course_utils import attention, cost
from course_utils.hosts import RedPatchHost, SmallHost
from course_utils.studies import Trial, network
from course_utils.studies.controls import CONTROLS, Added, CooledDynamicConv, LargeConv, OneNumber
from course_utils.studies.follow import confirmed, named_in, residual
from course_utils.tasks import make


def test_no_control_has_the_name_of_a_mechanism():
    assert not CONTROLS.keys() & attention.REGISTRY.keys()


@pytest.mark.parametrize("made, options", [("se", {"hidden": 4}), ("spatial_gate", {"kernel_size": 15})])
def test_an_added_gate_is_that_of_the_mechanism_and_the_sum_of_both(made, options):
    torch.manual_seed(0)
    control, x = Added(6, made, **options), torch.randn(2, 6, 9, 11)
    gate = control.made.gate(x)
    torch.testing.assert_close(control(x) - x, gate.expand_as(x))
    torch.testing.assert_close(control.made(x), gate * x)
    assert cost.parameters(control) == cost.parameters(attention.build(made, 6, **options))


def test_a_large_convolution_reaches_k_pixels_and_leaves_channels_alone():
    x = torch.zeros(1, 3, 21, 21)
    x[0, 1, 10, 10] = 1
    change = LargeConv(3, 15)(x) - x
    rows, columns = change[0, 1].nonzero().T
    assert not change[0, [0, 2]].any() and (rows.min(), rows.max(), columns.min(), columns.max()) == (3, 17, 3, 17)


def test_one_number_begins_as_nothing_and_is_the_same_for_all_pictures_channels_and_places():
    control, x = OneNumber(3), torch.randn(2, 3, 4, 5)
    assert torch.equal(control(x), x) and cost.parameters(control) == 1
    control(x).sum().backward()
    assert control.b.grad != 0
    with torch.no_grad():
        control.b.fill_(1.0)
    torch.testing.assert_close(control(x) / x, torch.full_like(x, 2 * torch.tensor(1.0).sigmoid().item()))


def test_a_balance_of_two_maps_begins_as_their_sum_and_takes_from_one_what_it_gives_the_other():
    control, a, b = CONTROLS["balance"](3, 3), torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    assert torch.equal(control(a, b), a + b) and cost.parameters(control) == 1
    with torch.no_grad():
        control.v.fill_(2.0)
    w = 2 * torch.sigmoid(torch.tensor(2.0)).item()
    torch.testing.assert_close(control(a, b), w * a + (2 - w) * b)
    torch.testing.assert_close(control(a, a), 2 * a)


def test_the_temperature_falls_in_a_line_while_it_trains_and_at_no_other_time():
    module, x, seen = CooledDynamicConv(4, cool=10), torch.randn(2, 4, 5, 5), []
    for _ in range(13):
        module(x)
        module.eval()(x)
        seen.append(round(module.train().temperature, 3))
    assert seen == [round(30 - 2.9 * step, 3) for step in range(11)] + [1.0, 1.0]


def test_the_patch_by_hand_holds_the_whole_red_digit_and_the_host_reads_it_alone():
    """Catches a patch whose corner is half a patch off, or rows taken for columns."""
    pictures, net = make("search", 200, "test", 1), RedPatchHost().eval()
    patches = net.patch(pictures.x)
    red, inside = ((x[:, 0] - x[:, 1] > 0.3).sum((1, 2)) for x in (pictures.x, patches))
    kept = inside / red
    assert patches.shape == (200, 3, 32, 32) and kept.min() > 0.9
    torch.testing.assert_close(net(pictures.x), net.read(patches))
    assert isinstance(net.read, SmallHost)


@pytest.mark.parametrize("size, side, message", [(30, 64, "multiple of 4, got 30"), (32, 28, r"does not fit .* \(28, 28\)")])
def test_a_patch_that_does_not_fit_is_refused(size, side, message):
    with pytest.raises(ValueError, match=message):
        RedPatchHost(size=size)(torch.rand(1, 3, side, side))


def test_a_trial_plugs_a_control_in_with_its_options_and_the_weights_of_the_plain_host():
    plain = network(Trial("nearest", seed=3)).state_dict()
    net = network(Trial("nearest", mechanism="large_conv", options={"kernel_size": 5}, start="as_made", seed=3))
    found = [m for m in net.modules() if isinstance(m, LargeConv)]
    assert len(found) == 4 and {m.conv.kernel_size for m in found} == {(5, 5)}
    assert all(torch.equal(net.state_dict()[name], value) for name, value in plain.items())


def test_a_confirmation_has_the_arms_of_all_contrasts_and_other_seeds():
    first = residual
    again = confirmed(first, ("plain",))
    assert list(again.arms) == ["plain", *named_in(first)] and again.contrasts == first.contrasts
    assert not set(again.seeds) & set(first.seeds)
