"""The file of results: nothing that has finished is lost or run twice, whatever interrupts it."""

import json
import warnings

import pytest
from trials import THREE, Runner, plain_surroundings, study_of, tiny  # noqa: F401  (plain_surroundings is a fixture)

from course_utils.studies import Result, Trial, read, run_trial
from course_utils.studies.results import write


def test_a_result_comes_back_from_the_file_as_it_was(tmp_path):
    path = tmp_path / "results.jsonl"
    results = [
        run_trial(tiny(mechanism="se", at="pre", options={"reduction": 2}, seed=5)),
        run_trial(tiny()),
        Result(Trial("what"), error="ValueError: größer als π\nand a second line"),
        Result(Trial("what", lr=0.1 + 0.2), accuracy=1 / 3, seconds=0.1, parameters=7, device="a GPU", date="2030-01-01"),
    ]
    for result in results:
        write(result, path)
    assert read(path) == results
    assert read(str(path)) == results
    text = path.read_text("utf-8")
    assert text.count("\n") == 4 and text.endswith("\n") and all(json.loads(line) for line in text.splitlines())


def test_options_with_several_numbers_come_back_too(tmp_path):
    """JSON knows no tuples: a list in a frozen trial cannot be looked up, and the whole study stops."""
    trial = Trial("what", mechanism="se", options={"sizes": (3, 5)})
    run = Runner()
    first = study_of([trial], tmp_path / "r.jsonl", run)
    assert study_of([trial], tmp_path / "r.jsonl", run) == first and len(run.given) == 1


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.jsonl"):
        read(tmp_path / "nothing.jsonl")


def test_an_older_file_without_a_setting_means_its_default(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_text('{"trial": {"task": "what", "seed": 4}, "accuracy": 0.5}\n\n')
    assert read(path) == [Result(Trial("what", seed=4), accuracy=0.5)]


def test_a_setting_of_a_newer_version_is_not_dropped_in_silence(tmp_path):
    """Without it two different configurations would count as the same trial."""
    path, run = tmp_path / "results.jsonl", Runner()
    study_of([Trial("what")], path, run)
    entry = json.loads(path.read_text("utf-8"))
    entry["trial"]["colour"] = "red"
    path.write_text(json.dumps(entry) + "\n", "utf-8")
    with pytest.raises(ValueError, match="line 1 cannot be read .* unknown setting of a trial 'colour'"):
        read(path)


def test_stages_and_layers_come_back_as_they_were(tmp_path):
    trials = [Trial("what", mechanism="se", stages=(1, 2)),
              Trial("what", mechanism="se", layers=("layer1.*", "layer4.*"), times=2),
              Trial("what", mechanism="eca", before=3, had="se", start="as_made")]
    run = Runner()
    first = study_of(trials, tmp_path / "r.jsonl", run)
    assert study_of(trials, tmp_path / "r.jsonl", run) == first == read(tmp_path / "r.jsonl") and len(run.given) == 3


@pytest.mark.parametrize("cut", ['{"trial": {"task": "what", "se', "\x00\x00\x00"])
def test_a_line_that_is_cut_off_is_left_out_with_its_number(cut, tmp_path):
    path = tmp_path / "results.jsonl"
    good = [Runner()(trial) for trial in THREE[:2]]
    write(good[0], path)
    with open(path, "a", encoding="utf-8") as file:
        file.write(cut)
    write(good[1], path)
    with pytest.warns(UserWarning, match=r"results\.jsonl, line 2 is cut off"):
        assert read(path) == good


@pytest.mark.parametrize("wrong, why", [
    ("3", "says nothing of a trial"), ("[]", "says nothing"), ("null", "says nothing"), ("{}", "says nothing"),
    ('{"trial": 3}', "its trial is 3"), ('{"trial": {}}', "'task'"),
    ('{"trial": {"task": "what", "host": "lost"}}', "unknown host"),
    ('{"trial": {"task": "what"}, "colour": 1}', "unknown entry of a result 'colour'"),
    ('{"trial": {"task": "what", "sed": 1}}', "unknown setting of a trial 'sed'. Did you mean 'seed'"),
    ('{"trial": {"task": "what", "options": [1]}}', "int"),
    ('{"study": "x", "version": 3}', "is newer than this course: it is of version 3, and this course reads up to 2"),
])
def test_a_line_that_is_not_ours_stops_the_reading_and_changes_nothing(wrong, why, tmp_path):
    """Left out in silence, its trial would be run again, or counted as another."""
    path = tmp_path / "results.jsonl"
    write(Runner()(THREE[0]), path)
    with open(path, "a", encoding="utf-8") as file:
        file.write(wrong + "\n")
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"results\.jsonl, line 2 ") as caught:
        read(path)
    assert why in str(caught.value) and "Give the name of another file" in str(caught.value)
    with pytest.raises(ValueError, match="line 2 "):
        study_of(THREE, path, Runner(seed1=AssertionError("run")))
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\x00\n", b"arm,seed,accuracy\nplain,1,0.5\n", b"[\n1,\n2]\n"])
def test_a_file_of_another_kind_is_refused(content, tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="line 1 cannot be read as results of trials"):
        study_of(THREE, path, Runner())
    assert path.read_bytes() == content


