"""python -m course_utils.studies: what it lists, what it runs, and what it refuses."""

import subprocess
import sys

import pytest
from trials import Runner, plain_surroundings  # noqa: F401  (plain_surroundings is a fixture)

from course_utils.studies import CATALOGUE, Result, Study, Trial, read, run_study
from course_utils.studies import __main__ as command
from course_utils.studies import study as module
from course_utils.studies.results import write


@pytest.fixture
def ran(monkeypatch, tmp_path):
    """Two small studies in place of the catalogue; what would be run is noted, and nothing is."""
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    arms = {"plain": {}, "SE": {"mechanism": "se"}}
    small = {n: Study(n, f"Lesson 99: {n}.", {"task": "what"}, arms, seeds=(1, 2)) for n in ("99_one", "99_two")}
    monkeypatch.setattr(command, "CATALOGUE", small)
    monkeypatch.setattr(command, "find", lambda name: small[name] if name in small else CATALOGUE["refused"])
    calls = []
    monkeypatch.setattr(command, "outstanding_first", lambda: list(small.values()))
    monkeypatch.setattr(module, "run_study", lambda trials, path, pool, **more: calls.append((trials, path, pool)))
    return small, calls


def refused(capsys, *argv):
    with pytest.raises(SystemExit) as end:
        command.main(list(argv))
    assert end.value.code == 2
    return capsys.readouterr().err


# ---- list

def test_list_says_how_much_of_each_study_has_been_run(ran, capsys):
    small, calls = ran
    trials = small["99_one"].trials()
    for trial in trials[:3]:
        write(Runner()(trial), small["99_one"].path)
    write(Result(trials[3], error="ValueError: no"), small["99_one"].path)
    write(Runner()(CATALOGUE["00_what"].trials()[0]), small["99_one"].path)
    command.main(["list"])
    lines = capsys.readouterr().out.splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "99_one 3 of 4 trials Lesson 99: 99_one.", "99_two 0 of 4 trials Lesson 99: 99_two."]
    assert calls == []


