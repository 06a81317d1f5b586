"""Accuracy and cost side by side, all seeds as dots. Lessons reach this through `plots`."""
from __future__ import annotations

import numpy as np

from ..stats import t_interval
from .charts import capital, dashed_lines, family_of, number, reference_lines
from .dotplot import value_limits
from .look import FAMILY_COLOURS, INK, MARKERS, new_figure, opening, per_seed, styled, wrap

SPREAD = 0.3      # of a row: how far seeds stand apart


@styled
def tradeoff(results: dict, xlabel: str = "million multiply-adds per picture", ylabel: str = "accuracy on unseen digits",
             title: str | None = None, families: dict | None = None, reference=None, reference_label: str | None = None,
             solved: float | None = None):
    """A row for each configuration, the dearest first: what it costs on the left, what every seed reaches on the right.

    Args:
        results: label -> (cost, values by seed): values a list, or a dict seed -> value as `Study.runs` makes it.
        families: label -> family, for colour and marker; otherwise the mechanism named in the label decides.
        reference: a value, or {label: value}: a dashed line with its name.
        solved: count the seeds above this accuracy, "4 of 5", where an interval of the mean would say nothing; None: the mean
            and its 95 % t-interval.

    Raises:
        ValueError: no results, a cost that is not positive, values that are not finite.
    """
    if not isinstance(results, dict) or not results:
        raise ValueError(f"results: wanted a dict label -> (cost, values by seed), got {results!r}")
    lines, found = reference_lines(reference, reference_label), {}
    for label, entry in results.items():
        if not isinstance(entry, (tuple, list)) or len(entry) != 2 or not entry[0] > 0:
            raise ValueError(f"results[{label!r}]: wanted (cost above 0, values by seed), got {entry!r}")
        found[str(label)] = entry[0], per_seed(entry[1], f"results[{label!r}]")
    order = sorted(found, key=lambda label: -found[label][0])
    fig = new_figure(8.2, 1.3 + 0.5 * len(found), title)
    price, ax = fig.subplots(1, 2, sharey=True, width_ratios=[1, 2.4])
    shown, names, dearest = list(lines.values()), [], found[order[0]][0]
    for row, label in enumerate(order):
        cost, v = found[label]
        family = family_of(label, families)
        mean, low, high = t_interval(v)
        price.barh(row, cost, height=0.46, color=FAMILY_COLOURS[family], edgecolor=INK, linewidth=0.6, gid="cost")
        price.text(cost + dearest / 30, row, number(cost), fontsize=9, va="center", color=INK)
        apart = SPREAD * ((0.5 + 0.618034 * np.arange(len(v))) % 1 - 0.5)
        ax.scatter(v, row + apart, s=36, marker=MARKERS[family], color=FAMILY_COLOURS[family], edgecolor=INK, linewidth=0.7,
                   zorder=3, gid="seeds")
        shown += [*v]
        told = f"mean {number(mean)}" if solved is None else f"{(v > solved).sum()} of {len(v)}"
        if solved is None and len(v) > 1:
            ax.plot([low, high], [row + 0.3] * 2, color=INK, linewidth=2, zorder=2, gid="interval")
            shown += [low, high]
        names.append(f"{wrap(label, 1.7, 9)}\n{told}")
    low, high = value_limits(shown, [*lines.values(), *np.concatenate([v for _, v in found.values()])])
    ax.set(xlabel=ylabel, xlim=(low, high), ylim=(len(order) - 0.4, -0.6))
    price.set(xlabel=wrap(xlabel, 2, 10), xlim=(0, 1.3 * dearest))
    price.set_yticks(range(len(order)), names)
    for axis in (price, ax):
        axis.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    dashed_lines(ax, lines, upright=True)
    key = "one mark per seed" + ("; bar: 95 % t-interval" if solved is None else f"; number: seeds above {number(solved)}")
    ax.set_title("\n".join([key, *(f"dashed: {k} {number(v)}" for k, v in lines.items())]))
    price.set_title("cost")
    fig.alt = f"{opening(title)}{capital(ylabel)} beside {xlabel}. " + " ".join(
        [*(told_of(label, *found[label], xlabel, solved) for label in order),
         *(f"Dashed line: {k} at {number(v)}." for k, v in lines.items())])
    return fig


def told_of(label: str, cost: float, v: np.ndarray, xlabel: str, solved: float | None) -> str:
    """A row in words."""
    mean, low, high = t_interval(v)
    spread = "" if len(v) == 1 else (f", 95 % interval {number(low)} to {number(high)}" if solved is None else
                                     f", lowest {number(v.min())}, highest {number(v.max())}")
    counted = "" if solved is None else f"{(v > solved).sum()} of {len(v)} above {number(solved)}, "
    return f"{label}: {number(cost)} {xlabel}, {counted}mean {number(mean)}{spread}, {len(v)} seed{'s' * (len(v) > 1)}."
