"""Training curves and small matrices, and what all charts share. Lessons reach them through `plots`."""
from __future__ import annotations

import re

import numpy as np
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import FuncFormatter, MaxNLocator

from .look import (
    FAMILY_COLOURS,
    GREY,
    INK,
    LINES,
    check_length,
    contrast,
    darker,
    new_figure,
    opening,
    pick,
    styled,
    to_array,
    wrap,
)


def family_of(label: str, families: dict | None = None) -> str:
    """The family that gives a label its colour: as told, or of the first mechanism in the label, or plain."""
    if families and label in families:
        return pick(families[label], FAMILY_COLOURS, "family")
    from ..attention import REGISTRY

    words = re.findall(r"\w+", label.lower())
    for i, word in enumerate(words):
        for name in ("_".join(words[i:i + 2]), word):      # "spatial gate" is spatial_gate
            if name in REGISTRY:
                family = getattr(REGISTRY[name], "family", "plain")
                return family if family in FAMILY_COLOURS else "plain"
    return "plain"


def number(v: float, decimals: int = 2) -> str:
    """A value as alt texts and labels say it: two decimals below ten (or as many as told), else four digits."""
    return unsigned(f"{v:.{decimals}f}") if abs(v) < 10 else f"{v:.4g}"


def unsigned(text: str) -> str:
    """A number that is zero as it is written, such as -0.00, has no sign."""
    return text if any(digit in text for digit in "123456789") else text.lstrip("+-")


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def reference_lines(reference, label) -> dict:
    """A value, or {label: value}, or None, as {label: value}."""
    if reference is None:
        return {}
    return dict(reference) if isinstance(reference, dict) else {label or "reference": float(reference)}


def dashed_lines(ax, lines, upright=False) -> None:
    for value in lines.values():
        (ax.axvline if upright else ax.axhline)(value, color=INK, linewidth=1.2, dashes=(5, 3), zorder=1.5,
                                                gid="reference")


def margin_labels(ax, items) -> None:
    """Labels (value, text, colour) in the right margin, with leaders, moved apart where they would touch."""
    where = ax.get_yaxis_transform()
    texts = [ax.text(1.03, y, wrap(text, 1.45, 9), transform=where, color=colour, fontsize=9, va="center",
                     gid="margin") for y, text, colour in items]
    if not texts:
        return
    ax.figure.draw_without_rendering()                           # only now do the axes have their size
    at = [ax.transData.transform((0, y))[1] for y, _, _ in items]
    tall = [text.get_window_extent().height * 1.12 for text in texts]
    order = sorted(range(len(items)), key=at.__getitem__)
    for _ in range(200):                                         # neighbours that overlap give way, half each
        for a, b in zip(order[:-1], order[1:], strict=True):
            over = (tall[a] + tall[b]) / 2 - (at[b] - at[a])
            if over > 0.01:
                at[a], at[b] = at[a] - over / 2, at[b] + over / 2
    for text, pixel, (value, _, colour) in zip(texts, at, items, strict=True):
        y = ax.transData.inverted().transform((0, pixel))[1]
        text.set_y(y)
        ax.plot([1.002, 1.024], [value, y], transform=where, color=colour, linewidth=0.8, clip_on=False,
                gid="leader")


@styled
def curves(histories: dict, ylabel: str = "accuracy", xlabel: str = "training step", title: str | None = None,
           families: dict | None = None, reference=None, reference_label: str | None = None,
           log: bool = False):
    """Training curves, named at their ends.

    Args:
        histories: label -> (steps, values); values (steps,), or (seeds, steps): thin lines and their mean.
        families: label -> family, for the colour; otherwise the mechanism named in the label decides.
        reference: a value, or {label: value}: a dashed line with its name.
        log: values on a logarithmic axis (losses).
    """
    if not isinstance(histories, dict) or not histories:
        raise ValueError(f"histories: wanted a dict label -> (steps, values), got {histories!r}")
    lines = reference_lines(reference, reference_label)
    fig = new_figure(8.2, 3.6, title)
    ax, ends, words = fig.add_subplot(), [], []
    for i, (label, history) in enumerate(histories.items()):
        if not isinstance(history, (tuple, list)) or len(history) != 2:
            raise ValueError(f"histories[{label!r}]: wanted (steps, values), got {type(history).__name__}")
        steps = to_array(history[0], f"steps of {label!r}", 1, "(steps,)")
        v = to_array(history[1], f"values of {label!r}", (1, 2), "(steps,) or (seeds, steps)")
        v = np.atleast_2d(v)                                                           # (seeds, steps)
        if v.shape[1] != len(steps):
            raise ValueError(f"histories[{label!r}]: {len(steps)} steps but {v.shape[1]} values")
        if log and v.min() <= 0:
            raise ValueError(f"histories[{label!r}]: log=True wants values above 0, got {v.min():.3g}")
        colour, mean = FAMILY_COLOURS[family_of(label, families)], v.mean(0)
        if len(v) > 1:
            ax.plot(steps, v.T, color=darker(colour, 3), linewidth=0.8, alpha=0.4, gid="seed")
        # a colour too pale for white gets a dark edge
        edge = [Stroke(linewidth=2.9, foreground=INK), Normal()] if contrast(colour) < 3 else None
        ax.plot(steps, mean, color=colour, linestyle=LINES[i % len(LINES)], path_effects=edge, gid="curve")
        ends.append((mean[-1], label, darker(colour)))
        several = f", mean of {len(v)} seeds" if len(v) > 1 else ""
        words.append(f"{label}: from {number(mean[0])} at {steps[0]:g} to {number(mean[-1])} at {steps[-1]:g}"
                     f"{several}.")
    ax.margins(x=0.01)
    ax.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    if log:
        ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    ax.grid(axis="y")
    dashed_lines(ax, lines)
    margin_labels(ax, ends + [(v, f"{k} {number(v)}", INK) for k, v in lines.items()])
    words += [f"Dashed line: {k} at {number(v)}." for k, v in lines.items()]
    fig.alt = f"{opening(title)}{capital(ylabel)} against {xlabel}. {' '.join(words)}"
    return fig


