"""The map of all studies: every trial beside the plain host of its own seed, task, host and budget, and beside no other."""

import math
import re
from statistics import median, stdev

import pytest
from trials import plain_surroundings  # noqa: F401

from course_utils.sockets import doctor
from course_utils.studies import CATALOGUE, Result, Study, Trial, read
from course_utils.studies import study as module
from course_utils.studies.overview import gains, overview, said
from course_utils.studies.results import write

ARMS = {"plain": {}, "pre": {"mechanism": "se", "at": "pre"}, "post": {"mechanism": "se", "at": "post"},
        "one place": {"mechanism": "se", "at": "post", "layers": "layer1.*"}, "wide": {"host": "wide_host"},
        "wide, pre": {"host": "wide_host", "mechanism": "se", "at": "pre"}}


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    study = Study("mine", "Lesson 99: mine.", {"task": "what", "steps": 5}, ARMS, seeds=(1, 2))
    ends = {"plain": 0.3, "pre": 0.5, "post": 0.2, "one place": 0.9, "wide": 0.4, "wide, pre": 0.45}
    for seed in (1, 2):
        for arm, end in ends.items():
            write(Result(study.trial(arm, seed), end + 0.01 * seed * (arm == "pre"), 1.0, 1), study.path)
    write(Result(study.trial("post", 3), 0.7, 1.0, 1), study.path)      # its plain host has not run
    return study


def test_a_gain_is_against_the_plain_host_of_the_same_seed_host_and_budget(study):
    found = gains([study])
    assert set(found) == {("what", "se", "pre"), ("what", "se", "post")}
    assert sorted(found["what", "se", "pre"]) == pytest.approx([0.05, 0.05, 0.21, 0.22])      # the wide host against the wide
    assert found["what", "se", "post"] == pytest.approx([-0.1, -0.1]), "a single place, or a seed without its pair, was counted"


def test_a_gate_of_the_usual_window_is_said_without_it():
    assert said(Trial("nearest", mechanism="spatial_gate", options={"dilation": 2})) == "spatial_gate, every 2"
    assert said(Trial("nearest", mechanism="spatial_gate", options={"kernel_size": 7})) == "spatial_gate 7x7"


def test_the_map_has_a_row_for_each_mechanism_on_a_task_and_nothing_where_nothing_was_run(study):
    write(Result(study.trial("plain", 3), 0.3, 1.0, 1), study.path)
    table, rows, columns = overview([study])
    assert (rows, columns) == (["what: se"], ["pre", "post"])
    assert table[0] == pytest.approx([0.1325, (0.4 - 0.1 - 0.1) / 3])
    other = Study("other", "Lesson 99: other.", {"task": "twins", "steps": 5}, {k: ARMS[k] for k in ("plain", "pre", "post")},
                  seeds=(1, 2, 3))
    for trial in other.trials():
        if trial.at != "post" or trial.seed < 3:      # two pairs are too few for a number
            write(Result(trial, 0.5, 1.0, 1), other.path)
    table, rows, _ = overview([study, other])
    assert rows == ["twins: se", "what: se"] and table[0][0] == 0 and math.isnan(table[0][1])


def test_gates_of_different_windows_are_different_mechanisms():
    """Catches one number for the mean of a gate that sees far and one that does not."""
    gate = {"mechanism": "spatial_gate", "at": "input"}
    assert said(Trial("nearest", options={"kernel_size": 7, "dilation": 1}, **gate)) == "spatial_gate 7x7"
    assert said(Trial("nearest", options={"kernel_size": 15, "dilation": 4}, **gate)) == "spatial_gate 15x15, every 4"
    assert said(Trial("nearest", **gate)) == "spatial_gate" and said(Trial("what", mechanism="se")) == "se"


def test_two_in_a_row_are_not_counted_with_one():
    """They cost twice as much, and are an arm of their own in lesson 11."""
    assert said(Trial("what", mechanism="se", times=2)) == "se, 2 in a row"


def test_the_doctor_names_the_spread_of_the_recorded_contrasts():
    """A number in a docstring that new studies may move: then it is to be said anew."""
    spreads: dict[bool, list[float]] = {True: [], False: []}
    for recorded in (s for s in CATALOGUE.values() if s.path.exists()):
        runs = recorded.runs([r for r in read(recorded.path) if r.error is None])
        for ours, control in recorded.contrasts:
            both = runs.get(ours, {}).keys() & runs.get(control, {}).keys()
            if len(both) >= 3:
                spread = stdev(runs[ours][seed] - runs[control][seed] for seed in both)
                spreads[recorded.base.get("task") == "fashion_mnist"].append(spread)
    said_all, said_clothes = map(float, re.findall(r"below (0\.\d+)", " ".join(doctor.__doc__.split())))
    assert median([*spreads[True], *spreads[False]]) == pytest.approx(said_all, abs=0.003)
    assert median(spreads[True]) == pytest.approx(said_clothes, abs=0.002)


def test_a_study_without_a_file_is_left_out(study):
    assert gains([Study("none", "Lesson 99: x.", {"task": "what"}, {"plain": {}})]) == {}
