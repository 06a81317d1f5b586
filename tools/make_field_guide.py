"""Write docs/field_guide.md, the same for paper as docs/field_guide.html, and the drawings docs/socket_*.png.

usage: python tools/make_field_guide.py                  three minutes: each mechanism is plugged into a ResNet-18 and counted
       python tools/make_field_guide.py --keep-prices    after new results: the prices that are on the page stay

What a card says comes from the registry, the docstring, the built module and the recorded results; nothing is typed in here.
"""

from __future__ import annotations

import argparse
import base64
import html
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import mistune

from course_utils import attention, guide, plots, tables
from course_utils.guide import counted
from course_utils.guide.cards import Card, drawing
from course_utils.guide.results import recorded, verdicts

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGE, PAPER = DOCS / "field_guide.md", DOCS / "field_guide.html"
FAMILIES = {"channel": "What: channel gates", "spatial": "Where: spatial gates", "combined": "What and where",
            "mixing": "From place to place: mixing", "kernel": "Which convolution: attention over kernels",
            "input": "On the picture", "head": "In place of the average"}
BESIDE = 5      # facts beside the drawing
LONG = 17       # lines of results: a card with more is higher than a sheet of paper, and may break
KEY = "key"      # the drawing in which no socket is lit and all are named
KEY_LINE = f"![{{alt}}](socket_{KEY}.png)"
FOR_PAPER = "; `field_guide.html`, beside it, is the same for paper"
HEAD = f"""A card for each of the {len(attention.REGISTRY)} mechanisms of the course, in the order of the lessons: what it is for,
its formula, what it costs, what this course has measured of it, and how it differs from public code. In a notebook,
`card("se")` of `course_utils.guide` shows the same.

{KEY_LINE}

- **Home** is the socket where its authors put it; it is lit in the drawing of the card.
- **Price**: what it adds to torchvision's ResNet-18 ({counted.CLASSES} classes, pictures of {counted.SIDE}x{counted.SIDE}) at
  every place of its home, with the options that are named. Convolutions and matrix products count as multiply-adds, element-wise
  work does not; bytes moved are what the operators read and write, for each of {counted.BATCH} pictures, as the mechanism is
  written here: a fused kernel moves less. Lesson 14 says how far each foretells the time.
- **Measured**: every contrast with a network without attention, or with a control in its place, that a study named before it
  ran: the difference, paired by seed, with its 95 % interval and n, the number of seeds; accuracy, where nothing else is said.
  *Higher*, *lower* and *no clear difference* are the study's own verdict, after Holm's correction for all of its contrasts: an
  interval that leaves out zero is not enough. *Open*: not all seeds have run, and there is no verdict.
- **Took off**: where runs either solve a task or guess, the mean of both kinds describes neither; so, how many reached 90 % of
  what the task allows, first with ours, then with the control. A study without curves counts at the end of training.
- The tasks are those of the lessons: `what` asks for a channel, `nearest` for a place, `relate` for a comparison, `where` and
  `search` for one thing in a large picture, `twins` and `alike` for a detail, `find` for boxes, `paint` for pixels.
- Arms that no such contrast names stand below it, without a verdict; those that have run once are left out.
- The counts at a glance are no votes: tasks, hosts and controls differ, and many contrasts share runs.
- **Nothing is said about a mechanism that was not measured by this course.** Which to take is a question to your own data:
  `python -m course_utils.answer`.

This page is made by `python tools/make_field_guide.py`{FOR_PAPER}."""
STYLE = Path(__file__).with_name("field_guide.css")


def cards(prices: Mapping[str, str] | None = None) -> dict[str, Card]:
    """All of them, family by family; `prices` that are known already are not counted again."""
    found = recorded()
    said = verdicts(found)
    links = {path.name[:2]: f"../notebooks/{path.name}" for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))}
    return {name: Card(name, guide.words(name), (prices or {}).get(name) or guide.price(name), guide.measured(name, found, said),
                       links)
            for family in FAMILIES for name, cls in attention.REGISTRY.items() if cls.family == family}


def family(card: Card) -> str:
    return attention.REGISTRY[card.name].family


def home(card: Card) -> str:
    return attention.REGISTRY[card.name].home


def glance(found: Iterable[Card]) -> str:
    """One line for each mechanism, which leads to its card."""
    return tables.as_markdown(("mechanism", "home", "what it is for", "contrasts measured"),
                              [(f"[`{c.name}`](#{c.name})", f"`{home(c)}`", c.words.what, c.measured.summary) for c in found])


# ---- the drawings

def drawings() -> dict[str, plots.Drawing]:
    """Name of a socket -> the network with it lit; and the key to them all."""
    homes = sorted({cls.home for cls in attention.REGISTRY.values()})
    return {KEY: plots.emblem(), **{name: drawing(name) for name in homes}}


