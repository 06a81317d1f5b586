"""Boxes around what was found in a picture, and the classes of its pixels. Lessons reach them through `plots`."""
from __future__ import annotations

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import Normal, Stroke

from .look import GREY, INK, MARK, check_length, opening, styled, to_array, wrap
from .views import HALO, _frame, _grid, _pictures

FOUND = "#56B4E9"
THIN = [Stroke(linewidth=2, foreground=INK), Normal()]      # a dark edge for small letters on any picture
# One for each class of a pixel but the ground: eight of Okabe and Ito's palette and two greys, always named beside.
CLASSES = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#FFFFFF", "#9A9A9A", "#8B5A2B")


def _boxes(values, n: int, columns: int, name: str, want: str) -> list[np.ndarray]:
    """(N, K, columns) as one array a picture, without the rows of class -1, which stand for nothing."""
    values = to_array(values, name, 3, want)
    if values.shape[0] != n or values.shape[2] != columns:
        raise ValueError(f"{name}: wanted {want}, one for each of the {n} pictures, got shape {values.shape}")
    return [rows[rows[:, 0] >= 0] for rows in values]


def _draw(ax, rows, colour, dashed: bool, above: bool, h: int) -> None:
    """Boxes, each with its label above or below, or beside it where that would be outside the picture.

    Those that end at nearly the same place have one label, a line for each, the likeliest first: on top of each other only the
    last could be read, and that is the least likely one.
    """
    labels: list[tuple[np.ndarray, list[str]]] = []
    for row in sorted(rows, key=lambda row: -row[5]) if rows.shape[1] > 5 else rows:
        x1, y1, x2, y2 = row[1:5]
        ax.add_patch(Rectangle((x1 - 0.5, y1 - 0.5), x2 - x1, y2 - y1, fill=False, edgecolor=colour, linewidth=1.6,
                               linestyle=(0, (3, 2)) if dashed else "-", path_effects=HALO, gid="true" if above else "found"))
        label = f"{row[0]:.0f}" + (f" {row[5]:.2f}" if len(row) > 5 else "")
        ends = slice(1, 3) if above else slice(3, 5)
        for first, lines in labels:
            if (np.abs(row[ends] - first[ends]) < (0.15 * h, 0.06 * h)).all():
                lines.append(label)
                break
        else:
            labels.append((row, [label]))
    for (_, x1, y1, x2, y2, *_), lines in labels:
        needed = 0.04 * h + 0.06 * h * len(lines)
        room = y1 >= needed if above else y2 <= h - needed
        x, y, side, end = ((x1, y1 - 1, "left", "bottom") if above else (x2, y2 + 0.5, "right", "top")) if room else (
            (x1 - 1.5, y1, "right", "top") if above else (x1 - 1.5, y2, "right", "bottom"))
        ax.text(x, y, "\n".join(lines), ha=side, va=end, color=colour, fontsize=7.5, linespacing=1.0, path_effects=THIN,
                clip_on=True)


def _said(row) -> str:
    x1, y1, x2, y2 = row[1:5]
    sure = f" ({row[5]:.2f})" if len(row) > 5 else ""
    return f"{row[0]:.0f}{sure} from {x1:.0f}, {y1:.0f} to {x2:.0f}, {y2:.0f}"


@styled
def boxes(x, boxes, found=None, least: float = 0.3, titles=None, columns: int = 4, title: str | None = None):
    """Pictures (N, 3, H, W) with the true boxes dashed, and those that a detector found drawn through, with its score.

    Args:
        boxes: (N, K, 5) class, x1, y1, x2, y2 in pixels; class -1 for none.
        found: (N, M, 6), the same and a score in 0..1, as `hosts.boxes_of` gives it; None: only the true ones.
        least: what is found with a lower score is left out.
    """
    x = _pictures(x)
    n, h, w, _ = x.shape
    true = _boxes(boxes, n, 5, "boxes", "(N, K, 5): class, x1, y1, x2, y2")
    there = None if found is None else [rows[rows[:, 5] >= least] for rows in _boxes(
        found, n, 6, "found", "(N, M, 6): class, x1, y1, x2, y2, score")]
    check_length(titles, n, "titles", "picture")
    fig, axes, side = _grid(n, columns, h / w, title, titles)
    words = []
    for i, ax in enumerate(axes):
        ax.imshow(x[i])
        _frame(ax)
        if titles is not None:
            ax.set_title(wrap(titles[i], side, 9), color=INK)
        _draw(ax, true[i], MARK, found is not None, True, h)
        words.append(f"picture {i + 1}: " + (", ".join(map(_said, true[i])) or "nothing"))
        if there is not None:
            _draw(ax, there[i], FOUND, False, False, h)
            words[-1] += "; found " + (", ".join(map(_said, there[i])) or "nothing")
        ax.set(xlim=(-0.5, w - 0.5), ylim=(h - 0.5, -0.5))
    key = "" if found is None else f"Dashed: what is there. Drawn through: what was found, with a score of {least:g} or more."
    if key:
        fig.supxlabel(key, fontsize=9, color=GREY, x=0.01, ha="left")
    fig.alt = (f"{opening(title)}{n} picture{'s' * (n > 1)} of {h} x {w} pixels with boxes, each with its class and its "
               f"corners in pixels. {key + ' ' if key else ''}{'; '.join(words)}.")
    return fig


@styled
def painted(x, classes, names=None, titles=None, columns: int = 4, title: str | None = None):
    """Pictures (N, 3, H, W), greyed, with a colour for the class of each pixel (N, H, W); class 0, the ground, has none.

    Args:
        names: of the classes 1, 2, ...; None: 0, 1, ..., as for digits.
    """
    x = _pictures(x)
    n, h, w, _ = x.shape
    classes = to_array(classes, "classes", 3, f"({n}, {h}, {w})").astype(int)
    if classes.shape != (n, h, w) or classes.min() < 0 or classes.max() > len(CLASSES):
        raise ValueError(f"classes: wanted ({n}, {h}, {w}) with 0 to {len(CLASSES)}, got shape {classes.shape} with "
                         f"{classes.min()} to {classes.max()}")
    there = [c for c in np.unique(classes).tolist() if c]
    names = [str(c - 1) for c in there] if names is None else [str(names[c - 1]) for c in there]
    check_length(titles, n, "titles", "picture")
    fig, axes, side = _grid(n, columns, h / w, title, titles, beside=0.6)
    paint = np.array([to_rgb(c) for c in ("black", *CLASSES)])
    for i, ax in enumerate(axes):
        grey = np.repeat(0.55 * x[i].max(-1, keepdims=True), 3, -1)
        ax.imshow(np.where((classes[i] > 0)[..., None], paint[classes[i]], grey))
        _frame(ax)
        if titles is not None:
            ax.set_title(wrap(titles[i], side, 9), color=INK)
    fig.legend(handles=[Patch(facecolor=CLASSES[c - 1], edgecolor=INK, linewidth=0.6, label=name)
                        for c, name in zip(there, names, strict=True)], loc="outside right center", frameon=False, fontsize=9)
    words = [f"{titles[i] if titles is not None else f'picture {i + 1}'}: " + (", ".join(
        f"{name} {100 * (classes[i] == c).mean():.1f} %" for c, name in zip(there, names, strict=True) if (classes[i] == c).any())
        or "nothing but ground") for i in range(n)]
    fig.alt = (f"{opening(title)}{n} greyed picture{'s' * (n > 1)} of {h} x {w} pixels, each pixel in the colour of its class; "
               f"the share of the picture that each class has: {'; '.join(words)}.")
    return fig
