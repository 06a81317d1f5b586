"""Average precision and overlap, against nested loops written from their definitions, pycocotools and torchmetrics."""

import contextlib
import io
import math

import numpy as np
import pytest
import torch

from course_utils import scores
from course_utils.scores import LEVELS, SIZES, average_precision, box_iou, overlap


def made(seed, pictures=12, most=5, found=14, classes=3, exact=False):
    """Boxes, and what a mediocre detector finds: some shifted a little, some of another class, some anywhere, in mixed order."""
    g = torch.Generator().manual_seed(seed)

    def rand(*shape):
        return torch.rand(*shape, generator=g)
    boxes = torch.cat([(rand(pictures, most, 1) * classes).floor(), 40 * rand(pictures, most, 2), rand(pictures, most, 2)], 2)
    boxes[..., 3:] = boxes[..., 1:3] + 3 + 17 * boxes[..., 3:]
    source = (rand(pictures, found) * most).long()
    near = boxes.gather(1, source[..., None].expand(-1, -1, 5)).clone()
    near[..., 1:] += (0 if exact else 1.5) * torch.randn(near[..., 1:].shape, generator=g)
    near[..., 3:] = torch.maximum(near[..., 3:], near[..., 1:3] + 0.5)
    near[..., 0] = near[..., 0].where(rand(pictures, found) < 0.8, (rand(pictures, found) * classes).floor())
    gone = (rand(pictures, most) < 0.3)
    boxes[gone] = torch.tensor([-1.0, 0, 0, 0, 0])
    score = rand(pictures, found, 1)
    return torch.cat([near, score], 2), boxes


# ---- nested loops

def iou(a, b):
    across, down = (max(0.0, min(a[i + 2], b[i + 2]) - max(a[i], b[i])) for i in (0, 1))
    area = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return across * down / (area[0] + area[1] - across * down)


def dull(found, boxes, level, size=(0.0, math.inf)):
    """AP at one level of overlap, one box after the other; None where no class has an object of the size."""
    def fits(b):
        return size[0] <= max(b[2] - b[0], b[3] - b[1]) < size[1]
    found, boxes, of_class = found.tolist(), boxes.tolist(), []
    for c in sorted({b[0] for picture in boxes for b in picture if b[0] >= 0}):
        marks, total = [], 0
        for mine, true in zip(found, boxes, strict=True):
            true = [b[1:] for b in true if b[0] == c]
            total += sum(map(fits, true))
            taken = set()
            for _, *box, score in sorted((f for f in mine if f[0] == c), key=lambda f: -f[5]):
                open_ones = [(fits(b), iou(box, b), j) for j, b in enumerate(true) if j not in taken and iou(box, b) >= level]
                if open_ones:
                    counts, _, j = max(open_ones)
                    taken.add(j)
                    if counts:
                        marks.append((score, True))
                elif fits(box):
                    marks.append((score, False))
        if not total:
            continue
        marks.sort(key=lambda m: -m[0])
        points, hits = [], 0
        for number, (_, right) in enumerate(marks, start=1):
            hits += right
            points.append((hits / total, hits / number))
        of_class.append(sum(max((p for r, p in points if r >= wanted), default=0.0) for wanted in np.linspace(0, 1, 101))
                        / 101)
    return sum(of_class) / len(of_class) if of_class else None


@pytest.mark.parametrize("seed", range(4))
def test_average_precision_is_that_of_the_loops(seed):
    found, boxes = made(seed)
    got = average_precision(found, boxes)
    by_level = [dull(found, boxes, level) for level in LEVELS]
    assert 0.1 < by_level[0] < 0.95, "too easy or too hard to tell anything"
    assert got["AP50"] == pytest.approx(by_level[0], abs=1e-6) and got["AP75"] == pytest.approx(by_level[5], abs=1e-6)
    assert got["AP"] == pytest.approx(sum(by_level) / 10, abs=1e-6)
    for name, size in SIZES.items():
        wanted = [dull(found, boxes, level, size) for level in LEVELS]
        assert got[f"AP_{name}"] == pytest.approx(sum(wanted) / 10, abs=1e-6), name


