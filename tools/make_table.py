"""Write the table of mechanisms into README.md, from the registry: python tools/make_table.py"""

from pathlib import Path

from course_utils.attention import table

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- mechanisms: begin -->\n", "<!-- mechanisms: end -->"


def with_table(text: str) -> str:
    """The text with the present table between its two marks.

    Raises:
        ValueError: the marks are not there, once each and in order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"README.md must hold {BEGIN.strip()!r} and, after it, {END!r}, once each")
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + table() + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
