"""Figures for slides: every one of a lesson, called by its heading, with its words beside it; as SVG where the lesson is run."""

import base64
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course_utils import teach
from course_utils.teach import figures

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
DOT = base64.b64encode(b"\x89PNG not really").decode()


def shown(*alts):
    cell = new_code_cell("plots.show(fig)", execution_count=1)
    cell.outputs = [new_output("display_data", {"image/png": DOT, "text/plain": alt}, metadata={"image/png": {"alt": alt}})
                    for alt in alts]
    return cell


@pytest.fixture
def source(tmp_path):
    """A lesson with four figures under two headings, and a heading twice."""
    cells = [new_markdown_cell("# 05 · Some lesson\n\nAbout 30 minutes."), shown("An emblem."),
             new_markdown_cell("## What it costs\n\nWords."), shown("Time.", "Memory."), new_markdown_cell("## What it costs?"),
             shown("Again.")]
    path = tmp_path / "05_some.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return path


def test_a_figure_is_called_by_its_heading_and_its_words_stand_beside_it(source, tmp_path):
    teach.main(["figures", str(source), "--out", str(tmp_path / "slides")])
    names = ["05_some_opening_1", "05_some_what_it_costs_1", "05_some_what_it_costs_2", "05_some_what_it_costs_3"]
    assert sorted(os.listdir(tmp_path / "slides")) == sorted(["05_some.txt", *(f"{name}.png" for name in names)])
    assert (tmp_path / "slides" / f"{names[0]}.png").read_bytes() == base64.b64decode(DOT)
    blocks = (tmp_path / "slides" / "05_some.txt").read_text().strip().split("\n\n")
    assert blocks[2] == "05_some_what_it_costs_2.png\nlesson: 05 · Some lesson\nheading: What it costs\nalt: Memory."
    assert len(blocks) == 4


def test_a_figure_that_is_added_elsewhere_changes_no_name(source):
    nb = nbformat.read(source, 4)
    before = [f.name for f in figures.figures(nb, "05_some")]
    nb.cells.insert(1, shown("Another one."))
    after = [f.name for f in figures.figures(nb, "05_some")]
    assert set(before) < set(after) and set(after) - set(before) == {"05_some_opening_2"}


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_every_figure_of_a_lesson_is_found_and_has_words(path):
    nb = nbformat.read(path, 4)
    stored = [out for cell in nb.cells for out in cell.get("outputs", []) if "image/png" in out.get("data", {})]
    found = figures.figures(nb, path.stem)
    assert len(found) == len(stored) > 2 and len({f.name for f in found}) == len(found)
    assert all(len(f.alt.split()) > 3 and f.png.startswith(b"\x89PNG") and re.fullmatch(r"\w+", f.name) for f in found)
    assert all(f.lesson.startswith(path.name[:2]) for f in found)


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        teach.main(["figures", *map(str, arguments)])
    return (1, stop.value.code) if isinstance(stop.value.code, str) else (stop.value.code, capsys.readouterr().err)


def test_a_folder_that_is_there_is_left_alone_without_force(source, tmp_path, capsys):
    out = tmp_path / "slides"
    out.mkdir()
    (out / "05_some.txt").write_text("a teacher's own")
    code, words = refused(capsys, source, "--out", out)
    assert code == 2 and "exists" in words and "--force" in words and os.listdir(out) == ["05_some.txt"]
    assert (out / "05_some.txt").read_text() == "a teacher's own"
    teach.main(["figures", str(source), "--out", str(out), "--force"])
    assert len(os.listdir(out)) == 5 and "Memory" in (out / "05_some.txt").read_text()


def test_what_is_no_notebook_or_has_no_figures_is_refused_and_nothing_is_written(source, tmp_path, capsys):
    bare, out = tmp_path / "06_bare.ipynb", tmp_path / "slides"
    copy = tmp_path.parent / f"{tmp_path.name}_copy" / source.name
    copy.parent.mkdir()
    copy.write_bytes(source.read_bytes())
    nbformat.write(new_notebook(cells=[new_code_cell("1")]), bare)
    (tmp_path / "file").write_text("")
    for arguments, code, words in (
        ([tmp_path / "none.ipynb", "--out", out], 2, "is no notebook"),
        ([source, copy, "--out", out], 2, "two notebooks 05_some.ipynb would have the same names"),
        ([source, bare, "--out", out], 1, "06_bare.ipynb: no figures written. it has no figures in its outputs"),
        ([source, "--out", tmp_path / "file", "--force"], 2, "exists"),
    ):
        said = refused(capsys, *arguments)
        assert said[0] == code and words in said[1]
    assert not out.exists() and sorted(os.listdir(tmp_path)) == ["05_some.ipynb", "06_bare.ipynb", "file"]


@pytest.mark.full
def test_svg_is_drawn_from_the_lesson_as_it_runs(tmp_path):
    """One that draws by plots.show, by the last line of a cell and by a widget; the words are in the file."""
    code = ["import sys\nsys.path.insert(0, " + repr(str(ROOT)) + ")\nfrom course_utils import plots, widgets\n"
            "from ipywidgets import IntSlider",
            "plots.show(plots.emblem(lit='post'))", "plots.numbers([[[1.0, 2.0]]], labels=['x'], title='Two')",
            "def draw(n):\n    return plots.numbers([[[1.0] * n]], labels=['x'], title='Some')\n"
            "widgets.explore(draw, 'A slider.', n=IntSlider(value=3, min=1, max=4))", "print('no figure')"]
    path = tmp_path / "05_some.ipynb"
    nb = new_notebook(cells=[new_markdown_cell("# 05 · Some lesson\n\n## One"), *map(new_code_cell, code)])
    nbformat.write(figures.drawn_again(nb, path), path)
    stored = nbformat.read(path, 4)
    stored.cells.pop(2)      # the hook
    for cell in stored.cells:
        for out in cell.get("outputs", []):
            out.get("data", {}).pop("image/svg+xml", None)
    nbformat.write(stored, path)
    done = subprocess.run([sys.executable, "-m", "course_utils.teach", "figures", path, "--svg", "--out", tmp_path / "slides"],
                          cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names = [f"05_some_one_{k}" for k in (1, 2, 3)]
    files = [f"{name}.{ending}" for name in names for ending in ("png", "svg")]
    assert sorted(os.listdir(tmp_path / "slides")) == sorted(["05_some.txt", *files])
    drawn = [(tmp_path / "slides" / f"{name}.svg").read_text() for name in names]
    assert all(svg.startswith("<?xml") and "<path" in svg for svg in drawn) and "Nine numbered sockets" in drawn[0]
    assert len(set(drawn)) == 3 and ", ".join(files[:2]) in (tmp_path / "slides" / "05_some.txt").read_text()
    stored.cells.insert(2, shown("A figure that the lesson no longer draws."))
    stored.cells[2].source = ""
    nbformat.write(stored, path)
    again = subprocess.run([sys.executable, "-m", "course_utils.teach", "figures", path, "--svg", "--out", tmp_path / "new"],
                           cwd=ROOT, capture_output=True, text=True)
    assert again.returncode == 1 and "it shows other figures than it has stored" in again.stderr
