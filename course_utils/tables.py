"""Tables: as plain text for a terminal, as HTML for a notebook, as Markdown for a page."""

from __future__ import annotations

import html
from collections.abc import Sequence

from IPython.display import display


def as_text(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in plain text, numbers to the right."""
    table = [list(map(str, row)) for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    right = [all(row[i].replace(",", "").lstrip("+-").isdigit() for row in table[1:]) for i in range(len(head))]
    def line(row: Sequence[str]) -> str:
        cells = zip(row, widths, right, strict=True)
        return "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in cells).rstrip()

    lines = list(map(line, table))
    return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:]])


def as_html(head: Sequence[str], rows: Sequence[Sequence[str]], foot: str = "") -> str:
    """The same table for a notebook, with a sentence below it."""
    def line(tag: str, cells: Sequence[str]) -> str:
        return "<tr>" + "".join(f"<{tag} style='text-align:left'>{html.escape(str(c))}</{tag}>" for c in cells) + "</tr>"
    return (f"<table><thead>{line('th', head)}</thead><tbody>{''.join(line('td', r) for r in rows)}</tbody></table>"
            + (f"<p>{html.escape(foot)}</p>" if foot else ""))


def show(head: Sequence[str], rows: Sequence[Sequence[str]], foot: str = "") -> None:
    """The table below a cell: HTML, whose lines break inside of a column on a narrow page, and text where there is no HTML."""
    text = as_text(head, rows) + (f"\n{foot}" if foot else "")
    display({"text/html": as_html(head, rows, foot), "text/plain": text}, raw=True)


def as_markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same table for a page; a bar inside a cell is escaped."""
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
    return "\n".join([line(head), line(["---"] * len(head)), *map(line, rows)])