def png_of(name: str) -> Path:
    return DOCS / f"socket_{name}.png"


def prices_on(page: str) -> dict[str, str]:
    """Mechanism -> the price that stands on its card."""
    return dict(re.findall(r"(?ms)^### `(\w+)`$.*?^\| price \| (.*?) \|$", page))


# ---- the page

def page(found: Mapping[str, Card], drawn: Mapping[str, plots.Drawing]) -> str:
    """docs/field_guide.md."""
    text = [f"# Field guide\n\n{HEAD.format(alt=drawn[KEY].alt)}\n", f"## At a glance\n\n{glance(found.values())}\n"]
    for name, title in FAMILIES.items():
        text.append(f"## {title}\n")
        text += [card.markdown(f"![{drawn[home(card)].alt}](socket_{home(card)}.png)")
                 for card in found.values() if family(card) == name]
    return "\n".join(text)


# ---- the same for paper

def as_html(markdown: str) -> str:
    """What is linked inside the repository is only named: this page stands by itself."""
    return mistune.create_markdown(plugins=["table"])(re.sub(r"\[([^\[\]]+)\]\((?!https://|#)[^)]*\)", r"\1", markdown))


def size(fig: plots.Drawing) -> list[int]:
    """Width and height in pixels of the page."""
    return [round(plots.look.CSS_DPI * inches) for inches in fig.get_size_inches()]


def picture(name: str, fig: plots.Drawing) -> str:
    """The drawing, which the page holds once, in this place."""
    width, height = size(fig)
    return (f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(fig.alt)}">'
            f'<use href="#socket-{name}"/></svg>')


def facts(items: Iterable[tuple[str, str]]) -> str:
    return as_html(tables.as_markdown(("", ""), items)).replace("<table>", '<table class="facts">')


def lines(card: Card) -> int:
    return len(card.measured.contrasts) + len(card.answers) + len(card.others)


def article(card: Card, fig: plots.Drawing) -> str:
    """A card: its first facts beside the drawing, the formula across the page, what needs room below it."""
    said = list(card.facts.items())
    pieces = (as_html(piece) for piece in ("**Measured**", *card.results, card.notes))
    return (f'<article id="{card.name}" style="--family: {plots.FAMILY_COLOURS[family(card)]}"'
            + ' class="long"' * (lines(card) > LONG)
            + f'>\n<div class="top"><div><h3><code>{card.name}</code></h3>\n{as_html(card.words.what)}\n{facts(said[:BESIDE])}'
            f'</div>\n{picture(home(card), fig)}</div>\n<pre tabindex="0">{html.escape(card.words.formula)}</pre>\n'
            f"{facts(said[BESIDE:])}\n{''.join(pieces)}</article>\n")


def paper(found: Mapping[str, Card], drawn: Mapping[str, plots.Drawing], pngs: Mapping[str, bytes]) -> str:
    """docs/field_guide.html, which needs no other file and no network."""
    images = []
    for name, fig in drawn.items():
        width, height = size(fig)
        png = base64.b64encode(pngs[name]).decode()
        images.append(f'<image id="socket-{name}" width="{width}" height="{height}" href="data:image/png;base64,{png}"/>')
    head = HEAD.replace(KEY_LINE, "<<key>>").replace(FOR_PAPER, "")
    intro = as_html(head).replace("<p>&lt;&lt;key&gt;&gt;</p>", picture(KEY, drawn[KEY]))
    body = [f"<h1>Field guide</h1>\n{intro}\n<h2>At a glance</h2>\n{as_html(glance(found.values()))}"]
    for name, title in FAMILIES.items():
        body.append(f"<h2>{title}</h2>\n")
        body += [article(card, drawn[home(card)]) for card in found.values() if family(card) == name]
    return ('<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            "<title>Field guide: where do you plug in attention?</title>\n"
            f"<style>\n{STYLE.read_text('utf-8')}</style>\n</head>\n<body>\n"
            f'<svg width="0" height="0" style="position: absolute" aria-hidden="true"><defs>{"".join(images)}</defs></svg>\n'
            f"<main>\n{''.join(body)}</main>\n</body>\n</html>\n")


def main(keep_prices: bool) -> None:
    drawn = drawings()
    pngs = {name: plots.to_png(fig) for name, fig in drawn.items()}
    for name, png in pngs.items():
        png_of(name).write_bytes(png)
    found = cards(prices_on(PAGE.read_text("utf-8")) if keep_prices else None)
    PAGE.write_text(page(found, drawn), "utf-8")
    PAPER.write_text(paper(found, drawn, pngs), "utf-8")
    print(f"{PAGE}: {len(found)} cards, {PAGE.stat().st_size:,} bytes; {PAPER.name}, {PAPER.stat().st_size:,} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep-prices", action="store_true", help="count no mechanism whose price is on the page")
    main(parser.parse_args().keep_prices)
