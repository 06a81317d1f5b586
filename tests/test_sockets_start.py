"""What a network computes at step 0 after plug_in: the same as before, and everything that is new can learn."""

import copy
import inspect
import random

import pytest
import torch
from sockets_host import USUAL, Host, host, outputs, picture, plug, small, stir
from test_attention import INVISIBLE
from torch import nn

from course_utils import attention
from course_utils.sockets import SOCKETS, Eased, Place, list_sockets, plug_in, unplug
from course_utils.sockets.fuse import Fuse, GatedSkip

SIZE = (3, 12, 14)
NAMES = list(attention.REGISTRY)

# Their start is the identity by a sum of weights or a resampling: equal to rounding. All others are equal to the bit.
ROUNDED = {"stn", "condconv", "dynamic_conv", "deform_conv", "attention_pool"}
# They have no identity start of their own, and get one from `Eased`.
EASED = {"ge", "simam", "bot", "halo"}
# They can only be instead of a convolution, and begin with norms and a ReLU of their own: no identity start at all.
NO_IDENTITY = {"sk", "split"}
# A softmax over a single channel says nothing, and of three colours these make one.
NARROW = {"efficient": {"query.weight", "query.bias"}, "double": {"distribute.weight", "distribute.bias"}}


def sockets_of(name: str) -> list[str]:
    """Where this mechanism can start as the identity; `both` is pre and post together."""
    if name in {"patches", *NO_IDENTITY}:
        return []
    cls = attention.REGISTRY[name]
    two = ["fuse"] if cls.fuses else []
    one = {"kernel": "instead", "pool": "head"}.get(cls.kind)
    if one or name == "attention_gate":      # the gate needs both maps
        return two or [one]
    return [at for at in SOCKETS if at not in ("both", "head", "instead", "fuse")] + two


def wide_enough(name: str) -> dict:
    """Options with which no hidden width is one: behind a ReLU or a layer norm it may say nothing."""
    return {"reduction": 1} if "reduction" in inspect.signature(attention.REGISTRY[name]).parameters else {}


def inside(module: nn.Module) -> nn.Module:
    """The mechanism itself, where something around it brings two maps to it."""
    module = module.attention if isinstance(module, Fuse) else module
    return module.gate if isinstance(module, GatedSkip) else module


def one_block(place: Place) -> bool:
    """Before and inside the second block, which changes the size; elsewhere the first; and whatever belongs to no block."""
    return place.unit != ("blocks.0" if place.socket in ("pre", "inner") else "blocks.1")


PLAIN, DOUBLE = outputs(small(), picture(4)), outputs(small().double(), picture(4).double())


@pytest.fixture(scope="module")
def started():
    """By name: the small network with a mechanism at all of its sockets at once, and the receipts."""
    made = {}

    def get(name: str):
        if name not in made:
            net = small()
            options = {"layers": one_block, "input_size": SIZE} | wide_enough(name)
            made[name] = net, [plug_in(net, name, at=at, **options) for at in sockets_of(name)]
        return made[name]
    return get


def sort_of(name: str) -> tuple:
    """Mechanisms of one sort are plugged in by the same code, at the same sockets, and begin in the same way."""
    cls = attention.REGISTRY[name]
    return cls.kind, tuple(sockets_of(name)), name in ROUNDED, name in EASED, name in NARROW


# In the fast tier one of each sort; of the others plug_in itself refuses a start that changes the outputs in evaluation, and
# what they do in training is tried with --full.
FIRST = {sort_of(name): name for name in reversed(NAMES)}.values()
each = pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in FIRST else pytest.mark.full)
                                        for name in NAMES if sockets_of(name)])


@each
def test_identity_start_leaves_the_outputs_as_they_are(started, name):
    """In training too, where batch statistics are used."""
    net, receipts = started(name)
    exact = []
    for y, expected in zip(outputs(net, picture(4)), PLAIN, strict=True):
        torch.testing.assert_close(y, expected, rtol=0, atol=1e-6 * len(receipts) * expected.abs().max().item())
        exact.append(torch.equal(y, expected))
    assert all(exact) == (name not in ROUNDED)
    for y, expected in zip(outputs(copy.deepcopy(net).double(), picture(4).double()), DOUBLE, strict=True):
        torch.testing.assert_close(y, expected, rtol=0, atol=1e-6 if name in ("condconv", "dynamic_conv") else 1e-13)


