"""How four mechanisms of lessons 06 and 07 are put together, in the language of the emblem. Reached through `plots`."""
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


DRAWN = {"dynamic": (_dynamic, 224), "selective": (_selective, 182), "transformer": (_transformer, 190), "patch": (_patch, 190)}


@styled
def parts(name: str, title: str | None = None):
    """How a mechanism is put together: "dynamic" convolution, "selective" kernels, spatial "transformer", "patch" selection."""
    draw, height = DRAWN[pick(name, DRAWN, "drawing")]
    fig, ax = canvas(820, height, title)
    draw(ax)
    fig.alt = f"{title.rstrip('.') + '. ' if title else ''}{SAID[name]}"
    return fig
