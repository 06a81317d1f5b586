"""How six mechanisms of lessons 05 to 07 are put together, in the language of the emblem. Reached through `plots`."""
from __future__ import annotations

import numpy as np
from matplotlib.patches import Rectangle

from .look import GREY, INK, MARK, pick, styled, wrap
from .shapes import CONV, EDGE, PLAIN, box, canvas, joint, say, wire

DARK = "#1B1B1F"

# The words of a drawing, read out.
SAID = {
    "dynamic": "From x, mean over positions, two linear layers and a softmax make one weight for each kernel. The kernels times "
               "their weights are added to one kernel, and one convolution of x with it gives y.",
    "selective": "x goes through two branches, a 3 x 3 convolution and one with gaps, each with norm and ReLU. From the mean of "
                 "their sum, layers and a softmax over the branches make two weights for each channel. The branches times their "
                 "weights are added to y.",
    "deformable": "From x a 3 x 3 convolution makes, at each place, nine offsets and nine weights. The nine samples leave their "
                  "square grid, drawn around a digit, for places between the pixels; times their weights and the kernel they add "
                  "up to y.",
    "halo": "A map cut into blocks of 4 x 4 places. Each place of a block looks at its block and at a rim of 2 places around it. "
            "In the middle of the map the rim is whole; in a corner a part of it lies outside the picture, where nobody looks.",
    "transformer": "From the picture a small network makes six numbers, theta. They place a grid on the picture, here a tilted "
                   "square; the colours under the grid are the new picture, which the network reads.",
    "patch": "The picture is made small. A small network scores each place of the copy, and a softmax makes a map of them. The "
             "patch of the large picture around the largest value is cut out, and only it is read.",
}


def _tile(ax, x, y, side, seed) -> None:
    """A 3x3 kernel as nine greys."""
    values = np.random.default_rng(seed).random((3, 3))
    for (r, c), v in np.ndenumerate(values):
        ax.add_patch(Rectangle((x - side / 2 + c * side / 3, y - side / 2 + r * side / 3), side / 3, side / 3,
                               facecolor=str(0.35 + 0.6 * v), edgecolor="white", linewidth=0.6, zorder=4))
    ax.add_patch(Rectangle((x - side / 2, y - side / 2), side, side, fill=False, edgecolor=EDGE, linewidth=1.2, zorder=5,
                           gid="kernel"))


def _picture(ax, x, y, side, spot=(0.72, 0.3), map=False) -> None:
    """A dark picture with a few digits, one of them red; as a map only its spot is bright."""
    ax.add_patch(Rectangle((x - side / 2, y - side / 2), side, side, facecolor=DARK, edgecolor=EDGE, linewidth=1.2, zorder=3))
    for u, v, digit in ((0.2, 0.22, "4"), (0.45, 0.62, "8"), (0.22, 0.8, "1"), (0.8, 0.78, "5"), (*spot, "3")):
        red = (u, v) == spot
        if map:
            if red:
                ax.add_patch(Rectangle((x - side / 2 + u * side - 5, y - side / 2 + v * side - 5), 10, 10, facecolor="#FCA50A",
                                       zorder=4))
        elif side > 50:
            say(ax, x - side / 2 + u * side, y - side / 2 + v * side, digit, size=9, fontweight="bold",
                color="#FF5A4D" if red else "#E8E8E8")
        else:
            ax.plot(x - side / 2 + u * side, y - side / 2 + v * side, "s", markersize=4, zorder=4,
                    color="#FF5A4D" if red else "#B0B0B0")


def _dynamic(ax) -> None:
    wire(ax, (40, 40), (620, 40), arrow=True)
    wire(ax, (700, 40), (772, 40), arrow=True)
    box(ax, 660, 40, 84, 46, "convolution", CONV)
    wire(ax, (62, 40), (62, 140), (86, 140), arrow=True)
    for x, words, shape, fill in ((136, "mean over positions", "C", PLAIN), (246, "linear, ReLU, linear", "K", CONV),
                                  (356, "softmax at temperature", "K", PLAIN)):
        box(ax, x, 140, 94, 46, wrap(words, 0.86, 9), fill)
        say(ax, x, 178, shape, size=8.5)
    for a, b in ((183, 199), (293, 309), (403, 432)):
        wire(ax, (a, 140), (b, 140), arrow=True)
    for k, y in enumerate((98, 140, 182)):
        _tile(ax, 510, y, 30, k + 3)
        joint(ax, 450, y, "x")
        wire(ax, (495, y), (461, y))
    wire(ax, (432, 98), (432, 182))
    for y in (98, 140, 182):
        wire(ax, (432, y), (439, y))
        wire(ax, (525, y), (572, 140))
    say(ax, 510, 212, "K kernels, each times its weight", size=8.5)
    joint(ax, 583, 140, "+")
    wire(ax, (594, 140), (644, 140))
    _tile(ax, 660, 140, 34, 11)
    wire(ax, (660, 122), (660, 64), arrow=True)
    say(ax, 660, 178, "one kernel for this picture", size=8.5)
    say(ax, 27, 40, "x", size=12, color=INK, fontstyle="italic")
    say(ax, 786, 40, "y", size=12, color=INK, fontstyle="italic")


