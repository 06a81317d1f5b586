"""No sentence stands in two lessons: whoever reads on meets a thing once, and a link where it is needed again."""

import json
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FEWEST = 8      # words; shorter ones are turns of speech

# What is the same everywhere on purpose.
FORMULAS = (r"about \d+ minutes of which about \w+ (is|are) computing",)
# Found when this test came in, to be worded anew one by one; a line whose sentence is gone must go too.
KNOWN: set[str] = set()


def plain(text):
    """Markdown without code blocks, pictures, addresses, tags and marks; of code in a line the words stay."""
    text = re.sub(r"(?ms)^ {0,3}(```|~~~).*?^ {0,3}\1[^\n]*$", "\n\n", text)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"</?[a-z][^>]*>", "\n\n", text)


def sentences(text):
    """The sentences of a cell in lower case, words only; a paragraph, an item or a heading ends one, too."""
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*|#>]|\d+\.)\s)|\n(?=\|)", plain(text)):
        for sentence in re.split(r"(?<=[.!?])[\"'*_)]*\s+", " ".join(block.split())):
            words = re.findall(r"\w+", sentence.lower())
            if len(words) >= FEWEST and not any(re.fullmatch(formula, " ".join(words)) for formula in FORMULAS):
                yield " ".join(words)


def prose(path):
    """The Markdown cells up to the references, whose lines are the papers' own."""
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "markdown":
            text, references, _ = "".join(cell["source"]).partition("\n## References")
            yield cell["id"], text
            if references:
                return


def repeated(paths):
    """Sentence -> the cells where it stands, if those are in more than one lesson."""
    found = defaultdict(list)
    for path in paths:
        for name, text in prose(path):
            for sentence in sentences(text):
                found[sentence].append((path.stem, name))
    return {sentence: places for sentence, places in found.items() if len({lesson for lesson, _ in places}) > 1}
