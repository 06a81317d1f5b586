"""What lesson 01 says about sums of votes, tried on networks: which changes of the host let one digit say how another counts."""

import pytest
import torch
from torch import nn

from course_utils.cost import parameters
from course_utils.hosts import SmallHost, receptive_field, spread, two_layers
from course_utils.tasks import make


class Over(nn.Module):
    """A pooling, or what stands behind a layer, from a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Averaged(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other = SmallHost(2), SmallHost(2)

    def forward(self, x):
        return (self.one(x) + self.other(x)) / 2


def changed(letter):
    """The host with the change that this letter of the exercise names."""
    net = SmallHost(2)
    if letter == "A":
        net.classify = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 2))
    elif letter == "B":
        net.pool = Over(lambda x: x.sum((2, 3)))
    elif letter == "C":
        net.layer4 = nn.Sequential(net.layer4, *[m for _ in range(3) for m in (nn.Conv2d(64, 64, 1), nn.ReLU())])
    elif letter == "D":
        net.pool = Over(lambda x: x.amax((2, 3)))
    elif letter == "E":
        net.layer4 = nn.Sequential(net.layer4, Over(lambda x: x * x.mean((2, 3), keepdim=True)))
    return Averaged() if letter == "F" else net


def interaction(net):
    """By how much the other digit changes what one digit adds to the answers, as a share of what it adds."""
    x = make("relate", 32, split="test", seed=0).x.double()
    x = x * (x > 0.3)                                          # without noise, so that the digits are all there is
    upper, lower = x.clone(), x.clone()
    upper[:, :, 24:], lower[:, :, :24] = 0, 0
    a, b, c, d = upper[:16], upper[16:], lower[:16], lower[16:]
    net = net.double().train()
    with torch.no_grad():
        for _ in range(12):
            net(x)                                             # norms as after training: ReLUs behind them open and close
        net.eval()
        beside_c, beside_d = net(a + c) - net(b + c), net(a + d) - net(b + d)
    return float((beside_c - beside_d).abs().max() / beside_c.abs().max())


@pytest.mark.parametrize("letter", "ABCF")
def test_these_changes_leave_a_sum_of_votes(letter):
    torch.manual_seed(0)
    assert interaction(changed(letter)) < 1e-6


@pytest.mark.parametrize("letter", "DE")
def test_these_changes_let_digits_be_compared(letter):
    torch.manual_seed(0)
    assert interaction(changed(letter)) > 0.01


@pytest.mark.parametrize("net, compares", [(SmallHost, False), (two_layers, True), (spread, True)])
def test_the_ways_out_of_the_lesson(net, compares):
    torch.manual_seed(0)
    assert (interaction(net(2)) > 1e-6) is compares


def test_a_spread_host_has_the_weights_of_the_plain_one_and_a_larger_window():
    assert [receptive_field(spread(2, dilation)).size for dilation in (1, 2, 4)] == [15, 23, 39]
    assert parameters(spread(2)) == parameters(SmallHost(2))
    torch.manual_seed(0)
    first = SmallHost(2).state_dict()
    torch.manual_seed(0)
    assert all(torch.equal(first[name], value) for name, value in spread(2).state_dict().items())


@pytest.mark.parametrize("dilation, meets", [(1, 0.0), (2, 0.0), (4, 1.0)])
def test_in_how_many_pictures_a_window_reaches_ink_of_both_digits(dilation, meets):
    """The lesson says: 23 pixels in none of 2,000, 39 in all. One digit is in the upper half, the other in the lower."""
    batch = make("relate", 2000, split="test", seed=2)
    ink = (batch.x.amax(1) > 0.3) & batch.mask
    view = receptive_field(spread(2, dilation))
    met = torch.zeros(len(ink), dtype=torch.bool)
    spans = [(max(first, 0), min(last, 47) + 1) for first, last in map(view.span, range(12))]
    for top, bottom in spans:
        for left, right in spans:
            inside = ink[:, :, left:right]
            met |= inside[:, top:24].any((1, 2)) & inside[:, 24:max(bottom, 24)].any((1, 2))
    assert met.float().mean() == meets
