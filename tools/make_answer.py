"""Write the answer of the course into README.md and docs/depth.png, from the files of results: python tools/make_answer.py"""

import sys
from pathlib import Path
from statistics import fmean

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from marks import between  # noqa: E402

from course_utils import plots, studies, tables  # noqa: E402  (the path comes first)
from course_utils.studies import decide, read  # noqa: E402
from course_utils.studies.answer import nearest  # noqa: E402

README, PICTURE = ROOT / "README.md", ROOT / "docs" / "depth.png"
BEGIN, END = "<!-- answer: begin -->\n", "<!-- answer: end -->"
HEAD = ("question", "compared", "answer (difference in accuracy, 95 % interval)", "on other seeds")


def short(cells: list[str]) -> list[str]:
    """What fits a first screen, from a row of `decide.table`."""
    question, compared, said, mean, interval, pairs, again, _, file = cells
    numbers = f"[{said}](data/results/{file}): {mean} ({interval}, n = {pairs})" if mean else said
    return [question, compared, numbers, again]


def so_far() -> str:
    """How much of the spatial gate's study has run, unless it is all; the other curve is complete."""
    return nearest.so_far(read(nearest.path))


def words() -> str:
    """What the picture shows, for those who do not see it."""
    ends = {label: [fmean(seeds.values()) for seeds in line.values()] for label, line in studies.crossing().items()}
    said = "; ".join(f"{label} goes from {means[0]:.2f} to {means[-1]:.2f}" for label, means in ends.items())
    return ("Accuracy of a small network with one gate at one of eight places, from the picture to the last map, where a guess "
            f"would give 0.33 and 0.25: {said}{so_far()}.")


def with_answer(text: str) -> str:
    """The text with the present answer between its two marks; ValueError without them."""
    rows = decide.table([row for row in decide.ROWS if row.first])
    return between(text, BEGIN, END, f"{tables.as_markdown(HEAD, map(short, rows))}\n\n![{words()}](docs/depth.png)")


def picture():
    """Where one gate works, from the picture to the last map: two tasks, two curves."""
    return plots.depth(studies.crossing(), reference={"one of three": 1 / 3, "one of four": 1 / 4},
                       title=f"One gate at one place: a choice between channels works early, between places late{so_far()}")


if __name__ == "__main__":
    README.write_text(with_answer(README.read_text(encoding="utf-8")), encoding="utf-8")
    PICTURE.write_bytes(plots.to_png(picture()))
    print(f"{README} and {PICTURE}")
