"""No sentence stands in two lessons: a thing is said once, and linked to where it is needed again."""

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FEWEST = 8      # words; shorter ones are turns of speech

# The same everywhere on purpose: the first cell's minutes, and the line of an exercise box.
FORMULAS = re.compile(r"about \d+ minutes of which about \w+ (is|are) computing|difficulty \d of 5 \d+ minutes .*")
LABEL = re.compile(r"^\W*\*\*[^*]+[:.,]\*\*")      # **What to see:**, **Predict, then run.**

# Found when this test came in: to be worded anew, one by one, and then taken out of here.
KNOWN: dict[str, list[str]] = {}


def plain(text):
    """Markdown without blocks of code, pictures, addresses and tags; of code in a line the words stay."""
    text = re.sub(r"(?ms)^ {0,3}(```|~~~).*?^ {0,3}\1[^\n]*$", "\n\n", text)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"</?[a-z][^>]*>", "\n\n", text)


def sentences(text):
    """The sentences of a cell, words only, in lower case; a paragraph, an item, a row and a heading end one too."""
    for block in re.split(r"\n\s*\n|\n(?=\s*[-*+|#>])", plain(text)):
        for sentence in re.split(r"(?<=[.!?])[\"'*_)]*\s+", LABEL.sub("", " ".join(block.split()))):
            words = re.findall(r"\w+", sentence.lower())
            if len(words) >= FEWEST and not FORMULAS.fullmatch(" ".join(words)):
                yield " ".join(words)


def prose(path):
    """The Markdown cells up to the references: a paper is called the same wherever it is cited."""
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "markdown":
            text, references, _ = "".join(cell["source"]).partition("\n## References")
            yield text
            if references:
                return


def repeated(paths):
    """Sentence -> the numbers of the lessons where it stands, if those are several."""
    found = defaultdict(set)
    for path in paths:
        for text in prose(path):
            for sentence in sentences(text):
                found[sentence].add(path.name[:2])
    return {sentence: sorted(numbers) for sentence, numbers in found.items() if len(numbers) > 1}


def test_no_sentence_stands_in_two_lessons():
    again = {sentence: numbers for sentence, numbers in repeated(LESSONS).items() if numbers != KNOWN.get(sentence)}
    assert not again, f"say it in one of them, or say what is different: {again}"


def test_what_is_known_to_be_repeated_still_is():
    """A line that nobody needs any more would let the sentence come back."""
    here, found = {path.name[:2] for path in LESSONS}, repeated(LESSONS)
    gone = [sentence for sentence, numbers in KNOWN.items() if set(numbers) <= here and sentence not in found]
    assert not gone, f"worded anew: take them out of KNOWN: {gone}"


# The finder itself

SAID = "A gate is one number per channel, and a map has many."


def two(folder, one, other):
    """What is repeated in two lessons with these texts."""
    paths = [folder / "01_one.ipynb", folder / "02_two.ipynb"]
    for path, text in zip(paths, (one, other), strict=True):
        cells = [{"cell_type": kind, "source": source.splitlines(True)} for kind, source in text]
        path.write_text(json.dumps({"cells": cells}), "utf-8")
    return repeated(paths)


@pytest.mark.parametrize("text", [
    SAID, f"Before it. {SAID} And after.", f"(It is so.) {SAID}", f"- {SAID}\n- more", f"- more\n- {SAID}", f"1. more\n2. {SAID}",
    f"> {SAID}", f"| row |\n| {SAID} | 3 |", f"Heading\n\n{SAID}", f"text\n# {SAID}", SAID.replace(" and", "\nand"),
    f"<details><summary>Hint</summary>\n\n{SAID}\n</details>", SAID.replace("gate", "**gate**"), SAID.upper(),
    SAID.replace("gate", "[gate](../docs/glossary.md#gate)"), SAID.replace("channel,", "`channel`"), f"**What to see:** {SAID}",
    f"- **Predict, then run.** {SAID}", f"**Where?** {SAID}", f"```\ncode\n```\n{SAID}",
])
def test_a_sentence_is_found_in_every_dress(text, tmp_path):
    assert list(two(tmp_path, [("markdown", SAID)], [("markdown", text)]).values()) == [["01", "02"]]


@pytest.mark.parametrize("text", [
    "A gate is one number per channel.", f"```\n{SAID}\n```", f"text\n\n## References\n\n{SAID}", f"![{SAID}](x.png)",
    "About 75 minutes, of which about one is computing.", "Difficulty 4 of 5, 25 minutes, extra; no single answer.",
], ids=["short", "code", "references", "picture", "minutes", "box"])
def test_what_may_be_the_same_is_let_through(text, tmp_path):
    assert not two(tmp_path, [("markdown", text)], [("markdown", text)])


def test_code_and_one_lesson_alone_do_not_count(tmp_path):
    assert not two(tmp_path, [("code", f"# {SAID}")], [("code", f"# {SAID}")])
    assert not two(tmp_path, [("markdown", SAID), ("markdown", SAID)], [("markdown", "Other.")])
    after = [("markdown", "## End\n\n## References\n\nA paper."), ("markdown", SAID)]
    assert not two(tmp_path, after, [("markdown", SAID)])
