"""Where the course finds what ships with it, and where a reader's own files go; see test_wheel.py for a real wheel."""

import importlib
import shutil
from pathlib import Path

import pytest

from course_utils import paths
from course_utils.studies import CATALOGUE, Result, __main__, study

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def moved(tmp_path, monkeypatch):
    """paths.py as it is in a folder of packages, with data/ inside the package or beside it."""
    def make(*folders: str):
        package = tmp_path / "packages" / "course_utils"
        for folder in folders:
            (package / folder).mkdir(parents=True)
        shutil.copy(paths.__file__, package / "paths.py")
        spec = importlib.util.spec_from_file_location("paths_elsewhere", package / "paths.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module, package
    monkeypatch.chdir(tmp_path)
    return make


def test_the_repository_has_its_data_beside_the_package():
    assert not paths.INSTALLED and paths.DATA == ROOT / "data" and paths.own_folder() == ROOT
    assert (paths.RESULTS / "00_what.jsonl").is_file()


def test_a_wheel_has_its_data_in_the_package_and_writes_where_the_reader_is(moved, tmp_path):
    module, package = moved("data")
    assert module.INSTALLED and module.DATA == package / "data" and module.own_folder() == tmp_path


def test_a_folder_beside_an_installed_package_is_not_taken_for_ours(moved):
    """Another package may have put a folder called data into site-packages."""
    module, package = moved("data", "../data")
    assert module.DATA == package / "data"


def test_a_copy_of_the_two_folders_works_as_the_repository_does(moved):
    module, package = moved("../data")
    assert not module.INSTALLED and module.DATA == package.parent / "data" and module.own_folder() == package.parent


def test_a_missing_file_is_named_with_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(study, "RESULTS", tmp_path / "results")
    with pytest.raises(FileNotFoundError) as caught:
        CATALOGUE["00_what"].recorded()
    text = str(caught.value)
    assert str(tmp_path / "results" / "00_what.jsonl") in text and "git checkout" in text and "--force-reinstall" in text
    with pytest.raises(FileNotFoundError, match="git checkout -- data/results/no.jsonl "):
        paths.shipped(paths.RESULTS / "no.jsonl")


@pytest.mark.parametrize("installed", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_where_the_results_of_a_study_go_and_that_it_is_said(installed, named, monkeypatch, tmp_path, capsys):
    (tmp_path / "results").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(__main__, "INSTALLED", installed)
    monkeypatch.setattr(study, "RESULTS", tmp_path / "results")
    run = study.run_study
    monkeypatch.setattr(study, "run_study", lambda *args, **more: run(*args, **more, run=lambda t: Result(t, 0.5)))
    monkeypatch.delenv("COURSE_REHEARSE", raising=False)
    __main__.main(["run", "00_what", "--seeds", "1", *(["--out", "mine.jsonl"] if named else [])])
    wanted = tmp_path / ("here/mine.jsonl" if named else "here/00_what.jsonl" if installed else "results/00_what.jsonl")
    assert [p for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".lock"] == [wanted]
    assert f"Results go to {wanted}." in capsys.readouterr().out
