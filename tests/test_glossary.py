"""The glossary: its page is up to date, and lessons link to it where they use a word before they explain it."""

import copy
import json
import re

import link_terms
import make_glossary
import pytest
from link_terms import GLOSSARY, OURS, first_uses, link, prose, uses

ROOT = make_glossary.ROOT
TERMS = make_glossary.terms()
NAMED = {term.name: term for term in TERMS}
LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def lesson(*texts):
    """A notebook of markdown cells; a text that begins with >>> is a cell of code."""
    return {"cells": [{"cell_type": "code" if text.startswith(">>>") else "markdown", "id": f"c{i}", "metadata": {},
                       "source": text.splitlines(keepends=True)} for i, text in enumerate(texts)]}


def text(nb):
    return "\n\n".join("".join(cell["source"]) for cell in nb["cells"])


def linked(nb):
    """What has a link: words as they stand, and where the link leads."""
    return OURS.findall(text(nb))


# ---- the page

def test_the_page_is_what_the_tool_writes():
    assert make_glossary.PAGE.read_text("utf-8") == make_glossary.page(TERMS, make_glossary.lessons()), \
        "run: python tools/make_glossary.py"


def test_the_words_that_lessons_lean_on_are_there():
    wanted = ("host", "socket", "gate", "mixing", "mechanism", "task", "trial", "seed", "arm", "control", "study", "contrast",
              "take-off", "start", "receptive field", "residual block", "branch", "skip", "attention head", "head socket",
              "fused kernel", "fuse socket", "squeeze", "excite", "logits", "frozen gate", "shuffled gate", "swapped gate",
              "k of n", "interval")
    assert set(wanted) <= set(NAMED)


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.name)
def test_a_meaning_is_one_or_two_plain_sentences(term):
    sentences = re.split(r"(?<=[.?])\s+(?=[A-Z])", term.means)
    assert 1 <= len(sentences) <= 2 and term.means.endswith(".") and len(term.means.split()) <= 50
    assert term.lesson in {f"{number:02d}" for number in range(17)}


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.name)
def test_forms_are_found_and_what_means_something_else_is_not(term):
    for form in term.forms:
        word = form.replace("*", "s")
        assert uses(term, f"Here {word}, and more.") or any(word in other for other in term.excluded), form
    for phrase in term.excluded:
        assert not uses(term, f"Here {phrase.replace('*', '')} and more."), phrase


@pytest.mark.parametrize("change, message", [
    (lambda t: t.replace('name = "host"', 'name = "Host (network)"'), "makes no anchor"),
    (lambda t: t.replace('name = "gate"', 'name = "host"'), "twice"),
    (lambda t: t.replace('forms = ["arm", "arms"]', 'forms = ["arm", "Gate"]'), "twice"),
    (lambda t: t.replace('forms = ["arm", "arms"]', "forms = []"), "no forms"),
])
def test_a_broken_file_is_refused(tmp_path, change, message):
    path = tmp_path / "glossary.toml"
    path.write_text(change(make_glossary.SOURCE.read_text("utf-8")), "utf-8")
    with pytest.raises(ValueError, match=message):
        make_glossary.terms(path)


def test_headings_have_one_anchor_everywhere():
    """JupyterLab only puts hyphens for spaces; others also drop capitals and signs. So there must be none."""
    headings = re.findall(r"^### (.+)$", make_glossary.PAGE.read_text("utf-8"), re.M)
    assert [heading.replace(" ", "-") for heading in headings] == [term.anchor for term in TERMS]
    assert all(re.fullmatch(r"[a-z0-9-]+", term.anchor) for term in TERMS)


# ---- the links

def test_the_first_use_is_linked_and_only_the_first():
    nb = lesson("# A title with a host", "A host and a Gate. A gate again.", "Two hosts.")
    assert link(nb, TERMS) == ["host", "gate"]
    assert linked(nb) == [("host", "host"), ("Gate", "gate")]
    assert f"[Gate]({GLOSSARY}#gate)" in text(nb) and "Two hosts." in text(nb)


def test_a_second_run_changes_nothing():
    nb = lesson("A host, five seeds, the residual block and its skip path.", "k of n, and the `head`.")
    link(nb, TERMS)
    once = copy.deepcopy(nb)
    link(nb, TERMS)
    assert nb == once and len(linked(nb)) == 6


def test_a_link_moves_to_what_is_the_first_use_now():
    nb = lesson("Nothing yet.", "A host.")
    link(nb, TERMS)
    nb["cells"][0]["source"] = ["The host comes earlier now."]
    link(nb, TERMS)
    assert "[host]" in nb["cells"][0]["source"][0] and "[host]" not in nb["cells"][1]["source"][0]


