"""One digit in a field of strokes, with as much of it as a study asks for: does attention help where there is clutter?"""

from __future__ import annotations

from functools import partial

import torch

from .draw import Batch, box, integers, place, scans
from .puzzles import Task, strokes

SIZES, PIECES = (48, 96), (0, 15, 30, 60)
TINT = 0.6      # so much of the digit's green and blue is taken away where it is red


def clutter(n: int, split: str, g: torch.Generator, device: torch.device, size: int, pieces: int, red: bool) -> Batch:
    """One whole digit in a field of strokes that may touch and cover it: pieces of 8x8 pixels cut from other digits.

    `size` x `size` pixels, a digit of 12, `pieces` strokes anywhere. Where ink lies over ink the brighter stays. A red digit can
    be told from the strokes by its colour, at each pixel; a white one only by its being whole.
    """
    side = 12
    label = integers(10, (n,), g)
    field = strokes(n, split, g, device, size, pieces)                                   # (N, 1, size, size)
    top, left = integers(size - side + 1, (2, n), g)
    digit = torch.zeros(n, 1, size, size, device=device)
    place(digit, scans(label[:, None], split, side, g, device), top[:, None], left[:, None])
    dimmed = (1 - TINT) * digit if red else digit
    x = torch.cat([digit, dimmed, dimmed], 1).maximum(field)
    return Batch(x, label, box(n, size, top, left, side, device))


# Name -> task: "clutter_48_15" and "clutter_48_15_red" are 48 pixels wide and have 15 strokes.
CLUTTER: dict[str, Task] = {
    f"clutter_{size}_{pieces}{'_red' * red}": Task(partial(clutter, size=size, pieces=pieces, red=red), question, 10, 0.1, size)
    for red, question in ((False, "Which digit is whole?"), (True, "Which digit is red?"))
    for size in SIZES for pieces in PIECES}