def _selective(ax) -> None:
    say(ax, 27, 90, "x", size=12, color=INK, fontstyle="italic")
    say(ax, 786, 90, "y", size=12, color=INK, fontstyle="italic")
    wire(ax, (40, 90), (62, 90))
    wire(ax, (62, 40), (62, 140))
    for y, words in ((40, "conv 3x3, norm, ReLU"), (140, "conv 3x3 with gaps, norm, ReLU")):
        wire(ax, (62, y), (86, y), arrow=True)
        box(ax, 146, y, 114, 46, wrap(words.replace("x3", "\u00d73"), 1.0, 9), CONV)
        wire(ax, (203, y), (690, y), (690, y + (39 if y < 90 else -39)), arrow=True)
        joint(ax, 640, y, "x")
    wire(ax, (236, 40), (236, 79))
    wire(ax, (236, 140), (236, 101))
    joint(ax, 236, 90, "+")
    wire(ax, (247, 90), (268, 90), arrow=True)
    for x, words, fill in ((316, "mean over positions", PLAIN), (422, "layers", CONV), (528, "softmax over branches", PLAIN)):
        box(ax, x, 90, 90, 46, wrap(words, 0.8, 9), fill)
    for a, b in ((361, 377), (467, 483)):
        wire(ax, (a, 90), (b, 90), arrow=True)
    wire(ax, (573, 90), (640, 90))
    wire(ax, (640, 90), (640, 52), arrow=True)
    wire(ax, (640, 90), (640, 128), arrow=True)
    joint(ax, 690, 90, "+")
    wire(ax, (701, 90), (772, 90), arrow=True)
    say(ax, 604, 79, "2, C", size=8.5)


def _deformable(ax) -> None:
    say(ax, 27, 140, "x", size=12, color=INK, fontstyle="italic")
    say(ax, 786, 100, "y", size=12, color=INK, fontstyle="italic")
    wire(ax, (40, 140), (336, 140), arrow=True)
    wire(ax, (62, 140), (62, 60), (86, 60), arrow=True)
    box(ax, 136, 60, 100, 46, "conv 3\u00d73,\nzero at first", CONV)
    wire(ax, (186, 60), (210, 60), arrow=True)
    box(ax, 264, 60, 108, 46, "9 offsets,\n9 weights", PLAIN)
    wire(ax, (318, 60), (336, 60), arrow=True)
    say(ax, 264, 102, "for each place", size=8.5)
    ax.add_patch(Rectangle((342, 20), 160, 160, facecolor=DARK, edgecolor=EDGE, linewidth=1.2, zorder=3))
    say(ax, 422, 100, "3", size=92, color="#8A8A8A", fontweight="bold", rotation=14)
    moved = ((-34, -40), (0, -55), (21, -40), (-8, -10), (11, -14), (34, 6), (-20, 31), (5, 33), (25, 24))
    for (u, v), k in zip(moved, range(9), strict=True):
        x, y = 422 + 26 * (k % 3 - 1), 100 + 26 * (k // 3 - 1)
        ax.plot([x, 422 + u], [y, 100 + v], color="white", linewidth=0.9, zorder=7)
        ax.plot(x, y, "s", markersize=5, markerfacecolor=DARK, markeredgecolor="white", zorder=8, gid="tap")
        ax.plot(422 + u, 100 + v, "o", markersize=6.5, markerfacecolor=MARK, markeredgecolor=DARK, zorder=9, gid="sample")
    wire(ax, (502, 100), (536, 100), arrow=True)
    box(ax, 590, 100, 108, 46, "samples times\nweights", PLAIN)
    wire(ax, (644, 100), (664, 100), arrow=True)
    box(ax, 710, 100, 92, 46, "kernel,\nthen the sum", CONV)
    wire(ax, (756, 100), (774, 100), arrow=True)
    say(ax, 422, 194, "squares: a plain convolution; dots: where this place looks", size=8.5)


def _halo(ax) -> None:
    left, top, side = 280, 30, 12      # of the map of 20 x 12 places
    ax.add_patch(Rectangle((left, top), 20 * side, 12 * side, facecolor=CONV, edgecolor=EDGE, linewidth=1.2, zorder=3))
    for k in range(1, 20):
        line = {"color": "white", "linewidth": 0.6} if k % 4 else {"color": EDGE, "linewidth": 1.2}
        ax.plot([left + k * side] * 2, [top, top + 12 * side], zorder=4, **line)
        if k < 12:
            ax.plot([left, left + 20 * side], [top + k * side] * 2, zorder=4, **line)
    for column, row in ((12, 4), (0, 8)):
        x, y = left + column * side, top + row * side
        for rim in ({"facecolor": MARK, "alpha": 0.45, "zorder": 5}, {"fill": False, "edgecolor": DARK, "linewidth": 1.4,
                                                                      "linestyle": (0, (3, 2)), "zorder": 7, "gid": "rim"}):
            ax.add_patch(Rectangle((x - 2 * side, y - 2 * side), 8 * side, 8 * side, **rim))
        ax.add_patch(Rectangle((x, y), 4 * side, 4 * side, facecolor="#E69F00", edgecolor=DARK, linewidth=1.6, zorder=7,
                               gid="block"))
    for x, y in ((left - 2 * side, top + 6 * side), (left - 2 * side, top + 12 * side)):      # outside the picture
        wide, tall = (2 * side, 6 * side) if y < top + 12 * side else (8 * side, 2 * side)
        ax.add_patch(Rectangle((x, y), wide, tall, facecolor="white", edgecolor=GREY, hatch="////", linewidth=0, zorder=6))
    for x, y, words, end in ((662, 74, "a block: who asks", (left + 15 * side, top + 6 * side)),
                             (662, 124, "the rim: who else answers", (left + 17 * side, top + 8 * side)),
                             (140, 160, "outside the picture: zeros\nthat nobody may see", (left - side, top + 10 * side))):
        say(ax, x, y, words, color=INK)
        wire(ax, (x + (92 if x < end[0] else -92), y), end, width=1.0)
        ax.lines[-1].set_zorder(9)


def _transformer(ax) -> None:
    _picture(ax, 84, 90, 120)
    corners = [(84 + 26 + a * 23 - b * 8, 67 + a * 8 + b * 23) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))]
    wire(ax, *corners, color=MARK, width=2)
    ax.lines[-1].set_zorder(7)
    wire(ax, (150, 90), (186, 90), arrow=True)
    box(ax, 240, 90, 104, 46, "small network", CONV)
    wire(ax, (292, 90), (328, 90), arrow=True)
    box(ax, 376, 90, 92, 46, "six numbers\n\u03b8", PLAIN)
    wire(ax, (422, 90), (458, 90), arrow=True)
    box(ax, 512, 90, 104, 46, "grid, and the\ncolours under it", PLAIN)
    wire(ax, (84, 152), (84, 172), (512, 172), (512, 116), arrow=True)
    wire(ax, (564, 90), (600, 90), arrow=True)
    ax.add_patch(Rectangle((606, 36), 108, 108, facecolor=DARK, edgecolor=MARK, linewidth=2, zorder=3))
    say(ax, 660, 92, "3", size=34, color="#FF5A4D", fontweight="bold", rotation=18)
    wire(ax, (716, 90), (772, 90), arrow=True)
    say(ax, 797, 90, "host", size=9)
    say(ax, 84, 20, "picture", size=8.5)
    say(ax, 660, 164, "what is read", size=8.5)