@pytest.mark.parametrize("seed", range(3))
def test_average_precision_is_that_of_pycocotools(seed):
    coco, evaluation = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    found, boxes = made(seed, pictures=20)
    notes, results = [], []
    for i, (mine, true) in enumerate(zip(found.tolist(), boxes.tolist(), strict=True)):
        for c, x1, y1, x2, y2 in true:
            if c >= 0:
                notes.append({"id": len(notes) + 1, "image_id": i, "category_id": int(c), "bbox": [x1, y1, x2 - x1, y2 - y1],
                              "area": max(x2 - x1, y2 - y1), "iscrowd": 0})
        results += [{"image_id": i, "category_id": int(c), "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
                    for c, x1, y1, x2, y2, score in mine]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO()
        truth.dataset = {"images": [{"id": i} for i in range(20)], "annotations": notes, "info": {},
                         "categories": [{"id": c} for c in range(3)]}
        truth.createIndex()
        mine = truth.loadRes(results)
        for note in mine.anns.values():      # COCO's sizes are areas; ours the longer side
            note["area"] = max(note["bbox"][2:])
        run = evaluation.COCOeval(truth, mine, "bbox")
        run.params.areaRng = [[0, 1e9], *([low, min(high, 1e9)] for low, high in SIZES.values())]
        run.params.areaRngLbl = ["all", *SIZES]
        run.evaluate()
        run.accumulate()
    table = run.eval["precision"][:, :, :, :, -1]      # level, recall, class, size

    def mean(values):
        return values[values > -1].mean()
    wanted = {"AP": mean(table[..., 0]), "AP50": mean(table[0, ..., 0]), "AP75": mean(table[5, ..., 0]),
              **{f"AP_{name}": mean(table[..., 1 + i]) for i, name in enumerate(SIZES)}}
    assert average_precision(found, boxes) == pytest.approx(wanted, abs=1e-6)


def test_average_precision_is_that_of_torchmetrics():
    pytest.importorskip("pycocotools.coco")      # which it calls
    metric = pytest.importorskip("torchmetrics.detection").MeanAveragePrecision()
    found, boxes = made(7, pictures=20)
    metric.update([{"boxes": f[:, 1:5], "scores": f[:, 5], "labels": f[:, 0].long()} for f in found],
                  [{"boxes": b[b[:, 0] >= 0, 1:], "labels": b[b[:, 0] >= 0, 0].long()} for b in boxes])
    wanted, got = metric.compute(), average_precision(found, boxes)
    for mine, theirs in (("AP", "map"), ("AP50", "map_50"), ("AP75", "map_75")):
        assert got[mine] == pytest.approx(wanted[theirs].item(), abs=1e-5)


# ---- cases that one can do in the head

def box(c, x1, y1, x2, y2, *score):
    return [float(v) for v in (c, x1, y1, x2, y2, *score)]


TRUE = torch.tensor([[box(0, 0, 0, 10, 10), box(1, 20, 0, 26, 6)]])


@pytest.mark.parametrize("found, wanted", [
    ([box(0, 0, 0, 10, 10, 0.9), box(1, 20, 0, 26, 6, 0.8)], 1.0),
    ([box(1, 0, 0, 10, 10, 0.9), box(0, 20, 0, 26, 6, 0.8)], 0.0),
    ([box(0, 0, 0, 10, 10, 0.9), box(0, 40, 40, 50, 50, 0.8)], 0.5),      # class 1 is missing; a wrong box behind costs nothing
    ([box(0, 40, 40, 50, 50, 0.9), box(0, 0, 0, 10, 10, 0.8)], 0.25),      # a wrong box before halves the precision
    ([box(0, 0, 0, 10, 10, 0.9), box(0, 0, 0, 10, 10, 0.8)], 0.5),      # found twice: the second is wrong
    ([box(0, 0, 0, 10, 10, 0.3), box(0, 0, 0, 10, 10, 0.8)], 0.5),
    ([box(0, 0, 0, 20, 10, 0.9), box(1, 60, 0, 66, 6, 0.8)], 0.5),      # an overlap of exactly one half is enough
], ids=["all", "classes exchanged", "one of two", "wrong before right", "twice", "the likelier counts", "one half"])
def test_ap50_of_a_case_for_the_head(found, wanted):
    assert average_precision(torch.tensor([found]), TRUE)["AP50"] == pytest.approx(wanted, abs=0.006)


def test_the_sizes_are_told_apart():
    found = torch.tensor([[box(0, 0, 0, 10, 10, 0.9), box(1, 40, 0, 46, 6, 0.8)]])
    got = average_precision(found, TRUE)
    assert got["AP_medium"] == 1 and got["AP_small"] == 0 and math.isnan(got["AP_large"])


def test_the_order_of_pictures_and_boxes_does_not_matter():
    found, boxes = made(3)
    whole = average_precision(found, boxes)
    assert average_precision(found.flip(0).flip(1), boxes.flip(0).flip(1)) == pytest.approx(whole, nan_ok=True)


def test_no_boxes_at_all_is_no_number_and_other_shapes_are_refused():
    found, boxes = made(3)
    none = torch.full_like(boxes, -1.0)
    assert math.isnan(average_precision(found, none)["AP"])
    for a, b in ((found[..., :5], boxes), (found, boxes[0]), (found[:3], boxes)):
        with pytest.raises(ValueError, match="boxes_of"):
            average_precision(a, b)


def test_nothing_found_is_nothing_right_and_nothing_there_is_no_number():
    found, boxes = made(3)
    assert average_precision(found[:, :0], boxes)["AP"] == 0
    for mine in (found, found[:, :0]):
        assert all(map(math.isnan, average_precision(mine, boxes[:, :0]).values()))


def test_box_iou_is_that_of_the_loops():
    found, boxes = made(5, exact=True)
    a, b = found[..., 1:5].double(), boxes[..., 1:].double()
    wanted = [[[iou(one, other) if other[2] else 0.0 for other in bs] for one in fs]
              for fs, bs in zip(a.tolist(), b.tolist(), strict=True)]
    torch.testing.assert_close(box_iou(a, b), torch.tensor(wanted, dtype=torch.double))


# ---- pixels

def test_overlap_is_that_of_the_loops():
    g = torch.Generator().manual_seed(0)
    true = torch.randint(4, (3, 8, 9), generator=g)
    mine = true.where(torch.rand(3, 8, 9, generator=g) < 0.6, torch.randint(4, (3, 8, 9), generator=g))
    got, each = overlap(mine, true, 6), []
    for c in range(4):
        pairs = list(zip((mine == c).flatten().tolist(), (true == c).flatten().tolist(), strict=True))
        each.append(sum(a and b for a, b in pairs) / sum(a or b for a, b in pairs))
        assert got[f"IoU_{c}"] == pytest.approx(each[-1])
    assert got["IoU"] == pytest.approx(sum(each) / 4) and math.isnan(got["IoU_4"]) and math.isnan(got["IoU_5"])


def test_classes_may_be_bytes_as_a_mask_is_read():
    """20 * 21 + 20 is no byte."""
    mask = torch.tensor([[[0, 1, 20, 20]]], dtype=torch.uint8)
    assert overlap(mask, mask, 21)["IoU"] == overlap(mask.long(), mask, 21)["IoU"] == overlap(mask, mask.long(), 21)["IoU"] == 1


def test_what_is_painted_and_is_not_there_counts_as_nothing_right():
    got = overlap(torch.tensor([[[0, 1]]]), torch.tensor([[[0, 0]]]), 2)
    assert got == {"IoU": 0.25, "IoU_0": 0.5, "IoU_1": 0.0}
    with pytest.raises(ValueError, match=r"classes 0 to 1, got \(1, 1, 2\) with 0 to 2"):
        overlap(torch.tensor([[[0, 2]]]), torch.tensor([[[0, 0]]]), 2)
    with pytest.raises(ValueError, match="one shape"):
        overlap(torch.zeros(1, 1, 2).long(), torch.zeros(1, 2, 1).long(), 2)


def test_the_forms_for_a_network_read_its_output():
    logits = torch.tensor([[[[3.0, 0]], [[1.0, 2.0]]]])      # (1, 2, 1, 2): classes 0 and 1
    assert scores.mean_iou(logits, torch.tensor([[[0, 1]]])) == 1.0
    assert scores.segmentation(logits, torch.tensor([[[0, 0]]]))["IoU"] == 0.25
    out = torch.full((1, 6, 4, 4), -20.0)
    out[0, 1, 1, 2], out[0, 2:, 1, 2] = 20.0, 0.0      # class 1, centre (10, 6), 4 pixels to each side
    boxes = torch.tensor([[box(1, 6, 2, 14, 10)]])
    assert scores.detection(out, boxes)["AP75"] == pytest.approx(1) and scores.precision(out, boxes) == pytest.approx(1)
