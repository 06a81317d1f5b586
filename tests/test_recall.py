"""Three questions of earlier lessons stand at each lesson's end, and what is stored below the call is what the bank has."""

import importlib.util
import json
from pathlib import Path

import nbformat
import pytest

from course_utils import quiz

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))[1:]      # there is nothing before the first
spec = importlib.util.spec_from_file_location("make_recall", ROOT / "tools" / "make_recall.py")
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_ends_with_questions_from_earlier_ones(path):
    """Catches a lesson without them, one that asks for another's, and questions that were changed since."""
    nb = nbformat.read(path, 4)
    last = nb.cells[-1]
    assert last.cell_type == "code" and (call := tool.CALL.search(last.source)), "the last cell calls quiz.ask"
    assert call[1] == path.name[:2]
    assert not tool.renewed(nb), "python tools/make_recall.py"


def test_the_tool_renews_what_is_out_of_date_and_nothing_else():
    nb = nbformat.read(LESSONS[0], 4)
    before = json.loads(json.dumps(nb))
    nb.cells[-1].outputs[0].data["text/markdown"] = "old"
    assert tool.renewed(nb) and json.loads(json.dumps(nb)) == before and not tool.renewed(nb)


def test_ask_shows_markdown_and_without_it_the_questions_alone(monkeypatch):
    number, first, seen = LESSONS[-1].name[:2], quiz.lessons()[0], []
    monkeypatch.setattr("course_utils.quiz.pages.display", lambda data, raw: seen.append((data, raw)))
    quiz.ask(number)
    (shown, raw), = seen
    assert raw and shown["text/markdown"] == quiz.recall(number)
    plain = shown["text/plain"]
    assert plain.count("**Question ") == 3 and "<details>" not in plain and "**Right.**" not in plain
    assert set(quiz.shown(first).values()) == {"There is no earlier lesson to ask about."}
