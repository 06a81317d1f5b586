"""Which lesson helps with which, and where what is taught: as the lessons say it, in the README, as a picture, as an index."""

import io
import json
import re

import make_index
import make_map
import numpy as np
import pytest
from make_glossary import terms
from PIL import Image

README = make_map.README.read_text("utf-8")
LESSONS = make_map.lessons()
HELPS = {number: make_map.helps(make_map.opening(path)) for number, path in LESSONS.items()}


# ---- the map

def test_the_readme_has_the_map_that_the_lessons_make():
    drawn = make_map.picture(README)
    assert make_map.with_map(README, drawn.alt) == README, "run: python tools/make_map.py"
    assert make_map.PICTURE.exists()


def test_the_stored_picture_is_the_one_that_is_drawn():
    """But for the edges of letters, which differ from one version of matplotlib to the next."""
    from course_utils import plots

    stored, drawn = (np.asarray(Image.open(io.BytesIO(data)).convert("L"), dtype=float)
                     for data in (make_map.PICTURE.read_bytes(), plots.to_png(make_map.picture(README))))
    assert stored.shape == drawn.shape and abs(stored - drawn).mean() < 2, "run: python tools/make_map.py"


@pytest.mark.parametrize("number", HELPS)
def test_no_lesson_needs_a_later_one(number):
    numbers, _ = HELPS[number]
    assert numbers == sorted(set(numbers)) and all(other < number for other in numbers)


def test_only_the_first_lesson_needs_none():
    """Catches a first cell that says it in other words, which the map would take for "nothing helps"."""
    silent = [number for number, (numbers, _) in HELPS.items() if not numbers]
    links = {number: re.findall(r"\]\((\d\d)_\w+\.ipynb\)", make_map.opening(path)) for number, path in LESSONS.items()}
    assert [number for number in silent if links[number]] == []
    assert "00" not in LESSONS or len(LESSONS) < 17 or silent == ["00"]


@pytest.mark.parametrize("said, wanted", [
    ("About 5 minutes. [Lesson 02](02_channel.ipynb) helps.", (["02"], False)),
    ("About 5 minutes. [Lesson 02](02_channel.ipynb) helps and is not required.", (["02"], False)),
    ("About 5 minutes. Lessons [02](02_a.ipynb) and [08](08_b.ipynb) help.", (["02", "08"], False)),
    ("About 5 minutes. Lessons [02](02_a.ipynb), [03](03_a.ipynb) and [08](08_b.ipynb) help.", (["02", "03", "08"], False)),
    ("About 5 minutes. Any of lessons [09](09_a.ipynb) to [11](11_b.ipynb) helps.", (["09", "10", "11"], True)),
    ("About 5 minutes. Any of lessons 09 to [11](11_b.ipynb) helps.", (["11"], True)),
    ("About 5 minutes. You need Python.\n\nLater [lesson 02](02_channel.ipynb) helps.", ([], False)),
])
def test_what_a_first_cell_says_is_understood(said, wanted):
    assert make_map.helps(said) == wanted


def test_a_lesson_without_a_row_is_named():
    with pytest.raises(ValueError, match=rf"no row for {next(iter(LESSONS.values())).name}.*add \| NN"):
        make_map.rows("")


def test_a_cell_says_all_or_any():
    assert make_map.first(["09", "10", "11"], True) == "09, 10 or 11" and make_map.first(["09", "10"], False) == "09, 10"


# ---- the index

@pytest.fixture(scope="module")
def page():
    return make_index.page()


@pytest.fixture(scope="module")
def rows(page):
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in page.splitlines() if line.startswith("| ")]


def test_the_index_is_what_the_tool_writes(page):
    assert make_index.PAGE.read_text("utf-8") == page, "run: python tools/make_index.py"


def test_every_mechanism_socket_and_word_has_a_row(rows):
    from course_utils import attention
    from course_utils.plots.hosts import SOCKETS

    first = [row[0] for row in rows]
    wanted = [f"`{name}`" for name in (*attention.REGISTRY, *SOCKETS)] + [f"[{t.name}](glossary.md#{t.anchor})" for t in terms()]
    assert sorted(first) == sorted([*wanted, "mechanism", "socket", "word", "---", "---", "---"])


def test_a_heading_of_the_index_is_one_of_its_lesson(rows):
    for row in rows:
        if found := re.match(r"\[(\d\d)\]\([^)]*\), (.+)", row[1]):
            headings = [part.heading for part in make_index.sections(LESSONS[found[1]])]
            assert found[2] in headings, row


def test_of_every_word_it_says_where(rows):
    astray = {row[1] for row in rows if "glossary.md#" in row[0] and not re.match(r"\[\d\d\]\([^)]*\), .", row[1])}
    assert astray <= ({"no lesson: see the glossary"} if len(LESSONS) < 17 else set())


def test_a_lesson_is_not_its_own_other_lesson(rows):
    for row in rows:
        taught = re.findall(r"\[(\d\d)\]", row[-2])
        assert not set(taught) & set(re.findall(r"\[(\d\d)\]", row[-1])), row


def notebook(tmp_path, *cells):
    path = tmp_path / "02_some.ipynb"
    made = [{"cell_type": "code" if text.startswith(">>>") else "markdown", "source": text.removeprefix(">>>")}
            for text in cells]
    path.write_text(json.dumps({"cells": made}), "utf-8")
    return make_index.sections(path)


def test_sections_keep_words_and_code_apart_and_leave_out_the_references(tmp_path):
    parts = notebook(tmp_path, "# Title", ">>>plots.emblem(lit=['pre'])", "Words.\n\n## One\n\nSE.\n\n## Two\n\nECA.", ">>>x = 1",
                     "## Exercises\n\nGC.", "## References\n\nHu.")
    assert [part.heading for part in parts] == ["opening", "One", "Two", "Exercises"]
    assert "Words" in parts[0].words and parts[2].code == "x = 1\n" and make_index.lit(parts[0].code) == {"pre"}


def test_a_mechanism_is_taught_under_the_heading_that_names_it_or_else_where_it_is_bold(tmp_path):
    parts = notebook(tmp_path, "# T", "## First\n\nSE, SE, SE.\n\n## Second\n\n**SE** here.\n\n## SE\n\nNothing.",
                     "## Exercises\n\nSE.")
    assert make_index.place(parts, make_index.mentions("SE")) == "SE"
    assert make_index.place(parts[:-2], make_index.mentions("SE")) == "Second"
    assert make_index.place(parts[-1:], make_index.mentions("SE")) == "Exercises"
    assert make_index.place(parts, make_index.mentions("ECA")) == ""


@pytest.mark.parametrize("text, number", [
    ("SE and SE", 2), ("sSE, SENet", 0), ("SE-PRE", 0), ("Linear attention; linear attention", 2), ("GCT", 0),
])
def test_names_are_whole_words(text, number):
    assert make_index.mentions("SE|linear attention|GC")(text) == number
