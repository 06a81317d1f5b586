"""A lesson alone in an empty folder, as Colab and Kaggle open it: the first cell fetches the course.

The course comes from a git repository made of the files as they are now. Two environments run the lessons:
the one that the tests run in, and one with the versions of IPython and ipywidgets that Colab keeps loaded.
There the first cell, which test_repo.py finds to be the same in all lessons, runs once, and the next two cells of every
lesson run in that kernel, one lesson after the other, each without the names of the others.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import set_repo
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
REPO, BRANCH = set_repo.current()
FOLDER = REPO.split("/")[1]
FIRST_CELL = set_repo.first_cell(REPO, BRANCH)

# What Colab keeps loaded, by its published list of packages; raising one of them there forces a restart.
COLAB = ["IPython==7.34.0", "ipykernel==6.17.1", "ipywidgets==7.7.1"]
# Of each package what is in memory, what is on disk, and from where.
LOADED = """
import importlib, importlib.metadata, json
names = ["torch", "torchvision", "numpy", "matplotlib", "ipywidgets", "ipykernel", "IPython"]
modules = {n: importlib.import_module(n) for n in names}
seen = {n: [m.__version__, importlib.metadata.version(n), m.__file__] for n, m in modules.items()}
print("LOADED", json.dumps(seen))
"""
FETCHED = """
import json, sys
ours = sorted({m.__file__ for n, m in sys.modules.items() if n.split(".")[0] == "course_utils"})
print("FETCHED", json.dumps({"root": str(root), "ours": ours}))
"""
# What a lesson made must not help the next one over a forgotten import.
KEEP = "kept = set(globals()) | {'kept'}"
FORGET = "for made in [name for name in globals() if name not in kept and name[0] != '_']: del globals()[made]"


def git(*args, cwd):
    author = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *author, *args], cwd=cwd, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A commit of the files that git tracks or would track, with their present contents."""
    try:
        files = git("ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"not a git checkout: {error}")
    copy = tmp_path_factory.mktemp("remote") / FOLDER
    for file in filter(None, files):
        if (ROOT / file).is_file():  # deleted, but not yet committed, is deleted
            (copy / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, copy / file)
    git("init", "--quiet", "--initial-branch", BRANCH, cwd=copy)
    git("add", "--all", "--force", cwd=copy)
    git("commit", "--quiet", "--no-verify", "--message", "the course as it is now", cwd=copy)
    return copy


@pytest.fixture(scope="module")
def colab_python(tmp_path_factory):
    """A Python with Colab's IPython and ipywidgets in front of everything that is installed here."""
    env = tmp_path_factory.mktemp("colab") / "env"
    subprocess.run([sys.executable, "-m", "venv", str(env)], check=True)
    python = env / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    show = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    own = Path(subprocess.run(show, check=True, capture_output=True, text=True).stdout.strip())
    # What a .pth file names comes after the folder it lies in, so the environment's own packages win.
    here = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    (own / "tests-environment.pth").write_text("\n".join(here) + "\n")

    online = {**os.environ, "COURSE_TEST_NETWORK": "1"}
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", *COLAB]
    installed = subprocess.run(pip, env=online, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if installed.returncode:
        pytest.skip(f"pip cannot install {' '.join(COLAB)}: {installed.stderr.strip()[-300:]}")

    load = [python, "-c", "import IPython, ipykernel.kernelapp, ipywidgets"]
    loaded = subprocess.run(load, capture_output=True, text=True)
    if loaded.returncode and sys.version_info >= (3, 14):  # Colab itself is at 3.13
        pytest.skip(f"{COLAB[0]} is too old for this Python: {loaded.stderr.strip()[-300:]}")
    assert loaded.returncode == 0, loaded.stderr
    return python


@contextlib.contextmanager
def fresh_kernel(python, tmp_path, repository_url):
    """A kernel of that Python in the folder `empty`; gives a function that runs a cell and returns the words it printed."""
    spec = tmp_path / "kernels" / "lesson"
    spec.mkdir(parents=True, exist_ok=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel = {"argv": argv, "display_name": "lesson", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(kernel))
    specs = KernelSpecManager(kernel_dirs=[str(spec.parent)], ensure_native_kernel=False)

    folder = tmp_path / "empty"
    folder.mkdir(exist_ok=True)
    nb = nbformat.v4.new_notebook()
    client = NotebookClient(
        nb,
        km=AsyncKernelManager(kernel_name="lesson", kernel_spec_manager=specs),
        resources={"metadata": {"path": str(folder)}},
        timeout=180,
    )

    def run(source):
        nb.cells.append(nbformat.v4.new_code_cell(source))
        cell = client.execute_cell(nb.cells[-1], len(nb.cells) - 1)
        return "".join(output.get("text", "") for output in cell.outputs if output.output_type == "stream")

    # cleanup_kc: nbclient leaves a kernel running that it has not set up itself.
    with client.setup_kernel(cleanup_kc=True, env={**os.environ, "COURSE_REPO_URL": repository_url}):
        yield run


def seen(printed, kind):
    """What a LOADED or FETCHED cell saw."""
    (line,) = [line for line in printed.splitlines() if line.startswith(kind)]
    return json.loads(line.removeprefix(kind))


def next_cells(path):
    """The two cells after the set-up cell: where a lesson imports what it needs."""
    nb = nbformat.read(path, as_version=4)
    return [cell.source for cell in nb.cells if cell.cell_type == "code"][1:3]


def check_fetched(fetched, clone):
    assert Path(fetched["root"]).samefile(clone)
    assert fetched["ours"] and all(Path(file).is_relative_to(fetched["root"]) for file in fetched["ours"])
    assert git("reflog", cwd=clone).count("clone:") == 1
    assert git("log", "--format=%s", cwd=clone).strip() == "the course as it is now"


@pytest.mark.full      # with Colab's versions there is one more like it
def test_here_a_lesson_alone_fetches_the_course_once(tmp_path, repository):
    cells = [FIRST_CELL, *(next_cells(NOTEBOOKS[0]) if NOTEBOOKS else []), FETCHED]
    # The second time from an address where there is nothing: only the folder of the first time can serve.
    for url in (repository.as_uri(), (tmp_path / "nowhere").as_uri()):
        with fresh_kernel(sys.executable, tmp_path, url) as run:
            check_fetched(seen([run(cell) for cell in cells][-1], "FETCHED"), tmp_path / "empty" / FOLDER)


@pytest.fixture(scope="module")
def colab(tmp_path_factory, repository, colab_python):
    """A kernel with Colab's versions in which the first cell has run; `run`, what was loaded before it, and the folder."""
    folder = tmp_path_factory.mktemp("on_colab")
    with fresh_kernel(colab_python, folder, repository.as_uri()) as run:
        before = seen(run(LOADED), "LOADED")
        run(FIRST_CELL)
        run(KEEP)
        yield SimpleNamespace(run=run, loaded=before, clone=folder / "empty" / FOLDER)


@pytest.mark.full
def test_colabs_versions_are_the_ones_that_run(colab):
    for wanted in COLAB:
        package, _, version = wanted.partition("==")
        assert colab.loaded[package][0] == version, "the tests' own packages came first"


@pytest.mark.full
@pytest.mark.parametrize("path", NOTEBOOKS or [None], ids=lambda path: path.stem if path else "no lessons yet")
def test_with_colabs_versions_every_lesson_starts(path, colab):
    try:
        for cell in next_cells(path) if path else []:
            colab.run(cell)
    finally:
        colab.run(FORGET)
    assert seen(colab.run(LOADED), "LOADED") == colab.loaded, "the first cells changed a package that was loaded"
    check_fetched(seen(colab.run(FETCHED), "FETCHED"), colab.clone)


def test_an_address_without_a_course_stops_the_first_cell(tmp_path):
    nowhere = (tmp_path / "nowhere").as_uri()
    with fresh_kernel(sys.executable, tmp_path, nowhere) as run, pytest.raises(CellExecutionError, match="CalledProcessError"):
        run(FIRST_CELL)