def _patch(ax) -> None:
    _picture(ax, 84, 100, 120)
    ax.add_patch(Rectangle((94.4, 60), 32, 32, fill=False, edgecolor=MARK, linewidth=2, zorder=7))
    wire(ax, (146, 66), (206, 66), arrow=True)
    _picture(ax, 232, 66, 44)
    wire(ax, (256, 66), (292, 66), arrow=True)
    box(ax, 344, 66, 100, 46, "scorer", CONV)
    wire(ax, (394, 66), (430, 66), arrow=True)
    _picture(ax, 454, 66, 44, map=True)
    wire(ax, (478, 66), (520, 66), (520, 132), arrow=True)
    wire(ax, (146, 150), (472, 150), arrow=True)
    box(ax, 520, 150, 92, 36, "cut", PLAIN)
    wire(ax, (567, 150), (600, 150), arrow=True)
    ax.add_patch(Rectangle((606, 122), 56, 56, facecolor=DARK, edgecolor=MARK, linewidth=2, zorder=3))
    say(ax, 634, 150, "3", size=19, color="#FF5A4D", fontweight="bold")
    wire(ax, (664, 150), (684, 150), arrow=True)
    box(ax, 716, 150, 60, 46, "host", CONV)
    wire(ax, (746, 150), (774, 150), arrow=True)
    say(ax, 797, 150, "class", size=9)
    for x, y, words in ((84, 30, "picture"), (232, 34, "copy"), (454, 34, "map p"), (634, 112, "patch"),
                        (309, 142, "full size")):
        say(ax, x, y, words, size=8.5, color=GREY)


DRAWN = {"dynamic": (_dynamic, 224), "selective": (_selective, 182), "deformable": (_deformable, 206), "halo": (_halo, 224),
         "transformer": (_transformer, 190), "patch": (_patch, 190)}


@styled
def parts(name: str, title: str | None = None):
    """How a mechanism is put together.

    Args:
        name: "halo" (lesson 05), "dynamic" convolution, "selective" kernels, "deformable" convolution (06), spatial
            "transformer" or "patch" selection (07).

    Raises:
        ValueError: another name.
    """
    draw, height = DRAWN[pick(name, DRAWN, "drawing")]
    fig, ax = canvas(820, height, title)
    draw(ax)
    fig.alt = f"{title.rstrip('.') + '. ' if title else ''}{SAID[name]}"
    return fig
