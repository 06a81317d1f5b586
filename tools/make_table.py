"""Write the table of mechanisms into README.md, from the registry: python tools/make_table.py"""

from pathlib import Path

from marks import between

from course_utils.attention import table

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- mechanisms: begin -->\n", "<!-- mechanisms: end -->"


def with_table(text: str) -> str:
    """The text with the present table between its two marks; ValueError without them."""
    return between(text, BEGIN, END, table())


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
