"""Every figure of the course, each with its alt text.

A drawing function returns a figure whose `alt` says in words what it shows; `show(fig)` displays both.
`hosts` draws the emblem, `cards` one socket of it with its facts, `flows` and `parts` the smaller diagrams in the same language,
`views` pictures and maps, `scenes` boxes and classes of pixels, `numbers` small maps and gates, `checkup` what the doctor
found, `dotplot`, `solved`,
`panels`, `charts`, `depth`, `gains`, `growth`, `pareto` and `tradeoff` results; `lessons` which lesson helps with which; `look`
the one style.
"""

from .cards import card
from .charts import curves, heat
from .checkup import checkup
from .depth import depth
from .dotplot import dots
from .flows import mechanism, plain_host
from .gains import gains
from .growth import growth
from .hosts import emblem
from .lessons import lesson_map
from .look import FAMILY_COLOURS, MARKERS, Drawing, show, style, to_png
from .numbers import gates, hand_gate, numbers
from .panels import panels
from .pareto import front, pareto
from .parts import parts
from .scenes import boxes, painted
from .solved import solved
from .tradeoff import tradeoff
from .views import maps, pictures, window

__all__ = ["FAMILY_COLOURS", "MARKERS", "Drawing", "boxes", "card", "checkup", "curves", "depth", "dots", "emblem", "front",
           "gains", "gates", "growth", "hand_gate", "heat", "lesson_map", "maps", "mechanism", "numbers", "painted", "panels",
           "pareto", "parts", "pictures", "plain_host", "show", "solved", "style", "to_png", "tradeoff", "window"]
