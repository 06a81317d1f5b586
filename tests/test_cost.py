"""What a network costs: passes are counted rather than timed, and bytes and multiply-adds are added up by hand."""

import weakref

import pytest
import torch
from sockets_host import host, picture
from torch import nn

from course_utils import cost
from course_utils.attention import SE
from course_utils.sockets import plug_in

FLOAT = 4      # bytes


class Counting(nn.Module):
    """Notes every pass: its name, its mode, whether gradients are on."""

    def __init__(self, name: str = "net", log: list | None = None):
        super().__init__()
        self.name, self.log = name, [] if log is None else log
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x):
        self.log.append((self.name, self.training, torch.is_grad_enabled()))
        return x * self.weight


class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x):
        raise RuntimeError("boom")


def clock(monkeypatch, durations):
    """A clock by which the passes take these times."""
    ticks = iter([t for d in durations for t in (0.0, d)])
    monkeypatch.setattr(cost.time, "perf_counter", lambda: next(ticks))


# ---- latency

@pytest.mark.parametrize("repeats, warm_up", [(4, 3), (1, 0)])
def test_warm_up_and_repeats_are_all_the_passes(repeats, warm_up):
    net = Counting()
    assert cost.latency(net, picture(), repeats=repeats, warm_up=warm_up) > 0
    assert net.log == [("net", False, False)] * (warm_up + repeats), "eval mode, no gradients"


def test_the_median_counts_and_the_warm_up_does_not(monkeypatch):
    clock(monkeypatch, [50, 50, 50, 50, 2, 1, 90, 3, 4])
    assert cost.latency(Counting(), picture(), repeats=5, warm_up=4) == 3


def test_an_even_number_of_repeats_has_a_median_too(monkeypatch):
    clock(monkeypatch, [1, 2, 4, 9])
    assert cost.latency(Counting(), picture(), repeats=4, warm_up=0) == 3


def test_networks_take_turns_round_by_round(monkeypatch):
    log, x = [], picture()
    nets = {"one": Counting("one", log), "two": Counting("two", log)}
    clock(monkeypatch, [7, 8, 1, 2, 1, 2, 1, 4])
    costs = cost.compare(nets, x, repeats=3, warm_up=1).costs
    assert [name for name, *_ in log[:8]] == ["one", "two"] * 4
    assert (costs["one"].latency, costs["two"].latency) == (1, 2), "the times of one were given to the other"


# ---- memory

