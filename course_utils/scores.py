"""How good boxes and painted pixels are: average precision, and intersection over union.

    scores.average_precision(found, boxes)["AP50"]      found (N, M, 6), boxes (N, K, 5), in pixels
    scores.overlap(predicted, classes, 11)["IoU"]       both (N, H, W), whole numbers
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .hosts import boxes_of

LEVELS = tuple(0.5 + 0.05 * i for i in range(10))      # of the overlap from which on a box counts as found
RECALLS = torch.from_numpy(np.linspace(0, 1, 101))      # NumPy's, as in COCO's code: torch rounds some of them the other way
SIZES = {"small": (0.0, 8.5), "medium": (8.5, 13.5), "large": (13.5, math.inf)}      # longer side of a box in pixels


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of each of M boxes with each of K: (N, M, 4) and (N, K, 4), x1, y1, x2, y2 -> (N, M, K)."""
    a, b = a[:, :, None], b[:, None]
    inside = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    area_a, area_b = ((c[..., 2:] - c[..., :2]).clamp(min=0).prod(-1) for c in (a, b))
    return inside / (area_a + area_b - inside).clamp(min=1e-9)


def longer_side(boxes: Tensor) -> Tensor:
    """(..., 4) -> (...)."""
    return (boxes[..., 2:] - boxes[..., :2]).amax(-1)


