"""What a lesson shows of the recorded studies is what their files hold now."""

import json
import re
from pathlib import Path
from statistics import mean

import pytest

from course_utils.studies import CATALOGUE, decide, priced, read

ROOT = Path(__file__).resolve().parents[1]


def stored(path):
    """All that the lesson shows as text."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return [text for cell in cells for out in cell.get("outputs", [])
            if (text := "".join(out.get("text", "") or out.get("data", {}).get("text/plain", "")))]


@pytest.mark.parametrize("path", sorted(ROOT.glob("notebooks/*.ipynb")), ids=lambda path: path.stem)
def test_a_lesson_was_run_after_the_last_result_came(path):
    """Catches results that were committed, and lessons that still show what there was before."""
    shown = "\n".join(stored(path))
    again = f"python tools/run_notebooks.py {path.relative_to(ROOT)}"
    for k, name in re.findall(r"(\d+) recorded trials [^\n]*run (\S+)", shown):
        wanted = set(CATALOGUE[name].trials())
        there = [r for r in read(CATALOGUE[name].path) if r.error is None and r.trial in wanted]
        assert int(k) == len(there), f"{name}: {again}"
    if "Answer(rows=" in shown:
        assert repr(decide.Answer(decide.table())) in shown, f"the answer: {again}"
    if line := re.findall(r"of the line: +(.+), ([+-][\d.]+), (\d+) pairs", shown):      # lesson 14
        gained = {place: values for place, (_, values) in priced("what").items()}
        assert line == [(place, f"{mean(gained[place]):+.3f}", str(len(gained[place]))) for place, *_ in line], again
