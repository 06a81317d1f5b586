"""attention.frozen, shuffled and swapped: what a network keeps when its gates no longer belong to its pictures."""

import pytest
import torch
from properties import CASES, applied, each, over, picture
from torch import nn

from course_utils import attention, hosts
from course_utils.attention import Gate, Mechanism, frozen, read, shuffled, swapped
from course_utils.attention.interventions import others
from course_utils.sockets import plug_in

SHAPE = (4, 8, 6, 7)
WEIGHTS = ("gate", "map", "weights", "theta")


def noted(module, x):
    """What a mechanism weighs by, and its output."""
    with read(module) as seen:
        y = module(x)
    values = next(iter(seen.values()))
    return next(values[name] for name in WEIGHTS if name in values), y


@each
def test_everything_that_weighs_can_be_frozen_and_shuffled(case):
    """Catches a mechanism that hands its gate out and goes on with its own, and a mean or an order along the wrong axis."""
    shape = case.shape(*SHAPE)
    module, x = case.trained(shape).eval(), picture(*shape)
    weights, y = noted(module, x)
    with frozen(module):
        mean, still = noted(module, x)
    torch.testing.assert_close(mean[:1], mean[1:2])
    if case.name != "criss_cross" or module.passes == 1:      # its second pass sees what the first has made
        torch.testing.assert_close(mean, weights.mean(0, keepdim=True).expand_as(weights))
    with shuffled(module, seed=3):
        moved, other = noted(module, x)
    if case.name != "criss_cross" or module.passes == 1:
        torch.testing.assert_close(moved, weights[others(4, 3)])
    silent = torch.allclose(weights, weights[:1].expand_as(weights)) or case.id == "gc"      # a hidden width of 1, dead or normed
    assert silent or not torch.allclose(y, still) and not torch.allclose(y, other)
    torch.testing.assert_close(module(x), y)
    assert all(m.editor is None for m in module.modules() if isinstance(m, Mechanism))


@each
def test_among_equal_pictures_nothing_changes(case):
    """Catches an intervention that does something else besides, such as one that is computed in another way."""
    shape = case.shape(*SHAPE)
    module, x = case.trained(shape).eval(), picture(*shape)[:1].repeat(3, 1, 1, 1)
    y = module(x)
    for block in (frozen(module), shuffled(module)):
        with block:
            torch.testing.assert_close(module(x), y)


@over([case for case in CASES if hasattr(case.cls, "gate")])
def test_the_output_is_that_of_another_ones_gate(case):
    shape = case.shape(*SHAPE)
    module, x = case.trained(shape).eval(), picture(*shape)
    gate, _ = noted(module, x)
    with swapped(module, torch.tensor([0, 1, 1, 1])):
        y = module(x)
    for i in (1, 2, 3):      # the only one of another class
        torch.testing.assert_close(y[i:i + 1], applied(module, gate[:1], x[i:i + 1]))


@over([case for case in CASES if case.name == "deform_conv"])
def test_where_samples_are_taken_is_frozen_with_their_weights(case):
    shape = case.shape(*SHAPE)
    module, x = case.trained(shape), picture(*shape)
    for changed in (frozen(module), shuffled(module, seed=3)):
        with read(module) as before:
            module(x)
        with changed, read(module) as after:
            module(x)
        for name in ("offsets", "weights"):
            given, got = before[case.cls.__name__][name], after[case.cls.__name__][name]
            mean = given.mean(0, keepdim=True).expand_as(given)
            assert torch.allclose(got, mean) or torch.equal(got, given[others(4, 3)])
            assert not torch.allclose(got, given)


@pytest.mark.parametrize("n", [2, 3, 10, 101])
def test_nobody_keeps_the_own_gate(n):
    order = others(n, seed=1)
    assert sorted(order.tolist()) == list(range(n)) and not (order == torch.arange(n)).any()
    assert n < 4 or not torch.equal(order, others(n, seed=2))


def test_gates_are_swapped_with_other_classes_only():
    torch.manual_seed(0)
    labels = torch.arange(90) % 3
    module = attention.SE(5, reduction=1).eval()
    x = torch.randn(3, 5, 1, 1)[labels] * torch.ones(90, 5, 2, 2)
    gate, _ = noted(module, x)
    with swapped(module, labels):
        other, _ = noted(module, x)
    assert not (other == gate).all((1, 2, 3)).any()
    with shuffled(module):
        any_other, _ = noted(module, x)
    assert (any_other == gate).all((1, 2, 3)).any(), "another picture is often of the same class"