def test_a_chain_holds_its_two_largest_neighbours():
    """No more: what was read for the last time is freed."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 10, 3, padding=1), nn.Conv2d(10, 6, 3, padding=1),
                        nn.Conv2d(6, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1))
    assert cost.peak_memory(net, picture(2, 12)) == 2 * 12 * 14 * (10 + 6) * FLOAT


def test_what_is_in_place_or_a_view_counts_once():
    net = nn.Sequential(nn.Conv2d(3, 5, 1), nn.ReLU(inplace=True), nn.Hardtanh(inplace=True), nn.Flatten(2),
                        nn.Unflatten(2, (12, 14)))
    assert cost.peak_memory(net, picture(2, 12)) == 2 * 12 * 14 * 5 * FLOAT
    net[1] = nn.ReLU()
    assert cost.peak_memory(net, picture(2, 12)) == 2 * 12 * 14 * 5 * FLOAT * 2


def test_a_skip_is_held_until_it_is_added():
    class Skip(nn.Module):
        def __init__(self, branch):
            super().__init__()
            self.branch = branch

        def forward(self, x):
            return x + self.branch(x)

    stem, branch = nn.Conv2d(3, 4, 1), [nn.Conv2d(4, 4, 1) for _ in range(3)]
    one = 2 * 12 * 14 * 4 * FLOAT
    assert cost.peak_memory(nn.Sequential(stem, *branch), picture(2, 12)) == 2 * one
    assert cost.peak_memory(nn.Sequential(stem, Skip(nn.Sequential(*branch))), picture(2, 12)) == 3 * one


def test_weights_pictures_and_other_tensors_that_are_there_do_not_count():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.mask = nn.Parameter(torch.ones(3, 1, 1)), torch.ones(1, 1, 14, 12)      # neither buffer nor weight

        def forward(self, x):
            self.weight.view(-1), x.view(-1), self.weight.detach()
            return x * self.mask.transpose(2, 3).expand(2, 3, 12, 14)

    assert cost.peak_memory(Masked(), picture(2, 12)) == 2 * 3 * 12 * 14 * FLOAT


def test_memory_grows_with_the_batch_and_shrinks_with_the_number_format():
    net = nn.Conv2d(3, 4, 1)
    assert cost.peak_memory(net, picture(6, 12)) == 3 * cost.peak_memory(net, picture(2, 12))
    assert cost.peak_memory(net.double(), picture(2, 12).double()) == 2 * 12 * 14 * 4 * 8


# ---- all of it

def test_attention_adds_its_own_multiply_adds_and_parameters():
    x = picture(2, 12)
    plain, net = host(), host()
    receipt = plug_in(net, "se", "post", input_size=(3, 12, 14), reduction=4)
    own = sum(cost.multiply_adds(module, torch.randn(2, place.channels, *place.size))
              for module, place in zip(receipt.modules(net), receipt.places, strict=True))
    assert own == sum(2 * c * (c // 4) for c in receipt.channels) == 2 * (8 * 2 + 16 * 4 + 16 * 4)
    before, after = (cost.measure(n, x, repeats=1, warm_up=0) for n in (plain, net))
    assert after.multiply_adds == before.multiply_adds + own
    assert after.parameters == before.parameters + receipt.parameters
    assert before.memory <= after.memory and before.latency > 0


def test_the_table_has_every_cost_and_its_ratio_to_the_first_row():
    costs = {"plain": cost.Cost(1000, 2e6, 0.004, 8_000_000), "with <SE>": cost.Cost(1500, 2e6, 0.0123, 20_000_000)}
    table = cost.Comparison(costs, (2, 3, 12, 14), "cpu")
    lines = [line.split() for line in str(table).splitlines()]
    assert lines[0] == ["network", "parameters", "ratio", "multiply-adds", "ratio", "ms", "ratio", "MB", "ratio"]
    assert lines[2] == ["plain", "1,000", "1.00", "2,000,000", "1.00", "4.00", "1.00", "8.00", "1.00"]
    assert lines[3] == ["with", "<SE>", "1,500", "1.50", "2,000,000", "1.00", "12.30", "3.08", "20.00", "2.50"]
    one, other = str(table).splitlines()[2:4]
    assert one.index(" 4.00") == other.index("12.30"), "decimal points do not stand below each other"
    assert "2x3x12x14" in str(table) and "cpu" in str(table)
    page = table._repr_html_()
    assert page.count("<tr>") == 3 and "with &lt;SE&gt;" in page and "<SE>" not in page


def test_a_ratio_to_nothing_is_a_dash():
    table = cost.compare({"pool": nn.AvgPool2d(2), "conv": nn.Conv2d(3, 4, 1)}, picture(), repeats=1, warm_up=0)
    assert table.costs["pool"].parameters == 0 and table.costs["pool"].multiply_adds == 0
    assert [row[2] for row in table.rows[1]] == ["-", "-"]


MEASURES = {"multiply_adds": cost.multiply_adds, "latency": cost.latency, "peak_memory": cost.peak_memory,
            "measure": cost.measure, "compare": lambda net, x: cost.compare({"one": nn.Identity(), "two": net}, x)}
each_measure = pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)


@each_measure
def test_modes_come_back_and_nothing_is_changed(measure):
    net = host().train()
    net.blocks[0].bn1.eval()
    modes, weights = [m.training for m in net.modules()], {k: v.clone() for k, v in net.state_dict().items()}
    measure(net, picture())
    assert [m.training for m in net.modules()] == modes
    assert all(torch.equal(v, weights[k]) for k, v in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters()) and torch.is_grad_enabled()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


@pytest.mark.parametrize("measure", [*MEASURES.values(), cost.traffic], ids=[*MEASURES, "traffic"])
def test_a_network_that_writes_into_its_pictures_writes_into_copies(measure):
    x = picture()
    before = x.clone()
    measure(nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 4, 1)), x)
    assert torch.equal(x, before) and (x < 0).any()


@each_measure
def test_modes_come_back_after_an_error(measure):
    net = nn.Sequential(nn.BatchNorm2d(3).eval(), Broken())
    modes = [m.training for m in net.modules()]
    with pytest.raises(RuntimeError, match="boom"):
        measure(net, picture())
    assert [m.training for m in net.modules()] == modes == [True, False, True, True] and torch.is_grad_enabled()


def test_a_comparison_keeps_no_network():
    net = host()
    watch = weakref.ref(net)
    table = cost.compare({"net": net}, picture(), repeats=1, warm_up=0)
    del net
    assert watch() is None and table.costs["net"].parameters > 0


@each_measure
@pytest.mark.parametrize("net, x, error, message", [
    (nn.Conv2d(3, 4, 1, device="meta"), picture(), ValueError, r"is on meta and the batch on cpu: use x\.to\('meta'\)"),
    (nn.Conv2d(3, 4, 1), torch.zeros(0, 3, 8, 8), ValueError, r"at least one picture, \(N, C, H, W\), got \(0, 3, 8, 8\)"),
    (nn.Conv2d(3, 4, 1), [1, 2], TypeError, "a batch of pictures, got .* and list"),
    (SE, picture(), TypeError, r"wanted a torch\.nn\.Module and a batch of pictures, got type"),
], ids=["other device", "empty batch", "no tensor", "no module"])
def test_a_batch_or_a_network_that_cannot_be_measured_is_refused(measure, net, x, error, message):
    with pytest.raises(error, match=message):
        measure(net, x)


@pytest.mark.parametrize("call, error, message", [
    (lambda net, x: cost.latency(net, x, repeats=0), ValueError, "repeats must be an integer of at least 1, got 0"),
    (lambda net, x: cost.measure(net, x, repeats=2.5), ValueError, r"repeats must be an integer of at least 1, got 2\.5"),
    (lambda net, x: cost.latency(net, x, warm_up=-1), ValueError, "warm_up must be an integer of at least 0, got -1"),
    (lambda net, x: cost.compare({}, x), ValueError, r"nets is empty: give at least one network, \{'plain': net\}"),
    (lambda net, x: cost.compare([net], x), TypeError, "a dict name -> network, got list"),
], ids=["no repeat", "half a repeat", "negative warm-up", "no network", "a list"])
def test_a_number_of_passes_or_a_choice_that_makes_no_sense_is_refused(call, error, message):
    net = Counting()
    with pytest.raises(error, match=message):
        call(net, picture())
    assert net.log == [] and net.training


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_memory_comes_from_the_allocator():
    """In blocks of 512 bytes; what was allocated before does not count."""
    held = torch.zeros(1_000_000, device="cuda")
    net = nn.Sequential(nn.ReLU(), nn.ReLU(), nn.ReLU()).cuda()
    x = torch.randn(2, 4, 32, 32, device="cuda")
    assert cost.peak_memory(net, x) == 2 * x.numel() * FLOAT and held.sum() == 0
    assert cost.latency(net, x, repeats=2, warm_up=1) > 0
