"""A cell that runs past its time limit makes the run red, although `fit` takes the interrupt for a person's and ends kindly."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
GUARD = "# --- A cell that runs past its time limit ---"

IMPORTS = "import pathlib, torch\nfrom course_utils import tasks, train"
ENDLESS = """
net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(10))
net(tasks.make("what", 2).x)
history = train.fit(net, tasks.Stream("what", steps=10**6), progress=False)
if history.interrupted:
    pathlib.Path("ended_kindly").touch()
"""
ASLEEP = "# NBVAL_RAISES_EXCEPTION\nimport time\ntime.sleep(600)"
AFTER = "print('as if nothing had happened')"


def pytest_on(folder, limit, **lessons):
    """`pytest` with the project's own settings on notebooks made of these cells, and with this limit for each cell."""
    (folder / "notebooks").mkdir(exist_ok=True)
    for name, cells in lessons.items():
        nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
        nb.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(nb, folder / "notebooks" / f"{name}.ipynb")
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "0", "-rA", f"--nbval-cell-timeout={limit}"]
    env = {**os.environ, "PYTHONPATH": path, "COURSE_REHEARSE": "", "COLUMNS": "200"}      # so that no line is cut off
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300)


def interrupted_in_fit(folder, **lessons):
    """The run, with the smallest of some limits that leaves time for what comes before `fit`, however busy the machine is."""
    for limit in (4, 16, 64):
        run = pytest_on(folder, limit, **lessons)
        if (folder / "notebooks" / "ended_kindly").exists():
            return run, limit
    pytest.fail(f"no limit interrupted the training:\n{run.stdout}{run.stderr}")


@pytest.fixture
def project(tmp_path):
    shutil.copytree(ROOT / "tests" / "no_network", tmp_path / "tests" / "no_network")
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def test_a_cell_that_runs_past_its_limit_is_red_and_so_is_what_follows(project):
    run, limit = interrupted_in_fit(project, slow=[IMPORTS, ENDLESS, AFTER, "# NBVAL_SKIP\n" + AFTER])
    late(run, f"Cell 1 of slow.ipynb ran past its limit of {limit} s", 2)
    assert re.search(r"^=+ 1 failed, 1 passed, 2 errors in ", run.stdout, re.M), run.stdout


@pytest.mark.full
def test_so_is_one_that_may_raise_and_is_stopped_asleep(project):
    late(pytest_on(project, 4, asleep=[ASLEEP, AFTER]), "Cell 0 of asleep.ipynb ran past its limit of 4 s", 1)


def late(run, said, after):
    """The run is red by this sentence, and by it once more for each cell that follows."""
    assert run.returncode == 1, run.stdout + run.stderr
    assert re.search(f"^FAILED .*{said}$", run.stdout, re.M), run.stdout
    assert len(re.findall(f"^ERROR .*not run: {said}$", run.stdout, re.M)) == after, run.stdout


@pytest.mark.full
def test_without_the_guard_it_would_be_green(project):
    """If this fails, nbval has learned it, and the guard in conftest.py can go."""
    conftest = project / "conftest.py"
    before, mark, _ = conftest.read_text("utf-8").partition(GUARD)
    assert mark
    conftest.write_text(before, "utf-8")
    run, _ = interrupted_in_fit(project, slow=[IMPORTS, ENDLESS, AFTER])
    assert run.returncode == 0 and "2 passed, 1 xpassed" in run.stdout, run.stdout + run.stderr