def test_the_list_is_the_catalogue(capsys):
    command.main(["list"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(CATALOGUE)
    assert all(f"of {len(s.trials()):3d} trials" in line and line.endswith(s.about)
               for line, s in zip(lines, CATALOGUE.values(), strict=True))


def test_it_is_a_command():
    run = subprocess.run([sys.executable, "-m", "course_utils.studies", "run", "00_wat"], capture_output=True, text=True)
    assert run.returncode == 2 and "Did you mean '00_what'?" in run.stderr and "Traceback" not in run.stderr


# ---- run

def test_run_takes_the_named_studies_to_their_own_files(ran):
    small, calls = ran
    command.main(["run", "99_two"])
    assert calls == [(small["99_two"].trials(), small["99_two"].path, None)]
    calls.clear()
    command.main(["run", "99_two", "99_one"])
    assert [path.stem for _, path, _ in calls] == ["99_two", "99_one"]


def test_all_is_every_study(ran):
    small, calls = ran
    command.main(["run", "--all"])
    assert [(trials, path) for trials, path, _ in calls] == [(s.trials(), s.path) for s in small.values()]


def test_seeds_and_a_file_of_ones_own(ran, tmp_path):
    small, calls = ran
    command.main(["run", "99_one", "--seeds", "300-302", "--out", str(tmp_path / "mine.jsonl")])
    ((trials, path, _),) = calls
    assert trials == small["99_one"].trials((300, 301, 302)) and path == tmp_path / "mine.jsonl"
    command.main(["run", "99_one", "--seeds", "7"])
    assert {t.seed for t in calls[1][0]} == {7}


def test_background_is_low_priority_and_one_thread(ran, monkeypatch):
    asked = []
    monkeypatch.setattr(command.os, "nice", asked.append)
    monkeypatch.setattr(command.torch, "set_num_threads", lambda n: asked.append(f"{n} thread"))
    command.main(["run", "99_one"])
    assert asked == []
    command.main(["run", "99_one", "--background"])
    assert asked == [19, "1 thread"]


def test_workers_are_processes_and_one_is_none(ran):
    _, calls = ran
    command.main(["run", "99_one", "--workers", "2"])
    command.main(["run", "99_one", "--workers", "1"])
    assert type(calls[0][2]).__name__ == "Processes" and calls[1][2] is None


def test_a_run_is_recorded_and_goes_on_where_it_was_stopped(ran, monkeypatch, capsys):
    small, _ = ran
    run = Runner()
    monkeypatch.setattr(module, "run_study", lambda *args, **more: run_study(*args, **more, run=run))
    write(Runner()(small["99_one"].trials()[0]), small["99_one"].path)
    command.main(["run", "99_one"])
    assert run.given == small["99_one"].trials()[1:] and len(read(small["99_one"].path)) == 4
    assert "4 trials, 1 of them in 99_one.jsonl already." in capsys.readouterr().out


# ---- table and plot

def test_the_table_of_ones_own_file_is_that_of_its_seeds(ran, tmp_path, capsys):
    """As after `run 99_one --seeds 300-302 --out mine.jsonl`, which the help names."""
    small, _ = ran
    mine, picture = tmp_path / "mine.jsonl", tmp_path / "mine.png"
    for trial in [*small["99_one"].trials((300, 301, 302)), Trial("twins", seed=300)]:
        write(Runner()(trial), mine)
    command.main(["table", "99_one", "--results", str(mine)])
    lines = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert ["plain", "3"] in lines and ["SE", "3"] in lines
    command.main(["plot", "99_one", "--results", str(mine), "--out", str(picture)])
    assert picture.is_file()


def test_of_a_file_that_holds_seeds_of_the_study_the_others_do_not_count(ran, tmp_path, capsys):
    """Else one who has seen a few more than were planned could choose."""
    small, _ = ran
    mine = tmp_path / "mine.jsonl"
    for trial in small["99_one"].trials((2, 3)):
        write(Runner()(trial), mine)
    command.main(["table", "99_one", "--results", str(mine)])
    assert ["plain", "1"] in [line.split()[:2] for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("name", ["table", "plot"])
def test_another_file_that_is_not_there_or_holds_nothing_of_it_is_named(ran, name, tmp_path):
    with pytest.raises(SystemExit, match=r"No such file.*typo\.jsonl"):
        command.main([name, "99_one", "--results", str(tmp_path / "typo.jsonl")])
    write(Runner()(Trial("twins")), tmp_path / "other.jsonl")
    with pytest.raises(SystemExit, match=r"other\.jsonl holds no finished trial of 99_one"):
        command.main([name, "99_one", "--results", str(tmp_path / "other.jsonl")])


# ---- refusals

@pytest.mark.parametrize("argv, message", [
    (["run", "02_chanel"], "unknown study '02_chanel'. Did you mean '02_channel'? Known: 00_what, 01_ceilings"),
    (["run", "00_what", "nothing_like_it"], "unknown study 'nothing_like_it'."),
    (["run"], "name a study, or say --all. Known: 00_what"),
    (["run", "00_what", "01_ceilings", "--out", "x.jsonl"], "--out and --results are for one study"),
    (["run", "--all", "--out", "x.jsonl"], "--out and --results are for one study"),
    (["run", "00_what", "--seeds", "5-3"], "seeds are FIRST-LAST, as in 300-304, or a single one; got '5-3'"),
    (["run", "00_what", "--seeds", "five"], "seeds are FIRST-LAST, as in 300-304, or a single one; got 'five'"),
    (["run", "00_what", "--seeds", "5-"], "got '5-'"),
    ([], "required: command"),
    (["delete"], "invalid choice"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_what_cannot_be_run_is_refused_before_anything_is(argv, message, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "run_study", lambda *args, **more: pytest.fail("it was run"))
    assert message in refused(capsys, *argv)
    assert not list(tmp_path.iterdir())
