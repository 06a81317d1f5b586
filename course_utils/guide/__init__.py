"""A card for each mechanism: what it is for, formula, price, what the course has measured of it. docs/field_guide.md holds all.

    guide.card("se")        below a cell: the drawing, and the card; print(guide.card("se")) gives its text

`docstring` is taken apart, what it costs is `counted` on a ResNet-18, `results` are read from their files; `cards` joins them.
"""

from .cards import NONE, Card, card, drawing
from .counted import Price, price
from .docstring import Words, words
from .results import Measured, measured

__all__ = ["NONE", "Card", "Measured", "Price", "Words", "card", "drawing", "measured", "price", "words"]
