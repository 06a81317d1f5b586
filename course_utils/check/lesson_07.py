"""Checks of lesson 07, each with the wrong answers that it rejects."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .report import CUT, Mistake, Report, built, close_number, compare_module, exercise, numbers


@exercise("The best of one patch", [
    Mistake("that is a guess; the digit that is read says something, if it is well chosen.", 0.5),
    Mistake("to be right always, both digits must be known.", 1),
    Mistake("only 0 and 0 is sure; but where a 1 is read, one answer is right more often than the other.", 0.25),
    Mistake("the cases 0 with 1 and 1 with 0 are two of four, not one of three.", 2 / 3),
    Mistake("where a 1 is read you guess; \"different\" is right there in two of three cases.", 0.625),
])
def best_of_one(report: Report, answer: float) -> None:
    """Read the 1 if there is one. A 0: both are 0. A 1: "different" is right twice of three times. 1/4 + 3/4 x 2/3."""
    close_number(report, answer, 1 / 4 + 3 / 4 * 2 / 3, "of the pictures", tolerance=0.005)


class Transformer(nn.Module):
    """A spatial transformer with the three faults of the exercise, each of which can be mended by itself."""

    random = cut = turned = False
    corners = (False, False)      # align_corners of the grid and of the sampling

    def __init__(self, channels: int, hidden: int = 16):
        super().__init__()
        self.localise = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * channels, hidden), nn.ReLU())
        self.last = nn.Linear(hidden, 6)
        if not self.random:
            nn.init.zeros_(self.last.weight)
            self.last.bias.data = torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])

    def forward(self, x: Tensor) -> Tensor:
        theta = self.last(self.localise(x)).view(-1, 2, 3)
        theta = theta.detach() if self.cut else theta
        theta = theta.flip(1) if self.turned else theta
        grid = F.affine_grid(theta, list(x.shape), align_corners=self.corners[0])
        return F.grid_sample(x, grid, align_corners=self.corners[1])


class SharedTheta(Transformer):
    def forward(self, x: Tensor) -> Tensor:
        theta = self.last(self.localise(x)).mean(0, keepdim=True).view(1, 2, 3).expand(len(x), 2, 3)
        return F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False)


class ZeroStart(Transformer):
    def __init__(self, channels: int, hidden: int = 16):
        super().__init__(channels, hidden)
        nn.init.zeros_(self.last.bias)


class OtherOrder(Transformer):
    def __init__(self, channels: int, hidden: int = 16):
        super().__init__(channels, hidden)
        self.last.bias.data = self.last.bias.data.view(2, 3).flip(1).flatten()


class BiasOnly(Transformer):
    def __init__(self, channels: int, hidden: int = 16):
        super().__init__(channels, hidden)
        self.last.reset_parameters()
        self.last.bias.data = torch.eye(3)[:2].flatten()


def transformer_with(**faults) -> type[Transformer]:
    return type("Transformer", (Transformer,), faults)


START = "the last layer is as it was made. Which six numbers give the picture back, and when are they the same for all pictures?"
WEIGHTS = "the weights of the last layer are not 0, so theta depends on the picture before anything is learned."
OTHER_BIAS = "theta is the same for all pictures now, and the bias holds other six numbers than those that give a picture back."
CORNERS = "affine_grid and grid_sample count places in two ways: give align_corners=False to both."


@exercise("Mend the transformer", [
    Mistake(START, transformer_with(random=True)),
    Mistake(CORNERS, transformer_with(corners=(False, True))),
    Mistake(CUT, transformer_with(cut=True)),
    Mistake("align_corners is True in both: they agree, but theta then counts from the middles of the border pixels. Keep the "
            "grid.", transformer_with(corners=(True, True))),
    Mistake("the bias of the last layer is 0: all places are read from the middle of the picture.", ZeroStart),
    Mistake("the two rows of theta are exchanged: the first is about columns, the second about rows.",
            transformer_with(turned=True)),
    Mistake(WEIGHTS, BiasOnly),
    Mistake(OTHER_BIAS, OtherOrder),
    Mistake("one theta for the whole batch: every picture has its own.", SharedTheta),
])
def mended_transformer(report: Report, answer: type) -> None:
    """The class of the exercise: channels; parts named localise and last."""
    module, x = built(report, answer, 2), numbers(3, 2, 6, 9)
    with torch.no_grad():
        got = report.tensor(report.call(module, x.clone(), what="forward"), tuple(x.shape))
    for name in ("localise", "last"):
        if not hasattr(module, name):
            report.wrong(f"the class should keep its part {name!r}; it is not there")
    with torch.no_grad():
        fresh = report.call(module.last, report.call(module.localise, x.clone(), what="localise"), what="last")
    gap, first = (got - x).abs().max().item(), torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    added = first if gap < 1e-4 and not fresh.any() else 0 * first      # the last layer may also say what is added to it
    if not torch.allclose(fresh + added, first.expand_as(fresh), atol=1e-5):
        report.wrong(f"before training theta is {[round(v, 2) for v in fresh[0].tolist()]}, and the picture is not given back "
                     f"(largest difference {gap:.2f})", bad_start(module.last, fresh, first))
    report.right("before training theta is the identity")
    with torch.no_grad():
        module.last.weight.copy_(0.1 * numbers(*module.last.weight.shape, seed=3))
        module.last.bias.copy_(torch.tensor([0.6, 0.2, 0.1, -0.3, 0.5, -0.2]))

    def wanted(x: Tensor) -> Tensor:
        theta = (module.last(module.localise(x)) + added).view(-1, 2, 3)
        return F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False)
    compare_module(report, module, x, wanted, "a batch that is zoomed, sheared and moved")


def bad_start(last: nn.Module, fresh: Tensor, first: Tensor) -> str:
    """The cause of a theta that is not the identity, from what the last layer holds."""
    if not fresh.any():
        return "the bias of the last layer is 0: all places are read from the middle of the picture."
    if not isinstance(last, nn.Linear) or last.bias is None:
        return START
    same = torch.equal(last.bias.detach(), first)
    return WEIGHTS if same else START if last.weight.any() else OTHER_BIAS


def theta(scale: float, across: float, down: float) -> Tensor:
    """The rows of an affine map: first across (columns), then down (rows)."""
    return torch.tensor([[scale, 0.0, across], [0.0, scale, down]])


def like_look(scale=lambda s, p: s / p, offset=lambda at, s, p: (2 * at + s) / p - 1):
    """A theta with one thing to get wrong."""
    return lambda row, column, s, p: theta(scale(s, p), offset(column, s, p), offset(row, s, p))


def pixels_read(got: Tensor, size: int, picture: int) -> tuple[Tensor, Tensor]:
    """Where the first and the last pixel of the output come from, as (row, column), counted from 0."""
    grid = F.affine_grid(got[None], [1, 1, size, size], align_corners=False)[0]      # (size, size, 2), across before down
    at = ((grid.flip(2) + 1) * picture - 1) / 2
    return at[0, 0], at[-1, -1]


@exercise("Look at a window", [
    Mistake("rows and columns are exchanged: the first line of theta is about columns (x), the second about rows (y).",
            lambda row, column, size, picture: like_look()(column, row, size, picture)),
    Mistake("the offset is in pixels; theta counts from -1 to 1 over the whole picture.", like_look(offset=lambda at, s, p: at)),
    Mistake("the offset runs from 0 to 1; theta counts from -1 to 1 over the whole picture.",
            like_look(offset=lambda at, s, p: (at + s / 2) / p)),
    Mistake("the scale is missing: the window is size / picture of the whole.", like_look(scale=lambda s, p: 1.0)),
    Mistake("the scale is upside down: a small window needs a number below 1, size / picture.",
            like_look(scale=lambda s, p: p / s)),
    Mistake("the offset is the corner of the window; theta wants its centre, half a size further.",
            like_look(offset=lambda at, s, p: 2 * at / p - 1)),
    Mistake("that counts from the centre of the first pixel to the centre of the last (align_corners=True); with False the "
            "picture's edges are at -1 and 1.",
            like_look(lambda s, p: (s - 1) / (p - 1), lambda at, s, p: (2 * at + s - 1) / (p - 1) - 1)),
    Mistake("the sign of the offset is wrong: theta says where to read, not where to move the picture.",
            like_look(offset=lambda at, s, p: 1 - (2 * at + s) / p)),
    Mistake("half a pixel off: the centre of the window is at row + size / 2, since a pixel is one wide.",
            like_look(offset=lambda at, s, p: (2 * at + s - 1) / p - 1)),
    Mistake("the batch dimension is there already; return (2, 3), and add it outside: theta[None].",
            lambda *at: like_look()(*at)[None]),
    Mistake("lines and columns of theta are exchanged: it has two lines of three numbers.", lambda *at: like_look()(*at).T),
    Mistake("the scale is about areas; theta scales each side, size / picture.", like_look(scale=lambda s, p: (s / p) ** 2)),
])
def look_at(report: Report, answer) -> None:
    """row, column of the top left corner, size, picture -> theta (2, 3) for F.affine_grid(align_corners=False)."""
    for row, column, size, picture in [(3, 8, 6, 20), (10, 1, 5, 16), (4, 4, 3, 11), (0, 0, 7, 7)]:
        call = f"look_at({row}, {column}, {size}, {picture})"
        place = f"rows {row} to {row + size - 1} and columns {column} to {column + size - 1}"
        got = report.call(answer, row, column, size, picture)
        got = report.tensor(got, (2, 3), call).detach().float()
        if report.following:
            report.seen.append(got)
            continue
        image = numbers(1, 2, picture, picture).abs() + 1
        read = F.grid_sample(image, F.affine_grid(got[None], [1, 2, size, size], align_corners=False), align_corners=False)
        wanted = image[:, :, row:row + size, column:column + size]
        if not torch.allclose(read, wanted, rtol=1e-3):
            (top, left), (bottom, right) = (at.tolist() for at in pixels_read(got, size, picture))
            report.wrong(f"{call} reads rows {top:.2f} to {bottom:.2f} and columns {left:.2f} to {right:.2f}; expected {place}")
        report.right(f"{call} reads {place}")
