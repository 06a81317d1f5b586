"""Links of a page as it stands in the repository, turned into links of the book."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Collection
from pathlib import Path
from urllib.parse import quote

from .made import questions
from .pages import FENCE, page_of, sections

BADGE = re.compile(r"\[!\[Open in Colab\]\([^()\s]+\)\]\(([^()\s]+)\)")
# Code first: what looks like a link in it is none.
TOKEN = re.compile(FENCE + r"""
    | (?<!`) (?P<code>`+) (?!`) (?: (?!\n\n) . )+? (?<!`) (?P=code) (?!`)
    | ^ (?P<wrapper> </?div [^>\n]*> ) $
    | (?<!!) \[ (?P<words> (?: [^\[\]] | \[[^\[\]]*\] )+ ) \] \( (?P<target> [^()\s]+ ) \)""", re.M | re.S | re.X)


class Mistake(Exception):
    """Something in a page that its author can put right."""


def anchor(title: str) -> str:
    """The anchor of a heading, as code-hosting pages and the book make it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


class Links:
    """Mends the links of one book.

    Args:
        root: the repository.
        pages: those of the book, as Sphinx names them.
        repo: OWNER/NAME, and branch: where files that are no pages of the book can be read.
    """

    def __init__(self, root: Path, pages: Collection[str], repo: str, branch: str):
        self.root, self.pages, self.tree = root, pages, f"https://github.com/{repo}/blob/{branch}"
        titles = sections((root / "README.md").read_text("utf-8"))
        self.readme = {anchor(title): page_of(title) for title in titles}

    def text(self, text: str, page: str) -> str:
        """A page in Markdown. Raises Mistake for a link to a file that is not there."""
        text = BADGE.sub(r"[Open in Colab](\1)", text)      # its picture is fetched from elsewhere

        def mended(found: re.Match) -> str:
            words, target = found["words"], found["target"]
            if found["wrapper"]:      # around a heading it would cross the section that the book makes of it
                return ""
            if target is None or re.match(r"[a-z][a-z0-9+.-]*:|#|<", target):
                return found[0]
            to = self.target(target, page)
            return words if to is None else f"[{words}]({to})"

        return TOKEN.sub(mended, text)

    def target(self, target: str, page: str) -> str | None:
        """Where a relative link of a page leads in the book; None for a lesson that was taken out."""
        file, mark, place = target.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), file))
        name, ending = posixpath.splitext(path)
        back = posixpath.relpath(".", posixpath.dirname(page) or ".")
        if path == "README.md":      # its sections are spread over several pages
            if place and place not in self.readme:
                raise Mistake(f"{page}: README.md has no section #{place}. There are: {', '.join(filter(None, self.readme))}")
            return f"{back}/{self.readme.get(place, 'index')}.md{mark}{place}"
        if ending in (".md", ".ipynb") and name in self.pages or path.startswith("data/") and (self.root / path).is_file():
            return target
        if (self.root / path).exists():
            return f"{self.tree}/{quote(path)}{mark}{place}"
        if re.fullmatch(r"notebooks/\d\d_\w+\.ipynb", path):
            return None
        raise Mistake(f"{page} links to {target}, and there is no {path} in the course")

    def notebook(self, text: str, page: str) -> str:
        """A notebook: the words of its Markdown cells; code and outputs stay. The questions on it stand at its end."""
        nb = json.loads(text)
        colab = ""
        for cell in nb["cells"]:
            if cell["cell_type"] != "markdown":
                continue
            source = "".join(cell["source"])
            if badge := BADGE.match(source):      # it stands above the title, which must be the first of a page
                colab, source = f"[Open in Colab]({badge[1]})", source[badge.end():].lstrip()
            cell["source"] = self.text(source, page)
        if colab:
            title, _, rest = nb["cells"][0]["source"].partition("\n")
            nb["cells"][0]["source"] = f"{title}\n\n{colab}\n{rest}"
        if asked := questions(page):
            nb["cells"].append({"cell_type": "markdown", "id": "questions", "metadata": {}, "source": asked})
        return json.dumps(nb)
