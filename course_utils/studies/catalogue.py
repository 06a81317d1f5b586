"""The studies that the lessons show, as data. `python -m course_utils.studies` runs them; results lie in data/results/.

Every mechanism is plugged into the finished host, which is the same for all arms of a seed.
"""

from __future__ import annotations

from .. import names
from .answer import ANSWER
from .arms import across, against, within
from .dense import DENSE
from .follow import FOLLOW
from .study import Study

# What was plugged in as it was made, with the start of its authors. Later lessons begin with the identity.
AS_MADE = {"start": "as_made"}
R4 = {"mechanism": "se", "options": {"reduction": 4}}
WIDE_GATE = {"mechanism": "spatial_gate", "options": {"kernel_size": 15}}

INPUT = {"plain": {}, "ECA at input": {"mechanism": "eca", "options": {"kernel_size": 3}}}
CEILINGS = {"what": {"steps": 800}, "where": {"steps": 800}, "relate": {"steps": 400}, "twins": {"steps": 400}}
# Windows of 15, 23 and 39 pixels with the same number of weights; and a classifier that can ask about a sum.
VOTES = {"plain": {}, "window of 23": {"host": "spread_2"}, "window of 39": {"host": "spread_4"},
         "two layers": {"host": "two_layers"}}
CHANNEL = {
    "plain": {},
    "SE, r=1": {"mechanism": "se", "options": {"reduction": 1}},
    "SE, r=4": R4,
    "SE, r=4, identity": {**R4, "start": "identity"},
    "ECA": {"mechanism": "eca"},
    "ECA, identity": {"mechanism": "eca", "start": "identity"},
    "GCT": {"mechanism": "gct", "at": "post"},
    "GCT, pre": {"mechanism": "gct", "at": "pre"},
}
SPATIAL = {
    "plain": {},
    "ECA (channel)": {"mechanism": "eca"},
    "sSE": {"mechanism": "sse"},
    "spatial gate, 7x7": {"mechanism": "spatial_gate"},
    "spatial gate, 15x15": WIDE_GATE,
}
COMBINED_TASKS = {"what": {"task": "what"}, "nearest": {"task": "nearest", "steps": 600}}
COMBINED = {
    "plain": {},
    "ECA (channel)": {"mechanism": "eca"},
    "spatial gate": WIDE_GATE,
    "CBAM": {"mechanism": "cbam", "options": {"kernel_size": 15, "reduction": 4}},
    "coordinate": {"mechanism": "coordinate"},
}
# Layer 3 is the third of four convolutions, layer 4 the last: after it come a norm, this socket, a ReLU and the average.
MIXING = {
    "plain": {},
    "non-local, layer 3": {"mechanism": "non_local", "layers": "layer3.*"},
    "non-local, layer 4": {"mechanism": "non_local", "layers": "layer4.*"},
    "GC, layer 3": {"mechanism": "gc", "layers": "layer3.*"},
    "GC, layer 4": {"mechanism": "gc", "layers": "layer4.*"},
    "linear, layer 3": {"mechanism": "efficient", "layers": "layer3.*"},
    "SE (channel), layer 3": {**R4, "layers": "layer3.*"},
}
KERNEL = {
    "plain": {},
    "split attention": {"mechanism": "split"},
    "dynamic convolution": {"mechanism": "dynamic_conv"},
}
LOOKS = {
    "whole picture": {"host": "whole"},
    "copy, half the size": {"host": "copy_2"},
    "copy, a quarter": {"host": "copy_4"},
    "whole, a quarter of the widths": {"host": "narrow_4"},
    "patch selection": {"host": "zoom"},
}
POOLS = {"mean": {}, "max": {"host": "max_pooled"}, "attention": {"mechanism": "attention_pool", "at": "head"}}
PRE = {
    "plain": {},
    "wider host": {"host": "wide_host"},
    "pixel gate, input": {"mechanism": "pixel_gate", "at": "input"},
    "spatial gate, pre": {"mechanism": "spatial_gate", "at": "pre"},
    "spatial gate, post": {"mechanism": "spatial_gate", "at": "post"},
    "attention pooling, head": {"mechanism": "attention_pool", "at": "head"},
}
# SE at every block of a small residual network, in the places of SENet's own comparison.
POST = {
    "plain": {},
    "wider host": {"host": "wide_resnet"},
    **{f"SE, {at}": {**R4, "at": at} for at in ("pre", "inner", "post", "after_add", "identity")},
}
# Before, after, both; and twice in one place, which has about the parameters of both.
BOTH_TASKS = {"what": {"task": "what"}, "alike": {"task": "alike", "host": "small_resnet", "steps": 400}}
BOTH = {
    "plain": {},
    "pre": {**R4, "at": "pre"},
    "post": {**R4, "at": "post"},
    "both": {**R4, "at": "both"},
    "pre, twice": {**R4, "at": "pre", "times": 2},
    "post, twice": {**R4, "at": "post", "times": 2},
}
BOTH_CONTRASTS = (*against("plain", BOTH), ("both", "pre"), ("both", "post"), ("both", "pre, twice"), ("both", "post, twice"))
STAGES = {"stage 1": {"stages": 1}, "stage 2": {"stages": 2}, "stage 3": {"stages": 3}, "all stages": {}}
# A trained host, what is plugged into it, and what it had before; measured at once and after 100 more steps.
SWAP_WHEN = {"at once": {"steps": 0}, "after 100 steps": {"steps": 100}}
SWAP = {
    "nothing": {},
    "SE, identity": {"mechanism": "se"},
    "SE, as made": {"mechanism": "se", "start": "as_made"},
    "CBAM, identity": {"mechanism": "cbam"},
    "CBAM, as made": {"mechanism": "cbam", "start": "as_made"},
    "SE kept": {"had": "se"},
    "SE to ECA, identity": {"had": "se", "mechanism": "eca"},
    "SE to ECA, as made": {"had": "se", "mechanism": "eca", "start": "as_made"},
}
SWAP_CONTRASTS = (*((arm, "nothing") for arm in list(SWAP)[1:5]), *((arm, "SE kept") for arm in list(SWAP)[6:]))