def test_half_a_letter_at_the_end_does_no_harm(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_bytes(json.dumps({"trial": {"task": "what"}}).encode() + b"\n" + '{"trial": {"task": "é'.encode()[:-1])
    with pytest.warns(UserWarning, match="line 2"):
        assert len(read(path)) == 1


def test_finished_trials_are_not_run_again(tmp_path):
    run, path = Runner(), tmp_path / "new folder" / "results.jsonl"
    first = study_of(THREE, path, run)
    assert [r.trial for r in first] == THREE == run.given
    more = [Trial("what", seed=seed) for seed in (4, 1, 3, 0)]
    again = study_of(more, path, run)
    assert run.given == [*THREE, more[0], more[2]]
    assert [r.trial for r in again] == more and again[1] == first[1] and again[3] == first[0]
    assert len(path.read_text("utf-8").splitlines()) == 5
    assert read(path) == first + [again[0], again[2]]


def test_repeated_trials_are_run_once(tmp_path):
    run = Runner()
    results = study_of([THREE[0], THREE[1], THREE[0]], tmp_path / "r.jsonl", run)
    assert run.given == THREE[:2] and [r.trial for r in results] == THREE[:2]


def test_trials_may_come_from_a_generator(tmp_path):
    assert len(study_of((trial for trial in THREE), tmp_path / "r.jsonl", Runner())) == 3


@pytest.mark.parametrize("cut", [1, 20, 100])
def test_a_killed_run_loses_the_line_that_it_was_writing_and_no_other(cut, tmp_path):
    path = tmp_path / "results.jsonl"
    study_of(THREE, path, Runner())
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])          # 1: only the end of the line is missing, and the result is all there
    again, lost = Runner(), THREE[2:] if cut > 1 else []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = study_of(THREE, path, again)
    assert again.given == lost and [r.trial for r in results] == THREE
    assert [f"{path}, line 3 is cut off" in str(w.message) for w in caught] == [True] * len(lost)
    more = Trial("what", seed=9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study_of([more], path, again)
        assert [r.trial for r in read(path)] == [*THREE, more], "a line was glued to the broken one"
        assert study_of([*THREE, more], path, Runner(seed0=AssertionError("run again")))


def test_interrupt_keeps_the_finished_trials(tmp_path):
    path = tmp_path / "results.jsonl"
    with pytest.raises(KeyboardInterrupt):
        study_of(THREE, path, Runner(seed2=KeyboardInterrupt()))
    assert [r.trial for r in read(path)] == THREE[:2]
    run = Runner()
    assert len(study_of(THREE, path, run)) == 3 and run.given == THREE[2:]


def test_every_result_is_in_the_file_before_the_next_trial_begins(tmp_path):
    path, lines = tmp_path / "results.jsonl", []

    def run(trial):
        lines.append(len(path.read_bytes().splitlines()) if path.exists() else 0)
        return Result(trial, accuracy=0.5, seconds=1.0)
    study_of(THREE, path, run)
    assert lines == [0, 1, 2]


def test_a_rehearsal_leaves_nothing_behind_that_counts_as_measured(tmp_path, monkeypatch):
    """Two steps of training under the name of six hundred."""
    path, given = tmp_path / "results.jsonl", []

    def run(trial):
        given.append(trial)
        return run_trial(trial)
    trial = tiny(steps=5)
    monkeypatch.setenv("COURSE_REHEARSE", "1")
    assert len(study_of([trial], path, run)) == 1
    monkeypatch.delenv("COURSE_REHEARSE")
    study_of([trial], path, run)
    assert len(given) == 2, "the result of the rehearsal was taken for that of the trial"
