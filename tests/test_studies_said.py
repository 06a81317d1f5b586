"""Numbers in prose that rest on a complete study are those of its file of results."""

import json
import re
from pathlib import Path
from statistics import mean

import pytest
from torch import nn

from course_utils import hosts, stats
from course_utils.studies import CATALOGUE, crossing, read, used, verdict

ROOT = Path(__file__).resolve().parents[1]


def of(name):
    study = CATALOGUE[name]
    return study, [r for r in read(study.path) if r.error is None]


def arrived(name, *arms):
    """How many runs of each arm took off."""
    found = {arm.name: arm.arrived.k for arm in verdict.arms(*of(name))}
    return [found[arm] for arm in arms]


def ahead(name, ours, control):
    """Points of ours over the control, seed by seed."""
    study, results = of(name)
    runs = study.runs(results)
    return [100 * d for d in verdict.less(runs[ours], runs[control]).values()]


def half(name, ours, control):
    """Half of the interval of their difference."""
    _, low, high = stats.t_interval(ahead(name, ours, control))
    return (high - low) / 2


def parameters(arm):
    study, results = of("15_find")
    return next(r.parameters for r in results if r.trial.arm == study.trial(arm, 0).arm)


def lost_at_once(name):
    return [-d for d in ahead(name, "at once: SE to ECA, identity", "at once: SE kept")]


def relu():
    return [*arrived("09_depth_what", "SE, post 1", "SE, pre 2"), *arrived("09_depth_relu_again", "SE, post 1", "SE, pre 2")]


def late_in_a_host_that_mixes():
    """How many runs with a gate behind the third or fourth convolution there are, if none of them took off."""
    late = [arm.arrived for arm in verdict.arms(*of("09_depth_apart")) if arm.name in ("mixed: SE, post 3", "mixed: SE, post 4")]
    assert len(late) == 2 and not any(share.k for share in late)
    return [sum(share.n for share in late)]


def with_more_time(name):
    """Of three times the steps: how many runs at the picture there are, if all took off; how many late ones, and how many did."""
    found = {arm.name: arm.arrived for arm in verdict.arms(*of(name))}
    picture = found.pop("ECA, input")
    assert picture.k == picture.n
    return [picture.n, sum(s.n for s in found.values()), sum(s.k for s in found.values())]


def in_a_residual_host():
    """How many runs take off at the first block, on the branch and after the addition; how many there are at the third."""
    found = {arm.name: arm.arrived for arm in verdict.arms(*of("09_depth_residual"))}
    third = [found["SE, post 3"], found["SE, after_add 3"]]
    assert not any(s.k for s in third) and found["SE, post 1"].n == found["SE, after_add 1"].n == 8
    return [found["SE, post 1"].k, found["SE, after_add 1"].k, sum(s.n for s in third)]


def given_time():
    """Of the long study of both: how many runs with a gate took off, how many there are, and how many without one."""
    found = {arm.name: arm.arrived for arm in verdict.arms(*of("11_both_long"))}
    without = [found.pop("plain"), found.pop("wider host")]
    assert not any(share.k for share in without)
    return [sum(s.k for s in found.values()), sum(s.n for s in found.values()), sum(s.n for s in without)]


def spans():
    """Points between the best and the worst place of one gate, on each of the two tasks of the answer's picture."""
    means = [[mean(runs.values()) for runs in line.values()] for line in crossing().values()]
    return [100 * (max(line) - min(line)) for line in means]


def both_above_before():
    """Pairs of SE, if both is above before in each; the mean difference of those whose two runs took off."""
    study, results = of("11_both_long")
    both, pre = (study.runs(results)[arm] for arm in ("SE, both", "SE, pre, picture left out"))
    points = ahead("11_both_long", "SE, both", "SE, pre, picture left out")
    assert min(points) > 0
    return [len(points), mean(100 * (both[s] - pre[s]) for s in both if min(both[s], pre[s]) > 0.87)]


def border():
    """The most pixels up to which all gates guess, and the fewest from which on all find the digit."""
    study, results = of("10_depth_nearest")
    seen = {"input": (1, 1)}
    for k in (1, 2, 3, 4):
        window = hosts.receptive_field(nn.Sequential(*hosts.SmallHost().layers[:k]))
        seen[f"post {k}"] = seen[f"pre {k + 1}"] = window.step, window.size
    ends = {}      # pixels -> the mean of each arm that sees so far
    for arm, runs in study.runs(results).items():
        if arm != "plain":
            kernel, *every, place = arm.split(", ")
            step, own = seen[place]
            reach = step * (int(every[0][6]) if every else 1) * (int(kernel.split("x")[0]) - 1) + own
            ends.setdefault(reach, []).append(mean(runs.values()))
    return [max(r for r in ends if all(max(ends[s]) < 0.3 for s in ends if s <= r)),
            min(r for r in ends if all(min(ends[s]) > 0.9 for s in ends if s >= r))]


