"""Parts of lessons laid out over sessions, with breaks: rows that follow one another and never run over the end."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from .. import tables
from .lessons import Lesson, Part


@dataclass(frozen=True)
class Row:
    """So many minutes from `start` on; a break where there is no lesson."""
    start: int
    minutes: int
    lesson: Lesson | None = None
    parts: tuple[Part, ...] = ()

    @property
    def words(self) -> str:
        if self.lesson is None:
            return "break"
        title = f"{self.lesson.number} {self.lesson.title}"
        return f"{title}{'' if title.endswith('?') else ':'} {said(self.lesson, self.parts)}"

    @property
    def clock(self) -> str:
        return f"{self.start // 60}:{self.start % 60:02d}"


@dataclass(frozen=True)
class Session:
    """Raises ValueError if its rows do not follow one another, are not as long as their parts, or run over its end."""
    minutes: int
    rows: tuple[Row, ...]

    def __post_init__(self):
        at = 0
        for row in self.rows:
            inside = sum(part.minutes for part in row.parts) if row.lesson else row.minutes
            if row.start != at or inside != row.minutes:
                raise ValueError(f"a row begins at {row.start} and takes {row.minutes} minutes; wanted {at} and {inside}.")
            at += row.minutes
        if at > self.minutes:
            raise ValueError(f"a session of {self.minutes} minutes has rows of {at}.")

    @property
    def sum(self) -> str:
        work, breaks = (sum(r.minutes for r in self.rows if (r.lesson is None) == rest) for rest in (False, True))
        return f"{self.minutes} minutes: {work} of work, {breaks} of breaks, {self.minutes - work - breaks} to spare."

    def lines(self) -> list[str]:
        """For a terminal."""
        found = []
        for row in self.rows:
            words = textwrap.wrap(row.words, 92)
            found += [f"  {row.clock:>5}  {row.minutes:>3} min  {words[0]}", *(" " * 18 + line for line in words[1:])]
        return found

    def as_markdown(self) -> str:
        return tables.as_markdown(["from", "minutes", "what"], [[r.clock, str(r.minutes), r.words] for r in self.rows])


def said(lesson: Lesson, parts: tuple[Part, ...]) -> str:
    """Some parts of a lesson in words: neighbours from the first to the last."""
    whole = lesson.of("section")
    at = [i for i, part in enumerate(whole) if part in parts]
    runs: list[list[int]] = []
    for i in at:
        runs[-1:] = [[*runs[-1], i]] if runs and runs[-1][-1] == i - 1 else [*runs[-1:], [i]]
    words = []
    for run in runs:
        first, last = whole[run[0]].name, whole[run[-1]].name
        words += [f'"{first}" to "{last}"'] if len(run) > 2 else [f'"{whole[i].name}"' for i in run]
    if len(at) == len(whole) > 1:
        words = ["all sections"]
    *most, last = [part.name.partition(" ")[2] for part in parts if part.kind != "section"] or [""]
    words += [f"exercises {', '.join(most)} and {last}" if most else f"exercise {last}"] * bool(last)
    return ", ".join(words)


def sessions(lessons: list[tuple[Lesson, list[Part]]], wanted) -> tuple[Session, ...] | None:
    """The parts laid out in this order; None if they do not fit. A session that nothing is left for is not among them.

    Args:
        lessons: each with its parts.
        wanted: says `sessions` (minutes each), `work` and `pause` (a break of `pause` before `work` would be passed), `whole`.
    """
    found: list[tuple[int, Row]] = []
    at = (0, 0, 0)      # session, minutes gone in it, minutes since its last break
    for lesson, parts in lessons:
        rows, after = place(lesson, parts, wanted, at)
        if wanted.whole and at[1] and (after is None or after[0] > at[0]):
            rows, after = place(lesson, parts, wanted, at := (at[0] + 1, 0, 0))
        if after is None or wanted.whole and after[0] > at[0]:
            return None
        found, at = found + rows, after
    return tuple(Session(minutes, rows) for number, minutes in enumerate(wanted.sessions)
                 if (rows := tuple(row for k, row in found if k == number)))


def place(lesson: Lesson, parts: list[Part], wanted, at: tuple[int, int, int]):
    """One lesson from here on: its rows with their sessions, and where it ends; None where there is no room."""
    found: list[tuple[int, Row]] = []
    number, gone, since = at
    early = since >= wanted.work / 2 and since + sum(part.minutes for part in parts) > wanted.work      # rather between lessons
    for i, part in enumerate(parts):
        pause = wanted.pause if since and (since + part.minutes > wanted.work or i == 0 and early) else 0
        while number < len(wanted.sessions) and gone + pause + part.minutes > wanted.sessions[number]:
            number, gone, since, pause = number + 1, 0, 0, 0
        if number >= len(wanted.sessions):
            return found, None
        if pause:
            found.append((number, Row(gone, pause)))
            gone, since = gone + pause, 0
        if found and found[-1][0] == number and found[-1][1].lesson is lesson:
            last = found.pop()[1]
            found.append((number, Row(last.start, last.minutes + part.minutes, lesson, (*last.parts, part))))
        else:
            found.append((number, Row(gone, part.minutes, lesson, (part,))))
        gone, since = gone + part.minutes, since + part.minutes
    return found, (number, gone, since)
