"""Pictures, maps over pictures, and windows on a picture. Lessons reach them through `plots`."""
from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke

from .charts import number
from .look import GREY, INK, MARK, check_length, new_figure, opening, styled, to_array, wrap

HALO = [Stroke(linewidth=3.6, foreground=INK), Normal()]      # lets a light line show on any picture


def _pictures(x, name="x"):
    """(N, 3, H, W) as (N, H, W, 3) in 0..1, ready to draw; one (3, H, W) counts as N = 1."""
    x = x[None] if getattr(x, "ndim", 0) == 3 else x
    if "int" in str(getattr(x, "dtype", "")):
        raise ValueError(f"{name}: wanted floats in 0..1, got {x.dtype}; divide by 255")
    x = to_array(x, name, 4, "pictures (N, 3, H, W)")
    if x.shape[1] != 3:
        raise ValueError(f"{name}: wanted pictures (N, 3, H, W), got shape {x.shape}")
    return x.transpose(0, 2, 3, 1).clip(0, 1)


def _masks(mask, n, size):
    """(N, H, W) of true and false, or None for each picture."""
    if mask is None:
        return [None] * n
    mask = mask[None] if getattr(mask, "ndim", 0) == 2 else mask
    mask = to_array(mask, "mask", 3, f"({n}, {size[0]}, {size[1]})") > 0.5
    if mask.shape != (n, *size):
        raise ValueError(f"mask: wanted ({n}, {size[0]}, {size[1]}), one per picture, got shape {mask.shape}")
    return mask


def _outline(ax, mask, colour=MARK) -> None:
    """The border of a mask along the edges of its pixels, also where it meets the border of the picture."""
    m = np.pad(mask, 1)
    rows, columns = np.nonzero(m[1:, 1:-1] != m[:-1, 1:-1])
    edges = [[(c - 0.5, r - 0.5), (c + 0.5, r - 0.5)] for r, c in zip(rows, columns, strict=True)]
    rows, columns = np.nonzero(m[1:-1, 1:] != m[1:-1, :-1])
    edges += [[(c - 0.5, r - 0.5), (c - 0.5, r + 0.5)] for r, c in zip(rows, columns, strict=True)]
    for width, shade in ((3.6, INK), (1.6, colour)):                   # dark below light shows on any picture
        ax.add_collection(LineCollection(edges, colors=shade, linewidths=width, capstyle="projecting",
                                         clip_on=False, gid="mask"))


def _frame(ax, colour=GREY) -> None:
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color=colour, linewidth=0.8)


