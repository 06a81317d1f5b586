"""The answer is read off the files of results, and says no more than they do."""

import make_answer
import pytest
from trials import plain_surroundings  # noqa: F401

from course_utils.studies import CATALOGUE, Result, crossing, decide, read
from course_utils.studies import study as module
from course_utils.studies.answer import PLACES, nearest, what
from course_utils.studies.results import write
from course_utils.tables import as_markdown


@pytest.mark.parametrize("row", decide.ROWS, ids=lambda row: f"{row.study.name}-{row.ours}")
def test_a_row_is_about_a_contrast_that_was_named_before_the_first_run(row):
    assert CATALOGUE[row.study.name] is row.study and (row.ours, row.control) in row.study.contrasts
    assert row.question.endswith("?")


def filled(row, path, pairs, gain):
    for seed in range(pairs):
        write(Result(row.study.trial(row.control, seed), 0.5 + 0.001 * (seed % 3), 1.0, 1), path)
        write(Result(row.study.trial(row.ours, seed), 0.5 + gain + 0.002 * (seed % 2), 1.0, 5), path)


def test_no_verdict_without_results_or_before_all_seeds_have_run(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    row = decide.ROWS[0]
    assert decide.answer(row)[2:6] == ["not run yet", "", "", "0"]
    assert row.again and row.again.name == f"{row.study.name}_again"
    filled(row, row.study.path, 7, 0.3)
    assert decide.answer(row)[2] == "open, 7 of 8 seeds" and decide.answer(row)[5] == "7"
    assert "1 questions, 1 of them open" in decide.show([row])._repr_html_()
    filled(row, row.study.path, 8, 0.3)
    cells = decide.answer(row)
    assert cells[2] == "higher" and cells[3] == "+0.300" and cells[5] == "8" and cells[-1] == f"{row.study.name}.jsonl"
    assert cells[6] == "not run yet" and cells[7] == "+4"      # 5 parameters and 1
    filled(row, row.again.path, 3, -0.3)
    assert decide.answer(row)[6] == "open, 3 of 8 seeds" and decide.answer(row)[2] == "higher"


@pytest.mark.parametrize("gain, word", [(-0.2, "lower"), (0.0001, "no clear difference")])
def test_the_word_follows_the_results(gain, word, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    row = decide.ROWS[0]
    filled(row, row.study.path, 8, gain)
    cell = decide.answer(row)[2]
    said = decide.found(row, row.study)[0]
    # Without what could have been seen, "no clear difference" of few wide pairs reads like "none".
    assert cell == word + (f" ({said.visible:.3f} would have been seen)" if word == "no clear difference" else "")
    shown = decide.show([row])
    assert word in str(shown) and f">{cell}</td>" in shown._repr_html_() and "1 questions, 0 of them open" in shown._repr_html_()


# ---- README

def test_the_readme_shows_what_the_files_of_results_say_now():
    """python tools/make_answer.py writes it; it is part of adding results."""
    text = make_answer.README.read_text(encoding="utf-8")
    assert make_answer.with_answer(text) == text
    assert sum(row.first for row in decide.ROWS) == 10 and make_answer.PICTURE.is_file()


@pytest.mark.parametrize("text", ["", make_answer.END + make_answer.BEGIN, make_answer.BEGIN * 2 + make_answer.END])
def test_a_readme_without_the_marks_is_refused(text):
    with pytest.raises(ValueError, match="answer: begin"):
        make_answer.with_answer(text)


def test_a_cell_of_a_page_cannot_end_its_column():
    assert as_markdown(["a", "b"], [["x|y", "1"]]) == "| a | b |\n| --- | --- |\n| x\\|y | 1 |"


def test_the_picture_shows_both_curves_with_all_that_has_run():
    lines = crossing()
    assert list(lines) == ["ECA on what", "spatial gate on nearest"]
    assert [list(line) for line in lines.values()] == [list(PLACES)] * 2
    for label, mechanism, study in (("ECA on what", "ECA", what), ("spatial gate on nearest", "15x15", nearest)):
        for place, seeds in lines[label].items():
            assert seeds == {r.trial.seed: r.accuracy for r in read(study.path) if r.error is None
                             and r.trial.arm == study.trial(f"{mechanism}, {place}", 0).arm}
    make_answer.picture()
