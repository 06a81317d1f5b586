"""The package without its repository: a wheel is built, installed into an environment of its own, and used in an empty folder.

torch and the rest come from the environment that the tests run in; course_utils must not.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GUARD = ROOT / "tests" / "no_network"
HERE = list(dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]))

pytestmark = pytest.mark.full

USE = """
import json
from pathlib import Path
import torch, torchvision
import course_utils
from course_utils import attention, paths, quiz, setup, studies, tasks
from course_utils.sockets import plug_in, unplug

setup()
batch = tasks.make("what", 4)
results = studies.find("00_what").recorded()
net, x = torchvision.models.resnet18(num_classes=5).eval(), torch.rand(1, 3, 64, 64)
with torch.no_grad():
    y = net(x)
    receipt = plug_in(net, "se", at="post")
    same = torch.equal(net(x), y)
print("SEEN", json.dumps({
    "package": course_utils.__file__, "data": str(paths.DATA), "own": str(paths.own_folder()),
    "batch": list(batch.x.shape), "results": len(results),
    "studies": sorted(path.stem for path in paths.RESULTS.glob("*.jsonl")),
    "plugged": [len(receipt), same, unplug(net)], "asked": quiz.lessons(),
    "licences": "CC BY 4.0" in (paths.DATA / "README.md").read_text("utf-8")}))
"""
RECORDED = sorted(path.stem for path in (ROOT / "data" / "results").glob("*.jsonl"))
TWO_STEPS = """
from course_utils.studies import CATALOGUE, Study
from course_utils.studies.__main__ import main
CATALOGUE["00_what"] = Study("00_what", "two steps", {"task": "what", "steps": 2, "test_size": 8}, {"plain": {}})
main(["run", "00_what", "--seeds", "1"])
"""


def run(*command, cwd, **env):
    """Run it without what this process has in PYTHONPATH: there the repository may be. Returns what it prints."""
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "COURSE_DATA", "COURSE_REHEARSE")}
    done = subprocess.run([str(part) for part in command], cwd=cwd, env={**clean, "PYTHONPATH": str(GUARD), **env},
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pip(python, *args, cwd, **env):
    return run(python, "-m", "pip", "--disable-pip-version-check", *args, "--no-deps", "--no-index", cwd=cwd, **env)


def environment(folder):
    """A Python with nothing in it but pip."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def lend_packages(python):
    """Let it see what is installed here, after its own; an editable install here is not followed from a .pth file."""
    own = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=ROOT).strip()
    Path(own, "tests-environment.pth").write_text("\n".join(HERE) + "\n")


def seen(python, cwd):
    (line,) = (line for line in run(python, "-c", USE, cwd=cwd).splitlines() if line.startswith("SEEN "))
    return json.loads(line.removeprefix("SEEN "))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The files that git tracks or would track, as they are now: no build folder, no caches."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                                capture_output=True, text=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"not a git checkout: {error}")
    copy = tmp_path_factory.mktemp("source")
    for file in filter(None, listed):
        if (ROOT / file).is_file():
            (copy / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, copy / file)
    return copy


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    return environment(tmp_path_factory.mktemp("environment") / "env")


@pytest.fixture(scope="module")
def wheel(source, python, tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    # setuptools comes from here: an isolated build would fetch it.
    pip(python, "wheel", source, "--no-build-isolation", "--wheel-dir", out, cwd=out, PYTHONPATH=os.pathsep.join(HERE))
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(python, wheel, tmp_path_factory):
    pip(python, "install", wheel, cwd=wheel.parent)
    lend_packages(python)
    return python


def test_the_wheel_holds_every_module_and_all_that_ships_and_nothing_else(source, wheel):
    """Catches a package that is not listed, data that stays behind, tests that travel."""
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    modules = {path.relative_to(source).as_posix() for path in (source / "course_utils").rglob("*.py")}
    shipped = {f"course_utils/{path.relative_to(source).as_posix()}" for path in (source / "data").rglob("*") if path.is_file()}
    assert "course_utils/data/digits.npz" in shipped and names == modules | shipped


def test_the_wheel_works_by_itself_in_an_empty_folder(installed, tmp_path):
    told = seen(installed, tmp_path)
    package = Path(told["package"]).parent
    assert installed.parents[1] in package.parents and ROOT not in package.parents
    assert Path(told["data"]) == package / "data" and Path(told["own"]) == tmp_path
    assert told["batch"] == [4, 3, 56, 56] and told["results"] == 10 and told["studies"] == RECORDED and told["licences"]
    assert told["plugged"] == [8, True, 8] and told["asked"] == sorted(p.stem for p in (ROOT / "data" / "quiz").glob("*.toml"))
    assert not list(tmp_path.iterdir()), "it wrote something unasked"


def test_a_study_run_from_a_wheel_writes_into_the_current_folder_and_says_so(installed, tmp_path):
    package = Path(run(installed, "-c", "import course_utils; print(course_utils.__file__)", cwd=tmp_path).strip()).parent
    before = {path: path.read_bytes() for path in (package / "data").rglob("*") if path.is_file()}
    printed = run(installed, "-c", TWO_STEPS, cwd=tmp_path)
    assert f"Results go to {tmp_path / '00_what.jsonl'}." in printed
    assert len((tmp_path / "00_what.jsonl").read_text().splitlines()) == 2      # the study, and one trial
    assert before == {path: path.read_bytes() for path in (package / "data").rglob("*") if path.is_file()}


def test_an_editable_install_uses_the_folder_of_the_repository(source, tmp_path):
    python = environment(tmp_path / "env")
    pip(python, "install", "--no-build-isolation", "--editable", source, cwd=tmp_path, PYTHONPATH=os.pathsep.join(HERE))
    lend_packages(python)
    empty = tmp_path / "empty"
    empty.mkdir()
    told = seen(python, empty)
    assert Path(told["package"]).parent == source / "course_utils"
    assert Path(told["data"]) == source / "data" and Path(told["own"]) == source
    assert told["batch"] == [4, 3, 56, 56] and told["studies"] == RECORDED and told["plugged"] == [8, True, 8]
