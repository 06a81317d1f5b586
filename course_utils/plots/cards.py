"""A socket on one page: the emblem with it lit, what is there in a network, and the code. Reached through `plots`."""
from __future__ import annotations

from matplotlib.patches import FancyBboxPatch

from .hosts import draw_network, lit_sockets
from .look import GREY, INK, PALE, opening, styled
from .shapes import canvas, say

ROW = 21      # pixels from line to line


@styled
def card(socket: str, facts: dict, code: str, title: str | None = None):
    """The network with one socket lit; below it, facts as a table on the left and lines of code on the right.

    Args:
        socket: a name from SOCKETS.
        facts: label -> text, a line each; texts are cut by nobody, so keep them below about 45 characters.
        code: lines of at most about 52 characters.

    Raises:
        ValueError: unknown socket, no facts or no code.
    """
    lit = lit_sockets(socket)
    if not facts or not code.strip():
        raise ValueError(f"a card needs facts and code, got {facts!r} and {code!r}")
    lines = code.strip("\n").split("\n")
    height = ROW * max(len(facts), len(lines)) + 34
    fig, ax = canvas(820, 322 + height, title)
    draw_network(ax, lit)
    top = 330
    for i, (name, text) in enumerate(facts.items()):
        say(ax, 26, top + 24 + ROW * i, name, color=GREY, ha="left")
        say(ax, 140, top + 24 + ROW * i, str(text), color=INK, ha="left")
    ax.add_patch(FancyBboxPatch((424, top + 4), 380, height - 18, linewidth=1, edgecolor=PALE, facecolor="#F8F9FA",
                                boxstyle="round,pad=0,rounding_size=6", zorder=1))
    for i, line in enumerate(lines):
        say(ax, 436, top + 24 + ROW * i, line, size=8.5, color=INK, ha="left", family="DejaVu Sans Mono")
    said = ", ".join(f"{name} {text}" for name, text in facts.items())
    fig.alt = (f"{opening(title)}The network of the course with {' and '.join(sorted(lit - {'both'})) or socket} lit. "
               f"There: {said}. Code: {' '.join(line.strip() for line in lines)}.")
    return fig
