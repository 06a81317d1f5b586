"""What every diagram is made of: boxes, wires and numbered sockets, placed in pixels of the page."""
from __future__ import annotations

from matplotlib.patches import Circle, FancyBboxPatch, Rectangle

from .look import ACCENT, GREY, INK, Drawing, wrap

CONV, PLAIN, EDGE, WIRE = "#CFE0F3", "#ECEFF3", "#5B7894", "#3C4043"    # fill of convolutions, others; lines
LIGHT, LIT_EDGE = "#FFF3D6", "#B57B00"                                     # fill and edge of what is lit


def canvas(width: int, height: int, title: str | None = None):
    """A white figure measured in pixels of the page, y downwards, with its title above: (figure, axes)."""
    lines = wrap(title, width / 100 - 0.3, size=12, weight="bold") if title else ""
    head = 12 + 20 * len(lines.splitlines()) if title else 0
    fig = Drawing(figsize=(width / 100, (height + head) / 100))
    ax = fig.add_axes((0, 0, 1, height / (height + head)))
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.axis("off")
    if title:
        fig.text(14 / width, 1 - 8 / (height + head), lines, va="top", fontsize=12, fontweight="bold")
    return fig, ax


def box(ax, x, y, width, height, text="", fill=PLAIN, lit=False, dashed=False, size=9, sink=0) -> None:
    """A rounded box around (x, y), its text lower by `sink`. Dashed: something else takes its place."""
    ax.add_patch(FancyBboxPatch((x - width / 2, y - height / 2), width, height,
                                boxstyle="round,pad=0,rounding_size=5", facecolor=LIGHT if lit else fill,
                                edgecolor=LIT_EDGE if lit else EDGE, linewidth=1.8 if lit else 1.0,
                                linestyle=(0, (3, 2)) if dashed else "-", zorder=3,
                                gid="lit box" if lit else "box"))
    say(ax, x, y + sink, text, size=size, color=INK)


def say(ax, x, y, text, size=9, color=GREY, ha="center", **kwargs) -> None:
    """A text around the height y. One line stands on a baseline of its own, so that neighbours line up."""
    lines = text.count("\n")
    ax.text(x, y if lines else y + 0.34 * size * 100 / 72, text, fontsize=size, color=color, ha=ha,
            va="center" if lines else "baseline", zorder=6, linespacing=1.15, **kwargs)


def wire(ax, *points, arrow=False, color=WIRE, width=1.5) -> None:
    """A line through the points (x, y), if wanted with an arrow head at its end."""
    x, y = zip(*points, strict=True)
    ax.plot(x, y, color=color, linewidth=width, solid_capstyle="round", solid_joinstyle="round", zorder=2)
    if arrow:
        ax.annotate("", xy=points[-1], xytext=points[-2], zorder=2, arrowprops={
            "arrowstyle": "-|>,head_width=0.28,head_length=0.5", "color": color, "linewidth": width,
            "shrinkA": 0, "shrinkB": 0})


def joint(ax, x, y, sign) -> None:
    """The circle in which two wires meet, with the operation drawn in it: "+" or "x"."""
    r = 11
    ax.add_patch(Circle((x, y), r, facecolor="white", edgecolor=WIRE, linewidth=1.5, zorder=4))
    a = 5.5 if sign == "+" else 4.2
    for (x0, y0), (x1, y1) in {"+": [((-a, 0), (a, 0)), ((0, -a), (0, a))],
                               "x": [((-a, -a), (a, a)), ((-a, a), (a, -a))]}[sign]:
        ax.plot([x + x0, x + x1], [y + y0, y + y1], color=WIRE, linewidth=1.7, zorder=5)


def socket(ax, x, y, number, lit=False, radius=12.5) -> None:
    """A numbered socket: a pale ring, or filled, with a glow, when lit."""
    if lit:
        for grow, alpha in ((0.72, 0.16), (0.44, 0.3)):
            ax.add_patch(Circle((x, y), radius * (1 + grow), facecolor=ACCENT, alpha=alpha, linewidth=0,
                                zorder=4))
    ax.add_patch(Circle((x, y), radius, facecolor=ACCENT if lit else "white", linewidth=1.6 if lit else 1.3,
                        edgecolor="#7A4F00" if lit else "#9AA0A6", zorder=5,
                        gid=f"socket {number} {'lit' if lit else 'unlit'}"))
    say(ax, x, y, str(number), size=0.78 * radius, color="black" if lit else GREY,
        fontweight="bold" if lit else "normal")


def thumbnail(ax, x, y) -> None:
    """The input, as in the course's first task: three digits, and a frame that says which one counts."""
    ax.add_patch(Rectangle((x - 22, y - 22), 44, 44, facecolor="#1B1B1F", edgecolor="#56B4E9", linewidth=4,
                           zorder=3))
    digits = ((-9, -8, "3", "#F0A07A"), (9, -3, "7", "#56B4E9"), (-3, 11, "5", "#5CCBA5"))
    for dx, dy, digit, colour in digits:
        say(ax, x + dx, y + dy, digit, color=colour, fontweight="bold", size=9)
