"""What came out, in one sentence and in a table: made from the results, and from nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, median

from .. import stats
from ..studies import Result, verdict
from ..studies.run import spoken
from ..studies.verdict import Verdict
from .arms import PLAIN, WIDER, attention
from .plan import Plan, comparisons, needed
from .running import measured_spread, whole_seeds

FULL = 0.98      # of the plain host: there is little that could be better
LEARNT = 0.05      # above a guess: below that the plain host has learnt nothing, and the comparison says nothing
POINT = 0.01


def points(value: float) -> str:
    return f"{100 * value:+.1f}"


def joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


@dataclass(frozen=True)
class Answer:
    """What the results of a plan say. Printed, the sentence and the table."""

    plan: Plan
    results: tuple[Result, ...]

    @cached_property
    def seeds(self) -> list[int]:
        """Those that every arm has run."""
        return whole_seeds(self.plan, self.results)

    @cached_property
    def failed(self) -> dict[str, str]:
        """Arm -> the error of one of its runs. Such an arm is not compared."""
        study, errors = self.plan.study(self.seeds), {}
        broken = {r.trial: r.error for r in self.results if r.error is not None}
        broken = {t: e for t, e in broken.items() if not any(r.trial == t and r.error is None for r in self.results)}
        for arm in self.plan.arms:
            if met := [broken[t] for seed in self.seeds if (t := study.trial(arm, seed)) in broken]:
                errors[arm] = met[0]
        return errors

    @cached_property
    def runs(self) -> dict[str, dict[int, float]]:
        """Arm -> seed -> what is compared; whole seeds, and arms of which none has failed."""
        good = [r for r in self.results if r.error is None and r.trial.seed in self.seeds]
        runs = self.plan.study(self.seeds).runs(good) if self.seeds else {}
        return {arm: seeds for arm, seeds in runs.items() if arm not in self.failed}

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """Arm -> its contrast with the plain host; Holm counts all that were planned."""
        if PLAIN not in self.runs or len(self.seeds) < 2:
            return {}
        good = [r for r in self.results if r.error is None and r.trial.seed in self.seeds]
        return {v.ours: v for v in verdict.verdicts(self.plan.study(self.seeds), good) if v.ours in self.runs}

    @cached_property
    def spread(self) -> float:
        return measured_spread(self.plan, [r for r in self.results if r.trial.seed in self.seeds])

    @property
    def per_seed(self) -> float:
        """Seconds that a seed took."""
        walls = [r.wall or 0.0 for r in self.results if r.trial.seed in self.seeds]
        return sum(walls) / max(1, len(self.seeds)) / self.plan.workers

    @cached_property
    def times(self) -> dict[str, float]:
        """Arm -> how many times as long as the plain host it trains: the middle of the seeds, each compared with its own."""
        took = {r.trial: r.seconds for r in self.results if r.seconds}
        study, ratios = self.plan.study(), {}
        for arm, t in self.plan.timings.items():
            pairs = [] if arm not in self.plan.arms else [
                took[ours] / took[plain] for s in self.seeds
                if (ours := study.trial(arm, s)) in took and (plain := study.trial(PLAIN, s)) in took]
            ratios[arm] = median(pairs) if pairs else t.step / self.plan.timings[PLAIN].step
        return ratios

    @property
    def guess(self) -> float:
        counts = self.plan.survey.of_class
        return 1 / len(counts) if self.plan.outcome == "balanced" else max(counts.values()) / sum(counts.values())

    @property
    def would_need(self) -> str:
        """What it would take to see one point."""
        found = needed(self.plan, self.spread, self.per_seed, POINT)
        if found is None:
            return "To see one point you would need more than 10,000 seeds."
        return f"To see one point you would need about {found[0]:,} seeds, {long(found[1])}."

    @property
    def sentence(self) -> str:
        """The verdict."""
        if PLAIN in self.failed:
            return f"There is no answer: the plain host failed ({self.failed[PLAIN]})."
        if not self.verdicts:
            return (f"There is no answer yet: {len(self.seeds)} whole seeds are there, and an interval takes two.")
        mean = fmean(self.runs[PLAIN].values())
        if mean < self.guess + LEARNT:
            return (f"There is no answer: in {self.plan.base['steps']} steps the plain host has hardly learnt, "
                    f"{100 * mean:.0f} % right against {100 * self.guess:.0f} % by a guess. Give more minutes, or "
                    "pretrained weights.")
        ours = {arm: v for arm, v in self.verdicts.items() if arm != WIDER}
        better, worse = ([arm for arm, v in ours.items() if v.clear and (v.difference.mean > 0) is up] for up in (True, False))
        n = len(self.seeds)
        if better:
            better.sort(key=lambda arm: -ours[arm].difference.mean)
            said = (f"On these pictures {joined(better)} {'is' if len(better) == 1 else 'are'} clearly better than the plain "
                    f"host, after correction for {comparisons(len(self.plan.arms) - 1)}, with {n} seeds: "
                    f"{'; '.join(map(self.gain, better))}.")
        elif ours:
            best = max(ours, key=lambda arm: ours[arm].difference.mean)
            said = (f"On these pictures nothing is clearly better than the plain host with {n} seeds; of attention the "
                    f"best is {best}: {self.gain(best)}.")
            if mean > FULL:
                said += f" The plain host is right in {100 * mean:.1f} % already: little is left to gain."
        else:
            return "There is no answer: every arm with attention failed."
        if worse:
            said += f" Clearly worse: {'; '.join(f'{arm}, {self.gain(arm)}' for arm in worse)}."
        if (wide := self.verdicts.get(WIDER)) and wide.clear and wide.difference.mean > 0:
            said += f" A wider host without attention gains too, {self.gain(WIDER)}."
        return f"{said} {self.would_need}"

    def gain(self, arm: str) -> str:
        d = self.verdicts[arm].difference
        return f"{points(d.mean)} points (interval {points(d.low)} to {points(d.high)})"

    @property
    def visible(self) -> str:
        if not self.verdicts:
            return ""
        least = stats.visible(self.spread, len(self.seeds), level=self.plan.level)
        return (f"{len(self.seeds)} seeds with the spread that was measured, {100 * self.spread:.1f} points, show a difference "
                f"of {100 * least:.1f} points or more, four times in five.")

    @property
    def rows(self) -> tuple[list[str], list[list[str]]]:
        """Every arm: how often right, how much more than plain, and what it costs."""
        plain, rows = self.plan.timings[PLAIN], []
        for arm in self.plan.arms:
            t, v = self.plan.timings[arm], self.verdicts.get(arm)
            costs = [f"{t.parameters - plain.parameters:+,}" if arm != PLAIN else f"{t.parameters:,}",
                     f"{t.multiply_adds / max(plain.multiply_adds, 1):.2f}", f"{self.times[arm]:.2f}",
                     f"{t.forward / plain.forward:.2f}" if plain.forward else ""]
            if arm in self.failed:
                rows.append([arm, "failed", "", "", "", *costs])
                continue
            values = list(self.runs.get(arm, {}).values())
            right = f"{100 * fmean(values):.1f}" if values else ""
            rows.append([arm, right, *(["", "", ""] if v is None else [
                points(v.difference.mean), f"{points(v.difference.low)} to {points(v.difference.high)}",
                verdict.shown(v.adjusted).removeprefix("= ")]), *costs])
        what = "balanced accuracy, %" if self.plan.outcome == "balanced" else "accuracy, %"
        return (["arm", what, "points more than plain", "95 % interval", "p after Holm", "parameters", "multiply-adds, ratio",
                 "training time, ratio", "time to answer, ratio"], rows)

    @property
    def differences(self) -> dict[str, list[float]]:
        """Arm -> its differences to the plain host, seed by seed: for the figure."""
        return {arm: [self.runs[arm][s] - self.runs[PLAIN][s] for s in self.seeds] for arm in self.verdicts}

    @property
    def doctors(self) -> dict[str, str]:
        """Arm -> what the doctor said of its network of the first seed."""
        study = self.plan.study()
        said = {r.trial: r.words for r in self.results if r.words}
        return {arm: said[t] for arm in attention(self.plan.arms) if (t := study.trial(arm, self.plan.first)) in said}

    def __str__(self) -> str:
        from ..tables import as_text
        return f"{as_text(*self.rows)}\n\n{self.sentence}"


def long(seconds: float) -> str:
    """A time as one says it, days too."""
    return spoken(seconds) if seconds < 48 * 3600 else f"{seconds / 86400:,.0f} days"