def _grid(n, columns, height_over_width, title, titles, beside=0.0):
    """A figure with n tiles, as wide as they fit, with room for a line above each if they have titles."""
    columns = max(1, min(columns, n))
    rows = -(-n // columns)
    side = min(1.9 if columns > 2 else 2.6, (8.1 - beside) / columns - 0.1)
    tall = side * height_over_width + (0.32 if titles is not None else 0.1)
    fig = new_figure(max((side + 0.1) * columns + beside, 2.4), rows * tall, title, layout="compressed")
    axes = fig.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes[n:]:
        ax.set_axis_off()
    return fig, axes[:n], side


@styled
def pictures(x, titles=None, mask=None, columns: int = 6, title: str | None = None, alt: str | None = None):
    """A grid of pictures (N, 3, H, W) in 0..1, each with its title above; `mask` (N, H, W) is outlined."""
    x = _pictures(x)
    n, h, w, _ = x.shape
    mask = _masks(mask, n, (h, w))
    check_length(titles, n, "titles", "picture")
    fig, axes, side = _grid(n, columns, h / w, title, titles)
    for i, ax in enumerate(axes):
        ax.imshow(x[i])
        _frame(ax)
        if titles is not None:
            ax.set_title(wrap(titles[i], side, 9), color=INK)
        if mask[i] is not None:
            _outline(ax, mask[i])
    said = "" if titles is None else " Titles: " + "; ".join(map(str, titles)) + "."
    outlined = "" if mask[0] is None else " The evidence is outlined: " + ", ".join(
        f"{m.mean():.1%}" if m.mean() < 0.01 else f"{m.mean():.0%}" for m in mask).replace("%", " %") + " of the picture."
    fig.alt = alt or f"{opening(title)}{n} picture{'s' * (n > 1)} of {h} x {w} pixels.{said}{outlined}"
    return fig


def _spotlight(grey, weight):
    """Greys under a warm light: where the weight is low one sees the picture, where it is high the colour."""
    weight = np.asarray(weight)
    cover = 0.25 + 0.45 * weight[..., None]
    return (1 - cover) * np.asarray(grey)[..., None] + cover * colormaps["inferno"](weight)[..., :3]


@styled
def maps(x, maps, mask=None, titles=None, title: str | None = None, columns: int = 5, limits=None):
    """Maps (N, H', W') over the greyed pictures (N, 3, H, W), all in one scale; `mask` (N, H, W) is outlined.

    With a mask the alt text says how much of each map lies inside it, and how much of the picture that is.
    """
    x = _pictures(x)
    n, h, w, _ = x.shape
    mask = _masks(mask, n, (h, w))
    maps = maps[None] if getattr(maps, "ndim", 0) == 2 else maps
    m = to_array(maps, "maps", 3, "(N, H', W')")
    if len(m) != n:
        raise ValueError(f"maps: wanted one per picture, {n}, got {len(m)}")
    check_length(titles, n, "titles", "picture")
    low, high = limits or (min(0.0, m.min()), m.max())
    scale = Normalize(low, high if high > low else low + 1, clip=True)
    fig, axes, side = _grid(n, columns, h / w, title, titles, beside=0.75)
    fine = m[:, np.arange(h) * m.shape[1] // h][:, :, np.arange(w) * m.shape[2] // w]        # (N, H, W)
    words = []
    for i, ax in enumerate(axes):
        ax.imshow(_spotlight(0.15 + 0.85 * x[i].max(-1), scale(fine[i])))
        _frame(ax)
        if titles is not None:
            ax.set_title(wrap(titles[i], side, 9), color=INK)
        name = str(titles[i]) if titles is not None else f"picture {i + 1}"
        words.append(f"{name}: {number(m[i].min())} to {number(m[i].max())}")
        if mask[i] is not None:
            _outline(ax, mask[i], "white")
            if m[i].min() >= 0 and m[i].sum() > 0:
                inside = fine[i][mask[i]].sum() / fine[i].sum()
                words[-1] += (f", {100 * inside:.0f} % of it inside the outlined "
                              f"{100 * mask[i].mean():.0f} % of the picture")
    key = ScalarMappable(scale, ListedColormap(_spotlight(np.full(256, 0.4), np.linspace(0, 1, 256))))
    bar = fig.colorbar(key, ax=list(axes), shrink=0.8, aspect=18, pad=0.02)
    bar.outline.set_visible(False)
    fig.alt = (f"{opening(title)}{n} map{'s' * (n > 1)} of {m.shape[1]} x {m.shape[2]} over the greyed "
               f"picture{'s' * (n > 1)}. " + "; ".join(words) + ".")
    return fig


@styled
def window(x, box: int, centres=None, title: str | None = None):
    """One picture and the squares of `box` pixels that a network sees around some centres (row, column)."""
    x = _pictures(x)
    if len(x) != 1:
        raise ValueError(f"x: wanted one picture (3, H, W), got {len(x)}")
    _, h, w, _ = x.shape
    if int(box) != box or box < 1:
        raise ValueError(f"box: wanted the side of the window in pixels, 1 or more, got {box!r}")
    centres = [(h // 2, w // 2)] if centres is None else [tuple(c) for c in centres]
    for c in centres:
        if len(c) != 2 or not (0 <= c[0] < h and 0 <= c[1] < w):
            raise ValueError(f"centres: wanted (row, column) inside {h} x {w}, got {c}")
    fig = new_figure(4.2, 4.0 * h / w, title)
    ax = fig.add_subplot()
    seen, words = np.zeros((h, w), bool), []
    colours = ["#E69F00", "#56B4E9", "#CC79A7", "#F0E442", "#009E73"]
    for i, (r, c) in enumerate(centres):
        top, left = int(r) - box // 2, int(c) - box // 2
        one = np.zeros((h, w), bool)
        one[max(top, 0):max(top + box, 0), max(left, 0):max(left + box, 0)] = True
        seen |= one
        ax.add_patch(Rectangle((left - 0.5, top - 0.5), box, box, fill=False, edgecolor=colours[i % 5],
                               linewidth=2, linestyle=["-", "--", ":"][i % 3], path_effects=HALO,
                               gid="window"))
        ax.plot(c, r, "+", color=colours[i % 5], markersize=9, markeredgewidth=2, path_effects=HALO)
        words.append(f"at row {r}, column {c} it covers rows {max(top, 0)} to {min(top + box, h) - 1} and "
                     f"columns {max(left, 0)} to {min(left + box, w) - 1}, {100 * one.mean():.0f} % of it")
    ax.imshow(np.where(seen[..., None], x[0], 0.35 * x[0] + 0.3))          # what no window covers is faded
    ax.set(xlim=(-0.5, w - 0.5), ylim=(h - 0.5, -0.5))
    _frame(ax)
    said = "; ".join(words)
    fig.alt = f"{opening(title)}A window of {box} x {box} pixels on a picture of {h} x {w}: {said}."
    return fig
