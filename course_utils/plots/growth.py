"""How fast a cost grows: powers as straight lines. Lessons reach this through `plots`."""
from __future__ import annotations

import numpy as np
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import FuncFormatter, NullLocator

from .charts import capital, family_of, margin_labels, number
from .look import FAMILY_COLOURS, INK, LINES, contrast, darker, new_figure, opening, styled, to_array


@styled
def growth(lines: dict, xlabel: str, ylabel: str, title: str | None = None, families: dict | None = None, last: int = 3):
    """Costs against a size, both on logarithmic axes: a power is a straight line there, and its slope is the power.

    The figure has them as `slopes`, label -> slope.

    Args:
        lines: label -> (sizes, costs), all above 0.
        families: label -> family, for the colour; otherwise the mechanism named in the label decides.
        last: the slope is that of the last so many points, where what a call costs by itself no longer counts.

    Raises:
        ValueError: no lines, fewer than two sizes, or a number that is not above 0.
    """
    if not isinstance(lines, dict) or not lines:
        raise ValueError(f"lines: wanted a dict label -> (sizes, costs), got {lines!r}")
    fig = new_figure(8.2, 3.9, title)
    ax, ends, words, sizes, fig.slopes = fig.add_subplot(), [], [], set(), {}
    for i, (label, (x, y)) in enumerate(lines.items()):
        x, y = to_array(x, f"sizes of {label!r}", 1, "(sizes,)"), to_array(y, f"costs of {label!r}", 1, "(sizes,)")
        if len(x) != len(y) or len(x) < 2 or min(x.min(), y.min()) <= 0:
            raise ValueError(f"lines[{label!r}]: wanted at least two sizes and as many costs, all above 0, got {len(x)} sizes "
                             f"and {len(y)} costs")
        slope = np.polyfit(np.log(x[-last:]), np.log(y[-last:]), 1)[0]
        fig.slopes[label] = float(slope)
        colour = FAMILY_COLOURS[family_of(label, families)]
        edge = [Stroke(linewidth=2.9, foreground=INK), Normal()] if contrast(colour) < 3 else None
        ax.plot(x, y, color=colour, linestyle=LINES[i % len(LINES)], marker="o", markersize=3.5, path_effects=edge, gid="curve")
        ends.append((y[-1], f"{label}: " + f"{slope:.1f}".replace("-", "\u2212"), darker(colour)))
        words.append(f"{label}: from {number(y[0])} at {x[0]:g} to {number(y[-1])} at {x[-1]:g}, slope {slope:.1f}.")
        sizes |= set(x)
    ax.set(xlabel=xlabel, ylabel=ylabel, xscale="log", yscale="log")
    ax.set_xticks(sorted(sizes), [f"{v:g}" for v in sorted(sizes)])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    ax.grid(axis="y")
    ax.set_title("beside each line its slope at the right end: 1 grows like the size, 2 like its square")
    margin_labels(ax, ends)
    fig.alt = f"{opening(title)}{capital(ylabel)} against {xlabel}, both axes logarithmic. {' '.join(words)}"
    return fig
