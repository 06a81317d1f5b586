"""Several digits of three sizes among strokes: where is each (boxes), and which pixels are of which (masks)? Lesson 15.

    batch = tasks.make("find", 8)       batch.y (8, 5, 5)      class, x1, y1, x2, y2 of each digit, in pixels
    batch = tasks.make("paint", 8)      batch.y (8, 64, 64)    0 for the ground, 1 + the digit for its ink

Both show the same pictures of one seed.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .digits import digits
from .draw import Batch, integers
from .puzzles import TASKS, Task, strokes

SIZE, CELL, MOST = 64, 21, 5      # pixels of the picture and of the 3 x 3 cells in it; digits at most
SIDES = (7, 11, 17)      # pixels of a digit
FREE = 2      # pixels around a digit without strokes
PIECES = 30      # strokes
INK = 0.3      # what is at least so bright belongs to a digit


def scene(n: int, split: str, g: torch.Generator, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """One to five digits, each in a cell of its own, standing free in a field of strokes.

    Returns:
        The pictures (n, 3, 64, 64), the boxes around the digits as `find` has them, the classes of pixels as `paint` has them.
    """
    label, number = integers(10, (n, MOST), g), 1 + integers(MOST, (n,), g)
    kind = integers(len(SIDES), (n, MOST), g)
    cell = torch.rand(n, 9, generator=g).argsort(1)[:, :MOST]            # all different
    shift = torch.rand(2, n, MOST, generator=g)
    bank = digits(split, SIDES[0])
    scan = (bank.first[label] + integers(bank.count[label], (n, MOST), g)).to(device)
    field = strokes(n, split, g, device, SIZE, PIECES)[:, 0]             # (N, 64, 64)
    there = (torch.arange(MOST) < number[:, None]).to(device)            # (N, 5)
    label, kind, shift = label.to(device), kind.to(device), shift.to(device)

    # Each digit in a picture of its own cell, and there the first and the last row and column that have ink.
    ink = torch.zeros(n, MOST, CELL, CELL, device=device)
    steps = torch.arange(CELL, device=device)
    for which, side in enumerate(SIDES):
        top, left = FREE + (shift * (CELL - side - 2 * FREE + 1)).long()                  # (N, 5) each
        padded = F.pad(digits(split, side, str(device)).images[scan], (1, 1, 1, 1))       # (N, 5, side + 2, side + 2)
        rows, columns = (1 + steps - at[..., None] for at in (top, left))                 # (N, 5, 21)
        rows, columns = rows.clamp(0, side + 1), columns.clamp(0, side + 1)
        drawn = padded.gather(2, rows[..., None].expand(-1, -1, -1, side + 2))
        drawn = drawn.gather(3, columns[:, :, None].expand(-1, -1, CELL, -1))
        ink = torch.where((there & (kind == which))[..., None, None], drawn, ink)
    seen = ink >= INK
    first, last = edges(seen.any(2)), edges(seen.any(3))                 # across, down
    corner = torch.stack([cell % 3, cell // 3], 2).to(device) * CELL     # (N, 5, 2): x, y
    boxes = torch.cat([label[..., None], corner + torch.stack([first[0], last[0]], 2),
                       corner + torch.stack([first[1], last[1]], 2)], 2).float()
    boxes = boxes.where(there[..., None], torch.tensor([-1.0, 0, 0, 0, 0], device=device))

    # The cells into the pictures. They do not overlap: nothing is written twice.
    i = torch.arange(n, device=device)[:, None, None, None]
    rows, columns = corner[:, :, 1, None, None] + steps[:, None], corner[:, :, 0, None, None] + steps
    picture = torch.zeros(n, SIZE, SIZE, device=device)
    picture[i, rows, columns] = ink
    classes = torch.zeros(n, SIZE, SIZE, dtype=torch.long, device=device)
    classes[i, rows, columns] = torch.where(seen, 1 + label[..., None, None], 0)
    clear = F.max_pool2d((picture > 0).float()[:, None], 2 * FREE + 1, 1, FREE)[:, 0] > 0
    picture = torch.where(clear, picture, field)
    return picture[:, None].expand(-1, 3, -1, -1).clone(), boxes, classes


def edges(line: Tensor) -> tuple[Tensor, Tensor]:
    """Where a line (..., L) bool first holds, and the place after the last one where it does."""
    length = line.shape[-1]
    return line.int().argmax(-1), length - line.flip(-1).int().argmax(-1)


def find(n: int, split: str, g: torch.Generator, device: torch.device) -> Batch:
    """Where are the whole digits, and which are they?

    y (n, 5, 5) float32: class 0 to 9, then x1, y1, x2, y2 in pixels from the upper left corner of the picture, so that the box
    covers columns x1 to x2 - 1 and rows y1 to y2 - 1: the tightest around ink of 0.3 or more. -1, 0, 0, 0, 0 where there are
    fewer digits. mask: their ink.
    """
    x, boxes, classes = scene(n, split, g, device)
    return Batch(x, boxes, classes > 0)


def paint(n: int, split: str, g: torch.Generator, device: torch.device) -> Batch:
    """Which pixels belong to which digit? y (n, 64, 64) int64: 0 the ground and the strokes, 1 + c the ink of a whole digit c."""
    x, _, classes = scene(n, split, g, device)
    return Batch(x, classes, classes > 0)


def evidence(task: Task) -> Task:
    """The pictures of a task, asking where in each the evidence for its answer is: y (n, H, W) int64, the mask as 0 and 1."""
    def draw(n: int, split: str, g: torch.Generator, device: torch.device) -> Batch:
        x, _, mask = task.draw(n, split, g, device)
        return Batch(x, mask.long(), mask)
    return Task(draw, f"Where is the answer to: {task.question}", 2, 0.5, task.size, "pixels")


SCENES: dict[str, Task] = {
    "find": Task(find, "Where are the whole digits, and which are they?", 10, 0.0, SIZE, "boxes"),
    "paint": Task(paint, "Which pixels belong to which whole digit?", 11, 0.08, SIZE, "pixels"),
    **{f"paint_{name}": evidence(TASKS[name]) for name in ("what", "where", "nearest", "twins")},
}
