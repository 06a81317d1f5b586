"""Checks of lesson 07, each with the wrong answers that it rejects."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .report import Mistake, Report, compare, exercise, numbers, rough_number


@exercise("Saved by zooming", [
    Mistake("that is the ratio of the sides; the work grows with the area, so with the square.", 128 / 24),
    Mistake("that is what a copy four times smaller saves; the patch is 24 pixels wide.", 16.0),
    Mistake("that is the patch's share of the work; asked is how many times less it is.", (24 / 128) ** 2),
    Mistake("that is a difference of sides; asked is how many times less work.", 104),
    Mistake("that is a difference of areas; asked is how many times less work.", 128 ** 2 - 24 ** 2),
    Mistake("that is for four patches; asked is one.", (128 / 24) ** 2 / 4),
    Mistake("the work of the small copy of 32x32 is counted as well; asked is the patch alone.", 128 ** 2 / (24 ** 2 + 32 ** 2)),
    Mistake("the third power would be for a number of channels that shrinks too; the network is the same.", (128 / 24) ** 3),
])
def zoom_ratio(report: Report, answer: float) -> None:
    """A 24x24 patch in place of a 128x128 picture, the same convolutions: (128 / 24) squared."""
    rough_number(report, answer, (128 / 24) ** 2, "times fewer multiply-adds", 0.5)


def weigh(x: Tensor, weights: Tensor) -> Tensor:
    return (x * weights).sum((2, 3))


def over_positions(scores: Tensor) -> Tensor:
    return scores.flatten(1).softmax(1).view_as(scores)


def true_pool(x: Tensor, scores: Tensor) -> Tensor:
    pooled = torch.zeros(x.shape[:2])
    for n in range(len(x)):
        total = 0.0
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                weight = torch.exp(scores[n, 0, i, j])
                pooled[n] += weight * x[n, :, i, j]
                total += weight
        pooled[n] /= total
    return pooled


@exercise("Pool by scores", [
    Mistake("the softmax runs along each row (dim 3) only; it should run over all H * W positions together: flatten first.",
            lambda x, scores: weigh(x, scores.softmax(3))),
    Mistake("the softmax runs along each column (dim 2) only; it should run over all H * W positions together: flatten first.",
            lambda x, scores: weigh(x, scores.softmax(2))),
    Mistake("the softmax runs over dim 1, where there is a single number: every weight is 1.",
            lambda x, scores: weigh(x, scores.softmax(1))),
    Mistake("the softmax runs over the pictures of the batch (dim 0).", lambda x, scores: weigh(x, scores.softmax(0))),
    Mistake("the softmax runs over all pictures together: each picture's weights should sum to one.",
            lambda x, scores: weigh(x, scores.flatten().softmax(0).view_as(scores))),
    Mistake("divided by H * W once more: the weights sum to one already, so take the sum, not the mean.",
            lambda x, scores: (x * over_positions(scores)).mean((2, 3))),
    Mistake("sigmoid instead of softmax: the weights should sum to one.", lambda x, scores: weigh(x, scores.sigmoid())),
    Mistake("the softmax is missing: the scores themselves are the weights.", weigh),
    Mistake("only the position with the largest score is read.",
            lambda x, scores: weigh(x, F.one_hot(scores.flatten(1).argmax(1), scores[0].numel()).view_as(scores))),
    Mistake("the scores are not used: that is the plain mean.", lambda x, scores: x.mean((2, 3))),
    Mistake("the sum over the positions is missing.", lambda x, scores: x * over_positions(scores)),
    Mistake("keepdim=True leaves two dimensions of size one.",
            lambda x, scores: weigh(x, over_positions(scores))[..., None, None]),
])
def pool_by(report: Report, answer) -> None:
    """x (N, C, H, W), scores (N, 1, H, W) -> (N, C)."""
    for shape in [(2, 3, 4, 5), (3, 3, 4, 4), (2, 2, 2, 6), (1, 4, 1, 3)]:
        x, scores = numbers(*shape), 2 * numbers(shape[0], 1, *shape[2:], seed=1)
        compare(report, answer, (x, scores), true_pool(x, scores), f"a {shape} map")


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
