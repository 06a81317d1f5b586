"""One place says where the course lives; badges, first cells and the clone command agree with it."""

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import set_repo

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
REPO, BRANCH = set_repo.current()
FIRST_CELL = set_repo.first_cell(REPO, BRANCH)


def run(root, *args):
    tool = root / "tools" / "set_repo.py"
    return subprocess.run([sys.executable, str(tool), *args], capture_output=True, text=True)


def contents(root):
    files = (p for p in root.rglob("*") if p.is_file() and p.suffix != ".pyc")
    return {p.relative_to(root): p.read_bytes() for p in files}


def source(path, kind):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "".join(next(c["source"] for c in cells if c["cell_type"] == kind))


def lesson(name, repo=REPO, branch=BRANCH):
    """A small notebook as Jupyter would write it, with letters outside ASCII and an output."""
    title = ["# Überblick\n", "\n", set_repo.badge(repo, branch, name)]
    setup = set_repo.first_cell(repo, branch).splitlines(keepends=True)
    ran = {"cell_type": "code", "execution_count": 1, "id": "b", "metadata": {}, "outputs": []}
    cells = [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": title},
        {**ran, "source": setup},
        {**ran, "execution_count": 2, "id": "c", "source": ["course"]},
    ]
    nb = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(nb, indent=1, ensure_ascii=False) + "\n"


