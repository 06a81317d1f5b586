"""docs/references.md: every paper that lessons and docstrings cite is there, with the same first author and year."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "references.md"
LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
NUMBER = re.compile(r"(?<![\d.])(\d{4}\.\d{5})(?!\d)")
# "A, B: *Title*, VENUE YEAR, arXiv [number]" in a lesson, "A & B, VENUE YEAR, arXiv number" in a docstring.
LISTED = re.compile(r"([^\W\d_][^.:*()]*?(?: et al\.)?): \*")
WRITTEN = re.compile(r"([^\W\d_][^.:*()]*?(?: et al\.)?),? (?:(?:[A-Z]{2}[\w-]*|NeurIPS) )?(?=(?:19|20)\d\d)")
YEAR = re.compile(r"(?<![\d./])(?:19|20)\d\d(?![\d.])")


def rows(text=None):
    """arXiv number -> its lines, as (authors, venue and year)."""
    found = {}
    for line in (text or PAGE.read_text("utf-8")).splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
        if len(cells) == 5 and (number := NUMBER.search(cells[0])):
            found.setdefault(number[1], []).append((cells[2].split(", "), cells[3]))
    return found


def markdown(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def sources():
    """What cites papers: name -> text."""
    files = [*sorted((ROOT / "course_utils").rglob("*.py")), ROOT / "README.md", ROOT / "data" / "README.md"]
    return {**{path.name: markdown(path) for path in LESSONS},
            **{str(path.relative_to(ROOT)): path.read_text("utf-8") for path in files}}


def entries(text):
    """(authors that are named, are there more, text up to the number, number) of what reads like a reference."""
    for m in re.finditer(r"([^\n;]*?)arXiv \[?(\d{4}\.\d{5})", text):
        if found := [*LISTED.finditer(m[1])] or [*WRITTEN.finditer(m[1].replace("(", ": "))]:
            who = found[-1][1]
            names = re.findall(r"[A-ZÀ-Þ][\w'-]+", re.sub(r" et al\.| and |&", ",", who))
            yield names, " et al." in who, m[1][found[-1].end(1):], m[2]


def objections(text, page):
    """What the references in a text say that the page does not."""
    known = {name for lines in page.values() for authors, _ in lines for name in authors}
    for names, more, rest, number in entries(text):
        if not more and not known.intersection(names):
            continue      # a sentence that names the paper, or its second version
        fits = [venue for authors, venue in page.get(number, [])
                if [a.split()[-1] for a in (authors[:len(names)] if more else authors)] == names]
        if not fits:
            yield f"{number}: {', '.join(names)}; the page has {' or '.join(', '.join(a) for a, _ in page.get(number, []))}"
        elif (years := YEAR.findall(rest)) and not any(year in venue for year in years for venue in fits):
            yield f"{number}: {'/'.join(years)}; the page has {' or '.join(fits)}"


def test_every_number_is_on_the_page():
    known = rows()
    missing = {number: name for name, text in sources().items() for number in NUMBER.findall(text) if number not in known}
    assert not missing


@pytest.mark.skipif(len(LESSONS) < 17, reason="a lesson was taken out of this copy, and what it alone cites stays on the page")
def test_the_page_has_nothing_that_nobody_cites():
    cited = {number for text in sources().values() for number in NUMBER.findall(text)}
    assert set(rows()) - cited <= {"2001.08248"}      # to be cited where padding leaks position


@pytest.mark.parametrize("name", [name for name, text in sources().items() if NUMBER.search(text)])
def test_authors_and_years_are_those_of_the_version_that_is_cited(name):
    assert not list(objections(sources()[name], rows()))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_every_reference_of_a_lesson_can_be_read(path):
    text = markdown(path)
    assert {number for *_, number in entries(text)} == set(NUMBER.findall(text))


def test_every_line_of_the_page_says_where_it_was_looked_up():
    for line in PAGE.read_text("utf-8").splitlines():
        if line.startswith("| ") and not line.startswith(("| ---", "| arXiv", "| title")):
            assert len(line.strip("| ").split(" | ")) in (4, 5) and len(line.strip("| ").split(" | ")[-1]) > 5, line
            assert YEAR.search(line), line


@pytest.mark.parametrize("wrong", [
    "Hu, Shen, Albanie, Sun, Wu: *Squeeze-and-Excitation Networks*, CVPR 2018, arXiv [1709.01507](https://arxiv.org/abs/1709.01507).",
    "Hu et al.: *Squeeze-and-Excitation Networks*, CVPR 2017, arXiv [1709.01507](https://arxiv.org/abs/1709.01507).",
    "Woo et al., BMVC 2018, arXiv 1807.06514.   Taught in lesson 04.",
    "Roy, Navab & Wachinger, MICCAI 2017, arXiv 1803.02579; TMI 2019, arXiv 1808.08127.",
    "Wang, Girshick, He: *Non-local Neural Networks*, CVPR 2018, arXiv [1711.07971](https://arxiv.org/abs/1711.07971)",
    "Nobody et al., CVPR 2018, arXiv 1807.06521.",
])
def test_a_wrong_reference_is_seen(wrong):
    page = rows()
    assert list(objections(wrong, page))
