"""plug_in checks itself before it returns, and tells the real cause where it refuses: findings P12 and P14."""

import copy
import random
import warnings

import pytest
import torch
import torch.nn.functional as F
import torch.nn.utils.prune
from sockets_host import host, picture
from test_sockets_placement import alive
from torch import fx, nn

from course_utils.attention import interventions
from course_utils.sockets import doctor, list_sockets, plug_in, unplug

SIZE = (3, 12, 14)


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        return x + self.b(F.relu(self.a(x)))


class Exact(Plain):
    """Asks what it is."""

    def forward(self, x):
        y = super().forward(x)
        return y if type(self) is Exact else 1.5 * y


def around(block: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return alive(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), block, nn.AdaptiveAvgPool2d(1), nn.Flatten()))


def test_a_network_whose_outputs_change_at_the_identity_start_is_refused():
    """P12. Only a comparison of outputs sees it: every module is called, once, with the right shapes."""
    net, x = around(Exact()), picture()
    before, modules = net(x), list(net.named_modules())
    with pytest.raises(ValueError, match=r"with eca in it, .* are off by \d+\.\d%.*exact class.*start='as_made'"):
        plug_in(net, "eca", "after_add", input_size=SIZE)
    assert torch.equal(net(x), before) and modules == list(net.named_modules())
    plug_in(net, "eca", "after_add", start="as_made", input_size=SIZE)      # as the message says
    unplug(net)
    assert torch.equal(net(x), before)


@pytest.mark.parametrize("kind", ["training", "dropout", "random", "double", "half", "hooks", "nan"])
def test_what_is_healthy_is_not_accused(kind):
    """Catches a comparison that draws other random numbers, is in training mode, or wants equality of what is not a number."""
    class Random(nn.Module):
        def forward(self, x):
            return x + 0.1 * torch.randn_like(x)
    extra = {"dropout": nn.Dropout(0.5), "random": Random()}.get(kind, nn.Identity())
    net = around(nn.Sequential(Plain(), extra))
    net.train(kind == "training")
    if kind in ("double", "half"):
        net = net.to({"double": torch.float64, "half": torch.bfloat16}[kind])
    if kind == "nan":
        with torch.no_grad():
            net[0].bias.fill_(float("nan"))
    calls = []
    if kind == "hooks":
        net.register_forward_hook(lambda *_: calls.append(1))
    receipt = plug_in(net, "se", "post", input_size=SIZE)
    assert len(receipt) == 1 and not receipt.unproved and not calls and net.training is (kind == "training")


class Keeps(Plain):
    """Keeps its maps, as whoever wants to look at them later."""

    def forward(self, x):
        self.map = super().forward(x)
        self.maps = [self.map + 1]
        return self.map


COMPUTED = {"pruned": lambda net: torch.nn.utils.prune.l1_unstructured(net[1].a, "weight", 0.5),
            "normalised": lambda net: torch.nn.utils.spectral_norm(net[1].a), "kept": lambda net: None}


@pytest.mark.parametrize("kind", COMPUTED)
def test_tensors_with_a_past_do_not_keep_a_network_from_being_looked_at(kind):
    """copy.deepcopy refuses them."""
    net, x = around(Keeps()), picture()
    COMPUTED[kind](net)
    before = net.train()(x)
    net.eval()
    kept, weight = net[1].map, net[1].a.weight
    assert kept.grad_fn is not None and before.shape == (len(x), 8)
    receipt = plug_in(net, "se", "post", input_size=SIZE)
    assert not receipt.unproved and doctor(net, x) and net[1].map is kept and net[1].a.weight is weight


def test_a_network_that_never_gives_the_same_twice_is_not_compared():
    class Restless(nn.Module):
        def forward(self, x):
            return x * (1 + random.random())      # of Python's own numbers, which nobody seeds here
    receipt = plug_in(around(nn.Sequential(Plain(), Restless())), "se", "post", input_size=SIZE)
    assert "Its outputs were not compared with those of before: they differ from run to run." in str(receipt)


class Answer:
    def __init__(self, logits):
        self.logits = logits


@pytest.mark.parametrize("gives", [Answer, lambda y: {"boxes": y[:0]}])
def test_outputs_in_which_nothing_can_be_compared_are_told(gives):
    class Says(nn.Module):
        def forward(self, x):
            return gives(x)
    receipt = plug_in(around(Plain()).append(Says()), "se", "post", input_size=SIZE)
    assert "compared with those of before: they hold no number" in str(receipt)


def test_a_receipt_says_that_outputs_could_not_be_compared():
    with torch.device("meta"):
        net = around(Plain())
    receipt = plug_in(net, "se", "post", input_size=SIZE)
    assert receipt.unproved and "Its outputs were not compared" in str(receipt)
    assert "compared" not in str(plug_in(around(Plain()), "se", "post", input_size=SIZE))


def test_plugging_inside_inference_mode_leaves_weights_that_can_be_trained():
    """P14: 'Inference tensors do not track version counter'."""
    net = around(Plain())
    with torch.inference_mode():
        plug_in(net, "se", "post", input_size=SIZE)
        assert not any(p.is_inference() for p in net.parameters()) and torch.is_inference_mode_enabled()
    net(picture()).sum().backward()
    assert all(p.grad is not None for p in net[1].b.parameters())


