"""Questions as Moodle XML and as GIFT, read back by readers that know nothing of the writers; and the command."""

import html.parser
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from course_utils import quiz, teach
from course_utils.quiz import bank, exchange

ROOT = Path(__file__).resolve().parents[1]
ODD = r"""
lesson = "03"
title = "In/out"

[[question]]
id = "odd"
tests = "Signs: ~ and =."
where = "By hand"
difficulty = 2
asks = '''
// a = b ~ c # d {e} f: g, $\nu_c \neq \{x\}$ & `<b>` and "]]>", 5 < 6, \n is two signs.

```
x = {1: 2}

::y::  # z
```'''

[[question.option]]
says = '[1.0, 2] = $\sigma(x : y) \le \tfrac12$'
why = 'So: `a\b` ~ {right}.'
right = true

[[question.option]]
says = "%50% ~ of #1"
why = "An *error* = {2}."

[[question.option]]
says = "= nothing"
why = "Four: ####."
"""


class Words(html.parser.HTMLParser):
    """The text of HTML, mathematics in dollars, each run of spaces one space."""

    def __init__(self, source):
        super().__init__()
        self.found = ""
        self.feed(source)
        self.close()
        self.found = " ".join(re.sub(r"\\\((.*?)\\\)", r"$\1$", self.found, flags=re.S).split())

    def handle_data(self, data):
        self.found += data

    def handle_endtag(self, tag):
        self.found += " " * (tag in ("p", "pre"))


def words(source):
    return Words(source).found


def said(text):
    """The words of a text as the file has it, without its marks; a formula keeps all of it."""
    text = re.sub(r"(?m)^```$", "", text)
    pieces = re.split(r"(\$[^$]+\$|`[^`]+`)", text)
    return " ".join("".join(p.strip("`") if i % 2 else p.replace("*", "") for i, p in enumerate(pieces)).split())


def wanted(lesson):
    """(category, name, question, options, general feedback), as `from_xml` and `from_gift` give them."""
    category = f"{lesson.number} {lesson.title}"
    return [(category, f"{q.lesson} {q.id}", said(q.asks), [(said(o.says), said(o.why), o.right) for o in q.options],
             said(f"Lesson {q.lesson}, {q.where}: {q.tests}")) for q in lesson.questions]


def last_of(category):
    """The last part of the path of a category, in which two slashes stand for one."""
    course, part = re.fullmatch(r"\$course\$/top/((?:[^/]|//)+)/((?:[^/]|//)+)", category).groups()
    assert course == "Where do you plug in attention?"
    return part.replace("//", "/")


def from_xml(text):
    category, found = None, []
    for question in ElementTree.fromstring(text.encode()):
        if question.get("type") == "category":
            category = last_of(question.findtext("category/text"))
            continue
        assert (question.get("type"), question.findtext("single"), question.findtext("shuffleanswers")) == (
            "multichoice", "true", "true")
        assert {tag.get("format") for tag in question.iter() if tag.get("format")} == {"html"}
        options = [(words(a.findtext("text")), words(a.findtext("feedback/text")), {"100": True, "0": False}[a.get("fraction")])
                   for a in question.iter("answer")]
        found.append((category, question.findtext("name/text"), words(question.findtext("questiontext/text")), options,
                      words(question.findtext("generalfeedback/text"))))
    return found


def signs(text):
    """GIFT's text, sign by sign: (sign, is it the format's own)."""
    i = 0
    while i < len(text):
        escaped = text[i] == "\\" and text[i + 1:i + 2] in set("\\~=#{}:n")
        sign = text[i + escaped]
        yield ("\n" if escaped and sign == "n" else sign), not escaped
        i += 1 + escaped


def parts(text):
    """A question's answers: [kind, text, feedback] each, where kind is "=", "~" or "####"."""
    found = []
    for sign, own in signs(text.strip()):
        if own and sign in "=~":
            found.append([sign, "", None])
        elif own and sign == "#":
            if found[-1][0] in ("=", "~") and found[-1][2] is None:
                found[-1][2] = ""
            else:
                found[-1][2] += "\0"      # four in a row begin the general feedback
        elif found[-1][2] is None:
            found[-1][1] += sign
        else:
            found[-1][2] += sign
    *before, general = found[-1][2].partition("\0\0\0\0")
    found[-1][2] = before[0]
    return found, general


def from_gift(text):
    category, found = None, []
    for block in re.split(r"\n[ \t]*\n", text.strip()):      # an empty line ends a question
        assert not any(line.strip().startswith("//") for line in block.split("\n")), "read as a comment"
        if block.startswith("$CATEGORY: "):
            category = last_of(block.removeprefix("$CATEGORY: "))
            continue
        name, rest = re.fullmatch(r"(?s)::((?:\\.|[^:\\])+)::\[html\](.*)", block).groups()
        assert not any(own and sign == ":" for sign, own in signs(rest)), "older readers take a colon for the end of a name"
        opened = [i for i in range(len(rest)) if rest[i] == "{" and not re.search(r"(?<!\\)(\\\\)*\\$", rest[:i])]
        closed = [i for i in range(len(rest)) if rest[i] == "}" and not re.search(r"(?<!\\)(\\\\)*\\$", rest[:i])]
        assert len(opened) == len(closed) == 1 and closed[0] == len(rest) - 1
        answers, general = parts(rest[opened[0] + 1:closed[0]])
        assert not any(re.match(r"\s*%-?\d+\.?\d*%", says) for _, says, _ in answers), "read as a share of the mark"
        options = [(words(says), words(why), kind == "=") for kind, says, why in answers]
        question = "".join(sign for sign, _ in signs(rest[:opened[0]]))
        found.append((category, "".join(sign for sign, _ in signs(name)), words(question), options, words(general)))
    return found


