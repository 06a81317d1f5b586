"""What every test needs before a worker or a notebook's kernel starts: they inherit this environment."""

import os
import runpy
from pathlib import Path

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
    parser.addoption("--all-models", action="store_true", help="run the tests over all models of torchvision too (half an hour)")


def pytest_configure(config):
    config.addinivalue_line("markers", "all_models: over all models of torchvision; runs only with --all-models")


def pytest_collection_modifyitems(config, items):
    # Taken out instead of skipped: 80 skips in every report would hide the one that matters.
    if not config.getoption("--all-models"):
        left_out = [item for item in items if item.get_closest_marker("all_models")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
