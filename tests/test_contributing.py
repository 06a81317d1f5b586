"""CONTRIBUTING: what it names is there, and each of its recipes, walked step by step in a copy, ends where it says.

The commands are those of the text, with a toy's name for NAME: a recipe that says something else is walked another way.
"""

import ast
import functools
import glob
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest

from course_utils.studies import CATALOGUE

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FOLDERS = ("", "course_utils", "tests")      # a path is said from one of these
MADE = ("lesson.py", "build/", "*.whl")      # what a step makes, or what may be left of it
PATH = re.compile(r"[\w./*]*[\w*]\.(?:py|md|toml|txt|cff|ipynb|jsonl|whl)|[\w./]+/|\.ci/run")
PROGRAMS = ("python", "pytest", "pip", "jupytext", "bash", "git", "ruff")


# ---- what the text names

def spans(text):
    return re.findall(r"`([^`]+)`", re.sub(r"^```\n(.*?)^```", lambda block: re.sub("(?m)^(.+)$", r"`\1`", block[1]), text,
                                           flags=re.M | re.S))


def places(path):
    """The files that a path in the text can mean: NAME, NN and FILE stand for any."""
    path = re.sub(r"NN_name|NAME|NN", "*", path)
    return [file for folder in FOLDERS for file in glob.glob(str(ROOT / folder / path))]


def missing_paths(text):
    """Also `_torch.py` for a neighbour of the file before it."""
    before = ""
    for word in (word for span in spans(text) for word in span.split()):
        if not PATH.fullmatch(word) or word in MADE:
            continue
        if word.startswith("_"):
            word = re.sub(r"_[a-z]+\.py$", word, before)
        before = word
        if not places(word):
            yield word