@each
def test_every_new_parameter_learns_within_two_steps(started, name):
    net, receipts = started(name)
    net = copy.deepcopy(net).double().train()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.5)
    seen: dict[tuple[str, str], float] = {}
    for _ in range(2):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(picture(4).double()), torch.tensor([0, 1, 2, 3])).backward()
        for receipt in receipts:
            for module in receipt.modules(net):
                for key, p in inside(module).named_parameters():
                    seen[receipt.at, key] = max(seen.get((receipt.at, key), 0.0), p.grad.abs().max().item())
        optimiser.step()
    dead = {(r.at, key) for r in receipts for key in INVISIBLE.get(name, ())}
    dead |= {("input", key) for key in NARROW.get(name, ())}
    assert {place for place, most in seen.items() if most < 1e-14} == dead, seen


@each
def test_a_start_is_added_only_where_there_is_none(started, name):
    net, receipts = started(name)
    new = [inside(module) for receipt in receipts for module in receipt.modules(net)]
    assert {type(module) for module in new} == {Eased if name in EASED else attention.REGISTRY[name]}
    assert name in EASED or all(m.start == "identity" or m.kind == "kernel" for m in new)


@pytest.mark.parametrize("name", NAMES)
def test_what_does_not_fit_a_socket_is_refused(name):
    """Also where it could stand, but would change the outputs."""
    net = small()
    for at in SOCKETS:
        if at not in sockets_of(name) and (at != "both" or "post" not in sockets_of(name)):
            with pytest.raises(ValueError):
                plug_in(net, name, at=at, input_size=SIZE)
    assert unplug(net) == 0


def test_both_is_pre_and_post_and_changes_nothing():
    net = small()
    receipt = plug_in(net, "cbam", at="both", input_size=SIZE)
    assert {place.socket for place in receipt.places} == {"pre", "post"} and len(receipt) == 4
    assert all(map(torch.equal, outputs(net, picture(4)), PLAIN))


# ---- what plugging in must not touch

class Fussy(Host):
    """Looks at its numbers, so it runs only with its weights; draws random numbers; counts its batches."""

    def forward(self, x):
        if x.abs().sum() < 0:
            return None
        return super().forward(nn.functional.dropout(x, 0.2, training=True))


@pytest.mark.parametrize("kind", [Host, Fussy])
def test_looking_changes_neither_the_network_nor_the_random_numbers(kind):
    net, there = stir(kind()).train(), len(list_sockets(Host(), SIZE))
    net.classify.weight.grad = torch.ones_like(net.classify.weight)
    before = {key: (id(value), value._version, value.clone()) for key, value in net.state_dict(keep_vars=True).items()}
    state, others = torch.random.get_rng_state(), random.getstate()
    assert len(list_sockets(net, SIZE)) == there
    assert torch.equal(torch.random.get_rng_state(), state) and random.getstate() == others
    after = net.state_dict(keep_vars=True)
    assert {key: (id(v), v._version) for key, v in after.items()} == {key: value[:2] for key, value in before.items()}
    assert all(torch.equal(after[key], value) for key, (_, _, value) in before.items())
    assert all(module.training and not module._forward_hooks and not module._forward_pre_hooks for module in net.modules())


class Noisy(nn.Module):
    """Draws random numbers when it is made, and whenever it runs."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(channels, 1, 1))

    def forward(self, x):
        return x * self.weight + torch.rand(())


def test_only_the_making_of_a_module_draws_random_numbers():
    """So a network's weights do not depend on how often a module was tried; recorded results hang on that."""
    net = host()
    torch.manual_seed(3)
    receipt = plug_in(net, Noisy, "both", start="as_made", input_size=SIZE)
    after = torch.rand(5)
    torch.manual_seed(3)
    expected = [Noisy(c).weight for c in receipt.channels]
    assert len(expected) == 6 and torch.equal(torch.rand(5), after)
    assert all(map(torch.equal, (module.weight for module in receipt.modules(net)), expected))


@pytest.mark.parametrize("at", USUAL)
def test_plugging_in_touches_no_tensor_of_the_host(at):
    """Above all not the running statistics, by a forward pass in training mode."""
    net = host().train()
    net.classify.weight.grad = torch.ones_like(net.classify.weight)
    tensors = net.state_dict(keep_vars=True)
    before = {key: (value._version, value.clone()) for key, value in tensors.items()}
    plug(net, at)
    for key, value in net.state_dict(keep_vars=True).items():
        assert key not in tensors or value is tensors[key], key
    assert all(value._version == before[key][0] and torch.equal(value, before[key][1]) for key, value in tensors.items())
    assert torch.equal(net.classify.weight.grad, torch.ones_like(net.classify.weight))