def test_a_block_that_is_a_graph_module_is_plugged_or_refused_with_the_real_cause():
    """P14: the message told the size was wrong."""
    net, x = around(fx.symbolic_trace(Plain())), picture()
    before = net(x)
    try:
        plug_in(net, "se", "after_add", start="as_made", input_size=SIZE)
    except ValueError as error:
        assert "input_size" not in str(error) and "GraphModule" in str(error)
    else:
        assert not torch.allclose(net(x), before)
        unplug(net)
    assert torch.equal(net(x), before)


class Slots(Plain):
    __slots__ = ("mine",)


def test_a_module_with_slots_keeps_them():
    net = around(Slots())
    net[1].mine = 7
    plug_in(net, "se", "after_add", input_size=SIZE)
    assert net[1].mine == 7
    unplug(net)
    assert net[1].mine == 7 and type(net[1]) is Slots


class NeedsNumbers(nn.Module):
    """Cannot run without numbers, and has an error of its own."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(7, 5)

    def forward(self, x):
        if x.sum().item() > 1e9:
            return x
        return self.fc(self.conv(x).mean((2, 3)))


def test_the_error_that_is_told_is_the_network_s_own_and_not_that_of_the_stand_in():
    """P14. Catches 'item() cannot be called on meta tensors' for a mistake in a linear layer."""
    with pytest.raises(ValueError) as caught:
        list_sockets(NeedsNumbers())
    text = str(caught.value)
    assert "mat1 and mat2" in text and "meta" not in text
    assert "same for every size, so the size is not the cause" in text


def test_a_network_that_breaks_with_attention_in_it_is_told_so():
    """Catches advice about the size of the picture where the plugging is the cause."""
    class Counts(nn.Sequential):
        def forward(self, x):
            assert len(self._modules) == 2, "two parts only"
            return x + self._modules["1"](F.relu(self._modules["0"](x)))
    net = around(Counts(nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)))
    with pytest.raises(ValueError, match="ran before, and does not with 1.attention_after_add in it: AssertionError: two parts"):
        plug_in(net, "se", "after_add", input_size=SIZE)
    assert net(picture()).shape == (2, 8)


def test_looking_does_not_touch_the_network_and_costs_no_warning():
    net = host()
    state = copy.deepcopy(net.state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plug_in(net, "se", "post", input_size=SIZE)
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in state.items())


class Wild(nn.Module):
    """Makes much of little, as a deep network without training can."""

    def forward(self, x):
        return torch.sin(3e5 * x)


def test_a_network_that_makes_much_of_rounding_is_not_accused():
    """Sums in another order are enough to change its outputs. Catches a bound that does not ask how far rounding goes."""
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1), Wild()).eval()
    x = torch.rand(1, 3, 12, 14)
    exact = copy.deepcopy(net).double()(x.double())
    assert (net(x) - exact).abs().max() > 1e-2 * exact.abs().max(), "not wild enough to show anything"
    assert plug_in(net, "dynamic_conv", "instead", input_size=SIZE)


def test_only_the_generator_of_the_processor_is_seeded(monkeypatch):
    """torch.manual_seed would set the random numbers of every device of the machine; looking is not to be noticed."""
    net = around(Plain())
    monkeypatch.setattr(torch, "manual_seed", lambda seed: pytest.fail("every device is seeded"))
    state = torch.random.get_rng_state()
    list_sockets(net, SIZE)
    assert torch.equal(torch.random.get_rng_state(), state)


class Sum(nn.Module):
    def forward(self, a, b):
        return a + b


@pytest.mark.parametrize("at, maker", [("post", lambda c: nn.Identity()), ("fuse", lambda a, b: Sum())])
def test_where_new_tensors_lie_by_default_is_not_asked(at, maker):
    """torch.set_default_device("cuda") and a generator of the processor do not go together; "meta" stands for any device."""
    net = around(Plain())
    with torch.device("meta"):
        assert not plug_in(net, maker, at, input_size=SIZE).unproved
        assert interventions.others(5, 0).device.type == "cpu"
    net = around(nn.Sequential(Plain(), Enlarges(24)))
    with torch.device("meta"):
        assert not plug_in(net, maker, at, layers="1.0*", input_size=SIZE).unproved


class Enlarges(nn.Module):
    def __init__(self, side: int, channels: int = 8):
        super().__init__()
        self.conv, self.side = nn.Conv2d(channels, 4, 1), side

    def forward(self, x):
        if x.sum().item() > 1e9:      # looks at its numbers, so it is run with its weights
            return x
        return self.conv(F.interpolate(x, (self.side, self.side)))


@pytest.mark.parametrize("side, warns", [(420, True), (24, False)])
def test_who_looks_at_a_network_that_enlarges_its_pictures_is_warned(side, warns):
    """As torchvision's detectors: each trial of it would take minutes and gigabytes."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        list_sockets(Enlarges(side, 3), SIZE)
    told = [str(w.message) for w in seen if "min_size" in str(w.message)]
    assert bool(told) is warns and all(f"{side}x{side} pixels of a picture of 12x14" in text for text in told)
