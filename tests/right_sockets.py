"""Right answers to the exercises of lessons 08 to 16, in several styles; test_check.py feeds them in."""

import copy
import math
from collections import defaultdict
from statistics import fmean
from types import MappingProxyType

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models._utils import _make_divisible

from course_utils import attention
from course_utils.check.lesson_14 import DIAGNOSES
from course_utils.plots import front
from course_utils.sockets import Eased, plug_in, unplug
from course_utils.stats import difference, holm, seeds_needed, t_interval


def branching(x, branch, attention, at):
    if at == "pre":
        return F.relu(branch(attention(x)) + x)
    if at == "post":
        return F.relu(attention(branch(x)) + x)
    if at == "identity":
        return F.relu(attention(x) + branch(x))
    if at == "both":
        return F.relu(attention(branch(attention(x))) + x)
    return attention(F.relu(x + branch(x)))


def written_once(x, branch, attention, at):
    use = {name: (attention if name in (at, *(("pre", "post") if at == "both" else ())) else nn.Identity())
           for name in ("pre", "post", "after_add", "identity")}
    return use["after_add"]((use["identity"](x) + use["post"](branch(use["pre"](x)))).relu())


def all_at_once(x, branch, attention, at):
    """Computes every socket and gives one of them: wasteful, and right."""
    read, sums = attention(x), {}
    sums["pre"], sums["post"] = x + branch(read), x + attention(branch(x))
    sums["identity"], sums["both"] = read + branch(x), x + attention(branch(read))
    return attention(torch.relu(x + branch(x))) if at == "after_add" else torch.relu(sums[at])


class Lerp(nn.Module):
    def __init__(self, module):
        super().__init__()
        self.share, self.inside = nn.Parameter(torch.zeros(1)), module

    def forward(self, x):
        return torch.lerp(x, self.inside(x), self.share)


class Blend(nn.Module):
    """In a ModuleList, and with a tanh."""

    def __init__(self, module):
        super().__init__()
        self.parts = nn.ModuleList([module])
        self.register_parameter("w", nn.Parameter(torch.tensor(0.0)))

    def forward(self, x):
        w = self.w.tanh()
        return (1 - w) * x + w * self.parts[0](x)


class AddedOn(nn.Module):
    """Adds the module's output instead of going over to it: also x at first, and also learns."""

    def __init__(self, module):
        super().__init__()
        self.module, self.gain = module, nn.Parameter(torch.zeros(1, 1, 1, 1))

    def forward(self, x):
        return x + self.gain * self.module(x)


def by_pictures(gate, mask):
    return torch.tensor([g[0][m].mean() / g[0][~m].mean() for g, m in zip(gate, mask, strict=True)])


def by_einsum(gate, mask):
    inside, outside = mask.float(), 1 - mask.float()
    mean = [torch.einsum("nihw,nhw->n", gate, m) / m.sum((1, 2)) for m in (inside, outside)]
    return mean[0] / mean[1]


def by_nanmean(gate, mask):
    gate = gate.squeeze(1)
    hole = gate.masked_fill(~mask, float("nan")), gate.masked_fill(mask, float("nan"))
    return hole[0].flatten(1).nanmean(1) / hole[1].flatten(1).nanmean(1)


def by_loop(predicted, asked, classes):
    table = torch.zeros(classes, classes)
    for p, a in zip(predicted, asked, strict=True):
        table[a, p] += 1
    for row in table:
        if row.sum() > 0:
            row /= row.sum()
    return table


def by_bincount(predicted, asked, classes):
    table = torch.bincount(asked * classes + predicted, minlength=classes ** 2).view(classes, classes)
    return (table / table.sum(1, keepdim=True)).nan_to_num(0)


def by_index_put(predicted, asked, classes):
    table = torch.zeros(classes, classes, dtype=torch.float64)
    table.index_put_((asked, predicted), torch.ones(len(asked), dtype=torch.float64), accumulate=True)
    return F.normalize(table, p=1, dim=1)


