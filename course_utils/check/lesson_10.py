"""Checks of lesson 10, each with the wrong answers that it rejects."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .report import Mistake, Report, close_number, compare, exercise

STAGES = {256: 3, 512: 4, 1024: 6, 2048: 3}      # ResNet-50: channels at the end of a block -> blocks
SQUARES, SUM = sum(n * c * c for c, n in STAGES.items()), sum(n * c for c, n in STAGES.items())


@exercise("SE's weights in the last stage", [
    Mistake("that is the share of the blocks; a block of the last stage has many more weights than one of the first.", 3 / 16),
    Mistake("that is linear in the channels; the weights of SE grow with their square.", 3 * 2048 / SUM),
    Mistake("that is the last block alone; the last stage has three.", 2048 ** 2 / SQUARES),
    Mistake("that counts one block in each stage; there are 3, 4, 6 and 3.", 2048 ** 2 / sum(c * c for c in STAGES)),
    Mistake("that is the share of the third stage.", 6 * 1024 ** 2 / SQUARES),
    Mistake("that is the share of the other stages.", 1 - 3 * 2048 ** 2 / SQUARES),
    Mistake("that is divided by the weights of the other stages; asked is the share of all.",
            3 * 2048 ** 2 / (SQUARES - 3 * 2048 ** 2)),
    Mistake("that is in percent; asked is a share between 0 and 1.", 300 * 2048 ** 2 / SQUARES),
    Mistake("that is in percent; asked is a share between 0 and 1.", 62.5),
    Mistake("that is the number of weights in the last stage; divide it by that of all stages.", 3 * 2048 ** 2 / 8),
    Mistake("that is the number of weights in all stages; asked is the share of the last one.", SQUARES / 8),
])
def last_stage_share(report: Report, answer: float) -> None:
    """2 C^2 / 16 in each block: 3 * 2048^2 of the sum over all stages. Two decimals will do, if rounded."""
    close_number(report, answer, 3 * 2048 ** 2 / SQUARES, "share of the last stage", 0.005)


def counts(predicted: Tensor, asked: Tensor, classes: int) -> Tensor:
    return F.one_hot(asked, classes).float().mT @ F.one_hot(predicted, classes).float()


def like_confusion(share=lambda c, n: c / c.sum(1, keepdim=True).clamp(min=1)):
    """A table of confusions with one thing to get wrong; n is the number of pictures."""
    return lambda predicted, asked, classes: share(counts(predicted, asked, classes), len(asked))


def true_confusion(predicted: Tensor, asked: Tensor, classes: int) -> Tensor:
    table = torch.zeros(classes, classes)
    for p, a in zip(predicted.tolist(), asked.tolist(), strict=True):
        table[a, p] += 1 / asked.tolist().count(a)
    return table


def overwritten(predicted: Tensor, asked: Tensor, classes: int) -> Tensor:
    table = torch.zeros(classes, classes)
    table[asked, predicted] += 1
    return table / table.sum(1, keepdim=True).clamp(min=1)


NAN = Mistake("a class that was never asked gives 0 / 0: divide by at least 1, with clamp(min=1).",
              like_confusion(lambda c, n: c / c.sum(1, keepdim=True)))


@exercise("Who is taken for whom", [
    Mistake("rows and columns are exchanged: a row is what was asked, a column what was predicted.",
            lambda *args: like_confusion()(*args).mT),
    Mistake("predicted and asked are exchanged: then the rows, which sum to one, are about what was predicted.",
            lambda predicted, asked, classes: like_confusion()(asked, predicted, classes)),
    Mistake("those are numbers of pictures; divide each row by its sum.", like_confusion(lambda c, n: c)),
    Mistake("that is divided by the number of all pictures; each row should sum to one.", like_confusion(lambda c, n: c / n)),
    Mistake("each column sums to one; each row should.", like_confusion(lambda c, n: c / c.sum(0, keepdim=True).clamp(min=1))),
    Mistake("each row is divided by the sum of another: the sums need keepdim=True.",
            like_confusion(lambda c, n: c / c.sum(1).clamp(min=1))),
    NAN,
    Mistake("those are percentages; shares are wanted, so that each row sums to one.",
            like_confusion(lambda c, n: 100 * c / c.sum(1, keepdim=True).clamp(min=1))),
    Mistake("1 is added to every count, so that classes never asked look as if they were.",
            like_confusion(lambda c, n: (c + 1) / (c + 1).sum(1, keepdim=True))),
    Mistake("a row that was never asked should be zeros; you spread it evenly.",
            like_confusion(lambda c, n: (c / c.sum(1, keepdim=True)).nan_to_num(1 / len(c)))),
    Mistake("pairs that occur more than once are counted once: table[asked, predicted] += 1 writes each place once. Use "
            "index_put_ with accumulate=True, bincount, or a loop.", overwritten),
    Mistake("only right answers are counted; the table is about the wrong ones too.",
            like_confusion(lambda c, n: (c / c.sum(1, keepdim=True).clamp(min=1)).diag().diag())),
    Mistake("the table has as many rows as the largest class that was asked; it should have `classes`.",
            lambda predicted, asked, classes: true_confusion(predicted, asked, classes)[:asked.max() + 1]),
])
def confusion(report: Report, answer) -> None:
    """predicted and asked (N,) int64, classes -> (classes, classes), rows as shares."""
    for n, classes in [(40, 4), (6, 6), (5, 3)]:      # the last class is asked in none of them
        predicted = torch.randint(classes, (n,), generator=torch.Generator().manual_seed(classes))
        asked = torch.randint(classes - 1, (n,), generator=torch.Generator().manual_seed(classes + 10))
        got = report.call(answer, predicted.clone(), asked.clone(), classes)
        if isinstance(got, Tensor) and got.isnan().any():
            report.wrong("some of your shares are not numbers (NaN)", NAN.cause)
        compare(report, answer, (predicted, asked, classes), true_confusion(predicted, asked, classes),
                f"{n} answers of {classes} classes, one of them never asked")
