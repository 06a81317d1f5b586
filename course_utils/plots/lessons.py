"""Which lesson helps with which: the lessons as boxes in columns, from left to right, with an arrow for each help."""
from __future__ import annotations

from collections.abc import Mapping, Sequence

from .look import GREY, opening, pick, styled, wrap
from .shapes import CONV, WIRE, box, canvas, say, wire

COLUMN, ROW, WIDE, HIGH = 104, 54, 78, 46      # pixels of the page


def _checked(helps: Mapping[str, Sequence[str]], any_of: Sequence[str]) -> None:
    for name, others in helps.items():
        for other in others:
            pick(other, helps, "lesson")
            if list(helps).index(other) >= list(helps).index(name):
                raise ValueError(f"helps: {other!r} helps with {name!r} and stands behind it; a lesson is helped by earlier ones")
    for name in any_of:
        pick(name, helps, "lesson")


def direct(helps: Mapping[str, Sequence[str]], any_of: Sequence[str] = ()) -> dict[str, list[str]]:
    """The helps that no longer way through other lessons says already; where any one of them does, all stay."""
    before: dict[str, set[str]] = {}
    for name, others in helps.items():
        before[name] = set(others).union(*(before[other] for other in others))
    return {name: [o for o in others if name in any_of or not any(o in before[other] for other in others)]
            for name, others in helps.items()}


def _columns(helps: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Each lesson one column to the right of the last one that helps with it."""
    column: dict[str, int] = {}
    for name, others in helps.items():
        column[name] = 1 + max((column[other] for other in others), default=-1)
    return column


def _places(links: Mapping[str, Sequence[str]], column: Mapping[str, int]) -> tuple[dict, list[list]]:
    """Point -> row, and the points of each arrow: where an arrow passes a column, it has a row of its own.

    A point is (name,) of a lesson, or (from, to, column) of an arrow on its way. In each column the points are ordered by
    the mean row of what they are joined with, in a few sweeps to and fro.
    """
    points: list[list] = [[] for _ in range(1 + max(column.values()))]
    chains = []
    for name, others in links.items():
        points[column[name]].append((name,))
        for other in others:
            between = range(column[other] + 1, column[name])
            chains.append([(other,), *((other, name, c) for c in between), (name,)])
            for c in between:
                points[c].append((other, name, c))
    rows = {p: i for column_points in points for i, p in enumerate(column_points)}
    joined: dict = {p: [] for p in rows}
    for chain in chains:
        for a, b in zip(chain, chain[1:], strict=False):
            joined[a].append(b)
            joined[b].append(a)
    tall = max(map(len, points))
    for sweep in range(12):
        for column_points in points if sweep % 2 == 0 else points[::-1]:
            column_points.sort(key=lambda p: sum(rows[q] for q in joined[p]) / max(1, len(joined[p])))
            for i, p in enumerate(column_points):
                rows[p] = i + (tall - len(column_points)) / 2
    return rows, chains


@styled
def lesson_map(titles: Mapping[str, str], helps: Mapping[str, Sequence[str]], any_of: Sequence[str] = (), lit=(),
               title: str | None = None):
    """Which lesson helps with which, as a drawing from left to right.

    Args:
        titles: lesson ("05") -> its name, in the order of the course.
        helps: lesson -> the earlier lessons that help with it. Arrows that a longer way says already are left out.
        any_of: lessons with which any one of those helps, and not all: their arrows are dashed.
        lit: names of lessons to light.

    Raises:
        ValueError: a lesson that is not among the titles, or is helped by one that stands behind it.
    """
    if set(titles) != set(helps):
        raise ValueError(f"helps: wanted the lessons {', '.join(titles)}, got {', '.join(helps)}")
    helps = {name: list(helps[name]) for name in titles}
    _checked(helps, any_of)
    links, column = direct(helps, any_of), _columns(helps)
    rows, chains = _places(links, column)
    fig, ax = canvas(COLUMN * max(column.values()) + WIDE + 16, round(ROW * (1 + max(rows.values()))) + 14, title)

    def spot(point):
        return COLUMN * (column[point[0]] if len(point) == 1 else point[2]) + WIDE / 2 + 8, ROW * rows[point] + ROW / 2 + 7

    for chain in chains:
        path = []
        for point in chain:
            x, y = spot(point)
            path += [(x - WIDE / 2, y), (x + WIDE / 2, y)] if path else [(x + WIDE / 2, y)]
        path = [*path[:-2], (path[-2][0] - 2, path[-2][1])]      # to the edge of the last box
        colour, line = (GREY, (0, (4, 2.5))) if chain[-1][0] in any_of else (WIRE, "-")
        ax.plot(*zip(*path, strict=True), color=colour, linewidth=1.4, linestyle=line, solid_joinstyle="round", zorder=2,
                gid=f"{chain[0][0]} helps with {chain[-1][0]}")
        wire(ax, path[-2], path[-1], arrow=True, color=colour, width=0)
    for name, words in titles.items():
        x, y = spot((name,))
        box(ax, x, y, WIDE, HIGH, f"{name}\n" + wrap(words, WIDE / 100 - 0.06, 8), CONV, lit=name in lit, size=8)
    if any_of:
        say(ax, 14, ax.get_ylim()[0] - 10, "dashed: any one of them helps", size=8, ha="left")
    said = "; ".join(f"{name} {titles[name]}: {'any of ' if name in any_of else ''}{', '.join(others) or 'nothing'}"
                     for name, others in helps.items())
    fig.alt = f"{opening(title)}The {len(titles)} lessons, and which earlier ones help with each. {said}."
    return fig