channel = Study("02_channel", "Lesson 02: channel mechanisms after every convolution, both starts, and SE with two reductions.",
                {"task": "what", **AS_MADE}, CHANNEL, against("plain", CHANNEL))
spatial = Study("03_spatial", "Lesson 03: spatial gates after every convolution on `nearest`, and a channel gate beside them.",
                {"task": "nearest", "steps": 600, **AS_MADE}, SPATIAL, against("plain", SPATIAL))
large = Study("07_large", "Lesson 07: what a multiply-add buys on a large picture: all of it, a copy, a narrow network, a patch.",
              {"task": "search", "steps": 400}, LOOKS,
              tuple(("patch selection", arm) for arm in list(LOOKS)[:-1]))
pre = Study("09_pre", "Lesson 09: before the convolution, after it, at the two ends, where one of many objects matters.",
            {"task": "where"}, PRE, (*against("plain", PRE), ("spatial gate, pre", "spatial gate, post")))
alike = Study("10_alike", "Lesson 10: SE in five places of a residual network, on near-identical objects.",
              {"task": "alike", "host": "small_resnet", "steps": 400}, POST, against("plain", POST))
fashion = Study("10_fashion", "Lesson 10: the same on Fashion-MNIST (the files must be there: see tasks.fashion_mnist).",
                {"task": "fashion_mnist", "host": "small_resnet", "steps": 400, "batch_size": 64, "test_size": 10_000}, POST,
                against("plain", POST))
both = Study("11_both", "Lesson 11: SE before, after, both, or twice in one place, on two tasks.",
             {}, across(BOTH_TASKS, BOTH), within(BOTH_TASKS, BOTH_CONTRASTS))