def step_by_step(count, target):
    width = 1
    while count(width) < target:
        width += 1
    return width


def by_halves(count, target):
    high = 1
    while count(high) < target:
        high *= 2
    low = high // 2      # 0, or a width that is too small
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if count(middle) >= target else (middle, high)
    return high


def by_difference(ours, control):
    return difference(ours, control).mean


def holm_from_above(p):
    """Each is the largest of what the smaller ones are multiplied to."""
    return [max(min(1.0, sum(other >= q for other in p) * q) for q in p if q <= own) for own in p]


def holm_by_definition(p):
    """The smallest level at which the steps reach it, by trying the levels that matter."""
    order = sorted(p)
    level = [max((len(p) - i) * q for i, q in enumerate(order[:k + 1])) for k in range(len(p))]
    return tuple(min(1.0, level[order.index(q)]) for q in p)


def as_torchvision(block_input, expanded, family):
    if family == "mobilenet_v3":
        return _make_divisible(expanded // 4, 8)
    return max(1, block_input // 4) if family == "efficientnet" else int(round(0.25 * block_input))


def in_own_words(block_input, expanded, family):
    if family == "efficientnet":
        return block_input // 4 or 1
    if family == "regnet":      # halves go to the even number
        low, rest = divmod(block_input, 4)
        return max(1, low + (rest == 3 or rest == 2 and low % 2 == 1))
    quarter = expanded // 4
    nearest = max(8, (quarter + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * quarter else nearest + 8


def bytes_by_tensors(channels, height, width):
    x = torch.empty(channels, height, width)
    return sum(t.nbytes for t in (x, x, x))


def front_by_sorting(points):
    """From the cheapest on, the dearer one only if it gains more."""
    kept, best = [], None
    for name, (cost, gain) in sorted(points.items(), key=lambda item: (item[1][0], -item[1][1])):
        if best is None or gain > best[1] or (cost, gain) == best:
            kept.append(name)
            best = (cost, gain)
    return kept


def front_as_set(points):
    return {n for n, (c, g) in points.items() if all(k > c or h < g or (k, h) == (c, g) for k, h in points.values())}


def front_by_arrays(points):
    names, table = list(points), np.array(list(points.values()))
    worse = ((table[None, :, 0] <= table[:, None, 0]) & (table[None, :, 1] >= table[:, None, 1])
             & (table[None] != table[:, None]).any(2)).any(1)
    return [name for name, out in zip(names, worse, strict=True) if not out]


def leaks_by_loop(train, test):
    return sum(1 for a in test if any((a == b).all() for b in train))


def leaks_by_bytes(train, test):
    known = {picture.numpy().tobytes() for picture in train}
    return len([picture for picture in test if picture.numpy().tobytes() in known])


def leaks_by_distance(train, test):
    far = (train[None].int() - test[:, None].int()).abs().flatten(2).sum(2)      # (test, train)
    return int((far.amin(1) == 0).sum())


def balanced_by_class(y, said):
    return fmean((said[y == c] == c).float().mean().item() for c in y.unique())


def balanced_by_counts(y, said):
    right, there = {}, {}
    for truth, guess in zip(y.tolist(), said.tolist(), strict=True):
        there[truth] = there.get(truth, 0) + 1
        right[truth] = right.get(truth, 0) + (truth == guess)
    return sum(right[c] / there[c] for c in there) / len(there)


def balanced_by_weights(y, said):
    _, place, count = np.unique(y.numpy(), return_inverse=True, return_counts=True)
    return float(np.average((y == said).numpy(), weights=1 / count[place]))


def verdict_by_intervals(ours, plain, wider):
    def interval(a, b):
        mean, low, high = t_interval([a[s] - b[s] for s in a])
        return low, high
    low, high = interval(ours, plain)
    if high < 0:
        return "worse"
    if low <= 0:
        return "no clear difference"
    return "attention helps" if interval(ours, wider)[0] > 0 else "no more than a wider host"


def verdict_by_differences(ours, plain, wider):
    gain = difference(ours, plain)
    if not gain.clear:
        return "no clear difference"
    if gain.mean < 0:
        return "worse"
    more = difference(ours, wider)
    return "attention helps" if more.clear and more.mean > 0 else "no more than a wider host"


def verdict_in_order(ours, plain, wider):
    words = ["no clear difference", "no more than a wider host", "attention helps", "worse"]
    gain = difference(ours, plain)
    return words[3 if gain.high < 0 else (gain.low > 0) + (gain.low > 0 and difference(ours, wider).low > 0)]


def settle(net, batches):
    was = net.training
    net.train()
    with torch.no_grad():
        for x in batches:
            net(x)
    return net.train(was)


def settle_norms_only(net, batches):
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    modes = [m.training for m in norms]
    for m in norms:
        m.train()
    with torch.no_grad():
        [net(x) for x in batches]
    for m, mode in zip(norms, modes, strict=True):
        m.train(mode)
    return net


def settle_by_modes(net, batches):
    modes = {m: m.training for m in net.modules()}
    try:
        with torch.set_grad_enabled(False):
            for x in batches:
                net.train().forward(x)
    finally:
        for m, mode in modes.items():
            m.training = mode
    return net


@torch.no_grad()
def settle_in_inference(net, batches):
    training = net.training
    for x in batches:
        net.train()(x)
    return net if training else net.eval()


def settle_from_a_batch(net, batches):
    """With gradients recorded and never used."""
    was = net.training
    for x in list(batches):
        net.train()(x).detach()
    return net.train(was)


def swapped(net, new):
    unplug(net)
    plug_in(net, new, at="post")
    return net


def swapped_in_a_copy(net, new):
    net = copy.deepcopy(net)
    unplug(net, at="post")
    plug_in(net, new, at="post", start="identity", input_size=16)
    return net


def swapped_by_callable(net, new):
    """Without a name it is eased: one more weight, 0 at first."""
    unplug(net, "both")
    plug_in(net, lambda channels: attention.build(new, channels), "post", input_size=(3, 24, 16))
    return net


BIASED = sum(n * (2 * c * c / 16 + c / 16 + c) for n, c in [(3, 256), (4, 512), (6, 1024), (3, 2048)])

def curve_by_loop(right, total):
    precision, recall, hits = [], [], 0
    for k, hit in enumerate(right, start=1):
        hits += hit
        precision.append(hits / k)
        recall.append(hits / total)
    return precision, recall


def curve_by_tensors(right, total):
    hits = torch.tensor(right).double().cumsum(0)
    return hits / torch.arange(1, len(right) + 1), hits / total


def curve_by_counting(right, total):
    parts = [right[:k] for k in range(1, len(right) + 1)]
    return [p.count(True) / len(p) for p in parts], [p.count(True) / total for p in parts]


def skip_by_interpolate(x, g, score):
    g = F.interpolate(g, size=x.shape[2:], mode="nearest")
    return x * score(torch.cat([x, g], 1)).sigmoid()


def skip_by_index(x, g, score):
    rows, columns = (torch.arange(n) * m // n for n, m in zip(x.shape[2:], g.shape[2:], strict=True))
    return x * torch.sigmoid(score(torch.cat([x, g[:, :, rows][:, :, :, columns]], dim=1)))


def skip_in_steps(skip, below, score):
    below = nn.Upsample(size=tuple(skip.shape[2:]))(below)
    logits = score(torch.cat((skip, below), dim=1))
    return skip / (1 + torch.exp(-logits))


def skip_by_repeating(x, g, score):
    """Each value twice in both directions, and what is too much cut off."""
    twice = g.repeat_interleave(2, 2).repeat_interleave(2, 3)[:, :, :x.shape[2], :x.shape[3]]
    return x * torch.sigmoid(score(torch.cat([x, twice], 1)))


RIGHT = {
    "socket_ratio": [16, (256 / 64) ** 2, (2 * 256 * 16) / (2 * 64 * 4)],
    "block_sockets": [branching, written_once, all_at_once],
    "eased": [Lerp, Blend, AddedOn, Eased],
    "evidence_pixels": [0.0225, 12 * 12 / 80 ** 2, 0.022, 0.023],
    "inside_outside": [by_pictures, by_einsum, by_nanmean],
    "identity_mask": [lambda x, logits: x * 2 * logits.sigmoid(), lambda x, s: x + x * torch.tanh(s / 2),
                      lambda x, s: torch.einsum("nchw,nhw->nchw", x, 2 / (1 + (-s[:, 0]).exp()))],
    "last_stage_share": [0.625, 0.63, 3 * 2048 ** 2 / (3 * 256 ** 2 + 4 * 512 ** 2 + 6 * 1024 ** 2 + 3 * 2048 ** 2),
                         3 * (2 * 2048 ** 2 / 16 + 2048 / 16 + 2048) / BIASED],
    "confusion": [by_loop, by_bincount, by_index_put],
    "gated_signal": [0.00390625, 0.5 ** 8, 1 / 256, 0.0039],
    "matched_width": [step_by_step, by_halves],
    "seed_factor": [4, 4.0, 1 / 0.5 ** 2, 26 / 8, seeds_needed(0.005, 0.02) / seeds_needed(0.01, 0.02)],
    "paired_gain": [lambda a, b: sum(a[s] - b[s] for s in a if s in b) / len(a.keys() & b.keys()), by_difference,
                    lambda a, b: fmean(a[s] - b[s] for s in set(a) & set(b)),
                    lambda a, b: torch.tensor([a[s] - b[s] for s in a.keys() & b.keys()]).mean()],      # float32
    "holm_adjusted": [holm, holm_from_above, holm_by_definition, lambda p: torch.tensor(holm(p)), lambda p: np.float32(holm(p))],
    "squeeze_width": [as_torchvision, in_own_words],
    "swap": [swapped, swapped_in_a_copy, swapped_by_callable],
    "gate_bytes": [lambda c, h, w: 12 * c * h * w, bytes_by_tensors,
                   lambda channels, height, width: 3 * channels * height * width * 4,
                   lambda c, h, w: sum(4 * c * h * w for _ in ("mean", "again", "product")), lambda *size: 12 * math.prod(size)],
    "precision_recall": [curve_by_loop, curve_by_tensors, curve_by_counting,
                         lambda right, total: np.array(curve_by_loop(right, total))],
    "gated_skip": [skip_by_interpolate, skip_by_index, skip_in_steps, skip_by_repeating],
    "pareto_front": [front, front_by_sorting, front_as_set, front_by_arrays, lambda points: tuple(front(points))],
    "settled": [settle, settle_norms_only, settle_by_modes, settle_in_inference, settle_from_a_batch],
    "leaks": [leaks_by_loop, leaks_by_bytes, leaks_by_distance, lambda train, test: torch.tensor(leaks_by_loop(train, test)),
              lambda a, b: np.int64(leaks_by_bytes(a, b))],
    "balanced": [balanced_by_class, balanced_by_counts, balanced_by_weights,
                 lambda y, said: torch.tensor(balanced_by_class(y, said)),
                 lambda truth, guess: np.float64(balanced_by_weights(truth, guess))],
    "verdict_word": [verdict_by_intervals, verdict_by_differences, verdict_in_order],
    "diagnoses": [DIAGNOSES, {n: DIAGNOSES[n] for n in (6, 5, 4, 3, 2, 1)}, {n: w.upper() for n, w in DIAGNOSES.items()},
                  MappingProxyType(DIAGNOSES), defaultdict(str, DIAGNOSES)],
}
