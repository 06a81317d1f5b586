"""What every test needs before a worker or a notebook's kernel starts: they inherit this environment."""

import os
import runpy
from pathlib import Path

import pytest

# One thread each: two workers with two threads each are slower than one worker alone on two cores,
# and a sum over one thread is the same on every run.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("COURSE_PROFILE", "quick")

# Python imports sitecustomize at its start, so the guard reaches every process that a test starts.
GUARD = Path(__file__).resolve().parent / "tests" / "no_network"
if os.environ.get("COURSE_TEST_NETWORK") != "1":
    others = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p and p != str(GUARD)]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(GUARD), *others])
    runpy.run_path(str(GUARD / "sitecustomize.py"))  # this process has started already


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="run the tests marked full too: all but those of --all-models")
    parser.addoption("--all-models", action="store_true", help="run the tests over all models of torchvision too (half an hour)")


def pytest_configure(config):
    config.addinivalue_line("markers", "full: costs much, and a cheaper test proves most of it; runs only with --full")
    config.addinivalue_line("markers", "all_models: over all models of torchvision; runs only with --all-models")


def pytest_collection_modifyitems(config, items):
    # Taken out instead of skipped: 80 skips in every report would hide the one that matters.
    off = [name for name, option in (("full", "--full"), ("all_models", "--all-models")) if not config.getoption(option)]
    left_out = [item for item in items if any(item.get_closest_marker(name) for name in off)]
    items[:] = [item for item in items if item not in set(left_out)]
    config.hook.pytest_deselected(items=left_out)
    # The longest first, and the lessons before them all: what is begun last decides how long one worker waits for the other.
    items.sort(key=lambda item: position(item.path))


LONGEST = ["test_teach.py", "test_contributing.py", "test_book_built.py", "test_colab.py", "test_mutate.py",
           "test_sockets_hosts.py", "test_sockets_timm.py", "test_sockets_torch.py", "test_slow_cell.py", "test_browser.py",
           "test_plots.py", "test_sockets_start.py", "test_offline.py", "test_tasks.py", "test_sockets_unplug.py",
           "test_studies_catalogue.py", "test_hosts_sockets.py", "test_widgets.py"]


def position(path):
    if path.suffix == ".ipynb":
        return 0
    return 1 + (LONGEST.index(path.name) if path.name in LONGEST else len(LONGEST))


# --- A cell that runs past its time limit ---
# nbval interrupts it, and whoever handles KeyboardInterrupt kindly, as train.fit does, lets the cell pass half trained.
# The cells after it nbval expects to fail, and does not mind if they pass: the whole notebook would be green.


@pytest.hookimpl(tryfirst=True)  # before nbval marks the cell as one that may fail
def pytest_runtest_setup(item):
    if late := getattr(item.parent, "late", None):
        pytest.fail(f"not run: {late}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    try:
        result = yield
    finally:
        if getattr(item.parent, "timed_out", False):
            limit = item.config.getoption("nbval_cell_timeout")
            item.parent.late = f"{item.name} of {item.path.name} ran past its limit of {limit:g} s"
    if late := getattr(item.parent, "late", None):  # and did not raise: then nbval says where it was
        pytest.fail(late, pytrace=False)
    return result
