"""What Sphinx is told about the course's pages: their links, the alternative texts of figures, formulas without a script."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path, PurePosixPath

import set_repo
from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

from .links import Links, Mistake

logger = logging.getLogger(__name__)


def alternative_texts(notebook: str) -> dict[str, str]:
    """Name of a picture's file without ending -> its alternative text, for the figures in a notebook's outputs.

    myst-nb names the file by the hash of what is in it, and takes no alternative text from the metadata of an output.
    """
    found = {}
    for cell in json.loads(notebook)["cells"]:
        for output in cell.get("outputs", []):
            if png := output.get("data", {}).get("image/png"):
                digest = hashlib.sha256(base64.b64decode("".join(png))).hexdigest()
                found[digest] = output.get("metadata", {}).get("image/png", {}).get("alt", "")
    return found


def mend_source(app, page: str, source: list[str]) -> None:
    """Before a page is parsed."""
    root = Path(app.confdir).parents[1]
    links = Links(root, app.env.found_docs, *set_repo.current(root))
    try:
        if Path(app.env.doc2path(page)).suffix == ".ipynb":
            app.env.temp_data["alts"] = alternative_texts(source[0])
            source[0] = links.notebook(source[0], page)
        else:
            source[0] = links.text(source[0], page)
    except Mistake as mistake:
        logger.warning("%s", mistake, location=page)      # a warning ends the build, after all pages


def name_figures(app, doctree: nodes.document) -> None:
    """After it was parsed."""
    alts = app.env.temp_data.get("alts", {})
    for image in doctree.findall(nodes.image):
        if alt := alts.get(PurePosixPath(image["uri"]).stem):
            image["alt"] = alt


def mathml(display: str):
    """A visitor of Sphinx's for formulas. Browsers draw MathML by themselves, and screen readers speak it."""
    def visit(self, node: nodes.Node) -> None:
        formula = convert(node.astext(), display=display)
        wide = display == "block"      # may be wider than a telephone: then it can be scrolled, with keys too
        self.body.append(f'<div class="math" tabindex="0">{formula}</div>' if wide else formula)
        raise nodes.SkipNode
    return visit, None


def setup(app) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", mathml("inline"), mathml("block"))
    app.connect("source-read", mend_source)
    app.connect("doctree-read", name_figures, priority=100)      # before Sphinx collects the pictures
    return {"parallel_read_safe": True, "parallel_write_safe": True}
