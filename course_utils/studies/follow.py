"""What follows the studies of the answer: the same on other seeds, in another host, on real pictures, and the controls.

Written down before the first of them ran. Their order is that of importance.
"""

from __future__ import annotations

from collections.abc import Iterable

from .answer import (
    AS_MADE,
    CONFIRMED,
    INPUT,
    POST,
    SE,
    SEEDS,
    apart,
    at,
    longer,
    named,
    nearest,
    norms,
    relate,
    shuffled,
    spatial,
    what,
)
from .arms import against
from .study import Study


def named_in(study: Study) -> list[str]:
    """The arms that its contrasts compare."""
    compared = {arm for pair in study.contrasts for arm in pair}
    return [arm for arm in study.arms if arm in compared]


def confirmed(study: Study, also: Iterable[str] = ()) -> Study:
    """Its contrasts on eight other seeds; `also`: arms beside those that they compare."""
    return study.again(f"{study.name}_again", only=[*also, *named_in(study)], seeds=CONFIRMED)


# Early or late, where a skip goes round each block: on the branch (post), or on all that comes out of the block (after_add).
# Each block but the first halves the map; the skip then has a convolution of its own. In the pilot (seed 0) the plain host stood
# at 0.21 after 800 steps, below the third that guessing gives, and SE at the input at 0.87: it gets twice as many.
STAGES = {f"{socket} {stage}": {"at": socket, "stages": stage} for socket in ("post", "after_add") for stage in (1, 3)}
residual = Study(
    "09_depth_residual", "Lesson 09: one channel gate at one block of a residual host, on its branch or after its addition.",
    {"task": "what", "host": "small_resnet", "steps": 1600, **AS_MADE}, {"plain": {}, **at("SE", SE, {"input": INPUT, **STAGES})},
    named("SE", (("post 1", "post 3"), ("after_add 1", "after_add 3"), ("after_add 1", "post 1"), ("input", "after_add 3"))),
    ("accuracy", "take_off"), SEEDS, ceiling=0.97)

# Is it reach alone? The same 98 weights that see equally far, early and late: at the border (39 pixels), and well beyond (63).
SEES = {"sees 39, early": {**spatial(7, 3), **POST["post 1"]}, "sees 39, late": {**spatial(7), **POST["post 3"]},
        "sees 63, early": {**spatial(7, 5), **POST["post 1"]}, "sees 63, late": {**spatial(7, 2), **POST["post 3"]}}
equal_reach = Study(
    "10_depth_reach", "Lesson 10: gates of equal weights that see equally far, early and late, on `nearest`.",
    dict(nearest.base), SEES, tuple((f"sees {r}, early", f"sees {r}, late") for r in (39, 63)), ("accuracy", "take_off"),
    CONFIRMED, ceiling=0.975)

# Two findings of these that had one set of seeds: a ReLU between one gate and the same gate, and equal reach.
one_relu = what.again("09_depth_relu_again", ("SE, post 1", "SE, pre 2"), CONFIRMED)
reach_again = equal_reach.again("10_depth_reach_again", seeds=range(600, 608))

# The counts of `relate` suggested it, and no contrast there had named it: one summary of the picture helps the more often, the
# later it is made. On seeds that suggested nothing.
one_summary = Study(
    "10_depth_gc", "Lesson 10: one summary of the picture (GC), made early or late, on `relate`, on other seeds.",
    dict(relate.base), {"plain": {}, **at("GC", {"mechanism": "gc"}, POST)},
    named("GC", (("post 4", "post 1"), ("post 3", "post 1"))), ("accuracy", "take_off"), CONFIRMED, ceiling=1.0)

# The places of SENet's comparison on real pictures, trained to the end: 938 steps of 64 are one epoch of Fashion-MNIST, 156
# one of the small CIFAR-10. Twice in one place has as many modules as both.
PLACES = {**{f"SE, {place}": {**SE, "at": place} for place in ("pre", "inner", "post", "after_add", "identity", "both")},
          "SE, post twice": {**SE, "at": "post", "times": 2}}
REAL = {"plain": {}, "wider host": {"host": "wide_resnet"}, **PLACES}
REAL_PAIRS = (("SE, post", "plain"), ("SE, after_add", "plain"), ("SE, post", "SE, pre"), ("SE, both", "SE, post"),
              ("wider host", "plain"))
clothes = Study(
    "10_clothes", "Lesson 10: SE in the places of SENet's comparison, on Fashion-MNIST for four whole epochs.",
    {"task": "fashion_mnist", "host": "small_resnet", "steps": 4 * 938, "batch_size": 64, "test_size": 10_000}, REAL, REAL_PAIRS,
    ("accuracy",), SEEDS[:5])
OTHERS = {f"{name}, post": {"mechanism": name.lower(), "at": "post"} for name in ("ECA", "CBAM", "GC")}
photographs = Study(
    "10_photographs", "Lesson 10: SE in the places of SENet's comparison, and others after, on the small CIFAR-10, 20 epochs.",
    {"task": "cifar10_subset", "host": "small_resnet", "steps": 20 * 156, "batch_size": 64}, {**REAL, **OTHERS}, REAL_PAIRS,
    ("accuracy",), SEEDS[:5])

