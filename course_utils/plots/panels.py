"""The curves of all seeds, a panel for each arm: where seeds either solve a task or guess, their mean is none of them."""
from __future__ import annotations

import math

from ..stats import share
from .charts import capital, dashed_lines, family_of, number, reference_lines
from .look import FAMILY_COLOURS, darker, new_figure, opening, styled, to_array, wrap

ACROSS = 3      # panels in a row


@styled
def panels(histories: dict, solved: float, ylabel: str = "accuracy", xlabel: str = "training step", title: str | None = None,
           families: dict | None = None, reference=None, reference_label: str | None = None):
    """Training curves side by side, a panel an arm, each with how many seeds end at `solved` or above, and the exact interval.

    Args:
        histories: label -> (steps, values), values (seeds, steps), as `Study.curves` gives them.
        solved: the accuracy that counts as solved.
        families: label -> family, for the colour; otherwise the mechanism named in the label decides.
        reference: a value, or {label: value}: a dashed line with its name.

    Raises:
        ValueError: nothing to draw, or steps and values of different lengths.
    """
    if not isinstance(histories, dict) or not histories:
        raise ValueError(f"histories: wanted a dict label -> (steps, values), got {histories!r}")
    lines = reference_lines(reference, reference_label)
    across = 2 if len(histories) == 4 else min(ACROSS, len(histories))
    down = math.ceil(len(histories) / across)
    fig = new_figure(8.2, 0.5 + 1.9 * down, title)
    grid = fig.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    words = []
    for ax, (label, (steps, values)) in zip(grid.flat, histories.items(), strict=False):
        steps = to_array(steps, f"steps of {label!r}", 1, "(steps,)")
        v = to_array(values, f"values of {label!r}", 2, "(seeds, steps)")
        if v.shape[1] != len(steps):
            raise ValueError(f"histories[{label!r}]: {len(steps)} steps but {v.shape[1]} values")
        ax.plot(steps, v.T, color=darker(FAMILY_COLOURS[family_of(label, families)], 3), linewidth=1.2, alpha=0.8, gid="seed")
        dashed_lines(ax, lines)
        ax.grid(axis="y")
        found = share(int((v[:, -1] >= solved).sum()), len(v))
        ax.set_title(wrap(f"{label}: {found.k} of {found.n} ({found.low:.2f} to {found.high:.2f})", 2.5, 9))
        words.append(f"{label}: {found.k} of {found.n} seeds end at {number(solved)} or above (95 % interval {found.low:.2f} to "
                     f"{found.high:.2f}), the lowest at {number(v[:, -1].min())}.")
    for ax in grid.flat[len(histories):]:
        ax.set_axis_off()
    fig.supxlabel(xlabel, fontsize=10)
    fig.supylabel(ylabel, fontsize=10)
    words += [f"Dashed line: {k} at {number(v)}." for k, v in lines.items()]
    fig.alt = f"{opening(title)}{capital(ylabel)} against {xlabel}, a panel an arm, a line a seed. {' '.join(words)}"
    return fig
