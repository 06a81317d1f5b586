"""The emblem of the course: a host network, one of its blocks drawn large, the numbered sockets in place."""
from __future__ import annotations

from matplotlib.patches import FancyBboxPatch, Polygon, Rectangle

from .look import GREY, INK, PALE, opening, pick, styled
from .shapes import CONV, LIGHT, LIT_EDGE, WIRE, box, canvas, joint, say, socket, thumbnail, wire

# number, and where it is, in the words of the legend
SOCKETS = {
    "input": (1, "on the image"),
    "pre": (2, "start of the branch"),
    "inner": (3, "inside the branch"),
    "post": (4, "end of the branch"),
    "after_add": (5, "after the addition"),
    "identity": (6, "on the skip path"),
    "between": (7, "between stages"),
    "instead": (8, "replaces a convolution"),
    "head": (9, "replaces the pooling"),
    "fuse": (10, "where two maps meet"),
    "both": ("2+4", "pre and post together"),
}


def lit_sockets(lit) -> set[str]:
    """The names of the sockets to light; "both" stands for pre and post, and those two together for both."""
    names = {pick(name, SOCKETS, "socket") for name in ([lit] if isinstance(lit, str) else lit or ())}
    if "both" in names:
        names |= {"pre", "post"}
    return names | {"both"} if {"pre", "post"} <= names else names


@styled
def emblem(lit=(), title: str | None = None, labels: bool = True):
    """The host network with its sockets; those in `lit` (a name or several) shine.

    Args:
        lit: names from SOCKETS; "both" lights pre and post.
        labels: with the legend of all names below; the names of lit sockets are always in the drawing.
    """
    lit = lit_sockets(lit)
    fig, ax = canvas(820, 416 if labels else 322, title)

    draw_network(ax, lit)
    if labels:
        _legend(ax, lit)
    named = sorted(lit - {"both"}, key=lambda n: SOCKETS[n][0])
    shining = [f"{SOCKETS[n][0]} {n} ({SOCKETS[n][1]})" for n in named]
    fig.alt = (f"{opening(title)}A network as a row: image, stem, three stages of residual blocks, average "
               "pooling, linear layer. One residual block is drawn large: convolution, norm, relu, "
               f"convolution, norm, and a skip path added at the end. {'Ten' if 'fuse' in lit else 'Nine'} numbered sockets "
               "mark where attention can be plugged in: "
               + ", ".join(f"{k} {n}" for n, (k, _) in SOCKETS.items() if n != "both" and (n != "fuse" or n in lit)) + ". "
               + (f"Lit: {', '.join(shining)}." if lit else "None is lit.")
               + (" Pre and post together are called both." if "both" in lit else ""))
    return fig


def hidden(lit) -> str:
    """Fuse takes the place of the sum itself, so it is drawn only where it is lit; the legend has room for it or for both."""
    return "both" if "fuse" in lit and "both" not in lit else "fuse"


def draw_network(ax, lit: set[str]) -> None:
    """The host and its block on 820x322 pixels, with the sockets in `lit` shining."""
    def plug(name, x, y, dx=0, dy=27, ha="center"):
        socket(ax, x, y, SOCKETS[name][0], name in lit)
        if name in lit:
            say(ax, x + dx, y + dy, name, color=INK, fontweight="bold", ha=ha)

    _host(ax, lit, plug)
    _block(ax, lit, plug)