def contrasts_of_paint():
    """How many, if none of them is clear, and what would have been seen of two."""
    found = verdict.verdicts(*of("15_paint"))
    assert {v.word for v in found} == {"no clear difference"} and {v.difference.n for v in found} == {8}
    seen = {v.ours: 100 * v.visible for v in found}
    return [len(found), seen["wider"], seen["attention gate, skips"]]


def points(what):
    """Seed -> points lost with that frozen, of the networks with ECA before and after every convolution."""
    return {seed: -100 * value for seed, value in used.lost("ECA before and after every convolution")[f"{what} frozen"].items()}


def leaning(gate):
    """The points of those networks that lose most by that gate alone."""
    single = [f"{socket} {layer}" for socket in ("pre", "post") for layer in (1, 2, 3, 4)]
    return [lost for seed, lost in points(gate).items() if lost == max(points(other)[seed] for other in single)]


def beside(what, less=None):
    """Points lost with `what` frozen (more than with `less`) in the networks that lean on `post 1`."""
    return [lost - (points(less)[seed] if less else 0) for seed, lost in points(what).items()
            if points("post 1")[seed] in leaning("post 1")]


def by_hand():
    """With how many seeds a rule by hand is ahead, of how many, by how much at least and at most, and in the mean of all."""
    points = ahead("07_by_hand", "by hand", "learned")
    won = [p for p in points if p > 0]
    return [len(won), len(points), min(won), max(won), mean(points)]


def near_identical():
    """How many runs arrive, of how many, and the least difference of SE after and before that would have been seen."""
    ends = [result.accuracy for result in of("10_subtle")[1]]
    return [sum(end > 0.9 for end in ends), len(ends), 100 * visible("SE, post", "SE, pre")]


def visible(ours, control):
    return next(v.visible for v in verdict.verdicts(*of("10_subtle")) if (v.ours, v.control) == (ours, control))


def behind(words):
    """The seeds with which the arms of these words stay on the lower step, by arm."""
    study, results = of("10_subtle")
    return {arm: [seed for seed, end in ends.items() if end < 0.8] for arm, ends in study.runs(results).items() if words in arm}


def stayed():
    """How many runs stay, how many of the spatial gate; what its contrasts can show, and what without the seeds that stay."""
    study, results = of("10_subtle")
    stays = behind("spatial gate")
    seeds = {seed for arm in stays.values() for seed in arm}
    shown = [min(100 * v.visible for v in verdict.verdicts(study, kept) if v.ours.startswith("spatial gate"))
             for kept in (results, [r for r in results if r.trial.seed not in seeds])]
    return [*(sum(map(len, behind(words).values())) for words in ("", "spatial gate")), *shown]


def stayed_with_both():
    _, results = of("10_subtle")
    seen = [100 * visible(f"{gate}, both", f"{gate}, {other}") for gate in ("SE", "spatial gate") for other in ("pre", "post")]
    return [min(seen), sum(r.trial.at == "both" for r in results), sum(map(len, behind("both").values()))]


