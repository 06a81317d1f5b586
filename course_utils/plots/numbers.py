"""The numbers inside a network: small maps, gates, and a gate applied by hand."""
from __future__ import annotations

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm
from matplotlib.patches import Rectangle

from .charts import capital, number
from .look import BLUE, GREEN, GREY, INK, PALE, RED, check_length, contrast, darker, new_figure, opening, styled, to_array, wrap

TINTS = [RED, GREEN, BLUE, "#CC79A7", "#E69F00", "#56B4E9", "#8A7D00", "#6E6E6E"]


def _channels(x, name="x"):
    """One feature map as (C, h, w), small enough to print its numbers."""
    x = x[0] if getattr(x, "ndim", 0) == 4 and len(x) == 1 else x
    x = to_array(x, name, 3, "one feature map (C, h, w)")
    if x.shape[0] > 16 or max(x.shape[1:]) > 8:
        raise ValueError(f"{name}: every number is printed: at most 16 channels of 8 x 8, got {x.shape}")
    return x


def _names(labels, count):
    check_length(labels, count, "labels", "channel")
    return list(labels) if labels is not None else ["red", "green", "blue"] if count == 3 else [
        f"channel {c}" for c in range(count)]


def _written(v):
    """A number as short as it can be: 3, 0.5, 0.25; a true minus."""
    return f"{round(float(v), 2) + 0.0:.2f}".rstrip("0").rstrip(".").replace("-", "\u2212")


def _cells(ax, values, tint, top):
    """One channel as a grid of numbers: the further from zero, the stronger the tint."""
    cmap = LinearSegmentedColormap.from_list("tint", ["white", tint])
    h, w = values.shape
    ax.imshow(np.abs(values), cmap=cmap, vmin=0, vmax=top or 1)
    for (r, c), v in np.ndenumerate(values):
        ink = max("white", INK, key=lambda one, v=v: contrast(one, cmap(abs(v) / (top or 1))))
        ax.text(c, r, _written(v), ha="center", va="center", color=ink, fontsize=11 if max(h, w) <= 2 else 9)
    ax.set(xticks=np.arange(0.5, w - 1), yticks=np.arange(0.5, h - 1), xticklabels=[], yticklabels=[])
    ax.tick_params(length=0)
    ax.grid(color=PALE)
    ax.set_axisbelow(False)
    ax.spines[:].set(visible=True, color=darker(tint), linewidth=1.4)


def _rows(values):
    return " / ".join(" ".join(_written(v) for v in row) for row in values).replace("\u2212", "-")


