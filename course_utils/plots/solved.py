"""Runs that solve a task or guess: every seed, and how many of how many. Lessons reach this through `plots`."""
from __future__ import annotations

import numpy as np

from ..stats import share
from .charts import capital, dashed_lines, family_of, number, reference_lines
from .look import FAMILY_COLOURS, INK, MARKERS, PALE, new_figure, opening, per_seed, styled, wrap


@styled
def solved(results: dict, bar: float, reference=None, reference_label: str | None = None,
           xlabel: str = "accuracy on unseen digits", title: str | None = None, families: dict | None = None):
    """Every seed on the whole scale from 0 to 1; beside it how many reached the bar, with the exact interval for their share.

    Where seeds fall in two clumps, a mean and its interval describe no run at all; k of n does.

    Args:
        results: label -> one accuracy per seed: a list, or a dict seed -> value as `Study.runs` makes it.
        bar: from this accuracy on a run counts as solved; the part of the scale above it is shaded.
        reference: a value, or {label: value}: a dashed line (a guess).
        families: label -> family, for colour and marker; otherwise the mechanism named in the label decides.

    Raises:
        ValueError: no results, an accuracy outside 0 to 1, or a bar outside 0 to 1.
    """
    if not isinstance(results, dict) or not results:
        raise ValueError(f"results: wanted a dict label -> accuracies by seed, got {results!r}")
    if not 0 < bar <= 1:
        raise ValueError(f"bar: wanted an accuracy above 0, at most 1, got {bar!r}")
    values = {str(k): per_seed(v, f"results[{k!r}]") for k, v in results.items()}
    if any(v.min() < 0 or v.max() > 1 for v in values.values()):
        raise ValueError("results: accuracies lie between 0 and 1; are these percentages, or losses?")
    lines = reference_lines(reference, reference_label)
    fig = new_figure(8.2, 1.25 + 0.46 * len(values), title)
    ax, words = fig.add_subplot(), []
    ax.axvspan(bar, 1.02, color=PALE, alpha=0.55, linewidth=0, zorder=0, gid="bar")
    beside = ax.get_yaxis_transform()
    for i, (label, v) in enumerate(values.items()):
        family, found = family_of(label, families), share(int((v >= bar).sum()), len(v))
        aside = 0.3 * ((0.5 + 0.618034 * np.arange(len(v))) % 1 - 0.5)      # the same seed at the same height in every row
        ax.scatter(v, i + aside, s=34, marker=MARKERS[family], color=FAMILY_COLOURS[family], edgecolor=INK, linewidth=0.7,
                   zorder=3, gid="seeds")
        ax.text(1.02, i, f"{found.k} of {found.n}", transform=beside, va="center", fontweight="bold", gid="count")
        ax.text(1.13, i, f"{found.low:.2f} to {found.high:.2f}", transform=beside, va="center", fontsize=9, gid="share")
        ends = number(v.min()) if len(v) == 1 else f"{number(v.min())} to {number(v.max())}"
        words.append(f"{label}: {found.k} of {found.n} solved (95 % interval {number(found.low)} to {number(found.high)}), all "
                     f"from {ends}." if len(v) > 1 else f"{label}: {found.k} of 1 solved, {ends}.")
    ax.text(1.02, -0.72, "solved", transform=beside, va="bottom", fontsize=9, color=INK, gid="head")
    ax.text(1.13, -0.72, "95 % interval", transform=beside, va="bottom", fontsize=9, color=INK, gid="head")
    ax.set(xlim=(0, 1.02), ylim=(len(values) - 0.4, -0.6), xlabel=xlabel)
    ax.set_yticks(range(len(values)), [wrap(k, 1.9, 9) for k in values])
    ax.set_xticks(np.linspace(0, 1, 6))
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    dashed_lines(ax, lines, upright=True)
    ax.set_title(f"one mark per seed; shaded: solved, {number(bar)} or more"
                 + ("\n" if len(lines) > 1 else "; " if lines else "")      # of two, the line would run into the heads
                 + "; ".join(f"dashed: {k} {number(v)}" for k, v in lines.items()))
    words += [f"Dashed line: {k} at {number(v)}." for k, v in lines.items()]
    fig.alt = (f"{opening(title)}{capital(xlabel)}, one mark per seed; a run has solved the task from {number(bar)} on. "
               f"{' '.join(words)}")
    return fig
