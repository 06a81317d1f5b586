"""One spelling in all that is read: British, and of two forms of a word always the same. Our own decisions: spelling.toml."""

import re
import subprocess
import sys
from pathlib import Path

import codespell_lib
import pytest
from texts import ROOT, plain, remarks, texts, untitled

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LISTS = Path(codespell_lib.__file__).parent / "data"
DECIDED = tomllib.loads((Path(__file__).parent / "spelling.toml").read_text("utf-8"))
RIGHT = {word.lower() for word in DECIDED["right"]}
# What codespell's list of American spellings leaves out: all words in -ize and -yze, and what is derived from them.
IZE = re.compile(r"\b[a-z]{2,}(?:[iy]z(?:e|es|ed|er|ers|ing|able|ation|ations|ational))\b", re.I)
SPELLED = {form for forms in DECIDED["instead"].values() for form in forms}
FORMS = {form.lower(): wanted for wanted, forms in DECIDED["instead"].items() for form in forms}
WRONG_FORM = re.compile(r"(?<![\w-])(?:" + "|".join(
    re.escape(form).replace(r"\ ", r"\s+") for form in sorted(FORMS, key=len, reverse=True)) + r")(?![\w-])", re.I)


def american():
    """The lines of a word list for codespell: American -> British, turned around from the list that it has."""
    for line in (LISTS / "dictionary_en-GB_to_en-US.txt").read_text("utf-8").splitlines():
        british, _, others = line.partition("->")
        yield from (f"{other.strip()}->{british}" for other in others.split(",") if other.strip() and british.strip())


def slips(folder, found):
    """What codespell finds in texts, {name: text}: (name, line, word, what it should be)."""
    (folder / "texts").mkdir()
    (folder / "american.txt").write_text("\n".join(american()) + "\n", "utf-8")
    names = {}
    for number, (name, text) in enumerate(found.items()):
        (folder / "texts" / f"{number}.txt").write_text(text, "utf-8")
        names[f"{number}.txt"] = name
    command = [sys.executable, "-m", "codespell_lib", "--builtin", "clear", "-D", "-", "-D", str(folder / "american.txt"),
               "--ignore-words-list", ",".join(sorted(RIGHT)), str(folder / "texts")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode in (0, 65) and not done.stderr.strip(), done.stderr       # 65: it found something
    for line in done.stdout.splitlines():
        file, number, word, wanted = re.fullmatch(r"(.+?):(\d+): (\S+) ==> (.+)", line).groups()
        yield names[Path(file).name], int(number), word, wanted


def forms(text):
    """(line, word, what it should be): -ize, and the second form of a word that has two."""
    for m in IZE.finditer(text):
        if m[0].lower() not in RIGHT:
            yield text.count("\n", 0, m.start()) + 1, m[0], re.sub("([iy])z", r"\1s", m[0])
    for m in WRONG_FORM.finditer(text):
        if m[0][1:] != m[0][1:].lower() and m[0] not in SPELLED:
            continue      # NonLocal, a class
        yield text.count("\n", 0, m.start()) + 1, m[0], FORMS[re.sub(r"\s+", " ", m[0].lower())]


@pytest.fixture(scope="module")
def course():
    """Name -> text, without the titles of papers and the words of others."""
    theirs = re.compile("|".join(map(re.escape, DECIDED["phrases"])))
    return {name: theirs.sub(" ", untitled(text)) for name, text in texts()}


def shown(found):
    return "\n".join(f"{name}, line {line}: {word!r}, write {wanted!r}" for name, line, word, wanted in found)


def test_no_american_spelling_and_no_slip(course, tmp_path):
    found = list(slips(tmp_path, course))
    assert not found, shown(found)


def test_of_two_forms_of_a_word_always_the_same(course):
    found = [(name, *slip) for name, text in course.items() for slip in forms(text)]
    assert not found, shown(found)


def test_everything_is_read(course):
    """Catches a pattern of files that matches nothing, and a reader that throws the words away with the code."""
    last = max((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")).stem
    for part in (f"{last}, cell 0", "README.md", "docs/recipes.md", "data/claims.toml", "data/glossary.toml",
                 "data/README.md", "CONTRIBUTING.md", "course_utils/attention/channel.py", "tools/make_table.py"):
        assert len(course[part].split()) > 20, part
    assert sum(len(text.split()) for text in course.values()) > 60_000


@pytest.mark.parametrize("text, word", [
    ("The color of the frame.", "color"), ("It is normalized here.", "normalized"), ("We analyze it.", "analyze"),
    ("Recieve a map.", "Recieve"), ("the center of a map", "center"), ("a gray picture", "gray"),
])
def test_a_slip_is_seen(text, word, tmp_path):
    found = [*slips(tmp_path, {"one": text}), *(("one", *slip) for slip in forms(text))]
    assert word in {name for _, _, name, _ in found}


@pytest.mark.parametrize("text, word, wanted", [
    ("Load the dataset.", "dataset", "data set"), ("A pre-trained\nhost.", "pre-trained", "pretrained"),
    ("the step of take\noff", "of take\noff", "take-off"), ("a nonlocal block", "nonlocal", "non-local"),
    ("It generalizes.", "generalizes", "generalises"),
])
def test_a_second_form_is_seen(text, word, wanted):
    assert [slip[1:] for slip in forms(text)] == [(word, wanted)]


@pytest.mark.parametrize("text", [
    "a data set, runs that take off, one step of take-off", "resized to one size", "a program, a story", "non-local",
])
def test_what_is_right_is_left_alone(text, tmp_path):
    assert not list(forms(text)) and not list(slips(tmp_path, {"one": text}))


@pytest.mark.parametrize("text", [
    "`color=` and ``center``", "```python\ncolor = 1\n```", "$color$ and $$color$$", "[here](color.md)", "<b color=1>",
    "https://example.org/color", "Zhou et al.: *Localization*, CVPR 2016", "| [1512.04150](x) | Localization | Zhou |",
    'source = "Zhou: Localization"',
])
def test_code_addresses_and_titles_are_not_read(text):
    assert not re.search("color|center|localization", untitled(plain(text)), re.I)


def test_messages_and_remarks_of_python_are_read_and_names_are_not():
    source = ('def f(color="gray"):\n    """The colour\n    here."""\n'
              '    raise ValueError(f"no {color.normalize()} here")      # why so\n')
    lines = remarks(source).split("\n")
    assert not re.search("gray|color|normalize", remarks(source)) and "The colour" in lines[1]
    assert "why so" in lines[3] and "here" in lines[3]


def test_the_tool_is_one_that_an_install_brings():
    assert '"codespell' in (ROOT / "pyproject.toml").read_text("utf-8")
