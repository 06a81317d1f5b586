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
