"""The command: it goes on where it was killed, runs nothing twice, refuses in words, and asks no network."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from answer_folders import pictures, plan, survey

from course_utils.answer import carry_out, prepare, running
from course_utils.answer import plan as planning
from course_utils.answer.__main__ import main
from course_utils.studies import Result, read


def done(trial, *_, **__):
    return Result(trial, accuracy=0.5 + 0.01 * trial.seed, seconds=1.0, wall=1.0, parameters=1)


class Count:
    """Stands in for training; may be told to stop the run at one of its trials."""

    def __init__(self, stop=None):
        self.trials, self.stop = [], stop

    def __call__(self, trial, **_):
        if len(self.trials) == self.stop:
            self.stop = None
            raise KeyboardInterrupt
        self.trials.append(trial)
        return done(trial)


@pytest.mark.parametrize("stop", range(0, 15, 2))
def test_a_run_that_was_stopped_goes_on_and_runs_nothing_twice(stop, tmp_path, monkeypatch):
    p, count = plan(seeds=5), Count(stop)
    monkeypatch.setattr(running, "one", count)
    monkeypatch.setattr(running, "MOST_SEEDS", 5)
    with pytest.raises(KeyboardInterrupt):
        carry_out(p, tmp_path, tell=lambda _: None)
    back, _ = planning.Plan.read(tmp_path / "plan.json")
    results = carry_out(back, tmp_path, tell=lambda _: None)
    assert len(results) == 15 and set(Counter(count.trials).values()) == {1}
    assert [r.trial for r in results] == p.study().trials(), "seeds in their order, every arm of each"
    monkeypatch.setattr(running, "MOST_SEEDS", 20)
    carry_out(back, tmp_path, tell=lambda _: None)
    assert len(count.trials) == 15, "a finished study is not added to"


def test_a_folder_with_another_plan_is_left_alone(tmp_path, monkeypatch):
    """Who makes the plan anew after a restart has other steps. Catches an answer of no runs, given without a word."""
    monkeypatch.setattr(running, "one", Count())
    p = plan(seeds=3)
    monkeypatch.setattr(running, "MOST_SEEDS", 3)
    carry_out(p, tmp_path, tell=lambda _: None)
    held = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    other = replace(p, base={**p.base, "steps": p.base["steps"] + 1})
    with pytest.raises(ValueError, match="holds another plan. To go on with that one: plan, _ = Plan.read"):
        carry_out(other, tmp_path, tell=lambda _: None)
    assert held == {file.name: file.read_bytes() for file in tmp_path.iterdir()}


def test_results_of_another_study_in_the_file_are_not_taken_for_ours(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "one", Count())
    p = plan(seeds=3)
    assert running.of_plan(p, tmp_path / "none.jsonl") == []
    from course_utils.studies import Trial
    from course_utils.studies.results import write
    write(done(Trial("what")), tmp_path / "r.jsonl")
    write(done(p.study().trial("plain", 0)), tmp_path / "r.jsonl")
    assert len(running.of_plan(p, tmp_path / "r.jsonl")) == 1


def test_an_arm_that_fails_is_recorded_and_the_others_go_on(tmp_path, monkeypatch):
    def fail(trial, **_):
        if trial.mechanism:
            raise ValueError("the loss became nan")
        return done(trial)
    monkeypatch.setattr(running, "one", fail)
    monkeypatch.setattr(running, "MOST_SEEDS", 2)
    told = []
    results = carry_out(plan(seeds=2), tmp_path, tell=told.append)
    assert len(results) == 6 and sum(r.error is not None for r in results) == 2
    assert any("SE at post: failed: ValueError: the loss became nan" in line for line in told)


def test_the_doctor_gets_labels_and_a_doctor_that_fails_loses_no_run(monkeypatch):
    from course_utils.hosts import SmallResNet
    from course_utils.tasks import make
    batch, net = make("twins", 12), SmallResNet()
    monkeypatch.setattr(running, "doctor", lambda net, x, y, spread: f"{len(x)} pictures, {y is not None}, {spread}")
    assert running.asks_doctor(net, batch, 0.02) == "12 pictures, True, 0.02"
    assert running.asks_doctor(net, make("twins", 5), 0.02) == "5 pictures, False, 0.02", "too few for labels to say something"
    monkeypatch.setattr(running, "doctor", lambda *_, **__: 1 / 0)
    assert running.asks_doctor(net, batch, 0.02) == "The doctor could not look: ZeroDivisionError: division by zero"


# ---- the whole command

@pytest.fixture
def small(tmp_path, monkeypatch):
    """A folder, and a study of two steps and two seeds."""
    for module in (planning, prepare):
        monkeypatch.setattr(module, "LEAST_STEPS", 2)
    monkeypatch.setattr(planning, "GOOD_STEPS", 2)
    monkeypatch.setattr(prepare, "EPOCHS", {False: 1, True: 1})
    monkeypatch.setattr(prepare, "ALMOST", 100)
    monkeypatch.setattr(running, "MOST_SEEDS", 2)
    monkeypatch.delenv("COURSE_REHEARSE", raising=False)
    monkeypatch.chdir(tmp_path)
    return pictures(tmp_path / "my cats & дogs", cat=8, dog=4)


def test_from_a_folder_to_a_page_without_a_network_and_again(small, tmp_path, monkeypatch, capsys, recwarn):
    asked = []
    (small / "cat" / "broken.png").write_bytes(b"")
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, lambda self, *args: asked.append(args))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **_: asked.append(args))
    command = [str(small), "--minutes", "1", "--out", str(tmp_path / "out")]
    main(command)
    shown = capsys.readouterr().out
    assert not asked, f"asked the network for {asked}"
    assert "1 cannot be read" in shown and not [w for w in recwarn if "cannot be read" in str(w.message)], "said once is enough"
    assert "balanced accuracy" in shown and "What this can show" in shown and "left" in shown
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "my cats &amp; дogs" in page and "CBAM at post" in page and "all 3 modules run" in page
    results = read(tmp_path / "out" / "results.jsonl")
    assert len(results) == 14 and {r.trial.seed for r in results} == {0, 1} and not [r.error for r in results if r.error]
    assert all(r.balanced is not None and r.wall >= r.seconds for r in results) and sum(bool(r.words) for r in results) == 5
    (tmp_path / "out" / "index.html").unlink()
    main(command)
    assert "finished, and the page is made anew" in capsys.readouterr().out and (tmp_path / "out" / "index.html").exists()
    assert len(read(tmp_path / "out" / "results.jsonl")) == 14
    for other, words in ((["--minutes", "2"], "minutes was 1.0 and now is 2.0"), (["--size", "32"], "size was None"),
                         (["--host", "small_host"], "host was 'small_resnet'")):
        with pytest.raises(SystemExit, match=f"begun with another question: {words}"):
            main([*command, *other])
    (small / "cat" / "0.png").unlink()
    with pytest.raises(SystemExit, match="have changed since"):
        main(command)


@pytest.mark.parametrize("options, words", [
    (["nowhere"], "'nowhere' is no folder here .* and no data set"),
    (["fashion_mnits"], "Did you mean 'fashion_mnist'"),
    (["pets_", "--host", "resnet81"], "unknown host 'resnet81'. Did you mean 'resnet18'"),
    (["FOLDER", "--host", "no_such_module:net"], "there is no module 'no_such_module' here"),
    (["FOLDER", "--pretrained"], "the course's host|has no pretrained weights|small_resnet"),
    (["FOLDER", "--minutes", "0.001"], "too little time"),
    (["fashion_mnist", "--root", "/nowhere"], "fashion_mnist is not in /nowhere.*To this command say --download, or --root"),
], ids=["no folder", "data set misspelt", "host misspelt", "no module", "no weights", "no time", "no data"])
def test_what_cannot_be_done_is_refused_in_one_line(options, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COURSE_DATA", "")
    pictures(tmp_path / "FOLDER", cat=3, dog=3)
    with pytest.raises(SystemExit, match=words) as error:
        main(options)
    assert "Traceback" not in str(error.value) and not (tmp_path / "report" / "results.jsonl").exists()


@pytest.mark.parametrize("option, value", [("--minutes", "0"), ("--minutes", "inf"), ("--minutes", "nan"), ("--size", "0"),
                                           ("--workers", "0"), ("--lr", "0")])
def test_numbers_that_cannot_be_are_refused(option, value, capsys):
    with pytest.raises(SystemExit):
        main(["x", option, value])
    assert f"{option} must be above 0" in capsys.readouterr().err


@pytest.mark.parametrize("why", ["a file is in the way", "read-only"])
def test_a_folder_that_cannot_be_written_to_is_found_before_anything_is_run(why, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")
    monkeypatch.setattr("course_utils.answer.__main__.look", lambda *_: pytest.fail("it looked first"))
    pictures(tmp_path / "p", cat=3, dog=3)
    if why == "read-only":      # a test may run as root, to whom all is writable
        monkeypatch.setattr(Path, "write_text", refuse)
    else:
        (tmp_path / "out").write_text("in the way")
    with pytest.raises(SystemExit, match="nothing can be written to .* Nothing was run. Give another folder"):
        main([str(tmp_path / "p"), "--out", str(tmp_path / "out")])


def test_a_page_among_the_pictures_would_be_a_class(tmp_path, monkeypatch):
    monkeypatch.chdir(pictures(tmp_path / "p", cat=3, dog=3))
    with pytest.raises(SystemExit, match="report lies inside ., where each folder is a class"):
        main(["."])
    assert sorted(f.name for f in (tmp_path / "p").iterdir()) == ["cat", "dog"]


def test_a_rehearsal_ends_and_records_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_REHEARSE", "1")
    monkeypatch.setattr(running, "one", Count())
    assert len(carry_out(plan(), tmp_path, tell=lambda _: None)) == 3 and not (tmp_path / "results.jsonl").exists()


def test_reading_that_takes_too_long_is_found_before_it_is_done():
    with pytest.raises(ValueError, match="to read 800 pictures takes about 10.0 minutes here. Give it 25 minutes or more"):
        prepare.make_plan(survey(seconds=600), minutes=3)


def test_results_without_a_plan_are_left_alone(tmp_path):
    pictures(tmp_path / "p", cat=3, dog=3)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.jsonl").write_text("{}\n")
    with pytest.raises(SystemExit, match="results without their plan"):
        main([str(tmp_path / "p"), "--out", str(tmp_path / "out")])
    assert (tmp_path / "out" / "results.jsonl").read_text() == "{}\n"


@pytest.mark.full      # half a minute
def test_kill_9_in_the_middle_loses_and_doubles_nothing(tmp_path):
    pictures(tmp_path / "p", cat=40, dog=40)
    command = [sys.executable, "-m", "course_utils.answer", "p", "--minutes", "0.7", "--out", "out"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ["PYTHONPATH"]])}
    environment.pop("COURSE_REHEARSE", None)
    results = tmp_path / "out" / "results.jsonl"
    run = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while not results.exists() or results.read_bytes().count(b"\n") < 4:
        assert run.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    run.send_signal(signal.SIGKILL)
    run.wait()
    before = results.read_bytes()
    assert not (tmp_path / "out" / "index.html").exists()
    again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert results.read_bytes().startswith(before.rpartition(b"\n")[0]), "what had finished was kept"
    trials = Counter(r.trial for r in read(results))
    assert set(trials.values()) == {1} and (tmp_path / "out" / "index.html").exists()
    plan = json.loads((tmp_path / "out" / "plan.json").read_text("utf-8"))
    assert len(trials) >= len(plan["finished"]) * len(plan["arms"])
