"""A teacher takes lessons out: nothing that is left leads nowhere, and what was said about them goes too."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("remove_lesson", ROOT / "tools" / "remove_lesson.py")
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)
NUMBERS = list(tool.lessons(ROOT))
LINK = re.compile(r"\]\(([^()\s]+)\)")
# Of a copy from which a lesson was taken: what is checked there beside the links.
GREEN = ("test_repo.py", "test_glossary.py", "test_notebooks.py", "test_contributing.py", "test_quiz.py",
         "test_quiz_pages.py", "test_quiz_exchange.py", "test_teaching_pages.py", "test_teach_plan.py")


def tracked(target: Path) -> Path:
    """A copy of the course, as it stands here, without what git ignores."""
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    files = names.stdout.splitlines() if not names.returncode else [
        str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file()]
    for name in files:
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)
    return target


@pytest.fixture(autouse=True)
def light(monkeypatch):
    """Map and index import the package, which takes seconds for each copy: only the costly test, by command, makes them."""
    monkeypatch.setattr(tool, "REMAKE", ("make_glossary.py",))
    monkeypatch.setattr(tool, "LAST", ())


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    return tracked(tmp_path_factory.mktemp("whole") / "course")


@pytest.fixture
def copy(course, tmp_path):
    return Path(shutil.copytree(course, tmp_path / "course"))


def words(path: Path) -> str:
    text = path.read_text("utf-8")
    if path.suffix == ".ipynb":
        text = "\n\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")
    return re.sub(r"(?s)```.*?```|`[^`\n]*`", "", text)


def dead_links(root: Path) -> list[str]:
    """Links within the course that lead to a file that is not there."""
    pages = [*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("notebooks/*.ipynb")]
    return [f"{page.relative_to(root)}: {target}" for page in pages for target in LINK.findall(words(page))
            if "://" not in target and not target.startswith(("#", "mailto:"))
            and not (page.parent / target.partition("#")[0]).exists()]


def test_here_no_link_leads_nowhere():
    assert dead_links(ROOT) == []


@pytest.mark.parametrize("number", NUMBERS)
def test_without_any_one_lesson_no_link_leads_nowhere(number, copy):
    name = tool.lessons(copy)[number].name
    said = tool.remove(copy, [number])
    assert f"removed notebooks/{name}" in said and not (copy / "notebooks" / name).exists()
    assert dead_links(copy) == []
    pages = [*copy.glob("*.md"), *copy.glob("docs/**/*.md"), *copy.glob("notebooks/*.ipynb"), *copy.glob(".github/**/*.yml")]
    assert [page.name for page in pages if name in page.read_text("utf-8")] == []
    assert len(tool.lessons(copy)) == len(NUMBERS) - 1


def without_links(text: str) -> str:
    """Without those to the lesson that goes, and to the glossary, which are made anew."""
    return re.sub(r"\[([^\[\]]+)\]\((?:08_sockets\.ipynb|\.\./docs/glossary\.md#[^)]*)\)", r"\1", text)


@pytest.mark.skipif("08" not in NUMBERS, reason="this copy of the course has no lesson 08")
def test_what_it_leaves_is_text_for_text_what_it_was_but_for_the_links(copy):
    before = {path.name: path.read_text("utf-8") for path in (copy / "notebooks").iterdir()}
    tool.remove(copy, ["08"])
    changed = [name for name, text in before.items()
               if name[:2] != "08" and (copy / "notebooks" / name).read_text("utf-8") != text]
    assert 1 < len(changed) < 10
    for name in changed:
        old, new = (json.loads(text)["cells"] for text in (before[name], (copy / "notebooks" / name).read_text("utf-8")))
        assert [c for c in old if c["cell_type"] == "code"] == [c for c in new if c["cell_type"] == "code"]
        assert [without_links("".join(c["source"])) for c in old] == [without_links("".join(c["source"])) for c in new]


def test_the_first_lesson_hands_its_place_to_the_next(copy):
    following = tool.lessons(copy)[NUMBERS[1]].name
    tool.remove(copy, NUMBERS[:1])
    readme = (copy / "README.md").read_text("utf-8")
    assert f"jupyter lab notebooks/{following}" in readme and f"/blob/main/notebooks/{following}" in readme


def test_a_dry_run_and_a_wrong_number_change_nothing(copy):
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    some, there = NUMBERS[4], "there is no lesson 44. There are: " + ", ".join(NUMBERS[:2])
    assert tool.remove(copy, [some], dry_run=True)[0].startswith(f"removed notebooks/{some}_")
    for numbers, message in (([some, "44"], there), (NUMBERS, "no lesson would be left")):
        with pytest.raises(tool.Mistake, match=message):
            tool.remove(copy, numbers)
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


@pytest.mark.full
def test_a_copy_without_two_lessons_passes_what_looks_at_lessons(copy):
    """By command, as a teacher does it."""
    done = subprocess.run([sys.executable, "tools/remove_lesson.py", "05", "14"], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", *(f"tests/{name}" for name in GREEN)]
    run = subprocess.run(command, cwd=copy, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-3000:]