FORMATS = {"moodle": (quiz.moodle_xml, from_xml), "gift": (quiz.gift, from_gift)}


@pytest.mark.parametrize("name", FORMATS)
def test_all_questions_are_read_back(name):
    write, read = FORMATS[name]
    assert read(write(quiz.lessons())) == [q for number in quiz.lessons() for q in wanted(quiz.read(number))]


@pytest.mark.parametrize("name", FORMATS)
def test_every_sign_survives(name, tmp_path):
    """Catches a sign of the format that is not escaped, a \\n that becomes a new line, a < that becomes a tag."""
    (tmp_path / "03.toml").write_text(ODD)
    write, read = FORMATS[name]
    (got,) = read(write(["03"], tmp_path))
    category, _, asks, options, general = got
    assert got == wanted(quiz.read("03", tmp_path))[0]
    assert category == "03 In/out" and general == "Lesson 03, By hand: Signs: ~ and =."
    assert asks == (r'// a = b ~ c # d {e} f: g, $\nu_c \neq \{x\}$ & <b> and "]]>", 5 < 6, \n is two signs. '
                    "x = {1: 2} ::y:: # z")
    assert [(says, right) for says, _, right in options if right] == [(r"[1.0, 2] = $\sigma(x : y) \le \tfrac12$", True)]
    assert {why for _, why, _ in options} == {r"So: a\b ~ {right}.", "An error = {2}.", "Four: ####."}


def test_code_and_mathematics_are_what_a_platform_looks_for():
    page = exchange.as_html("A `gate` and *one* $a \\lt b_c$, $x^*$ and $y^*$:\n\n```\na  b\n\nc\n```")
    assert r"<code>gate</code> and <em>one</em> <span" not in page and r"<code>gate</code> and <em>one</em> \(a \lt b_c\)" in page
    assert r"\(x^*\) and \(y^*\)" in page and "<pre><code>a  b\n\nc\n</code></pre>" in page
    assert exchange.as_html("$a < b$", inline=True) == r"\(a &lt; b\)"
    assert exchange.as_html("one", inline=True) == "one" and exchange.as_html("one\n\ntwo", inline=True).count("<p>") == 2


# ---- the command

def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        teach.main(["quiz", *map(str, arguments)])
    return stop.value.code if isinstance(stop.value.code, str) else capsys.readouterr().err


@pytest.mark.parametrize("name, write", [("moodle", quiz.moodle_xml), ("gift", quiz.gift), ("markdown", quiz.markdown)])
def test_the_command_writes_what_the_function_makes(name, write, tmp_path, capsys):
    file = tmp_path / "made" / "questions"
    one, *_, other = quiz.lessons()
    teach.main(["quiz", "--lesson", one, "--lesson", other, "--lesson", one, "--format", name, "-o", str(file)])
    assert file.read_text(encoding="utf-8") == write([one, other])
    count = sum(len(quiz.read(number).questions) for number in (one, other))
    assert f"{count} questions of 2 lessons: {file}" in capsys.readouterr().out


def test_without_a_lesson_it_writes_all(tmp_path):
    teach.main(["quiz", "--format", "moodle", "-o", str(tmp_path / "all.xml")])
    assert (tmp_path / "all.xml").read_text(encoding="utf-8") == quiz.moodle_xml(quiz.lessons())


def test_what_cannot_be_written_is_said_and_nothing_is_lost(tmp_path, capsys, monkeypatch):
    file = tmp_path / "mine.xml"
    file.write_text("a teacher's own")
    assert "mine.xml exists" in refused(capsys, "--format", "moodle", "-o", file) and file.read_text() == "a teacher's own"
    first = quiz.read(quiz.lessons()[0])
    teach.main(["quiz", "--lesson", first.number, "--format", "moodle", "-o", str(file), "--force"])
    assert from_xml(file.read_text(encoding="utf-8"))[0][0] == f"{first.number} {first.title}"
    other = tmp_path / "other.xml"
    assert "unknown lesson '2'" in refused(capsys, "--lesson", "2", "--format", "moodle", "-o", other)
    assert "invalid choice: 'pdf'" in refused(capsys, "--format", "pdf", "-o", other)
    assert "--out" in refused(capsys, "--format", "gift")
    monkeypatch.setitem(sys.modules, "mistune", None)
    exchange.renderer.cache_clear()
    assert 'pip install -e ".[teach]"' in refused(capsys, "--format", "gift", "-o", other)
    assert not other.exists() and bank.FOLDER.is_dir()


def test_the_other_commands_of_teach_say_that_there_is_this_one(capsys):
    with pytest.raises(SystemExit):
        teach.main(["--help"])
    assert "quiz" in capsys.readouterr().out
