"""What the course has measured of a mechanism: every recorded arm of it, read from the files of results.

Differences, verdicts and the counts of those that took off are those of the study itself (`studies.verdict`); here they are
only looked up.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache

from .. import attention, stats
from ..stats import Difference
from ..studies import CATALOGUE, HOSTS, Result, Study, Trial, decide, read, verdict
from ..studies.hosting import build
from ..studies.overview import plain
from ..studies.verdict import Verdict

Recorded = Mapping[str, list[Result]]      # name of a study -> its finished results
ARRIVED = 0.9      # of what the task allows, as `study.take_off` has it


@dataclass(frozen=True)
class Contrast:
    """A contrast that a study named before its first run: the mechanism against a network without attention, or a control."""

    study: Study
    task: str
    verdict: Verdict
    solved: tuple[str, str] | None      # of ours, of the control: "4 of 5"; None where the runs do not fall in two clumps
    again: tuple[tuple[str, Verdict], ...]      # name of a study on other seeds, what it says of the same
    ours: bool = True                   # does ours have the mechanism? Else the control has it
    also: tuple[str, ...] = ()          # other studies that hold the same runs and come to the same verdict

    @property
    def word(self) -> str:
        """What the mechanism is against the other: "higher" also where the control has it and is lower."""
        word = self.verdict.word
        return word if self.ours else {"higher": "lower", "lower": "higher"}.get(word, word)

    @property
    def runs(self) -> tuple:
        """The same for two studies that say the same of the same runs."""
        v = self.verdict
        return self.study.trial(v.ours, 0), self.study.trial(v.control, 0), v.difference, v.word


@dataclass(frozen=True)
class Beside:
    """Arms with the mechanism that no such contrast names: what they did beside the plain host, where there is one."""

    study: Study
    task: str
    arms: dict[str, str]      # name -> what came out, in words
    plain: str                # what the plain host did, where that is a count; else nothing
    seeds: str                # "8 seeds", or how many of them so far


@dataclass(frozen=True)
class Measured:
    """All that the course has recorded of one mechanism."""

    contrasts: list[Contrast]
    beside: list[Beside]
    answers: list[list[str]]      # rows of `decide.table` that are about it

    def __bool__(self) -> bool:
        return bool(self.contrasts or self.beside)

    @property
    def summary(self) -> str:
        """How many of the contrasts say what."""
        words = Counter(c.word.partition(",")[0] for c in self.contrasts)
        said = [f"{words[word]} {word}" for word in ("higher", "lower", "no clear difference", "open") if words[word]]
        return ", ".join(said) or ("recorded, no contrast" if self else "not measured by this course")


# ---- reading

def recorded() -> Recorded:
    """What the files of all studies hold now."""
    found = {}
    for name, study in CATALOGUE.items():
        if study.path.exists():
            wanted = set(study.trials())
            found[name] = [r for r in read(study.path) if r.error is None and r.trial in wanted]
    return found


@cache
def inside(host: str) -> str | None:
    """The mechanism that a host is built around, as the one that reads patches; None for all others."""
    net = build(host, 2)
    if getattr(net, "every", False):      # it reads all places, and selects nothing
        return None
    kinds = {cls: name for name, cls in attention.REGISTRY.items()}
    return next((kinds[type(m)] for m in net.modules() if type(m) in kinds), None)


def of(trial: Trial) -> str | None:
    """The mechanism of a trial: what is plugged in, or what its host is built around."""
    if trial.mechanism in attention.REGISTRY:
        return trial.mechanism
    return inside(trial.host) if trial.host in HOSTS else None


def allowed() -> dict[str, float]:
    """Task -> the accuracy that it allows, as the studies that count take-offs have it."""
    return {study.base["task"]: study.ceiling for study in CATALOGUE.values() if study.ceiling and "task" in study.base}


def repeats(study: Study) -> list[Study]:
    """The same study on other seeds."""
    return [other for other in CATALOGUE.values()
            if other.name == f"{study.name}_again" or other.about.startswith(f"{study.about} On other seeds")]


# ---- what came out

def shown(d: Difference) -> str:
    return f"{d.mean:+.3f} ({d.low:+.3f} to {d.high:+.3f}), n = {d.n}"


def solved(study: Study, results: Iterable[Result]) -> dict[str, str]:
    """Arm -> how many of its runs took off, "4 of 5"; of a study without curves, how many ended there.

    None of a task of which no study knows what it allows.
    """
    results = list(results)
    if study.ceiling and "take_off" in study.outcomes:
        return {arm.name: f"{arm.arrived.k} of {arm.arrived.n}" for arm in verdict.arms(study, results) if arm.arrived}
    runs, most = study.runs(results), allowed()
    counts = {}
    for arm, seeds in runs.items():
        level = ARRIVED * most.get(study.trial(arm, 0).task, math.inf)
        if seeds and math.isfinite(level) and study.outcomes[0] == "accuracy":
            (_, count, *_), = verdict.solved_rows({arm: seeds}, level)[1]
            counts[arm] = count
    return counts


def clumps(*counts: str) -> bool:
    """Do some of these runs arrive and others not?"""
    pairs = [tuple(map(int, count.split(" of "))) for count in counts]
    return 0 < sum(k for k, _ in pairs) < sum(n for _, n in pairs)


def control(study: Study, arm: str) -> str | None:
    """The arm with the plain host of this one: the same host, pictures and budget, without attention."""
    wanted = plain(study.trial(arm, 0))
    return next((other for other in study.arms if study.trial(other, 0) == wanted and other != arm), None)


def contrasts(name: str, study: Study, found: Recorded, said: Mapping[str, list[Verdict]]) -> list[Contrast]:
    counts, lines = solved(study, found[study.name]), []
    for v in said[study.name]:
        if (v.ours, v.control) not in study.contrasts:
            continue      # a trend
        sides = [study.trial(arm, 0) for arm in (v.ours, v.control)]
        if {of(trial) for trial in sides} != {name, None}:
            continue      # two mechanisms, or two places of one
        pair = counts.get(v.ours), counts.get(v.control)
        again = tuple((other.name, w) for other in repeats(study) for w in said.get(other.name, ())
                      if (w.ours, w.control) == (v.ours, v.control))
        lines.append(Contrast(study, sides[0].task, v, pair if all(pair) and clumps(*pair) else None, again,
                              of(sides[0]) == name))
    return lines


def beside(name: str, study: Study, found: Recorded, named: set[tuple[str, str]]) -> list[Beside]:
    """One for each task: how many arrived, where runs arrive or not; else the difference to the plain host, or the mean.

    An arm that has run once is left out: one run is luck.
    """
    results, tasks = found[study.name], {}
    runs, counts = study.runs(results), solved(study, results)
    for arm, seeds in runs.items():
        trial = study.trial(arm, 0)
        if of(trial) != name or (study.name, arm) in named or len(seeds) < 2:
            continue
        host = control(study, arm)
        both = [counts[a] for a in (arm, host) if a in counts]
        said, bare = tasks.setdefault(trial.task, ({}, []))
        if both and (len(both) == 2 or not host):
            said[arm], tell = both[0], f"{host} {both[-1]}" if host else ""
            bare += [tell] * (tell != "" and tell not in bare)
        elif host and len(seeds.keys() & runs[host].keys()) >= 2:
            said[arm] = shown(stats.difference(seeds, runs[host]))
        else:
            mean, low, high = stats.t_interval(seeds.values())
            said[arm] = f"{mean:.3f} ({low:.3f} to {high:.3f}), n = {len(seeds)}"
    most, planned = max(map(len, runs.values())), len(study.seeds)
    seeds = f"{planned} seeds" if most == planned else f"{most} of {planned} seeds so far"
    return [Beside(study, task, said, ", ".join(bare), seeds) for task, (said, bare) in tasks.items() if said]


def has(name: str, study: Study) -> bool:
    """Is the mechanism in one of its arms?"""
    return any(of(study.trial(arm, 0)) == name for arm in study.arms)


def verdicts(found: Recorded, studies: Iterable[Study] = ()) -> dict[str, list[Verdict]]:
    """Name of a study -> what it says of its contrasts; of all that have results, or of some."""
    chosen = {study.name for study in studies} or found.keys()
    return {name: verdict.verdicts(CATALOGUE[name], results) for name, results in found.items() if name in chosen}


def measured(name: str, found: Recorded | None = None, said: Mapping[str, list[Verdict]] | None = None) -> Measured:
    """All that was recorded of that mechanism, study by study.

    Args:
        name: of attention.REGISTRY.
        found, said: what `recorded()` and `verdicts(found)` gave, where they are asked for more than one mechanism.

    Raises:
        ValueError: no such mechanism.
    """
    attention.find(name)
    found = recorded() if found is None else found
    studies = [CATALOGUE[key] for key in sorted(found) if has(name, CATALOGUE[key])]
    said = verdicts(found, studies) if said is None else said
    lines = [line for study in studies for line in contrasts(name, study, found, said)]
    repeated = {(other, c.verdict.ours, c.verdict.control) for c in lines for other, _ in c.again}
    named = {(c.study.name, arm) for c in lines for arm in (c.verdict.ours, c.verdict.control)}
    once: dict[tuple, Contrast] = {}
    for line in lines:
        if (line.study.name, line.verdict.ours, line.verdict.control) not in repeated:
            first = once.setdefault(line.runs, line)
            if first is not line:
                once[line.runs] = replace(first, also=(*first.also, line.study.name))
    return Measured(list(once.values()), [line for study in studies for line in beside(name, study, found, named)],
                    [decide.answer(row) for row in decide.ROWS
                     if row.study.name in found and of(row.study.trial(row.ours, 0)) == name])
