"""Check of lesson 13: the hidden width of SE in torchvision. It comes with the wrong answers that it rejects."""

from __future__ import annotations

import functools

import torch
from torch import nn

from .report import Mistake, Report, exercise


def narrow_blocks(family: str) -> nn.Module:
    """Blocks of torchvision's with widths that no model of it has: of them, the rules that are told apart here differ."""
    from torchvision.models import efficientnet, mobilenetv3, regnet

    if family == "regnet":      # a quarter of 6, 10, 13, 18: 1.5, 2.5, 3.25, 4.5
        shape = regnet.BlockParams([1] * 4, [10, 13, 18, 22], [1] * 4, [1.0] * 4, [2] * 4, 0.25)
        return regnet.RegNet(shape, num_classes=2, stem_width=6)
    if family == "mobilenet_v3":
        config = mobilenetv3.InvertedResidualConfig(16, 3, 16, 16, True, "RE", 1, 1, 1.0)
        config.expanded_channels = 3
        return nn.Sequential(mobilenetv3.InvertedResidual(config, nn.BatchNorm2d))
    blocks = []
    for channels in (3, 10, 27):
        config = efficientnet.MBConvConfig(6, 3, 1, 16, 16, 1)
        config.input_channels = channels
        blocks.append(efficientnet.MBConv(config, 0.0, nn.BatchNorm2d))
    return nn.Sequential(*blocks)


NARROW = "blocks, built narrower"
# Of each family, models that torchvision can build; the widened one has widths for which rounding goes down.
FAMILIES = {
    "efficientnet": {"efficientnet_b0": {}, NARROW: None},
    "mobilenet_v3": {"mobilenet_v3_small": {}, "mobilenet_v3_large": {},
                     "mobilenet_v3_large, 1.25 times as wide": {"width_mult": 1.25}, NARROW: None},
    "regnet": {"regnet_y_400mf": {}, NARROW: None},
}


@functools.cache
def shipped_widths(family: str, name: str) -> list[tuple[int, int, int]]:
    """(channels that enter the block, expanded channels, hidden width of SE), read from a model without weights."""
    import torchvision  # takes a second, and most checks do without

    with torch.random.fork_rng(devices=[]):
        net = narrow_blocks(family) if name == NARROW else \
            getattr(torchvision.models, name.split(",")[0])(weights=None, **FAMILIES[family][name])
    widths = []
    for block in net.modules():
        ses = [m for m in block.modules() if isinstance(m, torchvision.ops.SqueezeExcitation)]
        convs = [m for m in block.modules() if isinstance(m, nn.Conv2d)]
        if len(ses) == 1 and len(convs) > 3:      # a block; its stage may hold a single one, and then reads the same
            widths.append((convs[0].in_channels, ses[0].fc1.in_channels, ses[0].fc1.out_channels))
    return list(dict.fromkeys(widths))


