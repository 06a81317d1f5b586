"""Checks of lesson 04, each with the wrong answers that it rejects."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .report import Mistake, NotAttempted, Report, compare, exercise, numbers

# Five gates of 2 channels (rows) and 3 places (columns), as the lesson prints them, and what made each.
GATES = {"A": "bam", "B": "spatial", "C": "scse", "D": "channel", "E": "cbam"}


def plain(word: object) -> object:
    """Without capitals and blanks, where it is a word."""
    return word.strip().lower() if isinstance(word, str) else word


def taken_for(**wrong: str) -> dict[str, str]:
    return {**GATES, **wrong}


@exercise("Five gates, five mechanisms", [
    Mistake("a product is no larger than either of its factors; the larger of two is no smaller than either. Look at the rows "
            "of C and E: in which are all rows multiples of one row?", taken_for(C="cbam", E="scse")),
    Mistake("BAM multiplies by 1 plus a gate, so it lies between 1 and 2. A gate of CBAM never reaches 1.",
            taken_for(A="cbam", E="bam")),
    Mistake("BAM multiplies by 1 plus a gate, so it lies between 1 and 2. scSE keeps one of two gates, so it stays below 1.",
            taken_for(A="scse", C="bam")),
    Mistake("a channel gate has one number for each channel: the same all along a row. A spatial gate has one for each place: "
            "the same all down a column.", taken_for(B="channel", D="spatial")),
    Mistake("one of the five has the same three numbers in every row: no channel is told from another, so no channel gate "
            "took part.",
            taken_for(B="cbam", E="spatial")),
    Mistake("one of the five has the same number all along each row: no place is told from another, so no spatial "
            "gate took part.",
            taken_for(D="cbam", E="channel")),
    Mistake("each mechanism has made one of the five.", dict.fromkeys(GATES, "cbam")),
])
def whose_gate(report: Report, answer: dict[str, str]) -> None:
    """Letter of a gate -> name of the mechanism that made it."""
    if not isinstance(answer, dict):
        report.wrong(f"a dictionary with the letters {', '.join(GATES)} was expected, got {type(answer).__name__}")
    answer = {str(letter).strip().upper(): plain(name) for letter, name in answer.items()}
    if set(answer) != set(GATES):
        report.wrong(f"a dictionary with the letters {', '.join(GATES)} was expected, got the keys {', '.join(map(str, answer))}")
    if any(name is ... or name is None for name in answer.values()):
        raise NotAttempted
    strange = [name for name in answer.values() if name not in GATES.values()]
    if strange:
        report.wrong(f"the names are {', '.join(sorted(GATES.values()))}; got {strange[0]!r}")
    right = sum(answer[letter] == name for letter, name in GATES.items())
    if right < len(GATES):
        made = [{k: v for k, v in m.answer.items() if v != GATES[k]} for m in report.mistakes]
        causes = [m.cause for m, wrong in zip(report.mistakes, made, strict=True) if wrong.items() <= answer.items()]
        once = [] if len(set(answer.values())) == len(GATES) else [report.mistakes[-1].cause]
        report.wrong(f"{right} of {len(GATES)} are right", *(once or causes)[:1])
    report.right(f"all {right} of them")


def like_coordinate(rows=lambda x: x.mean(3), columns=lambda x: x.mean(2), bend=F.hardswish, cut=lambda x: x.shape[2],
                    squash=(torch.sigmoid, torch.sigmoid), join=lambda a, b: a * b, after=lambda x, gate: gate):
    """The gate of coordinate attention with one thing to get wrong."""
    def coordinate_gate(x: Tensor, w: Tensor, w_rows: Tensor, w_columns: Tensor) -> Tensor:
        f = bend(w @ torch.cat([rows(x), columns(x)], 2))
        a, b = w_rows @ f[..., :cut(x)], w_columns @ f[..., cut(x):]
        return after(x, join(squash[0](a)[..., :, None], squash[1](b)[..., None, :]))
    return coordinate_gate


def true_coordinate(x: Tensor, w: Tensor, w_rows: Tensor, w_columns: Tensor) -> Tensor:
    gate = torch.empty_like(x)
    for picture, into in zip(x, gate, strict=True):
        down = [w_rows @ F.hardswish(w @ picture[:, i].mean(1)) for i in range(x.shape[2])]
        across = [w_columns @ F.hardswish(w @ picture[:, :, j].mean(1)) for j in range(x.shape[3])]
        for i, a in enumerate(down):
            for j, b in enumerate(across):
                into[:, i, j] = 1 / (1 + torch.exp(-a)) / (1 + torch.exp(-b))
    return gate


SWAPPED = {"rows": lambda x: x.mean(2), "columns": lambda x: x.mean(3)}
OPEN = (lambda a: a, lambda b: b)


@exercise("Coordinate attention, repaired", [
    Mistake("both faults are still there.", like_coordinate(**SWAPPED, squash=OPEN)),
    Mistake("one fault is left: a gate of one map can be below 0 and above 1.", like_coordinate(squash=OPEN)),
    Mistake("one fault is left: on a map that is not square it stops, and on a square one the rows' gate is made of columns.",
            like_coordinate(**SWAPPED)),
    Mistake("the two strips are in their order now, but cut at W; the first H of them belong to the rows.",
            like_coordinate(cut=lambda x: x.shape[3])),
    Mistake("one sigmoid over the product; each of the two gates has its own, before they are multiplied.",
            like_coordinate(squash=OPEN, join=lambda a, b: torch.sigmoid(a * b))),
    Mistake("only the rows' gate went through a sigmoid.", like_coordinate(squash=(torch.sigmoid, lambda b: b))),
    Mistake("only the columns' gate went through a sigmoid.", like_coordinate(squash=(lambda a: a, torch.sigmoid))),
    Mistake("the two gates are added; they multiply.", like_coordinate(join=lambda a, b: a + b)),
    Mistake("x times the gate is returned; asked is the gate.", like_coordinate(after=lambda x, gate: x * gate)),
    Mistake("hard-swish was no fault: leave it.", like_coordinate(bend=torch.relu)),
    Mistake("the gate is squashed by a softmax, so its rows compete; each has a sigmoid of its own.",
            like_coordinate(squash=(lambda a: a.softmax(2), lambda b: b.softmax(2)))),
])
def coordinate_gate(report: Report, answer) -> None:
    """x (N, C, H, W), w (m, C), w_rows and w_columns (C, m) -> the gate, (N, C, H, W)."""
    for n, c, h, w, m in [(2, 3, 4, 4, 2), (2, 3, 4, 6, 2), (1, 2, 5, 3, 4)]:      # square first: there nothing stops
        given = (numbers(n, c, h, w), numbers(m, c, seed=1), numbers(c, m, seed=2), numbers(c, m, seed=3))
        compare(report, answer, given, true_coordinate(*given), f"a {(n, c, h, w)} map")


def put_back(y: Tensor, groups: int) -> Tensor:
    """(N, C / groups, groups, H, W), as the channels stand now, to (N, groups, C / groups, H, W), as they stood."""
    return y.unflatten(1, (-1, groups)).transpose(1, 2)


def true_order(y: Tensor, groups: int) -> Tensor:
    x, each = torch.empty_like(y), y.shape[1] // groups
    for group in range(groups):
        for place in range(each):
            x[:, group * each + place] = y[:, place * groups + group]
    return x


@exercise("The channels, put back", [
    Mistake("the channels are shuffled once more. With C channels in g groups the way back takes the two numbers exchanged: "
            "C / g groups of g.", lambda y, groups=2: torch.stack(y.chunk(groups, 1), 2).flatten(1, 2)),
    Mistake("that is the way back from two groups; with `groups` of them every `groups`-th channel belongs together.",
            lambda y, groups=2: torch.cat([y[:, ::2], y[:, 1::2]], 1)),
    Mistake("nothing was moved: view and reshape alone give the channels other names, and leave them where they are.",
            lambda y, groups=2: y),
    Mistake("the channels come in reverse order.", lambda y, groups=2: y.flip(1)),
    Mistake("the groups stand in reverse order; within each the channels are right.",
            lambda y, groups=2: put_back(y, groups).flip(1).flatten(1, 2)),
    Mistake("channels of several pictures are mixed: the batch is dimension 0, and stays as it is.",
            lambda y, groups=2: y.flatten(0, 1).unflatten(0, (-1, groups)).transpose(0, 1).reshape(y.shape)),
    Mistake("only the channels of the first group are left.", lambda y, groups=2: y[:, ::groups]),
    Mistake("the two dimensions of the channels are still apart: flatten(1, 2) joins them.",
            lambda y, groups=2: put_back(y, groups)),
    Mistake("the places were put in order, not the channels: channels are dimension 1.",
            lambda y, groups=2: y.flatten(2).unflatten(2, (groups, -1)).transpose(2, 3).reshape(y.shape)),
    Mistake("height and width are exchanged: the places stay where they are.",
            lambda y, groups=2: put_back(y, groups).flatten(1, 2).mT.reshape(y.shape)),
])
def in_order(report: Report, answer) -> None:
    """y (N, C, H, W) = torch.stack(x.chunk(groups, 1), 2).flatten(1, 2) -> x; groups 2 where nothing is said."""
    plain = numbers(2, 6, 2, 6)
    compare(report, answer, (plain,), true_order(plain, 2), "6 channels, groups left out")
    for (n, c, h, w), groups in [((1, 8, 2, 2), 2), ((3, 12, 6, 2), 3), ((2, 8, 4, 4), 4), ((2, 10, 5, 2), 5), ((2, 6, 6, 1), 6)]:
        y = numbers(n, c, h, w)
        compare(report, answer, (y, groups), true_order(y, groups), f"{c} channels in {groups} groups")
