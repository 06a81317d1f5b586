"""Two smaller diagrams in the language of the emblem: a mechanism as a flow, and the lessons' small host."""
from __future__ import annotations

import re

from .look import INK, opening, pick, styled, wrap
from .shapes import CONV, PLAIN, WIRE, box, canvas, joint, say, socket, thumbnail, wire

HOST_SOCKETS = {"input": "on the image", "pre": "before {}", "post": "after {}",
                "both": "before and after {}", "head": "in place of the pooling"}
NUMBER = {"input": 1, "pre": 2, "post": 4, "head": 9}
LEARNED = re.compile(r"\b(conv\w*|linear|weights?|w[12])\b", re.I)      # such steps wear the colour of convolutions


def _pairs(items, name):
    """A list of (label, shape) as texts; a lone label has no shape, a shape may be text or numbers."""
    pairs = [(item, "") if isinstance(item, str) else tuple(item) for item in items]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"{name}: wanted a list of (label, shape), got {items!r}")
    return [(str(label), shape if isinstance(shape, str) else " x ".join(map(str, shape or ())))
            for label, shape in pairs]


def _times(text):
    """3x3 and 24 x 22 with a true multiplication sign, in the drawing only: it is read out well as x."""
    return re.sub(r"(?<=[\dCHWN])( ?)x( ?)(?=[\dCHWN])", "\\1\u00d7\\2", text)


@styled
def mechanism(steps, title: str | None = None, lit=None, shape: str = "N, C, H, W", join: str = "x"):
    """How a mechanism computes: x passes above, its steps run below, and the two meet at the end.

    Args:
        steps: list of (label, shape of the result), for instance ("mean over positions", "N, C, 1, 1").
        lit: label or index of a step to light, or a list of them.
        shape: of x and y.
        join: how the two meet: "x", multiplied, for a gate; "+", added, for mixing.
    """
    steps = _pairs(steps, "steps")
    labels = [label for label, _ in steps]
    on = set()
    for one in lit if isinstance(lit, (list, tuple, set)) else [] if lit is None else [lit]:
        if isinstance(one, int) and not 0 <= one < len(steps):
            raise ValueError(f"lit: there are {len(steps)} steps, counted from 0; got {one}")
        on.add(one if isinstance(one, int) else labels.index(pick(one, labels, "step")))
    if join not in ("x", "+"):
        raise ValueError(f"join: wanted 'x' or '+', got {join!r}")
    if len(steps) > 8:
        raise ValueError(f"steps: 8 fit into the drawing, got {len(steps)}")
    slot = min(158, 640 / len(steps))
    width = round(180 + slot * len(steps))
    fig, ax = canvas(width, 164, title)
    top, low, left, right = 34, 100, 66, width - 72
    wire(ax, (38, top), (width - 40, top), arrow=True)
    wire(ax, (left, top), (left, low), (right, low), (right, top + 11), arrow=True)
    ax.plot(left, top, "o", color=WIRE, markersize=5, zorder=3)
    say(ax, 26, top, "x", size=12, color=INK, fontstyle="italic")
    say(ax, width - 27, top, "y", size=12, color=INK, fontstyle="italic")
    say(ax, (left + right) / 2, top - 14, f"x as it is   ({shape})", size=8.5)
    joint(ax, right, top, join)
    for i, (label, result) in enumerate(steps):
        x, wide = left + 16 + slot * (i + 0.5), slot - 22
        fill = CONV if LEARNED.search(label) else PLAIN
        box(ax, x, low, wide, 54, wrap(_times(label), wide / 100 - 0.14, 9), fill, lit=i in on)
        say(ax, x, low + 42, f"({result.strip('()')})" if result else "", size=8.5)
    said = ", then ".join(f"{label} ({result.strip('()')})" if result else label for label, result in steps)
    meets = "multiplies" if join == "x" else "is added to"
    fig.alt = (f"{opening(title)}Flow of a mechanism, with the shape of each result. From x ({shape}): "
               f"{said}. The result {meets} x and gives y ({shape})."
               + (f" Lit: {', '.join(labels[i] for i in sorted(on))}." if on else ""))
    return fig


