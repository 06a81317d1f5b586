"""What a lesson runs on: device, profile, seed. The only place that reads the environment."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import platform
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from . import guesses, names

PROFILES = {
    "quick": "minutes on two processor cores",
    "full": "the real budgets; made for a GPU",
}
DATA_VARIABLE = "COURSE_DATA"
KEPT = 2**30      # bytes: more than a step of any lesson or study needs
# Name to import, what it is for. Torch is missing only if this file cannot be read at all.
NEEDED = {"numpy": "numbers", "torchvision": "real data sets", "matplotlib": "figures", "ipywidgets": "sliders",
          "tqdm": "progress bars", "scipy": "intervals", "IPython": "showing figures", "PIL": "pictures as files",
          "filelock": "files of results"}


@dataclass(frozen=True)
class Course:
    """What `setup()` found. Lessons read `device`, call `pick` for their budgets and `claim` for what they measured."""

    device: torch.device
    profile: str
    seed: int
    rehearsal: bool = False

    def pick(self, quick: Any, full: Any) -> Any:
        """The value for the profile in force: `steps = course.pick(quick=600, full=3000)`."""
        return quick if self.profile == "quick" else full

    def claim(self, sentence: str, holds: bool) -> None:
        """Print a sentence of the text as a measured result; stop the notebook if the measurement says otherwise.

        In a rehearsal (`COURSE_REHEARSE=1`, two training steps only) nothing was measured, and it says so.

        Raises:
            AssertionError: the claim does not hold on this run.
        """
        if self.rehearsal:
            print(f"rehearsal, not measured: {sentence}")
        elif holds:
            print(f"measured, and it holds: {sentence}")
        else:
            raise AssertionError(f"measured, and it does not hold here: {sentence}")

    def guessed(self, guess: Any, came_out: Any = ..., within: float = 0.0, so_far: str = "") -> None:
        """Print a guess beside what came out; `...` stands for none. Numbers agree if they are `within` so much.

        What was meant counts, not how it is written: "90 %" is 0.9, and of a set the order does not matter (guesses.py).
        Without `came_out` the guess alone: what came out is in the figure or the table beside it. With `so_far`, a text such as
        "(2 of 8 seeds so far)", there is no verdict: what came out may still change.
        """
        shown = sorted(came_out) if isinstance(came_out, set) else came_out
        result = "" if came_out is ... else f" What came out: {shown}{' ' + so_far.strip() if so_far else ''}."
        if guess is ... or guess is None:
            print(f"No guess yet: write yours above, and run again.{result}")
        elif came_out is ...:
            print(f"Your guess: {guess}.")
        elif so_far:
            print(f"Your guess: {guess}.{result} Open: not all seeds have run.")
        else:
            said = {True: "As you thought.", False: "Not as you thought: why?",
                    None: "To have the two compared, write a number."}[guesses.meets(guess, came_out, within)]
            print(f"Your guess: {guess}.{result} {said}")


def best_device() -> torch.device:
    """CUDA if there is one, else Apple's MPS, else the processor."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def profile_name(device: torch.device) -> str:
    """`COURSE_PROFILE` if it is set, else "full" on CUDA and "quick" elsewhere.

    Raises:
        ValueError: the variable holds something else; the message names the profiles.
    """
    name = os.environ.get("COURSE_PROFILE", "").strip().lower()
    if not name:
        return "full" if device.type == "cuda" else "quick"
    if name not in PROFILES:
        raise ValueError(f"COURSE_PROFILE={name!r} is not a profile.{names.hint(name, PROFILES)} Known: "
                         + ", ".join(f"{k!r} ({v})" for k, v in PROFILES.items()))
    return name


def rehearsing() -> bool:
    """Does training stop after two steps, so that tests of the text and of exercises are quick?

    Under `COURSE_REHEARSE=1`; and where nbgrader runs a notebook (it sets NBGRADER_EXECUTION), unless `COURSE_REHEARSE=0`:
    what is graded are the exercises, and a lesson that nobody has filled in would train for minutes.
    """
    wish = os.environ.get("COURSE_REHEARSE", "")
    return wish == "1" or not wish and "NBGRADER_EXECUTION" in os.environ


def kernel_environment() -> dict[str, str]:
    """The environment for a kernel that runs a lesson: this one, with the profile `quick` where none is set."""
    return {"COURSE_PROFILE": "quick", **os.environ}


def raises_in_widgets() -> bool:
    """True under `COURSE_PROFILE=quick`, as in the tests: an error behind a slider is shown below the figure, and raised."""
    return os.environ.get("COURSE_PROFILE") == "quick"


def data_folder() -> Path | None:
    """`COURSE_DATA`, the folder of data sets that are there already; None if it is not set, or empty."""
    name = os.environ.get(DATA_VARIABLE)
    return Path(name) if name else None


def use_data_folder(path: str | Path) -> None:
    """Look for data sets there, in this process and in those that it starts."""
    os.environ[DATA_VARIABLE] = str(path)


@functools.cache
def keep_memory() -> bool:
    """Ask the C library, where it is glibc, to keep up to 1 GiB of what is freed, for this process; returns whether it does.

    Otherwise it may give the tensors of a step back to the system and get them again, page by page, in the next one. Whether it
    does is an accident of what was freed before; what it costs, `python tests/benchmarks/memory.py` measures. The numbers that
    come out stay the same to the bit.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):      # macOS and Windows have no such function
        return False
    trim_threshold, most_mapped = -1, -4      # the names of malloc.h: M_TRIM_THRESHOLD, M_MMAP_MAX
    return bool(mallopt(trim_threshold, KEPT) and mallopt(most_mapped, 0))


def seed_everything(seed: int) -> None:
    """Seed Python, torch and, where it is loaded already, NumPy."""
    random.seed(seed)
    torch.manual_seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)


def missing() -> list[str]:
    """The packages that the lessons need and that are not there."""
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def setup(seed: int = 0) -> Course:
    """Choose device and profile, seed the generators, keep memory, print one line on what the lesson runs on.

    Returns:
        Course: with `device`, `profile`, `seed`.

    Raises:
        ImportError: packages are missing; the message names them, what each is for, and the command that brings them.
        ValueError: `COURSE_PROFILE` is not a profile.
    """
    if lacking := missing():
        lines = "\n".join(f"  {name:12s} {NEEDED[name]}" for name in lacking)
        raise ImportError(f"The course needs packages that this Python does not have:\n{lines}\n"
                          f"This Python is {sys.executable}.\n"
                          'To get them, in a terminal, in the course\'s folder:  pip install -e ".[lab]"\n'
                          "Then choose Kernel > Restart and run this cell again.")
    device = best_device()
    profile = profile_name(device)
    seed_everything(seed)
    keep_memory()      # what a lesson times is then the arithmetic, and not where pages come from
    if device.type != "cuda":      # else the profiler of torch reports an error, and all that is wrong is that there is no GPU
        os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()
    print(f"Runs on {name}, profile '{profile}' ({PROFILES[profile]}). "
          f"Python {platform.python_version()}, torch {torch.__version__}, seed {seed}.")
    return Course(device, profile, seed, rehearsing())
