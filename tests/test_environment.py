"""pyproject.toml, environment.yml, constraints.txt and the imports tell one story."""

import ast
import re
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from test_colab import COLAB

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
# Packages whose module has another name.
CALLED = {"PIL": "pillow", "yaml": "pyyaml", "sklearn": "scikit-learn", "codespell_lib": "codespell"}
# What a direct dependency brings along; tests, tools and teach/ may count on it, the rest of the package declares what it
# imports: a dependency may stop to bring it, and then `import course_utils.plots` fails on a learner's machine.
BROUGHT = {
    "huggingface_hub": "timm",
    "safetensors": "timm",
    "docutils": "sphinx",
    "nbformat": "nbgrader",
    "nbclient": "nbgrader",
    "nbconvert": "jupyterlab",
    "jupyter_client": "jupyterlab",
    "packaging": "pytest",
    "traitlets": "jupyterlab",
}


def requirements(lines):
    parsed = [Requirement(line) for line in lines]
    return {canonicalize_name(r.name): r.specifier for r in parsed if r.name != PROJECT["name"]}


CORE = requirements(PROJECT["dependencies"])
TEACH = requirements(EXTRAS["teach"])
ALL = requirements([*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)])
CONSTRAINTS = requirements(
    line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if line and line[0] != "#"
)


@pytest.mark.parametrize("name", ALL)
def test_lower_bounds_and_no_exact_pins(name):
    operators = {spec.operator for spec in ALL[name]}
    assert ">=" in operators and operators <= {">=", "<"}, f"{name}{ALL[name]}"


def test_conda_and_pip_ask_for_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    assert environment["name"] == PROJECT["name"]
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    *packages, pip = environment["dependencies"]
    assert pip == {"pip": ["-e ."]}
    asked = requirements(packages)
    assert asked.pop("pip") == SpecifierSet()
    assert asked.pop("python") == SpecifierSet(PROJECT["requires-python"])
    asked = {CONDA_NAMES.get(name, name): floor for name, floor in asked.items()}
    assert asked == {**CORE, **requirements(EXTRAS["lab"])}


@pytest.mark.parametrize("name", sorted(ALL))
def test_the_tested_version_of_every_dependency_is_recorded(name):
    (spec,) = CONSTRAINTS[name]
    assert ALL[name].contains(spec.version), f"{name}{spec} is outside {ALL[name]}"


def test_constraints_are_exact_public_versions():
    for name, specs in CONSTRAINTS.items():
        assert re.fullmatch(r"==[0-9][0-9a-z.]*", str(specs)), (
            f"{name}{specs}: want ==VERSION, no +local part"
        )


def test_torch_2_13_is_asked_for_nowhere():
    """With the newest torchvision it fails at import: operator torchvision::nms does not exist."""
    for name in ("pyproject.toml", "environment.yml", "constraints.txt", ".github/workflows/tests.yml"):
        assert not re.search(r"torch\s*[=~<>]=?\s*2\.13", (ROOT / name).read_text("utf-8")), name


def test_ci_tries_the_oldest_supported_versions():
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text("utf-8")
    for name in ("torch", "torchvision"):
        (floor,) = (s.version for s in CORE[name])
        assert f"{name}=={floor}.*" in workflow
    assert f'python: "{PROJECT["requires-python"].removeprefix(">=")}"' in workflow


def test_one_version_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    package = (ROOT / "course_utils" / "__init__.py").read_text("utf-8")
    assert citation["version"] == PROJECT["version"]
    assert re.search(r'^__version__ = "(.+)"$', package, re.M)[1] == PROJECT["version"]


def imported_by(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("folder", ["course_utils", "tests", "tools"])
def test_every_import_is_declared(folder):
    ours = {p.stem for p in (ROOT / "tools").glob("*.py")} | {p.stem for p in (ROOT / "tests").rglob("*.py")} | {"book"}
    known = sys.stdlib_module_names | ours | {"course_utils", "tomllib"}  # tomllib: with Python 3.11
    for path in sorted((ROOT / folder).rglob("*.py")):
        declared, brought = (CORE, {}) if folder == "course_utils" else (ALL, BROUGHT)
        if path.parent.name == "teach":
            declared, brought = CORE | TEACH, BROUGHT
        if path.parent.name == "quiz":      # where questions for Moodle are asked for; it says so where mistune is not there
            declared = CORE | TEACH
        if path.name == "executors.py":      # where a cluster is asked for, and nowhere else
            declared = CORE | requirements(EXTRAS["cluster"])
        if path.name == "hosting.py":      # where a host of timm is asked for; it says so where timm is not there
            declared, brought = CORE | {"timm": ALL["timm"]}, BROUGHT
        for module in set(imported_by(path)) - known:
            name = canonicalize_name(CALLED.get(module, brought.get(module, module)))
            assert name in declared, f"{path.name} imports {module}, and {name} is not among its dependencies"


@pytest.mark.parametrize("line", COLAB)
def test_what_colab_keeps_loaded_is_within_the_bounds(line):
    """Otherwise the course would have to replace it there, and Colab would ask for a restart."""
    loaded = Requirement(line)
    (spec,) = loaded.specifier
    assert CORE.get(canonicalize_name(loaded.name), SpecifierSet()).contains(spec.version)