def _host(ax, lit, plug, y=66) -> None:
    """The row at the top: from the image to the class."""
    ax.add_patch(Polygon([(358, y + 22), (388, y + 22), (806, 124), (14, 124)], facecolor=PALE, alpha=0.45,
                         linewidth=0))
    wire(ax, (60, y), (772, y), arrow=True)
    thumbnail(ax, 38, y)
    box(ax, 131, y, 40, 54, "conv", CONV)
    for stage, (x, width, height) in enumerate([(198, 26, 54), (373, 30, 44), (552, 34, 34)], start=1):
        for k in range(2):
            at = x + k * (width + 16)
            left, right, up = at - width / 2 - 5, at + width / 2 + 5, y - height / 2 - 6
            wire(ax, (left, y), (left, up), (right, up), (right, y), width=1)
            box(ax, at, y, width, height, fill=PALE if (stage, k) == (2, 0) else CONV)
        say(ax, x + (width + 16) / 2, 17, f"stage {stage}")
    plug("input", 87, y)
    plug("between", 305, y)
    plug("between", 488, y)
    box(ax, 664, y, 58, 54, "average\npooling", lit="head" in lit, dashed="head" in lit, size=8, sink=6)
    box(ax, 729, y, 42, 54, "linear", size=8)
    plug("head", 664, y - 31, dx=25, dy=-7, ha="left")
    for x, at, word in ((38, 17, "image"), (131, 17, "stem"), (791, y, "class")):
        say(ax, x, at, word)


def _block(ax, lit, plug, y=248, skip=172) -> None:
    """One residual block drawn large, with the sockets on its wires and on its boxes."""
    ax.add_patch(Rectangle((14, 124), 792, 190, facecolor="#F8F9FA", edgecolor=PALE, linewidth=1, zorder=0))
    wire(ax, (52, y), (768, y), arrow=True)
    wire(ax, (78, y), (78, skip), (666, skip), (666, y - 12), arrow=True)
    ax.plot(78, y, "o", color=WIRE, markersize=5, zorder=3)
    say(ax, 40, y, "x", size=12, color=INK, fontstyle="italic")
    say(ax, 781, y, "y", size=12, color=INK, fontstyle="italic")
    say(ax, 652, skip - 12, "skip path", ha="right")
    say(ax, 156, y - 40, "branch", ha="left")
    say(ax, 26, 140, "one residual block", size=10, color=INK, ha="left", fontweight="bold")
    box(ax, 196, y, 80, 50, "conv 3\u00d73", CONV)
    for x, width, text in ((274, 48, "norm"), (334, 44, "relu"), (552, 48, "norm")):
        box(ax, x, y, width, 50, text)
    box(ax, 474, y, 80, 50, "conv 3\u00d73", CONV, lit="instead" in lit, dashed="instead" in lit, sink=3)
    if "fuse" in lit:
        plug("fuse", 666, y, dy=46)
    else:
        joint(ax, 666, y, "+")
    plug("pre", 118, y)
    plug("inner", 394, y)
    plug("post", 616, y)
    plug("after_add", 716, y)
    plug("identity", 394, skip, dx=24, dy=-13, ha="left")
    plug("instead", 474, y - 29, dx=25, dy=-7, ha="left")
    if "both" in lit:
        wire(ax, (118, y + 38), (118, y + 48), (616, y + 48), (616, y + 38), color=LIT_EDGE, width=2)
        say(ax, 367, y + 48, "both", color=INK, fontweight="bold",
            bbox={"facecolor": "#F8F9FA", "edgecolor": "none", "pad": 4})


def _legend(ax, lit) -> None:
    for i, (name, (number, where)) in enumerate((n, s) for n, s in SOCKETS.items() if n != hidden(lit)):
        x, y, on = (30, 176, 326, 496, 658)[i % 5], 344 + 44 * (i // 5), name in lit
        if on:
            ax.add_patch(FancyBboxPatch((x - 15, y - 18), (139, 143, 163, 151, 163)[i % 5], 36, linewidth=0,
                                        boxstyle="round,pad=0,rounding_size=8", facecolor=LIGHT, zorder=1))
        if name == "both":
            say(ax, x, y, number, size=8.5, color=INK if on else GREY, fontweight="bold" if on else "normal")
        else:
            socket(ax, x, y, number, on, radius=9.5)
        say(ax, x + 19, y - 8, name, size=10, color=INK, ha="left", fontweight="bold" if on else "normal")
        say(ax, x + 19, y + 9, where, size=8, ha="left")
