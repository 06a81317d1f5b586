"""Write the answer of the course into README.md and docs/depth.png, from the files of results: python tools/make_answer.py"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from marks import between  # noqa: E402

from course_utils import plots, studies, tables  # noqa: E402  (the path comes first)
from course_utils.studies import decide  # noqa: E402

README, PICTURE = ROOT / "README.md", ROOT / "docs" / "depth.png"
BEGIN, END = "<!-- answer: begin -->\n", "<!-- answer: end -->"
HEAD = ("question", "compared", "answer (difference in accuracy, 95 % interval)", "on other seeds")


def short(cells: list[str]) -> list[str]:
    """What fits a first screen, from a row of `decide.table`."""
    question, compared, said, mean, interval, pairs, again, _, file = cells
    numbers = f"[{said}](data/results/{file}): {mean} ({interval}, n = {pairs})" if mean else said
    return [question, compared, numbers, again]


def with_answer(text: str) -> str:
    """The text with the present answer between its two marks; ValueError without them."""
    rows = decide.table([row for row in decide.ROWS if row.first])
    return between(text, BEGIN, END, tables.as_markdown(HEAD, map(short, rows)))


def picture():
    """Where one gate works, from the picture to the last map: two tasks, two curves."""
    return plots.depth(studies.crossing(), reference={"one of three": 1 / 3, "one of four": 1 / 4},
                       title="One gate at one place: a choice between channels works early, a choice between places late")


if __name__ == "__main__":
    README.write_text(with_answer(README.read_text(encoding="utf-8")), encoding="utf-8")
    PICTURE.write_bytes(plots.to_png(picture()))
    print(f"{README} and {PICTURE}")