# Controls of earlier lessons, each beside what it controls.
multiply = Study(
    "02_multiply", "Lesson 02: SE after every convolution, its gate multiplied, and the same numbers added.",
    {"task": "what", **AS_MADE}, {"plain": {}, "SE": SE, "SE, added": {**SE, "mechanism": "se_added"}},
    (("SE", "SE, added"), ("SE, added", "plain")), ("accuracy", "take_off"), SEEDS, ceiling=0.97)
WIDE = spatial(15)["options"]
reach = Study(
    "03_reach", "Lesson 03: the 15x15 gate, its map added instead of multiplied, and a plain convolution that reaches as far.",
    {"task": "nearest", "steps": 600, **AS_MADE},
    {"plain": {}, "gate": spatial(15), "gate, added": {"mechanism": "spatial_gate_added", "options": WIDE},
     "large convolution": {"mechanism": "large_conv", "options": {"kernel_size": 15}}},
    (*against("gate", ("gate, added", "large convolution")), ("gate", "plain")), ("accuracy", "take_off"), SEEDS, ceiling=0.975)
position = Study(
    "05_bot", "Lesson 05: on `nearest`, a block that knows relative positions (BoT), and one that knows none (non-local).",
    {"task": "nearest", "steps": 600, "layers": "layer3.*", **AS_MADE},
    {"plain": {"layers": ()}, "BoT": {"mechanism": "bot", "options": {"size": (16, 16)}},
     "non-local": {"mechanism": "non_local"}},
    (("BoT", "non-local"), ("BoT", "plain")), ("accuracy", "take_off"), SEEDS, ceiling=0.975)
# The first studies of these two lessons hold no curves.
two_gates = Study(
    "04_curves", "Lesson 04: a spatial gate, CBAM and coordinate attention after every convolution, on `nearest`, with curves.",
    {"task": "nearest", "steps": 600, **AS_MADE},
    {"plain": {}, "spatial gate": spatial(15), "CBAM": {"mechanism": "cbam", "options": {"kernel_size": 15, "reduction": 4}},
     "coordinate": {"mechanism": "coordinate"}},
    (("spatial gate", "plain"), ("CBAM", "spatial gate"), ("coordinate", "plain")), ("accuracy", "take_off"), SEEDS,
    ceiling=0.975)
MIXING = {f"{name}, layer {layer}": {"mechanism": mechanism, "layers": f"layer{layer}.*"}
          for name, mechanism in {"non-local": "non_local", "GC": "gc", "linear": "efficient"}.items()
          for layer in ((3,) if name == "linear" else (3, 4))}
mixing = Study(
    "05_curves", "Lesson 05: one mixing block on `relate`, after the third convolution or after the last, with curves.",
    {"task": "relate", "steps": 400, **AS_MADE}, {"plain": {}, **MIXING},
    (("non-local, layer 3", "plain"), ("GC, layer 3", "non-local, layer 3"), ("GC, layer 4", "non-local, layer 4")),
    ("accuracy", "take_off"), SEEDS, ceiling=1.0)
cooled = Study(
    "06_cooled", "Lesson 06: dynamic convolution at one temperature throughout, and cooled while it trains, as in the paper.",
    {"task": "what", "at": "instead", **AS_MADE},
    {"tau 30": {"mechanism": "dynamic_conv"}, "tau 1": {"mechanism": "dynamic_conv", "options": {"temperature": 1.0}},
     "cooled": {"mechanism": "cooled_dynamic_conv"}},
    (("cooled", "tau 30"), ("cooled", "tau 1")), ("accuracy", "take_off"), SEEDS, ceiling=0.97)
by_hand = Study(
    "07_by_hand", "Lesson 07: a patch that is chosen by a rule of hand, red minus green, against one that is chosen by learning.",
    {"task": "search", "steps": 400}, {"by hand": {"host": "red_patch"}, "learned": {"host": "zoom"}},
    (("by hand", "learned"),), ("accuracy",), SEEDS)
limits = Study(
    "07_limits", "Lesson 07: patch selection on `relate`: is it that one patch is read that limits it, or what stands after it?",
    {"task": "relate", "steps": 400},
    {"every place": {"host": "zoom_all"}, "one patch, two layers": {"host": "zoom_two"},
     "every place, two layers": {"host": "zoom_all_two"}},
    (("every place, two layers", "every place"), ("every place, two layers", "one patch, two layers")))

# `longer` and `residual` were confirmed when they had nearly run: their second sets were written down before those began.
FOLLOW: tuple[Study, ...] = (confirmed(what, ("plain", "ECA, input", "SE, input")), confirmed(nearest, ("plain",)), equal_reach,
                             one_summary, confirmed(shuffled), confirmed(apart), residual, clothes, photographs,
                             confirmed(norms), one_relu, reach_again, confirmed(longer), confirmed(residual), multiply,
                             reach, position, two_gates, mixing, cooled, by_hand, limits)
