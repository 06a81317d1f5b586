"""The book, built: whole, with the words of every figure, and in a browser without a request to anywhere else.

`make_book.build` itself refuses a book with a dead link, a picture without words, or an address that a page would load; those
checks are tested in test_book.py. Here is what only the finished pages can show.
"""

import functools
import http.server
import json
import re
import shutil
import threading
from pathlib import Path

import make_book
import pytest
import set_repo
from book import built, pages
from test_browser import chromium  # noqa: F401  (a fixture)
from test_remove_lesson import tracked

pytest.importorskip("sphinx", reason='Sphinx is not installed: pip install -e ".[book]"')
pytest.importorskip("myst_nb", reason='myst-nb is not installed: pip install -e ".[book]"')
# What the theme and myst-parser call will leave Sphinx some day: the weekly run with the newest versions will tell.
pytestmark = [pytest.mark.full, pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")]

ROOT = Path(__file__).resolve().parents[1]
REPO, BRANCH = set_repo.current(ROOT)
LESSONS = pages.lessons(ROOT)
# One page of every kind, in the two schemes: all of them take axe-core ten minutes on two cores.
KINDS = ["index.html", f"{LESSONS[0]}.html", f"{LESSONS[-1]}.html", "answer.html", "claims.html", "docs/sockets.html",
         "docs/glossary.html", "search.html"]


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    return make_book.build(ROOT, tmp_path_factory.mktemp("book") / "site")


@pytest.fixture(scope="module")
def address(book):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=str(book.folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def figures(lesson):
    """The alternative texts in the outputs of a notebook, in order."""
    cells = json.loads((ROOT / f"{lesson}.ipynb").read_text("utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]
    return [output["metadata"]["image/png"]["alt"] for output in outputs]


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_figure_of_a_lesson_keeps_its_words_and_its_order(book, lesson):
    """Catches an alternative text that is dropped, given to its neighbour, or cut at a quotation mark."""
    shown = [alt for address, alt in book.pages[f"{lesson}.html"].pictures if "_images/" in address]
    assert shown == figures(lesson) and shown


def test_every_lesson_opens_in_colab_from_the_one_setting(book):
    for lesson in LESSONS:
        colab = {link for link in book.pages[f"{lesson}.html"].links if "colab" in link}
        assert colab == {f"https://colab.research.google.com/github/{REPO}/blob/{BRANCH}/{lesson}.ipynb"}, lesson


def test_every_formula_was_understood(book):
    """A command that the converter does not know stays in the page as it was typed."""
    formulas = [found for page in book.pages.values() for found in re.findall(r"<math.*?</math>", page.text, re.S)]
    assert len(formulas) > 250 and not [f for f in formulas if "\\" in f]
    assert not [name for name, page in book.pages.items() if "mathjax" in page.text.lower()]


def test_the_notebook_to_download_is_the_one_that_is_committed(book):
    for lesson in LESSONS:
        assert (book.folder / "_sources" / f"{lesson}.ipynb").read_bytes() == (ROOT / f"{lesson}.ipynb").read_bytes()


def test_a_slider_shows_its_picture_and_asks_for_no_program(book):
    assert not [name for name, page in book.pages.items() if re.search("widget-view|requirejs|html-manager", page.text)]


def test_a_course_without_a_lesson_still_builds(tmp_path):
    less = tracked(tmp_path / "less")
    (less / f"{LESSONS[len(LESSONS) // 2]}.ipynb").unlink()
    found = make_book.build(less, tmp_path / "site")
    assert sum(name.startswith("notebooks/") for name in found.pages) == len(LESSONS) - 1
    assert not (less / "build").exists() and (tmp_path / "site" / "index.html").exists()


def test_a_fault_ends_the_build_and_the_earlier_book_stays(tmp_path, capfd):
    for path in ("tools/book", "docs"):
        shutil.copytree(ROOT / path, tmp_path / "course" / path)
    for path in ("README.md", "pyproject.toml", "tools/set_repo.py"):
        shutil.copy(ROOT / path, tmp_path / "course" / path)
    (tmp_path / "course" / "docs" / "wrong.md").write_text("# Wrong\n\n[dead](gone.md) ![](emblem.png)\n")
    old = tmp_path / "site"
    old.mkdir()
    (old / "searchindex.js").write_text("old")
    with pytest.raises(make_book.Mistake):
        make_book.build(tmp_path / "course", old)
    assert (old / "searchindex.js").read_text() == "old" and "docs/wrong links to gone.md" in capfd.readouterr().err


# ---- in a browser

@pytest.fixture
def page(chromium, address):  # noqa: F811
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.wrong = []
    page.on("request", lambda r: None if r.url.startswith((address, "data:")) else page.wrong.append(r.url))
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    yield page
    page.close()


@pytest.mark.browser
def test_no_page_asks_for_anything_elsewhere_or_is_wider_than_a_telephone(book, address, page):
    page.set_viewport_size({"width": 400, "height": 800})
    wide = []
    for name in book.pages:
        page.goto(f"{address}/{name}")
        if page.evaluate("document.documentElement.scrollWidth") > 400:
            wide.append(name)
    assert page.wrong == [] and wide == []


@pytest.mark.browser
def test_the_search_finds_a_lesson(address, page):
    page.goto(f"{address}/search.html?q=saturated")
    page.wait_for_selector("ul.search li a", timeout=30_000)
    assert "docs/doctor.html" in " ".join(page.locator("ul.search li a").evaluate_all("links => links.map(l => l.href)"))
    assert page.wrong == []


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out(scheme, book, address, page):
    """axe-core: contrast, names of buttons and links, what can be scrolled without a mouse, ..."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed: pip install -e '.[test]'")
    page.emulate_media(color_scheme=scheme)
    found = []
    for name in KINDS:
        page.goto(f"{address}/{name}")
        page.wait_for_load_state("networkidle")
        for fault in axe.Axe().run(page).response["violations"]:
            if fault["impact"] in ("serious", "critical"):
                found += [f"{name}: {fault['id']}: {node['html'][:200]}" for node in fault["nodes"]]
    assert found == []


def test_the_checks_have_seen_everything(book):
    """Catches a reader of pages that finds nothing, and so no fault."""
    assert len(book.pages) >= len(LESSONS) + 15
    assert sum(len(p.links) for p in book.pages.values()) > 2000 and built.faults(book) == []
