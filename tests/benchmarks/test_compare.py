"""The comparison itself: its statistics, its order, its table and its file. No time is asserted."""

import json

import compare
import pytest
import torch


@pytest.fixture(autouse=True)
def this_process_keeps_its_allocator(monkeypatch):
    monkeypatch.setattr(compare, "keep_memory", lambda: True)


def case(mechanism, size, ratio, precision="float32"):
    return {"mechanism": mechanism, "size": size, "precision": precision, "ours_ms": ratio, "timm_ms": 1.0, "ratio": ratio,
            "spread": 0.02}


def test_ratio_of_medians_for_median_of_ratios():
    """A slow phase of the machine hits both of one round, not one side of all."""
    times = [(0.001, 0.002), (0.010, 0.020), (0.009, 0.003)]
    got = compare.summarise(times)
    assert got == pytest.approx({"ours_ms": 9.0, "timm_ms": 3.0, "ratio": 0.5, "spread": 1.25})


def test_all_of_one_then_all_of_the_other(monkeypatch):
    calls = []
    monkeypatch.setattr(compare, "seconds", lambda step, count, device: calls.append(step()) or 1.0)
    assert compare.in_turns(lambda: "A", lambda: "B", 3, "cpu") == [(1.0, 1.0)] * 3
    assert "".join(calls)[-6:] == "ABABAB"


def test_warm_up_is_counted_as_a_round(monkeypatch):
    clock = iter([9.0] * 4 + [1.0, 2.0] * 5)
    monkeypatch.setattr(compare, "seconds", lambda step, count, device: next(clock))
    assert compare.in_turns(None, None, 5, "cpu") == [(1.0, 2.0)] * 5


def test_a_mechanism_with_many_cases_counts_more_than_once():
    cases = [case("se", "a", 2.0), case("se", "b", 2.0), case("se", "c", 2.0), case("eca", "a", 1.0), case("gc", "a", 1.0)]
    assert "Median ratio over 3 mechanisms, float32: 1.000" in compare.verdict(cases)


def test_precisions_are_mixed_in_one_median():
    text = compare.verdict([case("se", "a", 1.0), case("se", "a", 3.0, "bfloat16")])
    assert "float32: 1.000" in text and "bfloat16: 3.000" in text


def test_slow_cases_are_missed_or_fast_ones_accused():
    assert "slower than timm: none" in compare.verdict([case("se", "a", 1.10), case("eca", "a", 0.5)])
    text = compare.verdict([case("se", "a", 1.11), case("eca", "a", 0.5), case("gc", "b", 1.5)])
    assert "10% slower than timm: gc b float32 (1.50, spread 0.02); se a float32 (1.11, spread 0.02)" in text


def test_the_file_is_overwritten_or_differs_from_the_table(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(compare.pairs, "SIZES", ((2, 64, 5, 7),))
    monkeypatch.setattr(compare, "LONG_ENOUGH", 1e-9)
    out, threads = tmp_path / "times.jsonl", str(torch.get_num_threads())
    for _ in range(2):
        (measured,) = compare.main(["--only", "eca", "--rounds", "2", "--threads", threads, "--out", str(out)])
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert len(lines) == 2 and lines[1] == measured
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert table[-1] == compare.row(measured)
    assert {line.count("|") for line in table} == {8}


@pytest.mark.parametrize("wrong, word", [(["--only", "seb"], "coordinate"), (["--rounds", "1"], "at least 2")])
def test_a_wrong_argument_is_found_out_too_late(capsys, wrong, word):
    with pytest.raises(SystemExit):
        compare.arguments(wrong)
    assert word in capsys.readouterr().err