@styled
def numbers(x, title: str | None = None, labels=None):
    """A feature map (C, h, w) as grids of numbers, one panel per channel: for calculations in the head."""
    x = _channels(x)
    names = _names(labels, len(x))
    side = max(0.45 * x.shape[2], 1.3)                                      # a cell holds "-0.25"
    columns = max(1, min(len(x), int(8.1 / (side + 0.25))))
    rows = -(-len(x) // columns)
    fig = new_figure(max(2.6, columns * (side + 0.25)), rows * (side * x.shape[1] / x.shape[2] + 0.4), title)
    axes = fig.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes[len(x):]:
        ax.set_axis_off()
    for c, ax in enumerate(axes[:len(x)]):
        _cells(ax, x[c], TINTS[c % len(TINTS)], np.abs(x).max())
        ax.set_title(wrap(names[c], side, 9), color=darker(TINTS[c % len(TINTS)]), fontweight="bold")
    said = "; ".join(f"{name}: {_rows(v)}" for name, v in zip(names, x, strict=True))
    fig.alt = (f"{opening(title)}{len(x)} channel{'s' * (len(x) > 1)} of {x.shape[1]} x {x.shape[2]} "
               f"numbers, row by row. {said}.")
    return fig


@styled
def gates(values: dict, labels=None, colours=None, title: str | None = None, reference: float | None = 1.0,
          sort: bool = False, label: str = "gate", unit: str = "channels"):
    """The gate of every channel as a strip, one row per name (for instance one per colour of the frame).

    Args:
        values: name -> (C,), at least 0; with reference=0 of any sign, for differences.
        labels: one name per channel; otherwise numbers.
        colours: name -> colour of the square beside the row, or a list of them.
        reference: the gate that changes nothing, drawn without colour (1 for gates in 0..2), or None.
        label, unit: what a value is, and what the columns are, where they are not gates of channels.
        sort: order the channels by the row that opens them most, so that what each row wants stands together.
    """
    if not isinstance(values, dict) or not values:
        raise ValueError(f"values: wanted a dict name -> gates (C,), got {values!r}")
    rows = {str(k): to_array(v, f"values[{k!r}]", 1, "(C,)") for k, v in values.items()}
    if len({len(v) for v in rows.values()}) > 1:
        raise ValueError("values: wanted as many channels in every row, got "
                         + ", ".join(f"{k}: {len(v)}" for k, v in rows.items()))
    g = np.stack(list(rows.values()))                                        # (rows, C)
    if colours is not None and not isinstance(colours, dict):
        check_length(colours, len(rows), "colours", "row")
        colours = dict(zip(rows, colours, strict=True))
    check_length(labels, g.shape[1], "labels", "channel")
    signed = reference == 0
    if g.min() < 0 and not signed:
        raise ValueError(f"values: gates are at least 0, got {g.min():.3g}")
    order = np.lexsort((-g.max(0) + g.mean(0), g.argmax(0))) if sort else np.arange(g.shape[1])
    top = np.abs(g).max() or 1.0 if signed else max(2.0 * reference if reference else 1.0, 2.0 if g.max() > 1 else 1.0, g.max())
    low = -top if signed else 0.0
    fig = new_figure(8.2, 0.95 + 0.42 * len(g), title)
    ax = fig.add_subplot()
    how = {"cmap": "viridis", "vmin": 0, "vmax": top} if reference is None else {
        "cmap": "PuOr_r", "norm": TwoSlopeNorm(reference, low, top)}
    image = ax.imshow(g[:, order], aspect="auto", **how)
    for i, name in enumerate(rows):
        ax.axhline(i + 0.5, color="white", linewidth=3)
        if colours and name in colours:
            ax.add_patch(Rectangle((-0.018, i - 0.3), 0.012, 0.6, transform=ax.get_yaxis_transform(),
                                   clip_on=False, facecolor=colours[name], edgecolor=INK, linewidth=0.6,
                                   gid="swatch"))
    if g.shape[1] <= 12:
        for (r, c), v in np.ndenumerate(g[:, order]):
            ink = max("white", INK, key=lambda one, v=v: contrast(one, image.to_rgba(v)))
            ax.text(c, r, f"{v:.2f}", ha="center", va="center", fontsize=9, color=ink)
    if sort and labels is None:
        ax.set_xticks([])                                # shuffled numbers would say nothing
    else:
        marks = np.arange(0, g.shape[1], 1 if labels is not None or g.shape[1] <= 24 else 8)
        ax.set_xticks(marks, [str(labels[k]) if labels is not None else str(k) for k in order[marks]])
    if labels is not None and sum(len(str(s)) for s in labels) > 70:
        ax.tick_params(axis="x", rotation=90)
    ax.set_yticks(range(len(g)), [wrap(k, 1.6, 9) for k in rows])
    ax.tick_params(axis="y", length=0, pad=14 if colours else 3)
    ax.tick_params(axis="x", length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel(f"{g.shape[1]} {unit}" + (", ordered by the row that opens them most" if sort else ""))
    bar = fig.colorbar(image, ax=ax, aspect=8, pad=0.015, ticks=sorted({low, reference or 0.0, top}))
    bar.outline.set_visible(False)
    if signed:
        bar.ax.set_yticklabels([_written(v) for v in (low, 0, top)])
    bar.set_label(label)
    said = "; ".join(f"{k}: {', '.join(map(number, row))}" if len(row) <= 12 else
                     f"{k}: mean {number(row.mean())}, lowest {number(row.min())} (channel {row.argmin()}), "
                     f"highest {number(row.max())} (channel {row.argmax()})" for k, row in rows.items())
    neutral = f" A {label} of {reference:g} changes nothing." if reference else ""
    scale = f"{low:g} to {top:g}" if not signed else f"{number(low)} to {number(top)}"
    what = f"{capital(label)} for" if signed else f"The {label}s of"
    fig.alt = (f"{opening(title)}{what} {g.shape[1]} {unit} on a scale from {scale}, one row "
               f"per name. {said}.{neutral}")
    return fig


@styled
def hand_gate(x, gate, title: str | None = None, labels=None, limit: float | None = None):
    """What a gate does, number by number: each channel of x (C, h, w), times its gate, is what goes on.

    Args:
        gate: (C,), at least 0.
        limit: end of the gates' scale: 1, or 2 where a gate is above 1.
    """
    x = _channels(x)
    s = to_array(gate, "gate", 1, f"({len(x)},), one number per channel")
    check_length(s, len(x), "gate", "channel")
    if s.min() < 0:
        raise ValueError(f"gate: wanted numbers of at least 0, got {s.min():.3g}")
    names, limit = _names(labels, len(x)), limit or (1.0 if s.max() <= 1 else max(2.0, s.max()))
    y, top = x * s[:, None, None], np.abs(x).max() * max(1.0, s.max())
    side = min(1.2, 0.5 * x.shape[1] + 0.2)
    fig = new_figure(6.4, len(x) * side + 0.45, title)
    axes = fig.subplots(len(x), 3, squeeze=False, width_ratios=[1, 1.5, 1])
    for c, (before, bar, after) in enumerate(axes):
        tint = TINTS[c % len(TINTS)]
        _cells(before, x[c], tint, top)
        _cells(after, y[c], tint, top)
        before.set_ylabel(wrap(names[c], 1.2, 9), rotation=0, ha="right", va="center", color=darker(tint),
                          fontweight="bold")
        bar.barh(0, limit, height=0.5, color="white", edgecolor=PALE)
        bar.barh(0, min(s[c], limit), height=0.5, color=tint, edgecolor=INK, linewidth=0.8, gid="gate")
        bar.text(limit / 2, 0.36, f"times {_written(s[c])}", ha="center", va="bottom", fontsize=11,
                 fontweight="bold")
        bar.text(-0.13 * limit, 0, "\u00d7", ha="center", va="center", fontsize=17)
        bar.text(1.13 * limit, 0, "=", ha="center", va="center", fontsize=17)
        bar.set(xlim=(-0.2 * limit, 1.2 * limit), ylim=(-0.75, 0.95), yticks=[], xticks=[0, limit / 2, limit])
        bar.tick_params(length=3 if c == len(x) - 1 else 0, labelbottom=c == len(x) - 1)
        bar.spines[:].set_visible(False)
    for ax, words in zip(axes[0], ["x, before", "gate s", "y = s x, after"], strict=True):
        ax.set_title(words, loc="center", color=GREY)
    said = "; ".join(f"{name}: {_rows(a)}, times {_written(g)}, is {_rows(b)}"
                     for name, a, g, b in zip(names, x, s, y, strict=True))
    fig.alt = f"{opening(title)}Each channel times its gate. {said}."
    return fig