def matches(found: Tensor, boxes: Tensor, levels: Tensor, size: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Which boxes that were found are right, and which do not count, at each level of overlap: (N, M, T) bool each.

    `found` has the likeliest first. One after the other takes the free box of its class that it overlaps most, of those that
    overlap enough. Boxes of another size do not count and neither does what takes one of them, or takes none and is itself
    of another size.
    """
    iou = box_iou(found[..., 1:5], boxes[..., 1:5])                                      # (N, M, K)
    iou = iou.where(found[:, :, None, 0] == boxes[:, None, :, 0], -1.0)
    asked, of_size = ((size[0] <= longer_side(b[..., 1:5])) & (longer_side(b[..., 1:5]) < size[1]) for b in (boxes, found))
    free = torch.ones(*boxes.shape[:2], len(levels), dtype=torch.bool, device=boxes.device)
    right, left_out = [], []
    for overlap, fits in zip(iou.unbind(1), of_size.unbind(1), strict=True):             # (N, K), (N,): the next of each picture
        able = free & (overlap[..., None] >= levels)                                     # (N, K, T)
        first = (able & asked[..., None]).any(1, keepdim=True)                           # one that counts goes before others
        able = torch.where(first, able & asked[..., None], able)
        best = overlap[..., None].where(able, -1.0).argmax(1, keepdim=True)              # (N, 1, T)
        taken = able.any(1)                                                              # (N, T)
        free = free.scatter(1, best, free.gather(1, best) & ~taken[:, None])
        right.append(taken & first[:, 0])
        left_out.append(torch.where(taken, ~first[:, 0], ~fits[:, None]))
    return torch.stack(right, 1), torch.stack(left_out, 1)


def precision_of(right: Tensor, total: int) -> Tensor:
    """The area under precision against recall, of right (D, T) with the likeliest first: the mean over 101 recalls, (T,).

    `total`: how many there are to be found.
    """
    hits = right.double().cumsum(0)
    precision = hits / torch.arange(1, len(hits) + 1)[:, None]
    precision = precision.flip(0).cummax(0).values.flip(0)      # the best that any recall from here on has
    at = torch.searchsorted((hits / total).T.contiguous(), RECALLS.expand(right.shape[1], -1).contiguous())
    padded = torch.cat([precision, precision.new_zeros(1, right.shape[1])])
    return padded.T.gather(1, at).mean(1)


def mean_precision(found: Tensor, boxes: Tensor, levels: Tensor, size: tuple[float, float]) -> Tensor:
    """(T,): the mean over the classes of which there are boxes of this size; nan if there are none."""
    right, left_out = matches(found, boxes, levels, size)
    order = found[..., 5].flatten().argsort(dim=0, descending=True, stable=True)
    right, left_out, label = right.flatten(0, 1)[order], left_out.flatten(0, 1)[order], found[..., 0].flatten()[order]
    side, means = longer_side(boxes[..., 1:]), []
    for c in boxes[..., 0].unique().tolist():
        total = int(((boxes[..., 0] == c) & (size[0] <= side) & (side < size[1])).sum())
        if c >= 0 and total:
            means.append(torch.stack([precision_of(right[(label == c) & ~left_out[:, t], t:t + 1], total)[0]
                                      for t in range(len(levels))]))
    return torch.stack(means).mean(0) if means else levels * math.nan


def average_precision(found: Tensor, boxes: Tensor) -> dict[str, float]:
    """Average precision as COCO has it (Lin et al., ECCV 2014, arXiv 1405.0312, and its evaluation code), on any pictures.

    Args:
        found: (N, M, 6) class, x1, y1, x2, y2, score.
        boxes: (N, K, 5) class, x1, y1, x2, y2; class -1 for none.

    Returns:
        "AP", the mean over overlaps of 0.50, 0.55, ..., 0.95; "AP50" and "AP75" at one overlap; "AP_small", "AP_medium" and
        "AP_large" as AP, for objects whose longer side is below 8.5 pixels, up to 13.5, and more (COCO goes by area, on larger
        pictures). nan where there is no object of the size.

    Raises:
        ValueError: other shapes.
    """
    if found.ndim != 3 or boxes.ndim != 3 or found.shape[2] != 6 or boxes.shape[2] != 5 or len(found) != len(boxes):
        raise ValueError("wanted found (N, M, 6), class, x1, y1, x2, y2, score, and boxes (N, K, 5), class, x1, y1, x2, y2; got "
                         f"{tuple(found.shape)} and {tuple(boxes.shape)}. hosts.boxes_of(out) reads boxes off a detector's "
                         "output.")
    # Apple's GPU has no float64. One that is none, of class -1, at the end: there may be no other, and of nothing is no largest.
    found, boxes = (F.pad(t.cpu().double(), (0, 0, 0, 1), value=-1.0) for t in (found, boxes))
    order = found[..., 5].argsort(dim=1, descending=True, stable=True)
    found = found.gather(1, order[..., None].expand_as(found))
    levels = torch.tensor(LEVELS, dtype=torch.double) - 1e-10      # 0.5 is reached by 0.5, rounding aside
    whole = mean_precision(found, boxes, levels, (0.0, math.inf))
    by_size = {f"AP_{name}": mean_precision(found, boxes, levels, size).mean().item() for name, size in SIZES.items()}
    return {"AP": whole.mean().item(), "AP50": whole[0].item(), "AP75": whole[5].item(), **by_size}


def overlap(predicted: Tensor, classes: Tensor, count: int) -> dict[str, float]:
    """Intersection over union of classes of pixels, over all pictures together.

    Args:
        predicted, classes: (N, H, W) whole numbers, 0 to count - 1.

    Returns:
        "IoU", the mean over the classes that are there or were predicted, the ground (0) among them; then "IoU_0", "IoU_1", ...,
        nan for a class that is neither.

    Raises:
        ValueError: two shapes, or a class that is not below count.
    """
    if predicted.shape != classes.shape or any(m.min() < 0 or m.max() >= count for m in (predicted, classes)):
        said = " and ".join(f"{tuple(m.shape)} with {m.min()} to {m.max()}" for m in (predicted, classes))
        raise ValueError(f"wanted two maps of one shape with classes 0 to {count - 1}, got {said}")
    predicted, classes = predicted.long(), classes.long()      # of a byte there are 256
    pairs = torch.bincount((classes.to(predicted.device) * count + predicted).flatten(), minlength=count**2).view(count, count)
    either = pairs.sum(0) + pairs.sum(1) - pairs.diag()
    each = torch.where(either > 0, pairs.diag() / either, math.nan)
    return {"IoU": each.nanmean().item(), **{f"IoU_{c}": value for c, value in enumerate(each.tolist())}}


# ---- the same of what a network gives, as `train.fit` and `train.evaluate` take it

def detection(out: Tensor, boxes: Tensor) -> dict[str, float]:
    """`average_precision` of the output of a detector, (N, classes + 4, h, w)."""
    return average_precision(boxes_of(out), boxes)


def precision(out: Tensor, boxes: Tensor) -> float:
    """AP of the output of a detector: the mean over overlaps of 0.50 to 0.95."""
    return detection(out, boxes)["AP"]


def segmentation(logits: Tensor, classes: Tensor) -> dict[str, float]:
    """`overlap` of the logits of pixels, (N, classes, H, W)."""
    return overlap(logits.argmax(1), classes.to(logits.device), logits.shape[1])


def mean_iou(logits: Tensor, classes: Tensor) -> float:
    """The mean IoU of the logits of pixels."""
    return segmentation(logits, classes)["IoU"]
