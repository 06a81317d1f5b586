"""What `pytest` runs and what it leaves to `pytest --full`, in which order, and what is written about it elsewhere."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
CONFTEST = (ROOT / "conftest.py").read_text("utf-8")
CONFIG = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
HOOKS = [hook for repo in CONFIG["repos"] for hook in repo["hooks"]]
TESTS = """import pytest
def test_quick(): pass
@pytest.mark.full
def test_costly(): pass
@pytest.mark.all_models
def test_models(): pass
"""


def collected(folder, *options):
    shutil.copytree(ROOT / "tests" / "no_network", folder / "tests" / "no_network", dirs_exist_ok=True)
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    for name in ("test_a.py", "test_teach.py"):
        (folder / "tests" / name).write_text(TESTS)
    (folder / "notebooks").mkdir(exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]), folder / "notebooks" / "lesson.ipynb")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "0", "--collect-only", "-q", *options]
    shown = subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout
    return [line.partition("/")[2] for line in shown.splitlines() if "::" in line]


@pytest.mark.full
def test_plain_pytest_takes_the_costly_tests_out_and_full_brings_them_back(tmp_path):
    lesson, long, other = "lesson.ipynb::Cell 0", "test_teach.py::test_", "test_a.py::test_"
    assert collected(tmp_path) == [lesson, long + "quick", other + "quick"]
    assert collected(tmp_path, "--full") == [lesson, long + "quick", long + "costly", other + "quick", other + "costly"]
    assert collected(tmp_path, "--full", "-m", "full") == [long + "costly", other + "costly"]


def test_the_files_that_are_begun_first_exist():
    """Catches a file that was renamed and is begun last, with one worker waiting for it."""
    names = re.findall(r'"(test_\w+\.py)"', CONFTEST)
    assert len(names) > 10 and not [name for name in names if not (ROOT / "tests" / name).exists()]


# ---- what the command line and the settings are called elsewhere

def files(*patterns):
    return [path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()]


def test_every_variable_of_the_environment_is_in_the_table_of_the_readme():
    code = files("course_utils/**/*.py", "tools/*.py", "tests/**/*.py", "notebooks/*.ipynb", "conftest.py", ".ci/run",
                 ".github/workflows/*.yml")
    used = {name for path in code for name in re.findall(r"COURSE_[A-Z_]*[A-Z]", path.read_text("utf-8"))}
    described = set(re.findall(r"^\| `(COURSE_[A-Z_]+)", (ROOT / "README.md").read_text("utf-8"), re.M))
    assert len(used) >= 5 and used == described


@pytest.mark.parametrize("command", ["pytest", "pytest --full"])
def test_the_readme_names_both_commands(command):
    assert re.search(rf"^(pip install .* && )?{command}$", (ROOT / "README.md").read_text("utf-8"), re.M)


@pytest.mark.parametrize("name", ["tests", "weekly"])
def test_a_workflow_lints_and_runs_everything(name):
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text("utf-8"))["jobs"].values()
    commands = "\n".join(step.get("run", "") for job in jobs for step in job["steps"])
    assert "ruff check ." in commands and "pytest --full" in commands


# ---- before a commit

def run_hook(hook, *arguments):
    assert hook["language"] == "system", "nothing may be fetched"
    command, *rest = shlex.split(hook["entry"])
    found = sys.executable if command == "python" else shutil.which(command, path=str(Path(sys.executable).parent))
    assert found, f"{command} is not installed: pip install -e '.[test]'"
    return subprocess.run([found, *rest, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_runs(hook, tmp_path):
    if not hook.get("pass_filenames", True):
        done = run_hook(hook)
        assert done.returncode == 0, done.stdout + done.stderr
        return
    for source, code in (("x = 1\n", 0), ("import os\n", 1)):      # a clean file, and one with an import too many
        (tmp_path / "some.py").write_text(source)
        done = run_hook(hook, tmp_path / "some.py")
        assert done.returncode == code, done.stdout + done.stderr


def test_the_hooks_are_local():
    assert {repo["repo"] for repo in CONFIG["repos"]} == {"local"} and len(HOOKS) == 3
