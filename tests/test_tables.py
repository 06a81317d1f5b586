"""Tables: one content as text, HTML and Markdown."""

import pytest

from course_utils import tables

HEAD, ROWS = ["arm", "k"], [["SE <r=4>", "12"], ["a|b", "3"]]


def test_text_has_words_to_the_left_and_numbers_to_the_right():
    assert tables.as_text(HEAD, ROWS).splitlines() == ["arm        k", "--------  --", "SE <r=4>  12", "a|b        3"]


def test_html_and_markdown_escape_what_would_break_them():
    assert "SE &lt;r=4&gt;" in tables.as_html(HEAD, ROWS) and "<p>" not in tables.as_html(HEAD, ROWS)
    assert tables.as_html(HEAD, ROWS, "a < b").endswith("<p>a &lt; b</p>")
    assert "| a\\|b | 3 |" in tables.as_markdown(HEAD, ROWS)


@pytest.mark.parametrize("foot", ["", "Five other seeds."])
def test_a_cell_shows_html_and_text_of_the_same(foot, monkeypatch):
    """A page that is read on a code-hosting site has the one, a terminal the other."""
    shown = []
    monkeypatch.setattr(tables, "display", lambda data, raw: shown.append((data, raw)))
    tables.show(HEAD, ROWS, foot)
    assert shown == [({"text/html": tables.as_html(HEAD, ROWS, foot),
                       "text/plain": tables.as_text(HEAD, ROWS) + (f"\n{foot}" if foot else "")}, True)]
