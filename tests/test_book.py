"""The book before it is built: which pages it has and in which order, their links, and what is found in a site that is broken."""

import json
import re
import runpy
import shutil
from pathlib import Path

import make_book
import pytest
import set_repo
from book import built, made, pages
from book.links import Links, Mistake

ROOT = Path(__file__).resolve().parents[1]
REPO, BRANCH = set_repo.current(ROOT)
README = (ROOT / "README.md").read_text("utf-8")
NUMBERS = [path.name[:2] for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))]


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A copy of what the book is made from."""
    root = tmp_path_factory.mktemp("course")
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    for name in ("docs", "notebooks", "data", "tools"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
    return root


def staged(root, folder):
    folder.mkdir()
    parts = pages.stage(root, folder)
    names = [page for part in parts for page in part.pages]
    links = Links(root, {"index", *names}, REPO, BRANCH)
    texts = {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*.md")}
    books = {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*.ipynb")}
    return parts, {name: links.text(text, name.removesuffix(".md")) for name, text in texts.items()} | {
        name: links.notebook(text, name.removesuffix(".ipynb")) for name, text in books.items()}


# ---- which pages

def test_every_lesson_and_every_page_of_docs_is_in_the_contents_once(course, tmp_path):
    parts, texts = staged(course, tmp_path / "source")
    names = [page for part in parts for page in part.pages]
    assert parts[0].pages == tuple(f"notebooks/{path.stem}" for path in sorted((ROOT / "notebooks").glob("*.ipynb")))
    assert len(names) == len(set(names)) and {*pages.lessons(course), *pages.documents(course)} <= set(names)
    files = {re.sub(r"\.(md|ipynb)$", "", name) for name in texts}
    assert files == {"index", *names}      # no page without a line in the contents, no line without a page
    assert all(f"\n{name}\n" in texts["index.md"] for name in names)


def test_a_new_page_is_taken_in_by_itself(course, tmp_path):
    new = tmp_path / "new"
    for name in ("docs/field_guide.md", "docs/novelty.md", "docs/teaching/05.md"):
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        (new / name).write_text("# New\n")
    parts = {part.title: part.pages for part in pages.contents(new, ("teaching", "use", "answer"))}
    assert parts == {"Use it": ("use", "docs/field_guide"), "What was measured, what is claimed": ("answer",),
                     pages.LOOK_UP: ("docs/novelty",), pages.TEACH: ("teaching", "docs/teaching/05")}


def test_no_section_of_the_readme_is_lost():
    texts = pages.from_readme(README)
    for title, text in pages.sections(README).items():
        assert text.partition("\n")[2].strip() in texts[pages.page_of(title)], title
    assert "".join(pages.sections(README).values()) == README
    assert {*pages.FRONT, *pages.OWN} <= set(pages.sections(README)), "a section of the README has another name now"


def test_a_line_of_code_is_no_heading():
    text = "# T\n\n```\n## not one\n```\n\n## One\n\n~~~~python\n## nor this\n~~~\n~~~~\n"
    assert list(pages.sections(text)) == ["", "One"]


@pytest.mark.parametrize("number", (NUMBERS[0], NUMBERS[len(NUMBERS) // 3], NUMBERS[-1]))
def test_a_course_without_a_lesson_makes_a_book_without_it(course, tmp_path, number):
    """Also where the file was deleted by hand, and everything still links to it."""
    less = Path(shutil.copytree(course, tmp_path / "less"))
    (gone,) = (less / "notebooks").glob(f"{number}_*.ipynb")
    gone.unlink()
    parts, texts = staged(less, tmp_path / "source")
    assert len(parts[0].pages) == len(pages.lessons(course)) - 1
    assert not [name for name, text in texts.items() if re.search(rf"(?<!/blob/{BRANCH}/notebooks/)\b{gone.name}\)", text)]


# ---- links

@pytest.mark.parametrize("page, text, wanted", [
    ("notebooks/05_x", "[g](../docs/glossary.md#gate)", "[g](../docs/glossary.md#gate)"),
    ("index", "[`a` of [b]](data/claims.toml)", "[`a` of [b]](data/claims.toml)"),
    ("index", "[l](LICENSE)", f"[l](https://github.com/{REPO}/blob/{BRANCH}/LICENSE)"),
    ("docs/recipes", "[t](../tools/make_book.py#x)", f"[t](https://github.com/{REPO}/blob/{BRANCH}/tools/make_book.py#x)"),
    ("docs/recipes", "[r](../README.md#the-mechanisms)", "[r](../mechanisms.md#the-mechanisms)"),
    ("CHANGELOG", "[r](README.md)", "[r](./index.md)"),
    ("index", "see [05](notebooks/05_gone.ipynb).", "see 05."),
    ("index", "[p](https://arxiv.org/abs/1) [q](#here)", "[p](https://arxiv.org/abs/1) [q](#here)"),
    ("index", "`[x](gone.md)` ``a ` [x](gone.md)``", "`[x](gone.md)` ``a ` [x](gone.md)``"),
    ("index", "```\n[x](gone.md)\n```\n[l](LICENSE)", f"```\n[x](gone.md)\n```\n[l](https://github.com/{REPO}/blob/{BRANCH}/LICENSE)"),
    ("index", "<div style='x'>\n\n## A\n\n</div>\n", "\n\n## A\n\n\n"),
    ("index", "![emblem](docs/emblem.png)", "![emblem](docs/emblem.png)"),
    ("index", set_repo.badge(REPO, BRANCH, "00_start_here.ipynb"),
     f"[Open in Colab](https://colab.research.google.com/github/{REPO}/blob/{BRANCH}/notebooks/00_start_here.ipynb)"),
])
def test_a_link_leads_to_the_page_of_the_book(course, page, text, wanted):
    links = Links(course, {"index", "mechanisms", *pages.documents(course)}, REPO, BRANCH)
    assert links.text(text, page) == wanted


@pytest.mark.parametrize("text, told", [("[x](docs/gone.md)", "no docs/gone.md"), ("[x](README.md#gone)", "no section #gone")])
def test_a_dead_link_is_named(course, text, told):
    with pytest.raises(Mistake, match=told):
        Links(course, {"index"}, REPO, BRANCH).text(text, "index")


def test_a_lesson_begins_with_its_title_and_ends_with_its_questions(course):
    name = pages.lessons(course)[1]
    text = (course / f"{name}.ipynb").read_text("utf-8")
    cells = json.loads(Links(course, {"index"}, REPO, BRANCH).notebook(text.replace("](", "](#"), name))["cells"]
    before = json.loads(text)["cells"]
    assert cells[0]["source"].startswith("# ") and len(cells) == len(before) + bool(made.questions(name))
    assert cells[-1]["source"].startswith("## Questions") and "<details>" in cells[-1]["source"]
    assert [cell for cell in cells if cell["cell_type"] == "code"] == [cell for cell in before if cell["cell_type"] == "code"]


# ---- settings

def test_a_fork_changes_one_setting(course, tmp_path):
    fork = Path(shutil.copytree(course, tmp_path / "fork"))
    settings = (fork / "pyproject.toml").read_text("utf-8")
    (fork / "pyproject.toml").write_text(settings.replace(f"{REPO}/tree/{BRANCH}", "ada/fork/tree/dev"), "utf-8")
    conf = runpy.run_path(str(fork / "tools" / "book" / "conf.py"))
    options = conf["html_theme_options"]
    assert (options["repository_url"], options["repository_branch"]) == ("https://github.com/ada/fork", "dev")
    sources = ("tools/book/*.py", "tools/make_book.py", ".github/workflows/book.yml")
    assert not [path.name for pattern in sources for path in ROOT.glob(pattern) if REPO in path.read_text("utf-8")]


def test_nothing_is_executed_and_nothing_fetched():
    conf = runpy.run_path(str(ROOT / "tools" / "book" / "conf.py"))
    assert conf["nb_execution_mode"] == "off" and conf["html_math_renderer"] == "mathml" and conf["nb_ipywidgets_js"] == {}


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path, capsys):
    pytest.importorskip("sphinx", reason='Sphinx is not installed: pip install -e ".[book]"')
    (tmp_path / "thesis.tex").write_text("all of it")
    assert make_book.main([str(tmp_path)]) == 1
    assert "no book" in capsys.readouterr().err and (tmp_path / "thesis.tex").exists()


# ---- what is found in a site

WHOLE = {"index.html": '<a href="a/b.html#x">b</a><img src="p.png" alt="p"><a href="https://arxiv.org">out</a><a href="">me</a>',
         "a/b.html": '<h1 id="x">b</h1><a href="../index.html">home</a><link href="../s.css"><a href="../f%20g.txt?v=1">f</a>',
         "p.png": "", "s.css": "b { background: url(p.png) }", "f g.txt": "", "_static/theme.html": "<a href='{{ x }}'>"}


def site(folder, **changed):
    for name, text in (WHOLE | changed).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return built.read(folder)


def test_a_whole_site_has_no_faults(tmp_path):
    found = site(tmp_path)
    assert built.faults(found) == [] and found.told() == "2 pages, 4 links inside and 1 pictures checked"


@pytest.mark.parametrize("html, fault", [
    ('<a href="gone.html">', "gone.html leads to no file"),
    ('<a href="a/b.html#y">', "a/b.html#y leads to no place in a/b.html"),
    ('<a href="#y">', "#y leads to no place in index.html"),
    ('<img src="gone.png" alt="p">', "gone.png leads to no file"),
    ('<img src="p.png">', "p.png has no alternative text"),
    ('<img src="p.png" alt="p.png">', "p.png has no alternative text"),
    ('<img src="p.png" alt="">', "p.png has no alternative text"),
    ('<script src="https://cdn.example/x.js"></script>', "loads https://cdn.example/x.js"),
    ('<link rel="preload" href="//cdn.example/f.woff2">', "loads //cdn.example/f.woff2"),
    ("<div><section></div></section>", "</div> in line 1 inside of <section>"),
    ("<div>", "<div> stays open"),
    ("</div>", "</div> in line 1 and nothing is open"),
    ('<p style="background: url(https://cdn.example/p.png)">', "loads https://cdn.example/p.png"),
    ('<style>@import "https://cdn.example/s.css";</style>', "loads https://cdn.example/s.css"),
])
def test_a_fault_of_a_page_is_found(tmp_path, html, fault):
    (found,) = built.faults(site(tmp_path, **{"index.html": html}))
    assert found.endswith(fault) and found.startswith("index.html")


def test_a_style_that_loads_from_elsewhere_is_found(tmp_path):
    assert built.faults(site(tmp_path, **{"s.css": 'b{src:url("http://cdn.example/f.woff")}'})) == ["s.css loads http://cdn.example/f.woff"]