@styled
def plain_host(layers, sockets=None, chosen=None, title: str | None = None, classes: int = 10):
    """The small host of the lessons: convolutions in a row, average pooling, a linear layer.

    Args:
        layers: list of (label, shape of the result), for instance ("conv 3x3 stride 2", "24 x 22 x 22");
            the boxes are as tall as the maps are.
        sockets: names to light: input, pre, post, both, head. `post` is always drawn, the others where lit.
        chosen: indices, from 0, of the convolutions whose sockets are lit; otherwise all.
        classes: width of the last layer.
    """
    layers = _pairs(layers, "layers")
    count = len(layers)
    on = {pick(s, HOST_SOCKETS, "socket of the small host") for s in
          ([] if sockets is None else [sockets] if isinstance(sockets, str) else sockets)}
    on = on - {"both"} | {"pre", "post"} if "both" in on else on
    chosen = sorted(set(range(count) if chosen is None else chosen))
    if not chosen or any(not 0 <= i < count for i in chosen):
        raise ValueError(f"chosen: there are {count} convolutions, counted from 0; got {chosen}")
    before, start = 34 if "pre" in on else 14, 100 if "input" in on else 66
    slot = min(180, (612 - start) / count)
    wide, end = slot - before - 34, start + slot * count             # of a box, and where the pooling begins
    if wide < 36:
        raise ValueError(f"layers: {int((612 - start) / (before + 70))} fit into the row, got {count}")
    fig, ax = canvas(round(end + 208), 148 if on else 126, title)
    y = 62
    wire(ax, (60, y), (end + 158, y), arrow=True)
    thumbnail(ax, 38, y)
    say(ax, 38, y - 38, "image", size=8.5)
    if "input" in on:
        socket(ax, 84, y, 1, True, 10)
    tall = _heights([shape for _, shape in layers])
    for i, (label, shape) in enumerate(layers):
        x = start + slot * i + before + wide / 2
        if "pre" in on:
            socket(ax, x - wide / 2 - 18, y, 2, i in chosen, 10)
        box(ax, x, y, wide, tall[i], wrap(_times(label), wide / 100 - 0.13, 8.5), CONV, size=8.5)
        socket(ax, x + wide / 2 + 18, y, 4, "post" in on and i in chosen, 10)
        say(ax, x, y + 49, _times(shape), size=8.5)
    box(ax, end + 40, y, 60, 50, "average\npooling", size=8.5, lit="head" in on, dashed="head" in on,
        sink=4 if "head" in on else 0)
    if "head" in on:
        socket(ax, end + 40, y - 31, 9, True, 10)
    box(ax, end + 112, y, 50, 50, "linear", size=8.5)
    channels = re.match(r"\d+", layers[-1][1])
    say(ax, end + 40, y + 49, channels.group() if channels else "", size=8.5)
    say(ax, end + 112, y + 49, str(classes), size=8.5)
    say(ax, end + 179, y, "class")
    some = "convolution " + ", ".join(str(i + 1) for i in chosen)
    where = {n: HOST_SOCKETS[n].format("every convolution" if len(chosen) == count else some) for n in NUMBER}
    lit = "; ".join(f"{k} {name}, {where[name]}" for name, k in NUMBER.items() if name in on)
    say(ax, 16, 136, f"lit:  {lit}" if lit else "", size=8.5, color=INK, ha="left")
    row = ", ".join(f"{label} ({shape})" if shape else label for label, shape in layers)
    fig.alt = (f"{opening(title)}The small host as a row: image, {row}, average pooling, linear layer to "
               f"{classes} classes. "
               + (f"Lit sockets: {lit}." if lit else "Socket 4, post, follows each convolution, unlit."))
    return fig


def _heights(shapes):
    """Boxes from 40 to 74 pixels, by the height of the map in which each shape ends; 62 if it is not said."""
    sizes = [re.search(r"(\d+) x \d+\s*$", shape) for shape in shapes]
    if not all(sizes):
        return [62] * len(shapes)
    sizes = [int(size.group(1)) for size in sizes]
    return [40 + 34 * size / max(sizes) for size in sizes]
