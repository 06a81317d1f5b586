"""The questions of one lesson: read from data/quiz/NN.toml, and refused in plain words where one is not well formed.

    lesson = "02"                                 the number, as in the name of the file
    title = "Channel attention"                   of the lesson
    [[question]]
    id = "mean-or-peak"                           stays when the question is reworded
    tests = "..."                                 the idea that it is about
    where = "By hand"                             the heading of the lesson under which that is taught
    difficulty = 1                                1 to 3
    asks = "..."                                  Markdown, with `code` and $mathematics$
    [[question.option]]                           three or four, one of them right
    says = "..."
    why = "..."                                   right: why. Wrong: what who chooses it believes, and what is true
    right = true                                  only at the right one

An empty line divides paragraphs; other line breaks mean nothing, except in a block of code.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import names
from ..paths import DATA, get_back

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = DATA / "quiz"
LETTERS = "ABCD"
OF_FILE = {"lesson": str, "title": str, "question": list}
OF_QUESTION = {"id": str, "tests": str, "where": str, "difficulty": int, "asks": str, "option": list}
OF_OPTION = {"says": str, "why": str}
KINDS = {str: "words", int: "a whole number", bool: "true or false", list: "[[question]] and, in it, [[question.option]]"}
FENCE = re.compile(r"(?ms)(^```.*?^```$)")


@dataclass(frozen=True)
class Option:
    """An answer to choose, and what to tell who has chosen it."""

    says: str
    why: str
    right: bool = False


@dataclass(frozen=True)
class Question:
    """One question of a lesson. The options stand in the order in which they are shown, which is not that of the file."""

    lesson: str
    id: str
    tests: str
    where: str
    difficulty: int
    asks: str
    options: tuple[Option, ...]

    @property
    def answer(self) -> str:
        """The letter of the right option: "A" to "D"."""
        return next(letter for letter, option in zip(LETTERS, self.options, strict=False) if option.right)


@dataclass(frozen=True)
class Lesson:
    """The questions of one lesson, in the order of the lesson."""

    number: str
    title: str
    questions: tuple[Question, ...]


def lessons(folder: Path = FOLDER) -> list[str]:
    """The numbers of the lessons that have questions: "00", "01", ...

    Raises:
        FileNotFoundError: there are none; the message says how to get them back.
    """
    found = sorted(path.stem for path in folder.glob("[0-9][0-9].toml"))
    if not found:
        raise FileNotFoundError(f"no questions in {folder}. {get_back(folder)}")
    return found


def read(lesson: str, folder: Path = FOLDER) -> Lesson:
    """The questions of a lesson, by its number.

    Raises:
        ValueError: no such lesson, or a file that is not well formed; the message names file and question.
        FileNotFoundError: there are no questions at all.
    """
    if lesson not in (known := lessons(folder)):
        raise names.unknown("lesson", lesson, known)
    file = folder / f"{lesson}.toml"
    try:
        found = parse(file.read_text(encoding="utf-8"), f"quiz/{file.name}")
    except UnicodeDecodeError as error:
        raise ValueError(f"quiz/{file.name} is not UTF-8: {error}. Save it as UTF-8.") from error
    if found.number != lesson:
        raise ValueError(f"quiz/{file.name}: lesson is {found.number!r}. Wanted: {lesson!r}, as in the name of the file.")
    return found


def parse(text: str, file: str) -> Lesson:
    """The questions in the text of a file; `file` is what an error calls it.

    Raises:
        ValueError: the text is no TOML, an entry is missing, unknown, empty or of the wrong kind, an id is there twice, the
            options are not three or four that differ, or not exactly one of them is right.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file} is not TOML: {error}. A text with a backslash stands between three single quotes.") from error
    check(table, OF_FILE, file)
    questions: list[Question] = []
    for i, entry in enumerate(table["question"], start=1):
        called = entry.get("id", i) if isinstance(entry, dict) else i
        where = f"{file}, question {called!r}"
        check(entry, OF_QUESTION, where)
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", entry["id"]):
            raise ValueError(f"{where}: the id has other signs. Wanted: small letters and digits, with hyphens between words.")
        if entry["id"] in [q.id for q in questions]:
            raise ValueError(f"{where}: the id is there twice. Choose another for one of them.")
        if not 1 <= entry["difficulty"] <= 3:
            raise ValueError(f"{where}: difficulty is {entry['difficulty']}. Wanted: 1, 2 or 3.")
        questions.append(Question(table["lesson"], entry["id"], flowing(entry["tests"]), entry["where"], entry["difficulty"],
                                  flowing(entry["asks"]), options(entry["option"], where)))
    return Lesson(table["lesson"], table["title"], tuple(questions))


def options(entries: list[Any], where: str) -> tuple[Option, ...]:
    """The options of a question, in an order that depends on their words alone. Raises ValueError as `parse` does."""
    found = []
    for i, entry in enumerate(entries, start=1):
        check(entry, OF_OPTION, f"{where}, option {i}", {"right": bool})
        found.append(Option(flowing(entry["says"]), flowing(entry["why"]), entry.get("right", False)))
    if not 3 <= len(found) <= 4:
        raise ValueError(f"{where}: {len(found)} options. Wanted: three or four.")
    if len({option.says for option in found}) < len(found):
        raise ValueError(f"{where}: two options say the same. Change one of them.")
    right = sum(option.right for option in found)
    if right != 1:
        raise ValueError(f"{where}: {right or 'no'} options are right. Wanted: right = true at exactly one.")
    return tuple(sorted(found, key=lambda option: hashlib.sha256(f"{where} {option.says}".encode()).digest()))


def check(table: Any, wanted: Mapping[str, type], where: str, optional: Mapping[str, type] | None = None) -> None:
    """Raises ValueError unless the table has the entries that are wanted, and no others, each of its kind and not empty."""
    if not isinstance(table, dict):
        raise ValueError(f"{where} is {table!r}. Wanted: a table with {', '.join(wanted)}.")
    every = {**wanted, **(optional or {})}
    for key in table:
        if key not in every:
            raise ValueError(f"{where}: {names.unknown('entry', key, every)}")
    for key, kind in every.items():
        if key not in table and key in wanted:
            raise ValueError(f"{where}: {key} is missing. Wanted: {', '.join(wanted)}.")
        value = table.get(key)
        if key in table and (type(value) is not kind or value == [] or kind is str and not value.strip()):
            raise ValueError(f"{where}: {key} is {value!r}. Wanted: {KINDS[kind]}.")


def flowing(text: str) -> str:
    """A text without the line breaks of its file; a block of code keeps its own."""
    pieces = FENCE.split(text.strip())
    return "\n\n".join(piece if i % 2 else re.sub(r"[ \t]*(?<!\n)\n(?!\n)[ \t]*", " ", piece.strip())
                       for i, piece in enumerate(pieces) if piece.strip())