@styled
def heat(table, rows, columns, title: str | None = None, label: str = "accuracy on unseen digits",
         centre: float | None = None, limits: tuple | None = None, decimals: int = 2, missing: str = "not run"):
    """A small matrix with its numbers written in, such as accuracy of mechanism (rows) by task (columns).

    Args:
        table: (rows, columns); nan stands for "not run" and is left blank.
        centre: for differences: the value with no colour, its two sides in two colours.
        limits: (lowest, highest) of the colour scale; otherwise from the data.
        missing: what stands where there is nan; "" leaves such places out of the alt text too.
    """
    if hasattr(table, "detach"):
        table = table.detach().cpu().float()
    blank = np.isnan(np.asarray(table, dtype=float))
    t = to_array(np.where(blank, 0, table), "table", 2, "(rows, columns)")
    check_length(rows, t.shape[0], "rows", "row of the table")
    check_length(columns, t.shape[1], "columns", "column of the table")
    if blank.all():
        raise ValueError("table: every value is nan, there is nothing to draw")
    low, high = limits or (t[~blank].min(), t[~blank].max())
    if centre is not None:
        reach = max(high - centre, centre - low) or 1.0
        low, high = centre - reach, centre + reach
    cell = min(1.05, 6.0 / t.shape[1])
    fig = new_figure(min(8.2, 2.9 + cell * t.shape[1]), 1.0 + 0.42 * t.shape[0], title)
    ax = fig.add_subplot()
    image = ax.imshow(np.ma.array(t, mask=blank), cmap="cividis" if centre is None else "PuOr", aspect="auto",
                      vmin=low, vmax=high if high > low else low + 1)
    ax.set_xticks(range(t.shape[1]), [wrap(c, cell - 0.06, 9) for c in columns])
    ax.set_yticks(range(t.shape[0]), [wrap(r, 1.9, 9) for r in rows])
    ax.set_xticks(np.arange(0.5, t.shape[1] - 1), minor=True)
    ax.set_yticks(np.arange(0.5, t.shape[0] - 1), minor=True)
    ax.xaxis.tick_top()
    ax.tick_params(which="both", length=0)
    if t.shape[1] > 6:      # "after_add" has no place to break
        ax.tick_params(axis="x", labelsize=7.5)
    ax.grid(which="minor", color="white", linewidth=2)
    ax.spines[:].set_visible(False)
    for (r, c), v in np.ndenumerate(t):
        if blank[r, c]:
            ax.text(c, r, missing, ha="center", va="center", fontsize=8, color=GREY)
        else:
            ink = max("white", INK, key=lambda one, v=v: contrast(one, image.to_rgba(v)))
            ax.text(c, r, unsigned(f"{v:.{decimals}f}").replace("-", "\u2212"), ha="center", va="center", color=ink)
    bar = fig.colorbar(image, ax=ax, shrink=0.9, aspect=14, pad=0.02)
    bar.ax.yaxis.set_major_locator(MaxNLocator(4))
    bar.set_label(wrap(label, 0.42 * t.shape[0] + 0.4, 9), fontsize=9)
    bar.outline.set_visible(False)
    said = np.where(blank, missing, [[unsigned(f"{v:.{decimals}f}") for v in row] for row in t])
    said = [f"{r}: " + ", ".join(f"{c} {v}" for c, v in zip(columns, row, strict=True) if v) + "."
            for r, row in zip(rows, said, strict=True)]
    fig.alt = f"{opening(title)}Table of {label}. {' '.join(said)}"
    return fig