swap = Study("13_swap", "Lesson 13: attention for a trained host, and one mechanism for another, at once and after 100 steps.",
             {"task": "twins", "before": 400, "lr": 2e-3}, across(SWAP_WHEN, SWAP), within(SWAP_WHEN, SWAP_CONTRASTS))

CATALOGUE: dict[str, Study] = {study.name: study for study in (
    Study("00_what", "Lesson 00: the plain host against one ECA of three weights on the picture.",
          {"task": "what", "at": "input", **AS_MADE}, INPUT, against("plain", INPUT)),
    Study("01_ceilings", "Lesson 01: the plain host on every task.", {}, {task: {"task": task, **budget} for task, budget in
                                                                         CEILINGS.items()}),
    Study("01_votes", "Lesson 01: what else than attention compares two digits: a larger window, a classifier of two layers.",
          {"task": "relate", "steps": 400}, VOTES, against("plain", VOTES)),
    channel,
    Study("02_longer", "Lesson 02: SE with twice the steps: are the seeds that lag late, or do they fail?",
          {"task": "what", "steps": 1600, **AS_MADE}, {"SE, r=4": R4}),
    channel.again("02_confirmed", only=("ECA", "GCT", "GCT, pre")),
    spatial,
    spatial.again("03_confirmed", only=("spatial gate, 15x15",)),
    Study("04_combined", "Lesson 04: channel, spatial and combined gates after every convolution, on a task for each.",
          AS_MADE, across(COMBINED_TASKS, COMBINED), within(COMBINED_TASKS, against("plain", COMBINED))),
    Study("05_mixing", "Lesson 05: one mixing block on `relate`, after the third convolution or after the last; SE as a control.",
          {"task": "relate", "steps": 400, **AS_MADE}, MIXING, against("plain", MIXING)),
    Study("05_position", "Lesson 05: a non-local block, which knows no positions, on `nearest`.",
          {"task": "nearest", "steps": 600, **AS_MADE}, {"non-local, layer 3": MIXING["non-local, layer 3"]}),
    Study("06_kernel", "Lesson 06: attention over kernels in place of the second and third convolution, on `what`.",
          {"task": "what", "at": "instead", **AS_MADE}, KERNEL, against("plain", KERNEL)),
    large,
    large.again("07_confirmed", only=("whole, a quarter of the widths", "patch selection")),
    Study("07_two_places", "Lesson 07: patch selection on `relate`, where two places must be compared.",
          {"task": "relate", "steps": 400}, {"patch selection": {"host": "zoom"}}),
    Study("07_pools", "Lesson 07: three ways to pool on `where`: the mean, the largest value, attention.",
          {"task": "where", **AS_MADE}, POOLS, (("max", "mean"), ("attention", "mean"), ("attention", "max"))),
    pre,
    pre.again("09_again", only=("plain", "spatial gate, pre", "spatial gate, post", "attention pooling, head")),
    alike,
    alike.again("10_alike_again"),
    fashion,
    fashion.again("10_fashion_again", only=("plain", "SE, post", "SE, after_add")),
    both,
    both.again("11_again", only=[arm for arm in both.arms if arm.startswith("what")]),
    Study("11_stages", "Lesson 11: pre and post in one stage of three, and in all, on near-identical objects.",
          {**BOTH_TASKS["alike"], **R4, "at": "both"}, STAGES, tuple((stage, "all stages") for stage in list(STAGES)[:3])),
    swap,
    swap.again("13_again"),
    *ANSWER,
    *FOLLOW,
    *DENSE,
)}


def find(name: str) -> Study:
    """The study of that name.

    Raises:
        ValueError: no such study; the message lists the names and the closest one.
    """
    return names.find("study", name, CATALOGUE)


def outstanding_first() -> list[Study]:
    """All studies in the order of importance: those of the answer, what follows them, then those of the lessons."""
    first = (*ANSWER, *FOLLOW, *DENSE)
    return [*first, *(study for study in CATALOGUE.values() if study not in first)]
