"""The rooms of the package: what a room may import, so that nobody has to read all of it to understand one of them."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import course_utils

ROOT = Path(course_utils.__file__).resolve().parent

# Room -> the rooms that it may import, from the ground up: a room stands above all that it imports. `plots` draws what it is
# given, and knows of the mechanisms only the colours of their families; a receipt of `sockets` shows its picture with it.
FLOORS = (
    {"names": (), "paths": (), "tables": (), "stats": (), "hosts": (), "guesses": (), "pipes": ()},
    {"runtime": ("names", "guesses"), "attention": ("names",), "scores": ("hosts",), "quiz": ("names", "paths"),
     "progress": ("paths", "pipes", "tables")},
    {"tasks": ("names", "paths", "runtime"), "plots": ("names", "stats", "attention"),
     "teach": ("names", "paths", "pipes", "tables", "progress", "quiz", "runtime")},
    {"train": ("runtime", "tasks"), "widgets": ("runtime", "plots")},
    {"cost": ("runtime", "tables", "train")},
    {"sockets": ("names", "stats", "tables", "attention", "plots", "cost")},      # its doctor counts, and asks for the price
    {"check": ("runtime", "stats", "hosts", "attention", "sockets"),
     "clinic": ("paths", "hosts", "attention", "tasks", "train", "sockets"),
     "studies": ("names", "paths", "pipes", "stats", "tables", "tasks", "hosts", "attention", "runtime", "train", "cost",
                 "sockets", "plots", "scores")},
    {"answer": ("names", "pipes", "stats", "tables", "tasks", "runtime", "train", "cost", "sockets", "studies", "plots"),
     "guide": ("stats", "tables", "attention", "cost", "sockets", "studies", "plots")},
)
MAY = {room: set(others) for floor in FLOORS for room, others in floor.items()}
GONE = {"models", "large", "digits", "images", "trial", "study", "recorded"}      # files of an older layout, at the top


def modules(root):
    """Dotted name -> file."""
    files = {file: file.relative_to(root.parent).with_suffix("").parts for file in sorted(root.rglob("*.py"))}
    return {".".join(parts[:-1] if parts[-1] == "__init__" else parts): file for file, parts in files.items()}


def imports(name, file, known):
    """The modules of the package that a file imports anywhere in it, also inside functions."""
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            wanted = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[:len(package) - node.level + 1] if node.level else []
            wanted = [(".".join([*start, *([node.module] if node.module else [])]), alias.name) for alias in node.names]
        else:
            continue
        for source, part in wanted:
            if source.split(".")[0] == known[0]:
                yield f"{source}.{part}" if f"{source}.{part}" in known[1] else source


def graph(root=ROOT):
    """Module -> the modules that it imports."""
    found = modules(root)
    return {name: set(imports(name, file, (root.name, found))) - {name} for name, file in found.items()}


def room(name):
    return name.split(".")[1] if "." in name else ""


def between_rooms(arrows):
    """Room -> the rooms that it imports. The top of the package, which is `setup`, is no room."""
    rooms = {room(name): set() for name in arrows}
    for name, others in arrows.items():
        rooms[room(name)] |= {room(other) for other in others} - {room(name)}
    return {name: others for name, others in rooms.items() if name}


def test_a_room_imports_what_it_may_and_nothing_else():
    found = between_rooms(graph())
    assert found.keys() == MAY.keys(), "a room that is not in the table, or no longer there"
    wrong = [f"{name} imports {other}" for name, others in found.items() for other in others - MAY[name]]
    assert not wrong, wrong


def test_the_table_says_no_more_than_there_is():
    """A permission that nobody uses any more would hide the next arrow that runs back."""
    found = between_rooms(graph())
    assert not [f"{name} imports {other} no more" for name, others in MAY.items() for other in others - found[name]]


def test_no_room_imports_one_of_its_own_floor_or_above():
    level = {name: number for number, floor in enumerate(FLOORS) for name in floor}
    for name, others in MAY.items():
        assert all(level[other] < level[name] for other in others), name
        assert level[name] == max((level[other] + 1 for other in others), default=0), f"{name} stands too high"


def test_modules_do_not_import_each_other_in_a_circle():
    """Inside a room too. A package counts as its files do: what imports from it waits for its __init__."""
    arrows = {name: {o for o in others if not name.startswith(f"{o}.")} for name, others in graph().items()}
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(error.args[1]))


def test_hosts_know_nothing_of_attention():
    for name, others in graph().items():
        if room(name) == "hosts":
            assert {room(other) for other in others} <= {"hosts"}, name


def test_no_file_of_the_older_layout_is_left():
    assert not GONE & {path.stem for path in ROOT.iterdir()}
    assert not [other for others in graph().values() for other in others if room(other) in GONE]


def test_checks_are_found_by_the_number_of_their_lesson():
    names = {path.stem for path in (ROOT / "check").glob("*.py")} - {"__init__", "core", "guard", "often", "report", "slopes"}
    assert all(name.startswith("lesson_") and name[7:9].isdigit() for name in names), names


@pytest.mark.parametrize("file", sorted(ROOT.rglob("*.py")), ids=lambda f: str(f.relative_to(ROOT)))
def test_a_file_is_short_enough_to_read_in_one_sitting(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 265


# ---- the reader of imports itself

@pytest.mark.parametrize("line, wanted", [
    ("import house.b", "house.b"), ("from house import b", "house.b"), ("from house.b import thing", "house.b"),
    ("from . import b", "house.b"), ("from .b import thing", "house.b"), ("from .inner.c import thing", "house.inner.c"),
    ("from .inner import c", "house.inner.c"), ("from .inner import thing", "house.inner"),
    ("def f():\n    from . import b", "house.b"), ("if True:\n    import house.inner.c as c", "house.inner.c"),
])
def test_every_form_of_import_is_seen(line, wanted, tmp_path):
    (tmp_path / "house" / "inner").mkdir(parents=True)
    texts = {"__init__": "", "a": line, "b": "", "inner/__init__": "", "inner/c": "from .. import b\nfrom ..a import x"}
    for name, text in texts.items():
        (tmp_path / "house" / f"{name}.py").write_text(text + "\nimport os, housekeeping\nfrom houses import b\n")
    found = graph(tmp_path / "house")
    assert found["house.a"] == {wanted} and found["house.inner.c"] == {"house.a", "house.b"}
