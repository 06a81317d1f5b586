"""What each arm gains over the plain host, seed by seed, and what it costs. The page of `course_utils.answer` shows it."""
from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..stats import t_interval
from .charts import family_of
from .look import FAMILY_COLOURS, GREY, INK, MARKERS, new_figure, opening, per_seed, styled


@styled
def gains(differences: Mapping, costs: Mapping[str, str] | None = None, title: str | None = None, families: dict | None = None,
          against: str = "plain", of: str = "accuracy"):
    """Paired differences in points, a row for each arm: every seed as a mark, the mean, its 95 % t-interval.

    Args:
        differences: arm -> differences to the plain host, one per seed; 0.01 is a point.
        costs: arm -> what it costs, in a few words; stands at the right end of the row.
        families: arm -> family, for colour and mark; otherwise the mechanism named in the arm decides.
        of: what they are differences in.
    """
    if not isinstance(differences, Mapping) or not differences:
        raise ValueError(f"differences: wanted a dict arm -> values by seed, got {differences!r}")
    values = {str(arm): 100 * per_seed(v, f"differences[{arm!r}]") for arm, v in differences.items()}
    fig = new_figure(8.2, 1.3 + 0.46 * len(values), title)
    ax, words, shown = fig.add_subplot(), [], [0.0]
    for row, (arm, v) in enumerate(values.items()):
        family = family_of(arm, families)
        mean, low, high = t_interval(v)
        # The same seed has the same height in every row, spread evenly by the golden ratio.
        ax.scatter(v, row - 0.2 + 0.22 * ((0.5 + 0.618034 * np.arange(len(v))) % 1 - 0.5), s=26, marker=MARKERS[family],
                   color=FAMILY_COLOURS[family], edgecolor=INK, linewidth=0.6, zorder=3, gid="seeds")
        interval = ""
        if len(v) > 1:
            ax.plot([low, high], [row + 0.2] * 2, color=INK, linewidth=2, zorder=2, solid_capstyle="butt", gid="interval")
            shown += [low, high]
            interval = f", 95 % interval {low:+.1f} to {high:+.1f}"
        ax.plot([mean] * 2, [row + 0.09, row + 0.31], color=INK, linewidth=2.4, zorder=4, gid="mean")
        shown += list(v)
        cost = (costs or {}).get(arm, "")
        if cost:
            ax.annotate(cost, (1.01, row), xycoords=("axes fraction", "data"), va="center", fontsize=8.5, color=GREY)
        words.append(f"{arm}: mean {mean:+.1f} points{interval}, {len(v)} seed{'s' * (len(v) > 1)}{'; ' + cost if cost else ''}.")
    ax.axvline(0, color=INK, linewidth=1.2, linestyle=(0, (5, 2)), zorder=1)
    pad = 0.06 * (max(shown) - min(shown)) or 0.5
    points = "points" if of == "accuracy" else f"points of {of}"
    ax.set(xlim=(min(shown) - pad, max(shown) + pad), ylim=(len(values) - 0.5, -0.5),
           xlabel=f"{points} more than {against}, same seed")
    ax.yaxis.set_ticks(range(len(values)), [f"{arm}   {v.mean():+.1f}" for arm, v in values.items()])
    ax.yaxis.set_tick_params(length=0)
    ax.xaxis.grid(True)
    ax.set_title("one mark per seed; bar: mean and 95 % t-interval; number: mean")
    fig.alt = f"{opening(title)}Differences to {against} in points of {of}, one mark per seed. {' '.join(words)}"
    return fig
