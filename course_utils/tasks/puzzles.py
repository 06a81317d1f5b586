"""The diagnostic tasks: each isolates one ability, and can be solved by a person at a glance.

All choices (which scan, where, which label) are drawn on the processor, so that they are the same on every device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from .draw import Batch, box, integers, place, scans


@dataclass(frozen=True)
class Task:
    """One task: how to draw it, and what is known about it before any training."""

    draw: Callable[[int, str, torch.Generator, torch.device], Batch]
    question: str
    classes: int
    chance: float     # accuracy of a blind guess
    size: int         # H = W in pixels
    asks: str = "class"      # for one "class" a picture, for "boxes" or for the class of all "pixels": the form of y


def what(n: int, split: str, g: torch.Generator, device: torch.device) -> Batch:
    """Three different digits in red, green and blue; the colour of the frame says which one to read.

    56x56 pixels, frame 3, digits of 12 in three of four cells. The gap of 13 pixels between frame and digits is wider
    than any window of `hosts.SmallHost` can bridge (15 pixels, every 4 pixels): no window sees both.
    """
    size, side, frame, corner = 56, 12, 3, 16
    classes = torch.rand(n, 10, generator=g).argsort(1)[:, :3]           # red, green, blue: all different
    cells = torch.rand(n, 4, generator=g).argsort(1)[:, :3]              # three of four places
    asked = integers(3, (n,), g)
    top, left = corner + side * (cells // 2), corner + side * (cells % 2)
    x = torch.zeros(n, 3, size, size, device=device)
    place(x, scans(classes, split, side, g, device), top, left)          # channel k holds digit k
    rim = torch.ones(size, size, dtype=torch.bool, device=device)
    rim[frame:-frame, frame:-frame] = False
    colour = F.one_hot(asked, 3).float().to(device)                      # (N, 3)
    x = torch.where(rim, colour[..., None, None], x)
    row = torch.arange(n)
    return Batch(x, classes[row, asked], box(n, size, top[row, asked], left[row, asked], side, device))


def strokes(n: int, split: str, g: torch.Generator, device: torch.device, size: int, pieces: int) -> torch.Tensor:
    """A field of `pieces` strokes, each 8x8 pixels cut from a digit: (N, 1, size, size)."""
    side, piece = 12, 8
    sources = scans(integers(10, (n, pieces), g), split, side, g, device)                # (N, K, 12, 12)
    cut = integers(side - piece + 1, (2, n, pieces), g).to(device)
    steps = torch.arange(piece, device=device)
    i = torch.arange(n, device=device)[:, None, None, None]
    j = torch.arange(pieces, device=device)[:, None, None]
    ink = sources[i, j, cut[0][..., None, None] + steps[:, None], cut[1][..., None, None] + steps]
    # Where pieces overlap the brighter ink stays, whatever the order, so the picture is the same on every device.
    top, left = integers(size - piece + 1, (2, n, pieces), g).to(device)
    rows, columns = top[..., None, None] + steps[:, None], left[..., None, None] + steps
    field = torch.zeros(n, size * size, device=device)
    field.scatter_reduce_(1, (rows * size + columns).flatten(1), ink.flatten(1), "amax")
    return field.view(n, 1, size, size)


def where(n: int, split: str, g: torch.Generator, device: torch.device, size: int = 64, pieces: int = 30) -> Batch:
    """One whole digit in a large field of strokes: pieces of 8x8 pixels cut from other digits. Which digit is it?"""
    side, margin = 12, 2
    label = integers(10, (n,), g)
    field = strokes(n, split, g, device, size, pieces)
    low, room = margin, size - side - 2 * margin + 1
    top, left = low + integers(room, (2, n), g)
    clear = box(n, size, top - margin, left - margin, side + 2 * margin, device)[:, None]
    field = field.masked_fill(clear, 0.0)                                                # no stroke touches the digit
    place(field, scans(label[:, None], split, side, g, device), top[:, None], left[:, None])
    return Batch(field.expand(-1, 3, -1, -1).clone(), label, box(n, size, top, left, side, device))


def crowd(n: int, split: str, g: torch.Generator, device: torch.device) -> Batch:
    """As `where`, in a larger picture with more strokes, as dense as there: 80x80 pixels, of which the digit has 144."""
    return where(n, split, g, device, size=80, pieces=46)


def nearest(n: int, split: str, g: torch.Generator, device: torch.device) -> Batch:
    """Four different digits and a white dot in one corner of the picture. Which digit is nearest to the dot?

    64x64 pixels, digits of 12 in two rows of two, dot of 5 in a corner. The gap of 14 pixels between dot and digits is wider
    than any window of `hosts.SmallHost` can bridge. The dot is the same in every corner; padding and strides tell them apart.
    """
    size, side, dot, corner, step = 64, 12, 5, 19, 14
    classes = torch.rand(n, 10, generator=g).argsort(1)[:, :4]                        # all different
    cells = torch.arange(4).expand(n, 4)
    asked = integers(4, (n,), g)
    top, left = corner + step * (cells // 2), corner + step * (cells % 2)
    x = torch.zeros(n, 4, size, size, device=device)
    place(x, scans(classes, split, side, g, device), top, left)
    mark = box(n, size, (size - dot) * (asked // 2), (size - dot) * (asked % 2), dot, device)
    x = torch.where(mark, 1.0, x.amax(1)).unsqueeze(1).expand(-1, 3, -1, -1).clone()
    row = torch.arange(n)
    return Batch(x, classes[row, asked], box(n, size, top[row, asked], left[row, asked], side, device))


def search(n: int, split: str, g: torch.Generator, device: torch.device) -> Batch:
    """A large picture with 24 digits, one of them red. Which digit is it?

    128x128 pixels, digits of 12 pixels in 24 of 64 cells of 16, anywhere in their cell. On a copy four times smaller the red
    spot is easy to see, and no digit can be read.
    """
    size, side, cell, count = 128, 12, 16, 24
    per_row = size // cell
    classes = integers(10, (n, count), g)                                # the first one is asked
    cells = torch.rand(n, per_row**2, generator=g).argsort(1)[:, :count]
    shift = integers(cell - side + 1, (2, n, count), g)
    top, left = cell * (cells // per_row) + shift[0], cell * (cells % per_row) + shift[1]
    ink = scans(classes, split, side, g, device)
    steps = torch.arange(side, device=device)
    i = torch.arange(n, device=device)[:, None, None, None]
    rows, columns = top.to(device)[..., None, None] + steps[:, None], left.to(device)[..., None, None] + steps
    red, white = torch.zeros(2, n, size, size, device=device).unbind()
    white[i, rows[:, 1:], columns[:, 1:]] = ink[:, 1:]                    # cells do not overlap: nothing is written twice
    red[i, rows[:, :1], columns[:, :1]] = ink[:, :1]
    x = torch.stack([white + red, white, white], 1)
    return Batch(x, classes[:, 0], box(n, size, top[:, 0], left[:, 0], side, device))


def relate(n: int, split: str, g: torch.Generator, device: torch.device) -> Batch:
    """Two digits far apart, each a 0 or a 1. Do they say the same? 1 for the same, 0 for different.

    48x48 pixels; the digits stand in opposite corners, 18 pixels or more apart, so that no window of 15 pixels sees both.
    """
    size, side, jitter = 48, 12, 4
    label = integers(2, (n,), g)
    first = integers(2, (n,), g)
    classes = torch.stack([first, torch.where(label == 1, first, 1 - first)], 1)         # (N, 2)
    near, far = integers(jitter, (2, n, 2), g), size - side - integers(jitter, (2, n, 2), g)
    flip = integers(2, (n,), g)                                          # which diagonal
    top = torch.stack([near[0, :, 0], far[0, :, 1]], 1)
    left = torch.stack([near[1, :, 0], far[1, :, 1]], 1)
    left = torch.where(flip[:, None] == 1, size - side - left, left)
    x = torch.zeros(n, 2, size, size, device=device)
    place(x, scans(classes, split, side, g, device), top, left)
    mask = box(n, size, top[:, 0], left[:, 0], side, device) | box(n, size, top[:, 1], left[:, 1], side, device)
    return Batch(x.amax(1, keepdim=True).expand(-1, 3, -1, -1).clone(), label, mask)


def twins(n: int, split: str, g: torch.Generator, device: torch.device) -> Batch:
    """Nine handwritten zeros, alike but for one small gap in one of them: at the top (0), right (1), bottom (2) or left (3).

    48x48 pixels; a zero is 10 pixels high, the gap 2 pixels wide and no deeper than the stroke.
    """
    size, side, count, gap = 48, 10, 9, 2
    cell = size // 3
    label, odd = integers(4, (n,), g), integers(count, (n,), g)
    zeros = scans(torch.zeros(n, count, dtype=torch.long), split, side, g, device)       # (N, 9, 10, 10)
    half = side // 2
    band = torch.zeros(side, dtype=torch.bool)
    band[half - gap // 2:half + gap // 2] = True
    first, second = torch.arange(side) < half, torch.arange(side) >= half
    cuts = torch.stack([first[:, None] & band, band[:, None] & second, second[:, None] & band, band[:, None] & first])
    cut = (cuts[label][:, None] & F.one_hot(odd, count).bool()[..., None, None]).to(device)   # (N, 9, 10, 10)
    zeros = zeros.masked_fill(cut, 0.0)
    spots = torch.arange(count)
    shift = integers(cell - side + 1, (2, n, count), g)
    top, left = cell * (spots // 3) + shift[0], cell * (spots % 3) + shift[1]
    x = torch.zeros(n, count, size, size, device=device)
    place(x, zeros, top, left)
    mask = torch.zeros(n, count, size, size, dtype=torch.bool, device=device)
    place(mask, cut, top, left)
    return Batch(x.amax(1, keepdim=True).expand(-1, 3, -1, -1).clone(), label, mask.any(1))


def alike(n: int, split: str, g: torch.Generator, device: torch.device) -> Batch:
    """As `twins`, seen badly: at half the resolution, a zero of 5 pixels, and with noise of 0.1. On which side is the gap?"""
    x, y, mask = twins(n, split, g, device)
    x = F.avg_pool2d(x, 2)
    noise = torch.Generator(device).manual_seed(int(torch.randint(2**31, (), generator=g)))
    x = x + 0.1 * torch.randn(x.shape, generator=noise, device=device)
    return Batch(x, y, F.max_pool2d(mask[:, None].float(), 2)[:, 0].bool())


TASKS: dict[str, Task] = {
    "what": Task(what, "Which digit has the colour of the frame?", 10, 0.1, 56),
    "where": Task(where, "Which digit is hidden among the strokes?", 10, 0.1, 64),
    "crowd": Task(crowd, "Which digit is hidden among the strokes?", 10, 0.1, 80),
    "nearest": Task(nearest, "Which digit is nearest to the dot?", 10, 0.1, 64),
    "search": Task(search, "Which digit is red?", 10, 0.1, 128),
    "relate": Task(relate, "Do the two digits say the same?", 2, 0.5, 48),
    "twins": Task(twins, "One ring has a gap. On which side?", 4, 0.25, 48),
    "alike": Task(alike, "One ring has a gap. On which side?", 4, 0.25, 24),
}
