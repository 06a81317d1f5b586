"""Questions as Markdown, the answers folded: for the page of a lesson, and from earlier lessons for the end of one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence, Set
from pathlib import Path

from IPython.display import display

from .bank import FOLDER, LETTERS, Question, lessons, read

FOLD = re.compile(r"<details>.*?</details>\s*", re.S)
BACK = (1, 3, 6)      # lessons back, from the newest: what was recalled once comes again later, and later still


def folded(lesson: str, folder: Path = FOLDER) -> str:
    """All questions of a lesson as Markdown, without a heading. Each option has a fold: what to know who has chosen it.

    Raises:
        ValueError: no such lesson; FileNotFoundError: no questions at all.
    """
    return listed(read(lesson, folder).questions)


def recall(lesson: str, n: int = 3, folder: Path = FOLDER) -> str:
    """Questions of earlier lessons, as `folded`: of the lesson before, of three before, of six before.

    The same each time. No lesson brings back what another has brought back before it, as long as there are questions left.
    Where there are not so many earlier lessons, the nearest give more than one. Nothing, "", for the first lesson.

    Args:
        lesson: its number; it need not have questions of its own.
        n: how many, at least 1; fewer where all earlier lessons together have fewer.

    Raises:
        ValueError: lesson is no number of two digits, or n is below 1.
    """
    if not (isinstance(lesson, str) and re.fullmatch("[0-9]{2}", lesson)):
        raise ValueError(f'lesson is {lesson!r}. Wanted: its number in two digits, such as "09".')
    if n < 1:
        raise ValueError(f"n is {n}. Wanted: how many questions, 1 or more.")
    earlier, asked, chosen = [], set(), []      # the nearest lesson first; what lessons before this one have brought back
    for number in [*(number for number in lessons(folder) if number < lesson), lesson]:      # each in its turn, up to this one
        asked |= set(chosen)
        chosen = choose(earlier, n, asked)
        if number < lesson:
            earlier.insert(0, read(number, folder).questions)
    return listed(chosen, named=True)


def shown(lesson: str, n: int = 3, folder: Path = FOLDER) -> dict[str, str]:
    """`recall` as Jupyter displays it: MIME type -> text. The plain one has no answers.

    Raises:
        ValueError: as `recall`.
    """
    questions = recall(lesson, n, folder) or "There is no earlier lesson to ask about."
    return {"text/markdown": questions, "text/plain": FOLD.sub("", questions).strip()}


def ask(lesson: str, n: int = 3, folder: Path = FOLDER) -> None:
    """Show below the cell what `shown` gives."""
    display(shown(lesson, n, folder), raw=True)


def choose(earlier: Sequence[Sequence[Question]], n: int, asked: Set[Question]) -> list[Question]:
    """n questions of earlier lessons, the nearest first; one that was asked already only where a lesson has no other left."""
    turns = [back for back in BACK if back <= len(earlier)]
    turns += [back for back in range(1, len(earlier) + 1) if back not in turns]
    chosen: list[Question] = []
    for back in turns * max(map(len, earlier), default=0):      # a second one of a lesson only when each has given one
        left = [question for question in earlier[back - 1] if question not in chosen]
        if left and len(chosen) < n:
            chosen.append(min(left, key=lambda q: (q in asked, hashlib.sha256(q.id.encode()).digest())))
    return chosen


def markdown(numbers: Sequence[str], folder: Path = FOLDER) -> str:
    """The questions of several lessons, a heading each."""
    return "\n".join(f"## {number} · {read(number, folder).title}\n\n{folded(number, folder)}" for number in numbers)


def listed(questions: Iterable[Question], named: bool = False) -> str:
    """Numbered questions; `named` says of each which lesson it is from."""
    # HTML, since Sphinx refuses "---" in an output.
    return "\n<hr>\n\n".join(block(i, q, f" · from lesson {q.lesson}" if named else "") for i, q in enumerate(questions, start=1))


def block(number: int, question: Question, source: str) -> str:
    """One question. The options are Markdown of their own: mathematics in the summary of a fold would stay as it is typed."""
    options = list(zip(LETTERS, question.options, strict=False))
    place = f"Lesson {question.lesson}, *{question.where}*: {question.tests}"
    return "\n\n".join([
        f"**Question {number}** · difficulty {question.difficulty} of 3{source}", question.asks,
        "\n".join(f"- **{letter}** {option.says}" for letter, option in options),
        *(f"<details><summary>You chose {letter}</summary>\n\n{'**Right.** ' if option.right else '**No.** '}{option.why}\n\n"
          + (f"{place}\n\n" if option.right else "") + "</details>" for letter, option in options)]) + "\n"