# Where it stands, how it is said, what is counted.
SAID = [
    ("notebooks/07*.ipynb", r"with (\w+) of (\w+) seeds, by ([\d.]+) to (\d+) points, and still the mean of ([\d.]+)", by_hand),
    ("notebooks/09*.ipynb", r"at the picture all (\d+) runs take off \(on other seeds (\d+)\)",
     lambda: [sum(arrived(name, "ECA, input", "SE, input")) for name in ("09_depth_what", "09_depth_what_again")]),
    ("notebooks/09*.ipynb", r"with (\d) of 8 at `post 1`.{,40}with (\d) of 8 at `pre 2` \(other seeds: (\d) and (\d)\)", relu),
    ("data/quiz/09.toml", r"(\d) of 8 seeds at `post 1` and with (\d) of 8 at `pre 2`; on other seeds with (\d) and (\d)", relu),
    ("notebooks/09*.ipynb", r"in `mixed` none of (\d+) late runs takes off", late_in_a_host_that_mixes),
    ("notebooks/09*.ipynb", r"at the picture all (\d+) take off; of (\d+) late runs (\w+) do \(other seeds: (\w+)\)",
     lambda: [*with_more_time("09_depth_longer"), with_more_time("09_depth_longer_again")[2]]),
    ("docs/teaching/09.md", r"(\w+) of (\d+) late runs arrived", lambda: with_more_time("09_depth_longer")[:0:-1]),
    ("notebooks/09*.ipynb", r"(\d) of 8 on the branch and with (\d) of 8 after the addition, at the third with none of (\d+)",
     in_a_residual_host),
    ("notebooks/10*.ipynb", r"up to (\d+) pixels every gate guesses, from (\d+) on it finds the digit", border),
    ("notebooks/10*.ipynb", r"`post 3`: (\d) of 8 before, (\d) of 8 here",
     lambda: [*arrived("10_depth_relate", "GC, post 3"), *arrived("10_depth_gc", "GC, post 3")]),
    ("notebooks/10*.ipynb", r"`post 2` and `pre 3`, (\d+) points apart",
     lambda: [mean(ahead("10_depth_relate", "non-local, pre 3", "non-local, post 2"))]),
    ("notebooks/10*.ipynb", r"(\d+) of (\d+) end above 0.9.*not before: no clear difference, and ([\d.]+) points would have been",
     near_identical),
    ("data/quiz/10.toml", r"(\d+) of (\d+) end above 0.9", lambda: near_identical()[:2]),
    ("notebooks/10*.ipynb", r"(\w+) runs still stand near 0.75, (\w+) of them with it: its contrasts see nothing below "
     r"(\d+) points, without those seeds nothing below (\d+)", stayed),
    ("notebooks/11*.ipynb", r"below (\d+) points would have stayed unseen: of the (\d+) runs with both, (\w+) still stand",
     stayed_with_both),
    ("notebooks/11*.ipynb", r"steps (\d+) of (\d+) runs with a gate take off.{,60}of (\d+) without one none does", given_time),
    ("notebooks/11*.ipynb", r"and ([\d.]+) points would have been seen", lambda: [max(
        100 * v.visible for v in verdict.verdicts(*of("11_both_long")) if v.ours == "ECA, both")]),
    ("notebooks/11*.ipynb", r"only (\d+) points \(before\) and (\d+) \(after\) would have been seen", lambda: [
        100 * v.visible for v in verdict.verdicts(*of("11_both_long")) if v.ours == "SE, both"]),
    ("notebooks/11*.ipynb", r"all (\w+) pairs put both above before, by ([\d.]+) points where", both_above_before),
    ("notebooks/11*.ipynb", r"of (\d+) and (\d+) points to either side",
     lambda: [half("11_both", "what: both", f"what: {arm}") for arm in ("pre", "post")]),
    ("notebooks/11*.ipynb", r"in four `post 1`, which costs (\d+) to (\d+) points, in one `pre 1`, (\d+)\.",
     lambda: [min(leaning("post 1")), max(leaning("post 1")), *leaning("pre 1")]),
    ("notebooks/11*.ipynb", r"`pre 2` costs at most ([\d.]+) points alone, and (\d+) to (\d+) more on top",
     lambda: [max(beside("pre 2")), *(choose(beside("post 1 and pre 2", "post 1")) for choose in (min, max))]),
    ("notebooks/12*.ipynb", r"a single gate at single places by (\d+) and (\d+)\.", spans),
    ("notebooks/13*.ipynb", r"SE exchanged for ECA loses (\d+) to (\d+) points",
     lambda: [choose(lost_at_once("13_swap")) for choose in (min, max)]),
    ("notebooks/13*.ipynb", r"that exchange costs up to (\d+) points", lambda: [max(lost_at_once("13_again"))]),
    ("notebooks/13*.ipynb", r"CBAM keeps a loss of (\w+) points, (\w+) on other seeds",
     lambda: [-mean(ahead(name, "CBAM, as made, norms 100", "nothing")) for name in ("13_norms", "13_norms_again")]),
    ("notebooks/15*.ipynb", r"And (\d+) % more weights, as width, gain as much",
     lambda: [100 * (parameters("wider") / parameters("plain") - 1)]),
    ("notebooks/15*.ipynb", r"need (\d+) weights for it, the width ([\d,]+)\.",
     lambda: [parameters(arm) - parameters("plain") for arm in ("spatial gate, laterals", "wider")]),
    ("notebooks/15*.ipynb", r"the detector is ([\d.]+) points lower, not ([\d.]+)\.",
     lambda: [mean(ahead("15_find", "spatial gate, head", "plain")),
              -100 * mean(used.lost("spatial gate at the head of a detector")["of another picture"].values())]),
    ("notebooks/15*.ipynb", r"more width \(\+([\d.]+) points\) and gates on the skips \(\+([\d.]+)\)",
     lambda: [mean(ahead("15_paint", arm, "plain")) for arm in ("wider", "attention gate, skips")]),
    ("notebooks/15*.ipynb", r"but of (\w+) contrasts none is clear.*eight pairs show ([\d.]+) and ([\d.]+) at least",
     contrasts_of_paint),
]
WORDS = {"one": "1", "two": "2", "three": "3", "five": "5", "six": "6", "seven": "7", "eight": "8"}


@pytest.mark.parametrize("where, pattern, wanted", SAID, ids=[f"{where[-8:]} {pattern[:24]}" for where, pattern, _ in SAID])
def test_a_number_in_prose_is_what_the_file_of_results_says(where, pattern, wanted):
    """Of complete studies only: what an open one says is printed from its results."""
    files = list(ROOT.glob(where))
    if not files:
        pytest.skip("this lesson was taken out")
    text = files[0].read_text("utf-8")
    if files[0].suffix == ".ipynb":
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")
    text = re.sub(r"\s+", " ", re.sub(r"\]\([^)]*\)|\[", "", text))
    found = re.search(pattern, text)
    assert found, f"{files[0].name} says it in other words now: mend the pattern"
    for group, value in zip(found.groups(), wanted(), strict=True):
        group = WORDS.get(group.lower(), group).replace(",", "")
        places = len(group.partition(".")[2])
        assert f"{round(value, places) + 0.0:.{places}f}" == group, (found[0], value)