@functools.cache
def defined(file):
    """The names that a file gives to something: functions, classes, variables, fields, arguments."""
    names = set()
    for node in ast.walk(ast.parse(Path(file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
    return names


def missing_names(text):
    """A name alone must be defined somewhere, `NAME` in `file.py` there."""
    files = {file for folder in ("course_utils", "tests", "tools") for file in (ROOT / folder).rglob("*.py")} - {Path(__file__)}
    everywhere = set().union(*(defined(str(file)) for file in files))
    for span in spans(text):
        name = re.fullmatch(r"@?(?:\w+\.)*\.?([A-Za-z_]\w*)(?:\(.*\))?", span)
        if name and not PATH.fullmatch(span) and span not in (*PROGRAMS, "NAME") and name[1] not in everywhere:
            yield span
    pairs = [(name, path) for name, path in re.findall(r"`(\w+)` (?:in|of) `([\w/]+\.py)`", text)]
    pairs += [(name, path) for path, name in re.findall(r"`([\w/]+\.py)`, (?:function|class) `(\w+)`", text)]
    for name, path in pairs:
        if not any(name in defined(file) for file in places(path)):
            yield f"{name} in {path}"


def missing_parts_of_commands(text):
    """A script, a module or an option that a command names; of a study and a lesson, too."""
    for span in spans(text):
        program, *words = span.split()
        if re.fullmatch(r"\d\d_\w+", span) and span not in CATALOGUE and not places(f"notebooks/{span}.ipynb"):
            yield span
        if program not in ("python", "pytest") or words[:2] == ["-m", "zipfile"]:
            continue
        if words[:1] == ["-m"]:
            main = ROOT / words[1].replace(".", "/") / "__main__.py"
        else:
            main = ROOT / ("conftest.py" if program == "pytest" else words[0])
        source = main.read_text(encoding="utf-8") if main.exists() else ""
        yield from (f"{word} of {span}" for word in words if word.startswith("--") and f'"{word}"' not in source)
        if program == "python" and not source:
            yield span


CHECKS = [missing_paths, missing_names, missing_parts_of_commands]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_what_it_names_is_there(check):
    """Catches a file, a function, a table, a command or an option that was renamed."""
    assert not list(check(TEXT))


@pytest.mark.parametrize("check, text, wanted", [
    (missing_paths, "in `hosts/tiny.py`, and `sockets/`", ["hosts/tiny.py"]),
    (missing_paths, "```\npytest tests/test_nothing.py\n```", ["tests/test_nothing.py"]),
    (missing_paths, "`tests/test_sockets_start.py`, `_torch.py`, `_gone.py`", ["tests/test_sockets_gone.py"]),
    (missing_paths, "`check/lesson_NN.py`, `checks/lesson_NN.py`", ["checks/lesson_NN.py"]),
    (missing_names, "derived from `Gate` or `Gates`; `.again(...)` or `.repeat(...)`", ["Gates", ".repeat(...)"]),
    (missing_names, "`t_interval` in `stats.py`, `KEPT` in `stats.py`", ["KEPT in stats.py"]),
    (missing_names, "`tasks/puzzles.py`, function `what`; `train.py`, function `what`", ["what in train.py"]),
    (missing_parts_of_commands, "`python -m course_utils.studies run 05_mixing --workers 2`, `python -m course_utils.recorded`",
     ["python -m course_utils.recorded"]),
    (missing_parts_of_commands, "`python tools/set_repo.py --chek`", ["--chek of python tools/set_repo.py --chek"]),
    (missing_parts_of_commands, "`pytest --full --slow`", ["--slow of pytest --full --slow"]),
    (missing_parts_of_commands, "`05_mixing`, `05_mixed`", ["05_mixed"]),
])
def test_what_is_not_there_is_noticed(check, text, wanted):
    assert list(check(text)) == wanted


def test_every_recipe_is_walked_below():
    """Catches a recipe that was added, and that nobody has tried."""
    assert re.findall(r"^## Add (.+)$", TEXT, re.M) == ["a mechanism", "a check", "a lesson", "a study", "a data set",
                                                          "a socket"]
    assert all(f"\ndef test_{what.replace(' ', '_')}_by_the_recipe(" in Path(__file__).read_text(encoding="utf-8")
               for what in re.findall(r"^## Add (.+)$", TEXT, re.M))


# ---- the recipes

class Copy:
    """A copy of the project, in which a recipe is walked."""

    def __init__(self, root, recipe):
        self.root, self.said = root, spans(TEXT.split(f"## Add {recipe}\n")[1].split("\n## ")[0])
        skipped = shutil.ignore_patterns(".git", ".venv", "venv", "build", "dist", "downloads", "__pycache__",
                                         ".*_cache", "*.egg-info")
        shutil.copytree(ROOT, root, ignore=skipped)

    def edit(self, file, *pairs):
        path = self.root / file
        text = path.read_text(encoding="utf-8")
        for old, new in pairs:
            assert text.count(old) == 1, f"{old!r} in {file}"
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")

    def command(self, begin, name, *more, code=0, **env):
        """Run the command of the recipe that begins so, with a toy's name in it; what it says. `code` is what it ends with."""
        program, *words = shlex.split(next(said for said in self.said if said.startswith(begin)).replace("NN_name", name)
                                      .replace("NAME", name))
        words = [file for word in words for file in (sorted(glob.glob(word, root_dir=self.root)) if "*" in word else [word])]
        words = (["-m", "pytest", *words, "-n", "0", "-q", "--tb=short"] if program == "pytest" else words) + list(more)
        clean = {key: value for key, value in os.environ.items() if key != "COURSE_REHEARSE"}
        path = os.pathsep.join(map(str, (self.root / "tests" / "no_network", self.root)))
        done = subprocess.run([sys.executable, *words], cwd=self.root, env={**clean, "PYTHONPATH": path, **env}, text=True,
                              capture_output=True, stdin=subprocess.DEVNULL)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr


def failed(output):
    return set(re.findall(r"^(?:FAILED|ERROR) \S+?::(\w+)", output, re.M))


TOY = '''

class Toy(Gate):
    """Each channel is weighed by its own mean.

    No single paper.   In no lesson.

        y = sigmoid(a * mean over positions of x + b) * x           (N, C, H, W)

    Args:
        channels: C, at least 1.
        start: "as_made" or "identity".

    Raises:
        ValueError: in `forward`, an input that is not a float (N, channels, H, W).

    Parameters: 2 C.   Authors' socket: `post`.
    Compared with nested loops.
    """

    paper = "no single paper"

    def __init__(self, channels: int, start: str = "as_made"):
        super().__init__(channels, start)
        self.scale = nn.Conv2d(channels, channels, 1, groups=channels)
        self.start_from(self.scale)

    def gate(self, x: Tensor) -> Tensor:
        return self.squash(self.scale(x.mean((2, 3), keepdim=True)))
'''
LOOP = '''def toy(x, p):
    return each(lambda v, logit: v * p.squash(logit), x, p.conv("scale", over_positions(x, mean), groups=len(x[0])))


def ge_learned('''
PARITY = '''@starts
def test_toy_equals_nested_loops(start):
    assert_same_as_loops(moved("toy", 4, start), loops.toy, picture(2, 4, 3, 5))


PARITY = {
    "toy": (test_toy_equals_nested_loops,),
'''


@pytest.mark.full
def test_a_mechanism_by_the_recipe(tmp_path):
    here = Copy(tmp_path / "course", "a mechanism")
    channel = here.root / "course_utils/attention/channel.py"
    channel.write_text(channel.read_text(encoding="utf-8") + TOY, encoding="utf-8")
    here.edit("course_utils/attention/__init__.py", ("SRM, GatedChannel", "SRM, GatedChannel, Toy"),
              ('REGISTRY: dict[str, type[nn.Module]] = {', 'REGISTRY: dict[str, type[nn.Module]] = {\n    "toy": Toy,'))
    here.command("python tools/make_table.py", "toy")
    here.command("python tools/make_index.py", "toy")
    lacks = here.command("pytest tests/test_attention_contract.py", "toy", code=1)
    assert failed(lacks) == {"test_every_mechanism_has_a_parity_reference", "test_every_mechanism_has_a_formula"}
    assert lacks.count("'toy'") >= 2, "it says what lacks, and not of whom"
    here.edit("tests/oracles_gates.py", ("def ge_learned(", LOOP))
    here.edit("tests/test_parity_gates.py", ("PARITY = {\n", PARITY))
    here.edit("tests/test_attention_contract.py", ("PARAMETERS = {\n", 'PARAMETERS = {\n    "toy": lambda c: 2 * c,\n'))
    here.command("pytest tests/test_attention_contract.py", "toy")
    assert "passed" in here.command("pytest tests/test_attention*.py", "toy", "-k", "toy")
    mutant = '    ("toy: max", CHANNEL, "self.scale(x.mean(", "self.scale(x.amax("),\n'
    here.edit("tests/mutants.py", ("MUTANTS = [\n", "MUTANTS = [\n" + mutant))
    assert "1 of 1 mutants caught" in here.command("python tests/mutate.py", "toy")
    here.command("python tools/make_field_guide.py", "toy", "--keep-prices")      # of the toy there is none yet: it is counted
    assert "passed" in here.command("pytest tests/test_field_guide.py", "toy", "-k", "toy or page_is or index or number_is")


@pytest.mark.full
def test_a_check_by_the_recipe(tmp_path):
    here = Copy(tmp_path / "course", "a check")
    lesson = here.root / "course_utils/check/lesson_00.py"
    wrong = ", ".join(f'Mistake("not {n}", {n})' for n in (1, 2, 3, 4, 5))
    lesson.write_text(lesson.read_text(encoding="utf-8") + f'''

@exercise("Toy", [{wrong}])
def toy(report: Report, answer: float) -> None:
    close_number(report, answer, 6, "two times three", 1e-3)
''', encoding="utf-8")
    tests, only = ("pytest tests/test_check.py", "toy"), ("-k", "every_check or toy")
    assert failed(here.command(*tests, *only, code=1)) == {"test_every_check_can_be_called_by_a_lesson"}
    here.edit("course_utils/check/__init__.py", ("comparison, guess_among\n", "comparison, guess_among, toy\n"),
              ('__all__ = ["apply_gate",', '__all__ = ["apply_gate", "toy",'))
    lacks = failed(here.command(*tests, "-k", "every_check", code=1))
    assert "test_every_check_has_right_answers_and_at_least_five_wrong_ones" in lacks
    here.edit("tests/test_check.py", ("RIGHT = {\n", 'RIGHT = {\n    "toy": [6, 2 * 3],\n'))
    said = here.command(*tests, *only)
    assert int(re.search(r"(\d+) passed", said)[1]) >= 2 + 2 + 5 + 1      # right answers, mistakes and the placeholder


def cut_to_a_handful(path):
    """The title, the first cell, a small training and one exercise of lesson 00, as a lesson of its own."""
    nb = nbformat.read(path, 4)
    (answer,) = (k for k, cell in enumerate(nb.cells) if cell.metadata.get("nbgrader", {}).get("grade_id") == "ex1")
    cells, (imports,) = nb.cells[:2], (c for c in nb.cells if c.source.startswith("import torch\n"))
    title, box, fold = cells[0], nb.cells[answer - 1], nb.cells[answer + 2]
    title.source = title.source.replace("# 00 · Start here", "# 99 · Toy")
    box.source = "## Exercises\n\n### Exercise 1 · Recall\n\nDifficulty 1 of 5, 2 minutes, core. A guess among five."
    fold.source = fold.source.partition("\n\n### ")[0]
    training = nbformat.v4.new_code_cell(
        'net = hosts.SmallHost().to(course.device)\nplug_in(net, "eca", at="input", input_size=56)\n'
        'history = train.fit(net, tasks.Stream("what", 2, seed=0, device=course.device), label="toy")')
    nb.cells = [*cells, imports, training, box, *nb.cells[answer:answer + 2], fold]
    nbformat.write(nb, path)


def say_it_anew(path):
    """Another word in every sentence, so that none of them stands in lesson 00 too."""
    nb = nbformat.read(path, 4)
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"(?m)\b(a|an|and|the) (?!.*=)", r"\1 toy ", cell.source)
    nbformat.write(nb, path)


@pytest.mark.full
def test_a_lesson_by_the_recipe(tmp_path):
    here = Copy(tmp_path / "course", "a lesson")
    lesson = here.root / "notebooks/99_toy.ipynb"
    shutil.copy(here.root / "notebooks/00_start_here.ipynb", lesson)
    cut_to_a_handful(lesson)
    rules = ("pytest tests/test_notebooks.py", "99_toy")
    assert failed(here.command(*rules, "-k", "99_toy and (rules or badge) or readme", code=1)) == {
        "test_lesson_keeps_the_rules", "test_every_lesson_has_its_own_badge_and_the_common_first_cell",
        "test_the_readme_lists_every_lesson_in_order_and_how_long_it_takes"}
    assert "notebooks/99_toy.ipynb" in here.command("python tools/set_repo.py", "99_toy")
    assert "blob/main/notebooks/99_toy.ipynb" in lesson.read_text(encoding="utf-8")
    last = re.findall(r"^\| \d\d \| .*\n", (here.root / "README.md").read_text(encoding="utf-8"), re.M)[-1]
    here.edit("README.md", (last, last + "| 99 | [Toy](notebooks/99_toy.ipynb) | Toy? | 50 |\n"))
    assert "99_toy.ipynb: " in here.command("python tools/run_notebooks.py", "99_toy")
    assert [c.execution_count for c in nbformat.read(lesson, 4).cells if c.cell_type == "code"] == [1, 2, 3, 4, 5]
    assert failed(here.command(*rules, code=1)) == {"test_no_sentence_stands_in_two_lessons"}
    say_it_anew(lesson)
    here.command(*rules)
    assert "5 passed" in here.command("pytest notebooks/", "99_toy")
    page = here.root / "docs/teaching/99.md"
    assert "pages in" in here.command("python tools/make_teaching.py", "99_toy") and "# 99 · Toy" in page.read_text("utf-8")
    assert failed(here.command("pytest tests/test_teaching_pages.py", "99_toy", "-k", "99 or every_lesson", code=1)) == {
        "test_a_page_has_its_parts_and_its_length", "test_what_may_be_cut_is_a_part_of_the_lesson_and_not_all_of_it",
        "test_the_order_for_so_many_minutes_names_every_lesson", "test_the_minutes_of_a_lesson_hold_all_that_is_in_it"}


@pytest.mark.full
def test_a_study_by_the_recipe(tmp_path):
    here = Copy(tmp_path / "course", "a study")
    results = here.root / "data/results/99_toy.jsonl"
    here.edit("course_utils/studies/catalogue.py", ('    swap.again("13_again"),\n', '''    swap.again("13_again"),
    Study("99_toy", "Lesson 99: a toy.", {"task": "twins", "steps": 2, "test_size": 50},
          {"plain": {}, "ECA": {"mechanism": "eca"}}, (("ECA", "plain"),)),
'''))
    run, rules = "python -m course_utils.studies run NAME --", "pytest tests/test_studies_keys.py"
    here.command(run + "seeds", "99_toy", COURSE_REHEARSE="1")
    assert not (here.root / "FILE").exists(), "a rehearsal is no measurement"
    here.command(run + "seeds", "99_toy")
    assert len((here.root / "FILE").read_text().splitlines()) == 3 and not results.exists()      # the study, and two trials
    here.command(run + "background", "99_toy")
    whole = results.read_text()
    assert [json.loads(line)["error"] for line in whole.splitlines()[1:]] == [None] * 10
    results.write_text("".join(whole.splitlines(keepends=True)[:8]))
    assert "10 trials, 7 of them in 99_toy.jsonl already." in here.command(run + "background", "99_toy")
    assert len(results.read_text().splitlines()) == 11
    only = ("-k", "99_toy or every_file or second_run")
    lacks = here.command(rules, "99_toy", *only, code=1)
    assert failed(lacks) == {"test_trials_that_are_what_they_were_keep_their_keys"}
    line = re.search(r'if the study is a new one: ("99_toy": \(\d+, "\w+"\))', lacks)[1]
    here.edit("tests/test_studies_keys.py", ("KEPT = {\n", f"KEPT = {{\n    {line},\n"))
    assert "passed" in here.command(rules, "99_toy", *only)


READ_TOY = '''def read_toy(root: Path, train: bool, download: bool, size: int) -> Read:
    """Grey squares, each as bright as its label says."""
    try:
        with np.load(root / "toy.npz", allow_pickle=False) as archive:
            y = torch.from_numpy(archive["train" if train else "test"])
    except Exception as error:
        raise RuntimeError(f"not found: {error}") if isinstance(error, FileNotFoundError) else ValueError(str(error)) from error
    return (100 * y)[:, None, None, None].expand(-1, 1, size, size).to(torch.uint8), y, ["dark", "bright"]


DATA_SETS = {
    "toy": DataSet(read_toy, 2, 24, ("toy.npz",), 1, "made by hand"),
'''


@pytest.mark.full
def test_a_data_set_by_the_recipe(tmp_path):
    here = Copy(tmp_path / "course", "a data set")
    row = '    "folder:PATH"                       3x64x64'
    here.edit("course_utils/tasks/real.py", ("DATA_SETS = {\n", READ_TOY),
              (row, f'    "toy"                  6        2   1x24x24\n{row}'))
    # Not fetched, and with two pictures to test on: what the tests say of a fetched and of a large one is not for it.
    assert "passed" in here.command("pytest tests/test_tasks_real.py", "toy", "-k", "toy and not no_connection and not trial_on")
    np.savez(tmp_path / "toy.npz", train=np.array([0, 1] * 3), test=np.array([1, 0]))
    use = ("from course_utils import tasks; from course_utils.studies import Trial, run_trial\n"
           "print(tasks.load('toy').x[:, 0, 0, 0].tolist(), run_trial(Trial('toy', 'small_resnet', steps=2, batch_size=4)).data)")
    done = subprocess.run([sys.executable, "-c", use], cwd=here.root, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(here.root), "COURSE_DATA": str(tmp_path)})
    assert done.stdout.startswith("[0, 100, 0, 100, 0, 100] toy: 6 pictures of 24x24"), done.stdout + done.stderr


FIND_TOY = '''def find_toy(net: Finder) -> Iterator[Place]:
    """Before a whole block, so that its branch and its skip read what attention gives."""
    for unit in net.units if net.unit == "block" else ():
        yield net.place("toy", unit, unit.call, "before", unit.fork)


def find_head('''


@pytest.mark.full
def test_a_socket_by_the_recipe(tmp_path):
    here = Copy(tmp_path / "course", "a socket")
    tests = "pytest tests/test_sockets_"
    here.edit("course_utils/sockets/places.py", ('"fuse", "both")', '"fuse", "toy", "both")'))
    here.edit("course_utils/sockets/finder.py", ("def find_head(", FIND_TOY),
              ('"fuse": find_fuse}', '"fuse": find_fuse, "toy": find_toy}'))
    here.edit("course_utils/sockets/surgery.py",
              ('BEFORE = ("input", "inner", "pre")', 'BEFORE = ("input", "inner", "toy", "pre")'))
    by_name = ("-k", "usual_attention or recomputed_here or tried_here or list_of_a_resnet or emblem_lights")
    assert failed(here.command(tests, "toy", *by_name, code=1)) >= {
        "test_the_usual_attention_is_named_for_every_socket", "test_every_socket_is_recomputed_here",
        "test_what_is_tried_here_is_every_socket_but_two", "test_the_list_of_a_resnet_is_this",
        "test_the_emblem_lights_these_sockets_and_no_others"}
    here.edit("tests/sockets_host.py", ('"both": "spatial_gate"}', '"both": "spatial_gate", "toy": "sse"}'))
    here.edit("course_utils/plots/hosts.py", ('    "both": ("2+4"', '    "toy": (11, "before a block"),\n    "both": ("2+4"'),
              ('    plug("pre", 118, y)\n', '    plug("toy", 60, y)\n    plug("pre", 118, y)\n'))
    said = here.command(tests, "toy", "-k", "toy and not timm")
    assert int(re.search(r"(\d+) passed", said)[1]) > 5
