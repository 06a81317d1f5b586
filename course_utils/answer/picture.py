"""The page as one picture: a headline, the sentence, the figure, the table, and what must be said with them."""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib.font_manager import FontProperties, findfont
from PIL import Image, ImageDraw, ImageFont

from ..plots.look import GREY, INK, PALE

WIDE, EDGE = 1680, 60


def font(size: int, weight: str = "normal") -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(findfont(FontProperties(family="DejaVu Sans", weight=weight)), size)


def lines(text: str, face: ImageFont.FreeTypeFont, room: float) -> list[str]:
    """The text broken to fit; a word that is longer than a line is cut."""
    found = [""]
    for word in text.split():
        longer = f"{found[-1]} {word}".strip()
        if face.getlength(longer) <= room:
            found[-1] = longer
            continue
        while face.getlength(word) > room:
            cut = next(k for k in range(len(word), 0, -1) if face.getlength(word[:k]) <= room)
            found.append(word[:cut])
            word = word[cut:]
        found.append(word)
    return [line for line in found if line]


def picture(head: str, sentence: str, figure: bytes | None, rows: tuple[Sequence[str], Sequence[Sequence[str]]],
            notes: Sequence[str]) -> bytes:
    """A PNG of 1680 pixels across, as high as it takes."""
    parts: list[tuple[str, object]] = [("text", (line, font(34, "bold"), INK)) for line in
                                       lines(f"Where to plug in attention: {head}", font(34, "bold"), WIDE - 2 * EDGE)]
    parts += [("gap", 14), *(("text", (line, font(27), INK)) for line in lines(sentence, font(27), WIDE - 2 * EDGE)), ("gap", 24)]
    if figure:
        parts += [("image", Image.open(io.BytesIO(figure)).convert("RGB")), ("gap", 24)]
    parts += [("table", rows), ("gap", 24)]
    parts += [("text", (line, font(21), GREY)) for note in notes if note for line in lines(note, font(21), WIDE - 2 * EDGE)]

    face, bold = font(20), font(20, "bold")
    table = [[lines(cell, bold, 190) or [""] for cell in rows[0]], *([[cell] for cell in row] for row in rows[1])]
    heights = [10 + 26 * max(map(len, row)) for row in table]

    def height(kind: str, what) -> int:
        if kind == "image":
            return round(what.height * min(1, (WIDE - 2 * EDGE) / what.width))
        return {"text": lambda: what[1].size + 12, "gap": lambda: what, "table": lambda: sum(heights)}[kind]()

    page = Image.new("RGB", (WIDE, 2 * EDGE + sum(height(*part) for part in parts)), "white")
    draw, y = ImageDraw.Draw(page), EDGE
    for kind, what in parts:
        if kind == "text":
            draw.text((EDGE, y), what[0], font=what[1], fill=what[2])
        elif kind == "image":
            scale = min(1, (WIDE - 2 * EDGE) / what.width)
            page.paste(what.resize((round(what.width * scale), height(kind, what))), (EDGE, y))
        elif kind == "table":
            widths = [24 + max(bold.getlength(line) for row in table for line in row[i]) for i in range(len(table[0]))]
            squeeze, at = min(1, (WIDE - 2 * EDGE) / sum(widths)), y
            for number, (row, high) in enumerate(zip(table, heights, strict=True)):
                x = EDGE
                for cell, width in zip(row, widths, strict=True):
                    for k, line in enumerate(cell):
                        draw.text((x, at + 26 * k), line, font=face if number else bold, fill=INK)
                    x += width * squeeze
                at += high
                draw.line((EDGE, at - 5, WIDE - EDGE, at - 5), fill=PALE)
        y += height(kind, what)
    buffer = io.BytesIO()
    page.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