@pytest.fixture
def copy(tmp_path):
    """The files that name the repository, and one lesson of our own making."""
    root = tmp_path / "fork"
    for name in ("pyproject.toml", "CITATION.cff", "tools/set_repo.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    (root / "notebooks").mkdir()
    for path in NOTEBOOKS:
        shutil.copy(path, root / "notebooks")
    (root / "notebooks" / "zz_small.ipynb").write_bytes(lesson("zz_small.ipynb").encode())
    readme = f"# Course\n\n{set_repo.badge(REPO, BRANCH, 'zz_small.ipynb')}\n\n"
    readme += f"    git clone https://github.com/{REPO}.git\n    cd {REPO.split('/')[1]}\n"
    (root / "README.md").write_bytes(readme.encode())
    return root


def test_everything_agrees_with_pyproject():
    check = run(ROOT, "--check")
    assert check.returncode == 0, check.stdout + check.stderr


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_every_lesson_has_its_own_badge_and_the_common_first_cell(path):
    assert set_repo.badge(REPO, BRANCH, path.name) in source(path, "markdown")
    assert source(path, "code") == FIRST_CELL


def test_the_readme_lists_every_lesson_in_order_and_how_long_it_takes():
    """Catches a lesson that was added, renamed or made longer, and not in the table."""
    readme = (ROOT / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d\d) \| \[.+?\]\(notebooks/(\S+)\) \| .+? \| (\d+) \|$", readme, re.M)
    minutes = {path.name: re.search(r"About (\d+) minutes", source(path, "markdown"))[1] for path in NOTEBOOKS}
    assert rows == [(name[:2], name, minutes[name]) for name in minutes]


def test_readme_leads_to_colab():
    readme = (ROOT / "README.md").read_text("utf-8")
    assert f"colab.research.google.com/github/{REPO}/blob/{BRANCH}/notebooks/" in readme


def test_first_cell_is_short_installs_nothing_and_needs_no_editing():
    lines = FIRST_CELL.splitlines()
    assert len(lines) <= 10
    comments = [line for line in lines if line.lstrip().startswith("#")]
    code = "\n".join(line for line in lines if line not in comments)
    ast.parse(code)  # plain Python: no magics, no shell
    assert "pip" not in code and "install" not in code
    for comment in comments:
        assert "uncomment" not in comment.lower()
        with pytest.raises(SyntaxError):  # prose, not a line of code that waits to be switched on
            ast.parse(comment.lstrip("# "))


def test_a_fork_changes_everything_and_can_go_back(copy):
    before = contents(copy)
    done = run(copy, "ada/my.fork", "--branch", "autumn/2027")
    assert done.returncode == 0, done.stderr
    after = contents(copy)
    assert {p for p in before if before[p] != after[p]} == set(before) - {Path("tools/set_repo.py")}
    assert b'"https://github.com/ada/my.fork/tree/autumn/2027"' in after[Path("pyproject.toml")]
    assert b"git clone https://github.com/ada/my.fork.git\n    cd my.fork\n" in after[Path("README.md")]
    for path, data in after.items():
        if path.suffix in (".md", ".ipynb", ".cff"):
            assert REPO.encode() not in data and b"ada/my.fork" in data, path
    small = copy / "notebooks" / "zz_small.ipynb"
    assert small.read_bytes() == lesson("zz_small.ipynb", "ada/my.fork", "autumn/2027").encode()
    assert run(copy, "--check").returncode == 0

    assert run(copy, REPO, "--branch", BRANCH).returncode == 0
    assert contents(copy) == before


def test_an_edit_of_pyproject_alone_is_carried_through(copy):
    pyproject = copy / "pyproject.toml"
    settings = pyproject.read_text("utf-8")
    pyproject.write_bytes(settings.replace(f"{REPO}/tree/{BRANCH}", "ada/fork/tree/dev").encode())
    check = run(copy, "--check")
    assert check.returncode == 1 and "would change notebooks/zz_small.ipynb" in check.stdout
    assert run(copy).returncode == 0
    assert source(copy / "notebooks" / "zz_small.ipynb", "code") == set_repo.first_cell("ada/fork", "dev")


def test_check_changes_nothing(copy):
    before = contents(copy)
    check = run(copy, "--check", "ada/fork")
    assert check.returncode == 1 and "README.md" in check.stdout
    assert contents(copy) == before


def test_a_renamed_lesson_gets_its_own_name_in_the_badge(copy):
    (copy / "notebooks" / "zz_small.ipynb").rename(copy / "notebooks" / "zz_new name.ipynb")
    assert run(copy).returncode == 0
    assert (copy / "notebooks" / "zz_new name.ipynb").read_bytes() == lesson("zz_new%20name.ipynb").encode()


def test_a_teachers_own_first_cell_is_left_alone(copy):
    path = copy / "notebooks" / "zz_small.ipynb"
    nb = json.loads(path.read_text("utf-8"))
    nb["cells"][1]["source"] = ["REPO = 'my own'"]
    path.write_text(json.dumps(nb), "utf-8")
    assert run(copy, "ada/fork").returncode == 0
    assert source(path, "code") == "REPO = 'my own'"


@pytest.mark.parametrize(
    "args",
    [
        ["ada"],
        ["https://github.com/ada/fork"],
        ["ada/fork.git"],
        ["ada/fork/tree"],
        ["ada lovelace/fork"],
        ["-ada/fork"],
        ["ada/.."],
        ['ada/fo"rk'],
        ["ada/fork\n"],
        [""],
        ["ada/fork", "--branch", ""],
        ["ada/fork", "--branch", "two words"],
        ["ada/fork", "--branch", "a..b"],
        ["ada/fork", "--branch", "a//b"],
        ["ada/fork", "--branch", "/a"],
        ["ada/fork", "--branch", "x.lock"],
        ["ada/fork", "--branch", 'x"; import os'],
    ],
)
def test_wrong_input_is_refused_and_nothing_changed(copy, args):
    before = contents(copy)
    refused = run(copy, *args)
    assert refused.returncode == 2 and refused.stderr and "Traceback" not in refused.stderr
    assert contents(copy) == before


@pytest.mark.parametrize("broken", ["pyproject.toml", "notebooks/zz_small.ipynb"])
def test_a_broken_file_stops_it_before_anything_is_written(copy, broken):
    (copy / broken).write_text("nothing of the kind", "utf-8")
    before = contents(copy)
    refused = run(copy, "ada/fork")
    assert refused.returncode == 2 and Path(broken).name in refused.stderr
    assert contents(copy) == before