@pytest.mark.parametrize("left_alone", [
    "## The host\n", "`host` and ``the host``", "`a host, here`", "```python\nhost = 1\n```\n", "$host$ and $$host + gate$$",
    "[the host](08_sockets.ipynb)", "![a host](host.png)", '<img alt="a host" src="x.png">', "<!-- host -->",
    "<details><summary>host</summary>\n\nA host.\n\n</details>", "| host | gate |\n| --- | --- |\n", "https://example.org/host",
    "ghost, hosted, host-like and self-host", ">>> host = 1",
    "[![A host](https://example.org/host.svg)](https://example.org/host)",
])
def test_what_is_no_plain_text_is_left_alone(left_alone):
    nb = lesson(left_alone, "Here is a host.")
    before = copy.deepcopy(nb["cells"][0])
    assert link(nb, TERMS) == ["host"] and nb["cells"][0] == before


def test_exercises_and_what_follows_are_left_alone():
    nb = lesson("Text.\n\n## Exercises\n\nA host.\n", "A gate.", "## References\n\nAn arm.")
    before = copy.deepcopy(nb)
    assert link(nb, TERMS) == [] and nb == before


def test_a_word_that_is_explained_where_it_stands_gets_no_link():
    nb = lesson("The network is the **host**. The host has a place.", "A gate. A **gate** multiplies.")
    assert link(nb, TERMS) == ["gate"]
    assert "**host**" in text(nb) and "**gate**" in text(nb)
    nb = lesson("**A gate in bold words** is no explanation.")
    assert link(nb, TERMS) == ["gate"]


@pytest.mark.parametrize("sentence, wanted", [
    ("Four heads look at once.", ["attention head"]),
    ("It sits at the `head`.", ["head socket"]),
    ("The socket `fuse` gets both.", ["socket", "fuse socket"]),
    ("torch has a fused kernel.", ["fused kernel"]),
    ("Squeeze-and-Excitation is SE.", []),
    ("Squeeze, then excite.", ["squeeze", "excite"]),
    ("An attention gate of a U-Net.", []),
    ("MaxViT looks in windows; its window is wide.", ["receptive field"]),
    ("In contrast, nothing.", []),
    ("At the start nothing is known; the identity start keeps x.", ["start"]),
    ("You can skip this.", []),
    ("A run takes off.", ["take-off"]),
    ("Trial and error, then one trial.", ["trial"]),
    ("The weights are frozen. Then freeze a gate.", ["frozen gate"]),
])
def test_senses_are_told_apart(sentence, wanted):
    assert sorted(link(lesson(sentence), TERMS)) == sorted(wanted)


def test_the_longest_word_wins():
    nb = lesson("A residual block with a skip path.")
    link(nb, TERMS)
    assert linked(nb) == [("residual block", "residual-block"), ("skip path", "skip")]


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_uses_no_word_before_it_is_explained_or_linked(path):
    nb = read(path)
    again = copy.deepcopy(nb)
    link(again, TERMS)
    assert again == nb, f"run: python tools/link_terms.py notebooks/{path.name}"
    assert {anchor for _, anchor in linked(nb)} <= {term.anchor for term in TERMS}


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_linking_a_lesson_changes_its_text_and_nothing_else(path):
    """Of all lessons, also those that are not linked yet."""
    before = read(path)
    after = copy.deepcopy(before)
    link(after, TERMS)
    for old, new in zip(before["cells"], after["cells"], strict=True):
        assert {k: v for k, v in old.items() if k != "source"} == {k: v for k, v in new.items() if k != "source"}
        assert link_terms.unlinked("".join(old["source"])) == link_terms.unlinked("".join(new["source"]))
        assert old["cell_type"] == "markdown" or old == new
    texts = {i: link_terms.unlinked(words) for i, (words, _) in prose(after).items()}
    assert len(first_uses(texts, TERMS)) == len(linked(after))


def test_the_command_says_what_it_would_change_and_writes_only_when_asked(tmp_path, capsys):
    path = tmp_path / "00_small.ipynb"
    path.write_text(json.dumps(lesson("A host."), indent=1) + "\n", "utf-8")
    before = path.read_bytes()
    assert link_terms.main(["--check", str(path)]) == 1 and path.read_bytes() == before
    assert link_terms.main([str(path)]) == 0 and path.read_bytes() != before
    assert link_terms.main(["--check", str(path)]) == 0
    assert "host" in capsys.readouterr().out