# ---- in a network

def plugged(at="post", name="se"):
    torch.manual_seed(0)
    net = hosts.SmallHost(classes=4)
    receipt = plug_in(net, name, at=at, start="as_made")
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, Mechanism):
                for p in part.parameters():
                    p.add_(torch.randn_like(p))
    return net.eval(), receipt, torch.rand(6, 3, 40, 40)


def test_one_place_is_frozen_and_the_others_see_what_comes_of_it():
    net, receipt, x = plugged()
    with read(net) as before:
        y = net(x)
    with frozen(net, at=receipt.names[1]), read(net) as after:
        assert not torch.equal(net(x), y)
    gates = [[seen[name]["gate"] for seen in (before, after)] for name in receipt.names]
    assert torch.equal(*gates[0]), "before the frozen place nothing changes"
    assert (gates[1][1] == gates[1][1][:1]).all() and not torch.equal(*gates[2])
    assert torch.equal(net(x), y)


def test_stars_and_lists_choose_places():
    net, receipt, x = plugged()
    with frozen(net, at=["layer1.*", "layer2.*"]), read(net) as seen:
        net(x)
    still = [name for name in receipt.names if (seen[name]["gate"] == seen[name]["gate"][:1]).all()]
    assert still == [name for name in receipt.names if name.startswith(("layer1.", "layer2."))] and len(still) == 2


def test_the_outer_of_two_interventions_comes_first():
    """Shuffling what is frozen already changes nothing more."""
    net, _, x = plugged()
    with frozen(net):
        y = net(x)
        with shuffled(net):
            torch.testing.assert_close(net(x), y)
        assert torch.equal(net(x), y)


def test_cbam_is_changed_as_a_whole_and_once():
    net, receipt, x = plugged(name="cbam")
    with shuffled(net, at=receipt.names), read(net) as seen:
        net(x)
    first = seen[receipt.names[0]]
    torch.testing.assert_close(first["gate"], (first["what"] * first["where"])[others(6, 0)])


def test_weights_and_keys_stay_and_gradients_flow():
    net, _, x = plugged()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    with frozen(net):
        net(x).sum().backward()
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert all(p.grad is not None for p in net.parameters())


def test_an_error_inside_leaves_nothing_behind():
    net, _, x = plugged()
    y = net(x)
    with pytest.raises(KeyError), shuffled(net):
        raise KeyError
    assert torch.equal(net(x), y)


class Deaf(Gate):
    """Notes its gate and goes on with its own."""

    def gate(self, x):
        return x.mean((2, 3), keepdim=True).sigmoid()

    def forward(self, x):
        return x * self.gate(x)


@pytest.mark.parametrize("block, message", [
    (lambda net: frozen(nn.Conv2d(3, 3, 1)), "no mechanism in this Conv2d.*plug_in"),
    (lambda net: frozen(net, at=1), "at=1 is no name. Names are layer1"),
    (lambda net: frozen(net, at="layer9.*"), "'layer9.*' names no mechanism of this SmallHost. It has: layer1"),
    (lambda net: shuffled(net, at=["layer1.*", "post"]), "'post' names no mechanism"),
    (lambda net: swapped(net, torch.zeros(6)), "at least two classes, got shape .6,. with 1"),
    (lambda net: swapped(net, torch.arange(4)), "4 labels and a batch of 6"),
])
def test_what_cannot_be_changed_is_refused(block, message):
    net, _, x = plugged()
    with pytest.raises(ValueError, match=message), block(net):
        net(x)
    net(x)


@pytest.mark.parametrize("block", [frozen, shuffled])
def test_a_single_picture_has_no_other(block):
    net, _, x = plugged()
    with pytest.raises(ValueError, match="sees a single picture.*at least 2"), block(net):
        net(x[:1])
    net(x[:1])


def test_a_gate_that_is_not_handed_out_is_told():
    net = nn.Sequential(Deaf(3))
    with pytest.raises(ValueError, match="0: nothing was changed there, though the network ran.*self.note"), frozen(net):
        net(torch.rand(2, 3, 4, 4))


def test_part_of_a_mechanism_is_no_place():
    """Catches a block that does nothing: CBAM's channel gate is computed inside CBAM, which hands out the product."""
    net, _, x = plugged(name="cbam")
    with pytest.raises(ValueError, match="what: nothing was changed there"), frozen(net, at="*.what"):
        net(x)
