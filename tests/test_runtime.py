"""The set-up of a lesson: the right profile, a clear word when something is missing, claims that can fail."""

import random
import re
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from packaging.requirements import Requirement

from course_utils import runtime, setup
from course_utils.runtime import Course, profile_name, rehearsing, seed_everything

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it where Python has none

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "course_utils"
CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    monkeypatch.delenv("COURSE_PROFILE", raising=False)
    monkeypatch.delenv("COURSE_REHEARSE", raising=False)


# ---- profile and device

def test_without_the_variable_the_device_decides():
    assert profile_name(CPU) == profile_name(torch.device("mps")) == "quick" and profile_name(CUDA) == "full"


@pytest.mark.parametrize("value, expected", [("full", "full"), ("quick", "quick"), (" Full ", "full")])
def test_the_variable_decides_whatever_the_device(value, expected, monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", value)
    assert profile_name(CPU) == profile_name(CUDA) == expected


def test_an_empty_variable_is_no_profile_and_no_mistake(monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "")
    assert profile_name(CPU) == "quick" and profile_name(CUDA) == "full"


@pytest.mark.parametrize("value, hint", [("fulll", r" Did you mean 'full'\?"), ("qiuck", r" Did you mean 'quick'\?"),
                                         ("zzz", "")])
def test_a_wrong_profile_names_the_right_ones_and_the_closest(value, hint, monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", value)
    message = rf"COURSE_PROFILE='{value}' is not a profile\.{hint} Known: 'quick' .*'full' "
    with pytest.raises(ValueError, match=message):
        setup()


def test_pick_gives_the_value_of_the_profile_in_force():
    assert Course(CPU, "quick", 0).pick(600, 3000) == 600
    assert Course(CPU, "full", 0).pick(quick=600, full=3000) == 3000


def test_the_best_device_is_one_that_works_here(monkeypatch):
    torch.zeros(1, device=runtime.best_device())
    cases = [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")]
    for cuda, mps, expected in cases:
        monkeypatch.setattr(torch.cuda, "is_available", lambda cuda=cuda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: mps)
        assert runtime.best_device().type == expected


# ---- who reads the environment

def test_only_runtime_reads_the_environment():
    """One place to look for what a variable does. Catches os.environ, os.getenv and their import by name."""
    readers = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")
               if re.search(r"environ\b|getenv", path.read_text("utf-8"))}
    assert readers == {"runtime.py"}


@pytest.mark.parametrize("value, folder", [("", None), (None, None), ("there", Path("there"))])
def test_an_empty_variable_is_no_folder_of_data(value, folder, monkeypatch):
    monkeypatch.delenv("COURSE_DATA", raising=False)
    if value is not None:
        monkeypatch.setenv("COURSE_DATA", value)
    assert runtime.data_folder() == folder


@pytest.mark.parametrize("value, raises", [("quick", True), ("full", False), (None, False)])
def test_errors_behind_sliders_are_raised_only_in_the_quick_profile(value, raises, monkeypatch):
    if value is not None:
        monkeypatch.setenv("COURSE_PROFILE", value)
    assert runtime.raises_in_widgets() is raises


# ---- setup

def test_setup_prints_one_line_that_says_what_it_runs_on(capsys, monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "full")
    course = setup(seed=7)
    (line,) = capsys.readouterr().out.splitlines()
    for word in ("profile 'full'", "seed 7", torch.__version__, runtime.PROFILES["full"]):
        assert word in line
    assert course == Course(runtime.best_device(), "full", 7, False)
    with pytest.raises(AttributeError):
        course.seed = 8


def draws():
    return random.random(), torch.rand(3).tolist(), np.random.rand(3).tolist()


def test_seeding_reaches_python_torch_and_numpy(capsys):
    first = (seed_everything(3), draws())[1]
    again = (seed_everything(3), draws())[1]
    other = (seed_everything(4), draws())[1]
    assert first == again and all(a != b for a, b in zip(first, other, strict=True))
    setup(seed=3)
    assert draws() == first, "setup() does not seed"
    setup()
    by_default = draws()
    setup(seed=0)
    assert draws() == by_default


# ---- missing packages

def test_missing_packages_are_told_in_one_screen_of_plain_words(monkeypatch, capsys):
    monkeypatch.setattr(runtime, "missing", lambda: ["ipywidgets", "tqdm"])
    with pytest.raises(ImportError) as caught:
        setup()
    text = str(caught.value)
    lines = text.splitlines()
    assert len(lines) <= 12 and max(len(line) for line in lines if sys.executable not in line) <= 100
    for package in ("ipywidgets", "tqdm"):
        (line,) = (line for line in lines if line.split()[0] == package)
        assert runtime.NEEDED[package] in line
    assert sys.executable in text and 'pip install -e ".[lab]"' in text and "Restart" in text
    assert not any(word in text for word in ("Traceback", "ModuleNotFoundError", "find_spec", "matplotlib"))
    assert capsys.readouterr().out == "", "it says that it runs, and then that it does not"


def test_a_package_that_is_not_there_is_found_missing(monkeypatch):
    assert runtime.missing() == []
    monkeypatch.setitem(runtime.NEEDED, "no_such_package_of_the_course", "nothing")
    assert runtime.missing() == ["no_such_package_of_the_course"]
    with pytest.raises(ImportError, match="no_such_package_of_the_course +nothing"):
        setup()


def test_every_dependency_is_looked_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    called = {"ipython": "IPython", "pillow": "PIL"}      # modules with another name than their package
    wanted = [Requirement(line) for line in project["dependencies"]]
    names = [need.name for need in wanted if not need.marker or need.marker.evaluate()]      # tomli: before Python 3.11 only
    assert {called.get(name, name) for name in names} == {*runtime.NEEDED, "torch"}


# ---- claims and rehearsals

def test_a_claim_that_does_not_hold_stops_the_notebook(capsys):
    course = Course(CPU, "quick", 0)
    with pytest.raises(AssertionError, match="does not hold.*SE beats the plain host"):
        course.claim("SE beats the plain host", 0.3 > 0.5)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("holds", [True, np.True_, torch.tensor(True)])
def test_a_claim_that_holds_is_printed(holds, capsys):
    Course(CPU, "quick", 0).claim("SE beats the plain host", holds)
    out = capsys.readouterr().out
    assert "SE beats the plain host" in out and "it holds" in out


@pytest.mark.parametrize("guess, came_out, said", [
    (..., "green", "No guess yet"), (None, 3, "No guess yet"), ("Green ", "green", "As you thought"), ("red", "green", "Not as"),
    (0.5, 0.51, "As you thought"), (0.5, 0.9, "Not as"), ("half", 0.5, "write a number"), (3, 3, "As you thought"),
    (["b", "a"], ["a", "b"], "Not as"), ({"b": 1, "a": 2}, {"a": 2, "b": 1}, "As you thought"),
    # as readers write it
    (0.45, 0.55, "As you thought"), ("90%", 0.92, "As you thought"), ("90 %", 0.5, "Not as"), ("0,9", 0.92, "As you thought"),
    ("1/2", 0.51, "As you thought"), ("1/0", 0.5, "write a number"), (Fraction(1, 3), 0.33, "As you thought"),
    (torch.tensor(0.5), 0.51, "As you thought"), (np.float32(0.5), 0.9, "Not as"), ("none", 0, "As you thought"),
    ("zero", 0.0, "As you thought"), ("all", 5, "write a number"), (True, 1, "write a number"), ("1e-5", 0.9, "Not as"),
    ((1, 1, 2, 2), [1.0, 1.0, 2.0, 2.0], "As you thought"), (1.5, [1.5, 1.5], "As you thought"), (1.5, [1.5, 2.5], "Not as"),
    ("a, b", ["a", "b"], "As you thought"), ("b, a", ["a", "b"], "Not as"), (["a"], ["a", "b"], "Not as"),
    ([1, 2], {"b": 1, "a": 2}, "As you thought"), ([2, 1], {"b": 1, "a": 2}, "Not as"), ({"b": 1}, {"b": 1, "a": 2}, "Not as"),
    (["mean", "max"], "mean, max", "As you thought"), (["max", "mean"], "mean, max", "Not as"), (18, "18", "As you thought"),
    ("1e999", 5, "Not as"),
    ("1,200", 1200, "As you thought"), ("1,234,567", 1_234_567, "As you thought"), ("1,200.5", 1200.5, "As you thought"),
    ("0,125", 0.1, "As you thought"), ("1,25", 1.25, "As you thought"), ("1,200", 1.2, "Not as"),
    ("bottom-right", "bottom right", "As you thought"), ("bottom left", "bottom right", "Not as"),
])
def test_a_guess_is_compared_with_what_came_out(guess, came_out, said, capsys):
    Course(CPU, "quick", 0).guessed(guess, came_out, within=0.1)
    out = capsys.readouterr().out
    assert said in out and f"What came out: {came_out}." in out


@pytest.mark.parametrize("guess, said", [(["B ", "a"], "As you thought"), (("a", "b"), "As you thought"), ({"a"}, "Not as"),
                                         ("a", "Not as"), ("b and a", "As you thought"), ("b, a", "As you thought"),
                                         ([], "Not as"), ("none", "Not as"), (["a", "a"], "Not as"), (..., "No guess yet")])
def test_the_order_of_a_set_is_nobodys_guess(guess, said, capsys):
    Course(CPU, "quick", 0).guessed(guess, {"b", "a"})
    out = capsys.readouterr().out
    assert said in out and "What came out: ['a', 'b']." in out


@pytest.mark.parametrize("guess, came_out, said", [("none", set(), "As you thought"), ([], set(), "As you thought"),
                                                   (3, {3}, "As you thought"), ([3, 4], {3}, "Not as"), (4, {3}, "Not as")])
def test_a_guess_may_be_that_nothing_or_one_number_is_there(guess, came_out, said, capsys):
    Course(CPU, "quick", 0).guessed(guess, came_out)
    assert said in capsys.readouterr().out


def test_a_study_that_still_runs_makes_no_guess_wrong(capsys):
    """Catches "Not as you thought: why?" for a guess of 8 of eight where 2 of 2 seeds have arrived."""
    Course(CPU, "quick", 0).guessed(8, 2, so_far=" (2 of 8 seeds so far)")
    assert capsys.readouterr().out == "Your guess: 8. What came out: 2 (2 of 8 seeds so far). Open: not all seeds have run.\n"
    Course(CPU, "quick", 0).guessed(8, 2, so_far="")
    assert "Not as you thought" in capsys.readouterr().out


@pytest.mark.parametrize("guess, said", [(..., "No guess yet: write yours above, and run again.\n"),
                                         ("late", "Your guess: late.\n")])
def test_a_guess_may_be_compared_with_a_figure(guess, said, capsys):
    Course(CPU, "quick", 0).guessed(guess)
    assert capsys.readouterr().out == said


@pytest.mark.parametrize("holds", [True, False])
def test_a_rehearsal_claims_nothing(holds, capsys):
    Course(CPU, "quick", 0, rehearsal=True).claim("SE beats the plain host", holds)
    out = capsys.readouterr().out
    assert "SE beats the plain host" in out and "not measured" in out and "holds" not in out


@pytest.mark.parametrize("value, graded, expected", [("1", False, True), ("0", False, False), ("", False, False),
                                                     (None, False, False), (None, True, True), ("0", True, False)])
def test_only_the_variable_and_a_grader_make_a_rehearsal(value, graded, expected, monkeypatch, capsys):
    """Catches an empty lesson that trains for minutes while it is graded. nbgrader names what it does in a variable."""
    if graded:
        monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    if value is not None:
        monkeypatch.setenv("COURSE_REHEARSE", value)
    assert rehearsing() is expected and setup().rehearsal is expected
