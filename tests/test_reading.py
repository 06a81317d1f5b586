"""attention.read: gates and maps of every mechanism, from the pass that runs anyway, and nothing kept afterwards."""

import copy

import pytest
import torch
from properties import CASES, applied, each, over, picture
from torch import nn

from course_utils import attention
from course_utils.attention import CBAM, SE, BoT, CrissCross, Gate, Mechanism, PatchSelection, SplitAttention, read


def sums_to_one(x, dims):
    assert (x >= 0).all()
    total = x.sum(dims)
    torch.testing.assert_close(total, torch.ones_like(total))


def check_gate(case, module, x, noted):
    assert noted["gate"].ndim == 4 and torch.broadcast_shapes(noted["gate"].shape, x.shape) == x.shape
    assert noted.keys() == ({"gate", "what", "where"} if case.cls is CBAM else {"gate"})
    if case.cls is CBAM:
        n, c, h, w = x.shape
        assert noted["what"].shape == (n, c, 1, 1) and noted["where"].shape == (n, 1, h, w)


def check_map(case, module, x, noted):
    """Rows (N, heads, HW, places), one for all positions where the mechanism has the same for all."""
    n, _, h, w = x.shape
    small = -(-h // 2) * -(-w // 2) if case.options.get("subsample") else h * w
    every = (n, getattr(module, "heads", 1), h * w, h * w)
    expected = {"bot": every, "halo": every, "gc": (n, 1, h * w), "attention_pool": (n, 1, h * w)}
    assert noted.keys() == {"map"}
    assert noted["map"].shape == expected.get(case.name, (n, 1, h * w, small))
    if case.options.get("form") != "dot":
        sums_to_one(noted["map"], -1)


def check_weights(case, module, x, noted):
    if case.name == "deform_conv":
        (n, _, h, w), taps = module(x).shape, module.kernel_size ** 2
        assert noted.keys() == {"offsets", "weights"}
        assert noted["offsets"].shape == (n, taps, 2, h, w) and noted["weights"].shape == (n, taps, h, w)
        assert ((noted["weights"] > 0) & (noted["weights"] < 1)).all()
        return
    assert noted.keys() == {"weights"}
    weights, branches = noted["weights"], case.options.get("branches") or case.options.get("radix") or 2
    per_picture = case.name in ("condconv", "dynamic_conv")
    assert weights.shape == ((len(x), module.count) if per_picture else (len(x), branches, module.out_channels))
    if case.name == "condconv":      # independent of each other
        assert ((weights > 0) & (weights < 1)).all() and (weights.sum(1) - 1).abs().min() > 1e-3
    else:
        sums_to_one(weights, 1)


def check_input(case, module, x, noted):
    if case.cls is PatchSelection:
        n, (h, w) = len(x), (side // module.factor for side in x.shape[2:])
        assert noted.keys() == {"map", "corners"} and noted["map"].shape == (n, 1, h, w)
        sums_to_one(noted["map"], (1, 2, 3))
        assert noted["corners"].shape == (n, module.patches_eval, 2)
        last = torch.tensor(x.shape[2:]) - module.size
        assert (noted["corners"] >= 0).all() and (noted["corners"] <= last).all()
    elif hasattr(module, "gate"):
        check_gate(case, module, x, noted)
    else:
        assert noted.keys() == {"theta"} and noted["theta"].shape == (len(x), 2, 3)


PROMISED = {"gate": check_gate, "mixing": check_map, "pool": check_map, "kernel": check_weights, "input": check_input}


@each
def test_every_mechanism_notes_what_its_kind_promises(case):
    shape = case.shape(2, 8, 6, 7)
    module, x = case.trained(shape), picture(*shape)
    with read(module) as seen:
        module(x)
    assert list(seen) == [case.cls.__name__]
    noted = seen[case.cls.__name__]
    assert all(isinstance(value, torch.Tensor) and not value.requires_grad for value in noted.values())
    PROMISED[module.kind](case, module, x, noted)


@each
def test_output_while_reading_is_the_output_without(case):
    shape = case.shape(2, 8, 6, 7)
    module, x = case.trained(shape).float(), picture(*shape, dtype=torch.float32)
    y = module(x)
    with read(module):
        torch.testing.assert_close(module(x), y, rtol=1e-5, atol=1e-5)
    assert torch.equal(module(x), y)


@over([case for case in CASES if hasattr(case.cls, "gate")])
def test_the_gate_that_is_read_is_the_one_that_was_applied(case):
    shape = case.shape(2, 8, 6, 7)
    module, x = case.trained(shape), picture(*shape)
    with read(module) as seen:
        y = module(x)
    torch.testing.assert_close(applied(module, seen[case.cls.__name__]["gate"], x), y)


@each
def test_reading_runs_no_layer_twice_and_learns_the_same(case):
    shape = case.shape(2, 8, 6, 7)
    module, x, calls = case.trained(shape), picture(*shape).requires_grad_(), []
    for part in module.modules():
        part.register_forward_hook(lambda part, given, made: calls.append(part))
    module(x).square().sum().backward()
    plain, gradients = list(calls), [p.grad.clone() for p in module.parameters()]
    module.zero_grad()
    calls.clear()
    with read(module):
        module(x).square().sum().backward()
    assert len(calls) == len(plain) and set(map(id, calls)) == set(map(id, plain))
    for p, gradient in zip(module.parameters(), gradients, strict=True):
        torch.testing.assert_close(p.grad, gradient)


@each
def test_nothing_is_kept_after_the_block(case):
    shape = case.shape(2, 8, 6, 7)
    module, x = case.trained(shape), picture(*shape)
    keys, attributes = list(module.state_dict()), {id(part): set(vars(part)) for part in module.modules()}
    with read(module) as seen:
        module(x)
        assert list(module.state_dict()) == keys
    noted = {key: value.clone() for key, value in seen[case.cls.__name__].items()}
    module(-x)
    assert all(torch.equal(noted[key], value) for key, value in seen[case.cls.__name__].items())
    for part in module.modules():
        if isinstance(part, Mechanism):
            assert part.reader is None and not part.being_read
        assert set(vars(part)) - attributes[id(part)] <= {"reader"}
        assert not any(isinstance(value, torch.Tensor) for value in vars(part).values())
    assert list(module.state_dict()) == keys
    assert torch.equal(copy.deepcopy(module)(x), module(x))


# ---- names

class Host(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3), SE(8), CBAM(8))
        self.mix = BoT(8)

    def forward(self, x):
        return self.mix(self.layers(x))


def test_names_are_those_of_named_modules():
    net = Host().eval()
    with read(net) as seen:
        net(torch.randn(2, 3, 8, 9))
    assert list(seen) == ["layers.1", "layers.2", "mix"]      # the parts of CBAM have noted nothing themselves
    assert all(name in dict(net.named_modules()) for name in seen)
    assert seen["layers.1"]["gate"].shape == (2, 8, 1, 1) and seen["mix"]["map"].shape == (2, 4, 42, 42)


def test_a_mechanism_alone_has_the_name_of_its_class():
    module = SE(8)
    with read(module) as seen:
        y = module(torch.ones(2, 8, 3, 3))
    assert list(seen) == ["SE"]
    torch.testing.assert_close(seen["SE"]["gate"].expand_as(y), y.detach())


def test_a_mechanism_inside_another_is_read_too():
    class Twice(Gate):
        def __init__(self, channels):
            super().__init__(channels)
            self.inner = SE(channels)

        def gate(self, x):
            return self.inner(x).sigmoid()

    module = Twice(8)
    with read(nn.Sequential(module)) as seen:
        module(torch.randn(2, 8, 3, 3))
    assert list(seen) == ["0", "0.inner"]
    assert seen["0"]["gate"].shape == (2, 8, 3, 3) and seen["0.inner"]["gate"].shape == (2, 8, 1, 1)


def test_the_last_of_several_passes_counts():
    module, x = SE(8), torch.randn(2, 8, 3, 3)
    with read(module) as seen:
        module(x)
        module(x[:1])
    torch.testing.assert_close(seen["SE"]["gate"], module.gate(x[:1]).detach())


def test_what_did_not_run_is_not_in_the_result():
    net = Host().eval()
    with read(net) as seen:
        net.layers[:2](torch.randn(2, 3, 8, 9))
    assert list(seen) == ["layers.1"]


def test_a_single_branch_of_split_attention_is_a_sigmoid():
    module = SplitAttention(5).eval()
    with read(module) as seen:
        module(torch.randn(2, 5, 4, 4))
    weights = seen["SplitAttention"]["weights"]
    assert weights.shape == (2, 1, 5) and ((weights > 0) & (weights < 1)).all()


# ---- a map is what the positions were mixed with, and not another one

@pytest.mark.parametrize("name, value, out, options", [
    ("efficient", "value", "out", {}), ("double", "features", "out", {}),
    ("criss_cross", "value", "gamma", {"passes": 1}), ("non_local", "value", "out", {"norm": False}),
])
def test_the_output_can_be_made_again_from_the_map(name, value, out, options):
    torch.manual_seed(0)
    module = attention.build(name, 8, **options).double()
    with torch.no_grad():
        for p in module.parameters():
            p.normal_()
    x = picture(2, 8, 4, 5)
    with read(module) as seen:
        y = module(x)
    v = getattr(module, value)(x).flatten(2).mT                                   # (N, HW, C)
    mixed = (seen[type(module).__name__]["map"][:, 0] @ v).mT.unflatten(2, (4, 5))
    last = getattr(module, out)
    torch.testing.assert_close(y - x, last(mixed) if isinstance(last, nn.Module) else last * mixed)


def test_a_cross_is_zero_off_its_row_and_column():
    module = CrissCross(8).double()
    with read(module) as seen:
        module(picture(2, 8, 4, 5))
    a = seen["CrissCross"]["map"].view(2, 4, 5, 4, 5)
    same_row = torch.eye(4, dtype=torch.bool)[:, None, :, None]
    same_column = torch.eye(5, dtype=torch.bool)[None, :, None, :]
    assert torch.equal(a != 0, (same_row | same_column).expand_as(a))


# ---- when something goes wrong

def test_an_exception_inside_the_block_switches_reading_off():
    net = Host().eval()
    with pytest.raises(KeyError), read(net):
        net(torch.randn(2, 3, 8, 9))
        raise KeyError
    assert all(part.reader is None for part in net.modules() if isinstance(part, Mechanism))


def test_a_net_without_mechanisms_is_refused():
    with pytest.raises(ValueError, match="read: no mechanism in this Sequential. Plug one in"), read(nn.Sequential(nn.ReLU())):
        pass


def test_a_block_inside_another_reads_for_both():
    """And the outer one goes on reading after it."""
    net, x = nn.Sequential(attention.ECA(8)), torch.randn(2, 8, 4, 4)
    with read(net) as outer:
        net(x)
        with read(net) as inner:
            net(2 * x)
        assert torch.equal(outer["0"]["gate"], inner["0"]["gate"])
        net(3 * x)
    assert torch.equal(outer["0"]["gate"], net[0].gate(3 * x)) and torch.equal(inner["0"]["gate"], net[0].gate(2 * x))
    assert net[0].reader is None
