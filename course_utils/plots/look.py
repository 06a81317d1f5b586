"""The look of the course: one style, one colour per family of mechanisms, one way to show a figure.

Figures are made without pyplot, so the notebook never shows one a second time, and they are drawn in one
style whatever the reader's own settings are.
"""
from __future__ import annotations

import base64
import functools
import html
import io
import struct
import sys
from collections.abc import Mapping

import matplotlib
import numpy as np
from IPython.display import display
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from PIL import Image

from .. import names

INK, GREY, THREAD, PALE, ACCENT = "#222222", "#5F6368", "#B4B9C0", "#DADCE0", "#E69F00"
RED, GREEN, BLUE = "#D55E00", "#009E73", "#0072B2"          # what stands for the R, G and B channels
MARK = "#F0E442"                                            # outlines on pictures, always with a dark edge

# Okabe and Ito's palette: told apart with every common kind of colour vision.
FAMILY_COLOURS = {
    "plain": "#6E6E6E", "channel": "#0072B2", "spatial": "#009E73", "combined": "#E69F00",
    "mixing": "#CC79A7", "kernel": "#D55E00", "input": "#56B4E9", "head": "#F0E442",
}
MARKERS = {
    "plain": "o", "channel": "s", "spatial": "^", "combined": "D",
    "mixing": "v", "kernel": "P", "input": "X", "head": "*",
}
LINES = ["-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)), (0, (8, 2)), (0, (3, 1.5, 1, 1.5, 1, 1.5))]

CSS_DPI = 100          # one inch of a figure is 100 pixels of the page ...
SHARPNESS = 2          # ... drawn twice as fine, for screens that can show it


def style() -> dict:
    """The settings of matplotlib in which every figure is drawn; used inside, nothing global changes."""
    return {
        "font.family": "DejaVu Sans", "font.size": 10, "text.color": INK, "mathtext.fontset": "dejavusans",
        "figure.dpi": CSS_DPI, "figure.facecolor": "white", "savefig.facecolor": "auto", "savefig.bbox": None,
        "axes.facecolor": "white", "axes.edgecolor": GREY, "axes.labelcolor": INK, "axes.linewidth": 0.8,
        "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True, "axes.grid": False,
        "axes.titlelocation": "left", "axes.titlesize": 9, "axes.titlecolor": GREY,
        "axes.titleweight": "normal", "axes.unicode_minus": True,
        "grid.color": PALE, "grid.linewidth": 0.7, "grid.linestyle": "-",
        "xtick.color": GREY, "ytick.color": GREY, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
        "xtick.major.size": 3, "ytick.major.size": 3, "xtick.labelsize": 9, "ytick.labelsize": 9,
        "lines.linewidth": 1.8, "image.interpolation": "nearest", "image.aspect": "equal",
    }


class Drawing(Figure):
    """A figure with words: `alt` says what it shows. As the last line of a cell it appears as by `show`."""

    alt = ""

    def draw(self, renderer):
        with matplotlib.rc_context(style()):          # ticks are made only now, in the style set by then
            super().draw(renderer)

    def _ipython_display_(self):
        show(self)


def styled(function):
    """Run a drawing function inside the style of the course."""
    @functools.wraps(function)
    def inside(*args, **kwargs):
        with matplotlib.rc_context(style()):
            return function(*args, **kwargs)
    return inside


def new_figure(width: float, height: float, title: str | None = None, layout: str = "constrained") -> Drawing:
    """An empty figure of so many inches (100 px each), its title bold, at the left, broken to fit."""
    if title:
        title = wrap(title, width - 0.15, size=12, weight="bold")
        height += 0.12 + 0.2 * len(title.splitlines())
    fig = Drawing(figsize=(width, height), layout=layout)
    if title:
        fig.suptitle(title, x=0.05 / width, ha="left", fontsize=12, fontweight="bold", color=INK)
    return fig


def wrap(text: str, inches: float, size: float = 10, weight: str = "normal") -> str:
    """Break a text into as few lines as fit into so many inches: at commas, or else about equally long.

    It is measured in the font it is drawn in.
    """
    font = get_font(findfont(FontProperties(family="DejaVu Sans", weight=weight)))
    font.set_size(size, 72)                                       # one pixel is one point
    words = str(text).split()

    @functools.cache
    def length(piece: str) -> float:
        font.set_text(piece)
        return font.get_width_height()[0] / 64 / 72               # the font counts in 64ths

    def broken(room: float) -> list[str]:
        lines = [""]
        for word in words:
            longer = f"{lines[-1]} {word}".strip()
            lines[-1:] = [longer] if length(longer) <= room or not lines[-1] else [lines[-1], word]
        return lines

    ways = [broken(inches)]
    while len(ways[0]) > 1 and inches > max(map(length, words)):
        inches *= 0.97
        if len(narrower := broken(inches)) > len(ways[0]):
            break
        ways.append(narrower)
    at_commas = (way for way in ways if all(line.endswith(",") for line in way[:-1]))
    return "\n".join(next(at_commas, ways[-1]))


def to_array(x, name: str, ndim, want: str) -> np.ndarray:
    """A tensor or nested list as floats; refused unless finite and with the wanted number of axes."""
    if hasattr(x, "detach"):
        x = x.detach().cpu().float()
    try:
        x = np.asarray(x, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: wanted {want}, got no array of numbers ({error})") from None
    if x.ndim not in np.atleast_1d(ndim) or 0 in x.shape:
        raise ValueError(f"{name}: wanted {want}, got shape {tuple(x.shape)}")
    if not np.isfinite(x).all():
        raise ValueError(f"{name}: {int((~np.isfinite(x)).sum())} of {x.size} values are not finite")
    return x


def per_seed(values, name: str) -> np.ndarray:
    """One number per seed, of a list or of a dict seed -> value, which is taken in the order of its seeds."""
    if isinstance(values, Mapping):
        values = [values[seed] for seed in sorted(values)]
    return to_array(values, name, 1, "one number per seed")


def check_length(items, wanted: int, name: str, per: str) -> None:
    if items is not None and len(items) != wanted:
        raise ValueError(f"{name}: wanted {wanted}, one per {per}, got {len(items)}")


def pick(name, known, what: str) -> str:
    """The name itself if it is known; otherwise an error that lists the known ones and the closest."""
    if name not in known:
        raise names.unknown(what, name, known)
    return name


def opening(title: str | None) -> str:
    """The title as the first sentence of an alt text."""
    return "" if not title else title + " " if title.rstrip()[-1] in ".?!" else title + ". "


def contrast(one, other="white") -> float:
    """Contrast of two colours as in WCAG 2: 1 (none) to 21 (black on white)."""
    def light(colour):
        c = np.array(to_rgb(colour))
        return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]
    low, high = sorted([light(one), light(other)])
    return float((high + 0.05) / (low + 0.05))


def darker(colour, least: float = 4.5):
    """The colour, darkened until it can be read on white: 4.5 for text, 3 for lines."""
    c = np.array(to_rgb(colour))
    while contrast(c) < least:
        c = c * 0.96
    return tuple(c)


def to_png(fig) -> bytes:
    """The figure as a PNG, sharp and small; closed for pyplot, else the notebook would show it again."""
    buffer = io.BytesIO()
    with matplotlib.rc_context(style()):
        fig.savefig(buffer, format="png", dpi=SHARPNESS * CSS_DPI, metadata={"Software": None})
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close(fig)
    return smaller(Image.open(buffer).convert("RGB"))


RARE = 64          # places of a palette that are kept for what is far from all others: one red digit among greys


def smaller(image) -> bytes:
    """A PNG with 256 distinct colours, the commonest and the most distant: flat colours stay exact, the bytes fall to a third.

    A photograph has too many for that: it stays as it is, and beyond 80 kB most of its palette is that of a median cut.
    """
    rgb = np.asarray(image).astype(np.int32) @ [65536, 256, 1]                # one number per pixel
    found, where, count = np.unique(rgb, return_inverse=True, return_counts=True)
    colours = np.stack([found >> 16, found >> 8 & 255, found & 255], 1)
    palette, nearest = [], np.zeros(len(found), np.uint8)
    distance, left = np.full(len(found), np.inf), count.copy()

    def take(colour):
        palette.append(colour)
        to_new = np.linalg.norm(colours - colour, axis=1)
        nearest[to_new < distance] = len(palette) - 1
        np.minimum(distance, to_new, out=distance)
        left[to_new < 5] = 0                                                  # too near to be told apart

    while left.any() and len(palette) < 256 - RARE:
        take(colours[left.argmax()])
    if left.sum() > 0.02 * rgb.size:
        full = png_bytes(image)
        if len(full) <= 80_000:
            return full
        palette, left = [], count.copy()
        distance.fill(np.inf)
        few = image.quantize(256 - RARE, method=Image.Quantize.MEDIANCUT).getpalette()
        for colour in np.reshape(few, (-1, 3))[:256 - RARE]:
            take(colour)
    while left.any() and len(palette) < 256:
        take(colours[np.where(left, distance, -1).argmax()])
    indexed = Image.fromarray(nearest[where.reshape(rgb.shape)])
    indexed.putpalette(np.array(palette, np.uint8).tobytes())
    return png_bytes(indexed)


def png_bytes(image) -> bytes:
    image.save(buffer := io.BytesIO(), format="png", optimize=True)
    return buffer.getvalue()


def css_width(png: bytes) -> int:
    """The width at which the page shows a PNG made here (its own width stands at byte 16)."""
    return -(-struct.unpack(">I", png[16:20])[0] // SHARPNESS)


def sentence(text: str) -> str:
    """The line below a figure: small, and lighter than the text on a white page as on a dark one."""
    return f"<small style='opacity:.72'>{html.escape(text)}</small>"


def show(fig, caption: str | None = None) -> None:
    """Display a figure with its alt text stored, and one sentence below: the caption, or the alt text."""
    alt = getattr(fig, "alt", "")
    if not isinstance(alt, str) or not alt.strip():
        raise ValueError("this figure has no words: set fig.alt to a sentence that says what it shows")
    png = to_png(fig)
    display({"image/png": base64.b64encode(png).decode(), "text/plain": alt}, raw=True,
            metadata={"image/png": {"alt": alt, "width": css_width(png)}})
    display({"text/html": sentence(caption or alt), "text/plain": caption or alt}, raw=True)
