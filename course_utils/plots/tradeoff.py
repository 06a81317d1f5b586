"""Accuracy against cost, all seeds as dots. Lessons reach this through `plots`."""
from __future__ import annotations

import numpy as np
from matplotlib.ticker import FuncFormatter

from ..stats import t_interval
from .charts import capital, dashed_lines, family_of, number, reference_lines
from .dotplot import value_limits
from .look import FAMILY_COLOURS, INK, MARKERS, new_figure, opening, styled, to_array, wrap


@styled
def tradeoff(results: dict, xlabel: str = "million multiply-adds per picture", ylabel: str = "accuracy on unseen digits",
             title: str | None = None, families: dict | None = None, reference=None, reference_label: str | None = None):
    """What each configuration costs and what it reaches: a column of seeds at its cost, with mean and 95 % t-interval.

    Args:
        results: label -> (cost, values by seed): values a list, or a dict seed -> value as `Study.runs` makes it.
        families: label -> family, for colour and marker; otherwise the mechanism named in the label decides.
        reference: a value, or {label: value}: a dashed line with its name.

    Raises:
        ValueError: no results, a cost that is not positive, values that are not finite.
    """
    if not isinstance(results, dict) or not results:
        raise ValueError(f"results: wanted a dict label -> (cost, values by seed), got {results!r}")
    lines = reference_lines(reference, reference_label)
    fig = new_figure(8.2, 4.2, title)
    ax, words, shown, everything = fig.add_subplot(), [], list(lines.values()), []
    places = []
    for label, entry in results.items():
        if not isinstance(entry, (tuple, list)) or len(entry) != 2 or not entry[0] > 0:
            raise ValueError(f"results[{label!r}]: wanted (cost above 0, values by seed), got {entry!r}")
        cost, values = entry
        v = to_array(list(values.values()) if isinstance(values, dict) else values, f"results[{label!r}]", 1, "one per seed")
        family = family_of(label, families)
        mean, low, high = t_interval(v)
        ax.scatter(np.full(len(v), cost), v, s=42, marker=MARKERS[family], color=FAMILY_COLOURS[family], edgecolor=INK,
                   linewidth=0.7, zorder=3, gid="seeds")
        ax.plot([cost * 1.05] * 2, [low, high], color=INK, linewidth=2, zorder=2, gid="interval")
        places.append((cost, mean, wrap(label, 1.4, 9)))
        spread = f", 95 % interval {number(low)} to {number(high)}" if len(v) > 1 else ""
        words.append(f"{label}: {number(cost)} {xlabel}, mean {number(mean)}{spread}, {len(v)} seed{'s' * (len(v) > 1)}.")
        shown += [*v, low, high]
        everything += [*v]
    ax.set(xscale="log", xlabel=xlabel, ylabel=ylabel, ylim=value_limits(shown, [*lines.values(), *everything]))
    costs = [entry[0] for entry in results.values()]
    ax.set_xlim(min(costs) / 2.4, max(costs) * 2.2)
    for x, y, text in places:
        # At the right of its dots, unless the next column stands there and the left is free.
        left = any(x < c < 1.3 * x for c in costs) and not any(x / 1.3 < c < x for c in costs)
        ax.text(x / 1.06 if left else x * 1.09, y, text, fontsize=9, va="center", ha="right" if left else "left", color=INK,
                gid="name")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else ""))
    ax.grid(axis="y")
    dashed_lines(ax, lines)
    ax.set_title("one mark per seed; bar: 95 % t-interval; cost on a logarithmic axis"
                 + "".join(f"; dashed: {k} {number(v)}" for k, v in lines.items()))
    words += [f"Dashed line: {k} at {number(v)}." for k, v in lines.items()]
    fig.alt = f"{opening(title)}{capital(ylabel)} against {xlabel}. {' '.join(words)}"
    return fig