def divisible(value: float, up: float = 4.0, rule: bool = True, least: int = 8) -> int:
    rounded = max(least, int(value + up) // 8 * 8)
    return rounded + 8 if rule and rounded < 0.9 * value else rounded


def like_squeeze(**wrong):
    """The three rules, some of them wrong."""
    rules = {"efficientnet": lambda block, wide: max(1, block // 4), "mobilenet_v3": lambda block, wide: divisible(wide // 4),
             "regnet": lambda block, wide: round(0.25 * block)} | wrong
    return lambda block, wide, family: rules[family](block, wide)


@exercise("The hidden width of SE in torchvision", [
    Mistake("efficientnet: a quarter of the expanded channels; it should be a quarter of those that enter the block.",
            like_squeeze(efficientnet=lambda block, wide: max(1, wide // 4))),
    Mistake("r is 16 as in the SE paper; all three families divide by 4.", lambda block, wide, family: max(1, wide // 16)),
    Mistake("r is 16 as in the SE paper; all three families divide by 4.", lambda block, wide, family: max(1, block // 16)),
    Mistake("the channels are not divided by 4 yet.", lambda block, wide, family: block),
    Mistake("all families get the rule of mobilenet_v3; the other two read the channels that enter the block, and do not round.",
            lambda block, wide, family: divisible(wide // 4)),
    Mistake("efficientnet: the width is rounded to a multiple of 8, which only mobilenet_v3 does.",
            like_squeeze(efficientnet=lambda block, wide: divisible(block // 4))),
    Mistake("mobilenet_v3: the width is not rounded to a multiple of 8.",
            like_squeeze(mobilenet_v3=lambda block, wide: wide // 4)),
    Mistake("mobilenet_v3: rounded down to a multiple of 8; it is rounded to the nearest.",
            like_squeeze(mobilenet_v3=lambda block, wide: divisible(wide // 4, 0.0, False, 0))),
    Mistake("mobilenet_v3: rounded up to a multiple of 8; it is rounded to the nearest.",
            like_squeeze(mobilenet_v3=lambda block, wide: divisible(wide // 4, 7.0, False))),
    Mistake("mobilenet_v3: where rounding takes more than 10 % away, torchvision adds 8: 18 becomes 24, not 16.",
            like_squeeze(mobilenet_v3=lambda block, wide: divisible(wide // 4, rule=False))),
    Mistake("mobilenet_v3: a quarter of the channels that enter the block; it should be a quarter of the expanded ones.",
            like_squeeze(mobilenet_v3=lambda block, wide: divisible(block // 4))),
    Mistake("efficientnet: a quarter is rounded up; it should be rounded down.",
            like_squeeze(efficientnet=lambda block, wide: -(-block // 4))),
    Mistake("efficientnet: a quarter is rounded to the nearest; it should be rounded down.",
            like_squeeze(efficientnet=lambda block, wide: max(1, round(block / 4)))),
    Mistake("efficientnet: a block of three channels gets no hidden channel at all; there should be at least 1.",
            like_squeeze(efficientnet=lambda block, wide: block // 4)),
    Mistake("mobilenet_v3: the least is 8, also where the quarter is 0.",
            like_squeeze(mobilenet_v3=lambda block, wide: divisible(wide // 4, least=0))),
    Mistake("regnet: a quarter is rounded down; it should be rounded to the nearest.",
            like_squeeze(regnet=lambda block, wide: max(1, block // 4))),
    Mistake("regnet: a quarter is rounded up; it should be rounded to the nearest.",
            like_squeeze(regnet=lambda block, wide: -(-block // 4))),
    Mistake("regnet: halves are rounded up; Python's round takes them to the nearest even number.",
            like_squeeze(regnet=lambda block, wide: int(block / 4 + 0.5))),
    Mistake("regnet: a quarter of the expanded channels; it should be a quarter of those that enter the block.",
            like_squeeze(regnet=lambda block, wide: round(0.25 * wide))),
])
def squeeze_width(report: Report, answer) -> None:
    """(block_input, expanded, family) -> hidden width; the truth is read from torchvision's models."""
    for family, models in FAMILIES.items():
        truth = {name: shipped_widths(family, name) for name in models}
        got = {}
        for block, wide, _ in (case for cases in truth.values() for case in cases):
            got[block, wide] = width = report.call(answer, block, wide, family)
            if isinstance(width, bool) or not isinstance(width, int):
                report.wrong(f"squeeze_width({block}, {wide}, {family!r}) should be an integer, got {type(width).__name__} "
                             f"{width!r}")
        cause = next((m.cause for m in report.mistakes if all(m.answer(*at, family) == width for at, width in got.items())), "")
        for name, cases in truth.items():
            for block, wide, wanted in cases:
                if (width := got[block, wide]) != wanted:
                    report.wrong(f"squeeze_width({block}, {wide}, {family!r}): got {width}, expected {wanted} as in "
                                 f"torchvision's {name}", cause)
            report.right(f"{name}: {', '.join(f'({b}, {w}) -> {hidden}' for b, w, hidden in cases)}")
