r"""Questions for a learning platform: Moodle's XML, and GIFT, which many others read too.

Both carry HTML. Mathematics stands between \( and \) there: that is what Moodle looks for, and a single $ is not.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from .bank import FOLDER, Lesson, Question, read

COURSE = "Where do you plug in attention?"
# Of multichoice; a third of the mark is taken off for each wrong try, where a quiz allows several.
SETTINGS = {"defaultgrade": "1", "penalty": "0.3333333", "hidden": "0", "single": "true", "shuffleanswers": "true",
            "answernumbering": "ABCD"}


@cache
def renderer() -> Any:
    """Markdown -> HTML, nothing but what the questions use. ImportError without mistune."""
    try:
        import mistune
    except ImportError as error:
        raise ImportError('questions for Moodle, or as GIFT, need mistune. Do: pip install -e ".[teach]"') from error
    made = mistune.create_markdown(plugins=["math", "table"])
    made.renderer.register("inline_math", lambda _, text: rf"\({html.escape(text)}\)")
    return made


def as_html(text: str, inline: bool = False) -> str:
    """The HTML of a text; `inline` leaves out the <p> around a single paragraph."""
    made = renderer()(text).strip()
    return made[3:-4] if inline and re.fullmatch(r"<p>(?:(?!<p>).)*</p>", made, re.S) else made


def category(lesson: Lesson) -> str:
    return f"$course$/top/{COURSE}/{lesson.number} {lesson.title.replace('/', '//')}"


def name(question: Question) -> str:
    return f"{question.lesson} {question.id}"


def taught(question: Question) -> str:
    """What is shown after any answer."""
    return as_html(f"Lesson {question.lesson}, *{question.where}*: {question.tests}")


def moodle_xml(numbers: Sequence[str], folder: Path = FOLDER) -> str:
    """The questions of the lessons as Moodle XML: a category for each lesson, multiple choice, feedback for each option.

    Raises:
        ValueError: no such lesson. ImportError: mistune is not there.
    """
    root = ElementTree.Element("quiz")

    def entry(parent: ElementTree.Element, tag: str, text: str, **attributes: str) -> ElementTree.Element:
        made = ElementTree.SubElement(parent, tag, attributes)
        ElementTree.SubElement(made, "text").text = text
        return made

    for lesson in (read(number, folder) for number in numbers):
        entry(ElementTree.SubElement(root, "question", type="category"), "category", category(lesson))
        for question in lesson.questions:
            made = ElementTree.SubElement(root, "question", type="multichoice")
            entry(made, "name", name(question))
            entry(made, "questiontext", as_html(question.asks), format="html")
            entry(made, "generalfeedback", taught(question), format="html")
            for tag, value in SETTINGS.items():
                ElementTree.SubElement(made, tag).text = value
            for option in question.options:
                answer = entry(made, "answer", as_html(option.says, inline=True), format="html",
                               fraction="100" if option.right else "0")
                entry(answer, "feedback", as_html(option.why), format="html")
            entry(ElementTree.SubElement(made, "tags"), "tag", f"difficulty {question.difficulty}")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def escaped(text: str) -> str:
    r"""HTML with GIFT's own signs made harmless: those of the format, a line break, and a % in front, which begins a mark.

    The backslash is one of them: `\nu` in a formula would begin a new line.
    """
    text = re.sub("^%", "&#37;", text)
    return re.sub(r"([\\~=#{}:])", r"\\\1", text).replace("\n", "\\n")


def gift(numbers: Sequence[str], folder: Path = FOLDER) -> str:
    """The questions of the lessons as GIFT, with categories. Raises as `moodle_xml` does."""
    blocks = []
    for lesson in (read(number, folder) for number in numbers):
        blocks.append(f"$CATEGORY: {category(lesson)}")
        for question in lesson.questions:
            options = [f"  {'=' if option.right else '~'}{escaped(as_html(option.says, inline=True))}"
                       f"#{escaped(as_html(option.why))}" for option in question.options]
            head = f"::{escaped(name(question))}::[html]{escaped(as_html(question.asks))} {{"
            blocks.append("\n".join([head, *options, f"  ####{escaped(taught(question))}", "}"]))
    return "\n\n".join(blocks) + "\n"
