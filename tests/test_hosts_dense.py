"""The detector and the U-Net: any size of picture, sockets where maps meet, and a loss that is smallest at the truth."""

import copy

import pytest
import torch
from sockets_host import stir

from course_utils import hosts, tasks
from course_utils.hosts import Detector, UNet, boxes_of, detection_loss, pixel_loss
from course_utils.sockets import list_sockets, plug_in, unplug
from course_utils.train import evaluate, fit

SIZE = (3, 64, 64)
PLACES = {      # host -> socket -> names of the modules that attention joins
    "detector": {
        "input": ["stem.conv"], "pre": [f"stage{n}.conv1" for n in (2, 3, 4)], "inner": [f"stage{n}.norm1" for n in (2, 3, 4)],
        "post": [f"stage{n}.norm2" for n in (2, 3, 4)], "after_add": ["stage2", "stage3", "stage4"],
        "identity": [f"stage{n}.skip.1" for n in (2, 3, 4)], "between": ["stage2"],
        "fuse": ["neck", "neck", "stage2", "stage3", "stage4"]},
    "unet": {
        **{socket: [f"{block}.{part}" for block in ("down2", "down3", "low", "up2", "up3")]
           for socket, part in (("pre", "conv1"), ("inner", "norm1"), ("post", "norm2"), ("identity", "skip.1"))},
        "input": ["stem.conv"], "after_add": ["down2", "down3", "low", "up2", "up3"],
        "fuse": ["down2", "down3", "join1", "join2", "join3", "low", "up2", "up3"]}}


def host(name, seed=0):
    torch.manual_seed(seed)
    return hosts.OTHERS[name](5)


def moved(net):
    """Parameters and running statistics away from their start, in eval mode."""
    stir(net)
    with torch.no_grad():
        for _ in range(2):
            net.train()(picture(4, 32, 40))
    return net.eval()


def picture(n, h, w, seed=0):
    return torch.rand(n, 3, h, w, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("h, w", [(64, 64), (37, 50), (33, 20), (16, 9)])
def test_the_answer_has_the_size_that_is_promised(h, w):
    x = picture(2, h, w)
    assert host("unet").eval()(x).shape == (2, 5, h, w)
    assert host("detector").eval()(x).shape == (2, 9, -(-h // 4), -(-w // 4))


@pytest.mark.parametrize("name", hosts.OTHERS)
def test_pictures_do_not_depend_on_their_company(name):
    net, x = moved(host(name)), picture(3, 37, 50)
    torch.testing.assert_close(net.double()(x.double())[1:2], net(x[1:2].double()))


@pytest.mark.parametrize("name", hosts.OTHERS)
@pytest.mark.parametrize("call, error, message", [
    (lambda make: make("se"), TypeError, "no attention"), (lambda make: make(0), ValueError, "classes"),
    (lambda make: make(widths=(8, 8)), ValueError, "widths must name"),
    (lambda make: make(0, widths=(8, 0)), ValueError, "widths")], ids=["attention", "no class", "two widths", "a width of 0"])
def test_what_is_no_size_is_refused(name, call, error, message):
    with pytest.raises(error, match=message):
        call(hosts.OTHERS[name])


# ---- sockets

@pytest.mark.parametrize("name", PLACES)
def test_the_places_are_those_of_the_lesson(name):
    found = {}
    for place in list_sockets(host(name), SIZE):
        found.setdefault(place.socket, []).append(place.module)
    found.pop("instead")
    assert {socket: sorted(modules) for socket, modules in found.items()} == PLACES[name]


@pytest.mark.parametrize("name, at, attention", [
    *(pytest.param(name, at, "se", marks=() if name == "detector" or at == "post" else pytest.mark.full)
      for name in PLACES for at in PLACES[name] if at != "fuse"),
    ("detector", "fuse", "aff"), ("detector", "fuse", "attention_gate"), ("unet", "fuse", "aff"),
    ("unet", "fuse", "attention_gate")])
def test_attention_begins_with_the_answer_of_the_plain_host_and_then_changes_it(name, at, attention):
    net, x = moved(host(name)), picture(2, 64, 64, seed=1)
    before = net(x)
    receipt = plug_in(net, attention, at=at, input_size=SIZE)
    torch.testing.assert_close(net(x), before, rtol=0, atol=1e-5)
    assert len(receipt) == sum(True for p in list_sockets(net, SIZE) if p.socket == at and (
        attention != "aff" or p.skip.joins == "add"))
    stir(torch.nn.ModuleList(receipt.modules(net)))
    assert not torch.allclose(net(x), before, atol=1e-3)
    assert net(picture(2, 37, 50)).shape == host(name).eval()(picture(2, 37, 50)).shape, "the size of the picture was fixed"
    assert unplug(net) == len(receipt) and torch.equal(net(x), before)


def test_a_lateral_sum_is_fused_as_by_hand():
    """Catches the coarse map and the lateral exchanged, and a sum that is left out."""
    net = moved(host("detector"))
    plain, x = copy.deepcopy(net), picture(2, 64, 48, seed=1)
    new = plug_in(net, "aff", at="fuse", layers="neck", start="as_made", input_size=SIZE).modules(net)
    stir(torch.nn.ModuleList(new))
    at3, at2 = (m.attention for m in new)
    c2 = plain.stage2(plain.stem(x))
    c3 = plain.stage3(c2)
    c4 = plain.stage4(c3)

    def twice(y):
        return y.repeat_interleave(2, 2).repeat_interleave(2, 3)
    p3 = at3(twice(plain.neck.lateral4(c4)), plain.neck.lateral3(c3))
    p2 = at2(twice(p3), plain.neck.lateral2(c2))
    torch.testing.assert_close(net(x), plain.out(plain.head(p2)), rtol=1e-4, atol=1e-4)


def test_an_attention_gate_is_on_the_skips_of_the_unet():
    net = host("unet").eval()
    receipt = plug_in(net, "attention_gate", at="fuse", layers="join*", input_size=SIZE)
    assert [p.skip.channels for p in receipt.places] == [(64, 32), (32, 16), (16, 8)] and receipt.at == "fuse"


# ---- boxes

def truth(boxes, classes=5, h=16, w=12):
    """The output that says these boxes (N, K, 5) for sure, written as a loop."""
    out = torch.zeros(len(boxes), classes + 4, h, w)
    out[:, :classes] = -20
    for i, picture_boxes in enumerate(boxes.tolist()):
        for c, x1, y1, x2, y2 in picture_boxes:
            if c >= 0:
                column, row = int((x1 + x2) / 2 // 4), int((y1 + y2) / 2 // 4)
                x, y = 4 * column + 2, 4 * row + 2
                out[i, int(c), row, column] = 20
                out[i, classes:, row, column] = (torch.tensor([x - x1, y - y1, x2 - x, y2 - y]) / 4).log()
    return out


BOXES = torch.tensor([[[2, 3, 5, 14, 22], [0, 20, 30, 27, 41.5], [-1, 0, 0, 0, 0]], [[4, 30, 1, 47, 7], [-1, 0, 0, 0, 0],
                                                                                    [-1, 0, 0, 0, 0]]], dtype=torch.float)


def test_boxes_are_read_off_where_they_were_written():
    """Catches x and y exchanged, and an offset of half a place."""
    found = boxes_of(truth(BOXES), 3)
    for mine, true in zip(found, BOXES, strict=True):
        true = true[true[:, 0] >= 0]
        mine = mine[mine[:, 5] > 0.5]
        order = true[:, 0].argsort(), mine[:, 0].argsort()
        torch.testing.assert_close(mine[order[1], :5], true[order[0]], rtol=1e-4, atol=1e-4)


def test_of_neighbours_the_likeliest_is_the_box():
    out = truth(BOXES)
    out[0, 2, 3, 3] = 2.0      # beside the centre at row 3, column 2
    found = boxes_of(out, 10)[0]
    assert (found[:, 5] > 0.5).sum() == 2 and (found[:, 5].diff() <= 0).all()
    with pytest.raises(ValueError, match="most must be from 1 to 960"):
        boxes_of(out, 961)


def test_the_loss_is_smallest_at_the_truth():
    """A box that is shifted, too large or of another class, one that is missing and one too many: each costs."""
    best = detection_loss(truth(BOXES), BOXES)
    assert best < 1.0      # the places beside a centre may be a little likely, and here they are not at all
    wrong = {"shifted": BOXES + torch.tensor([0, 2.0, 0, 2.0, 0]) * (BOXES[..., :1] >= 0),
             "another class": BOXES + torch.tensor([1.0, 0, 0, 0, 0]) * (BOXES[..., :1] == 0),
             "larger": BOXES + torch.tensor([0, 0, 0, 9.0, 9.0]) * (BOXES[..., :1] >= 0),
             "missing": BOXES.where(BOXES[..., :1] != 0, torch.tensor([-1.0, 0, 0, 0, 0])),
             "one too many": BOXES.where(BOXES[..., :1] >= 0, torch.tensor([1.0, 8, 40, 16, 52]))}
    for name, boxes in wrong.items():
        assert detection_loss(truth(boxes), BOXES) > best + 0.1, name


def test_what_is_no_object_and_an_empty_picture_cost_nothing_but_the_ground():
    out = torch.randn(2, 9, 16, 12, generator=torch.Generator().manual_seed(0)).requires_grad_()
    wider = torch.cat([BOXES, BOXES[:, 2:].expand(-1, 4, -1).clone()], 1)
    wider[:, 3:, 0] = -1
    assert torch.equal(detection_loss(out, BOXES), detection_loss(out, wider))
    none = torch.tensor([[[-1.0, 0, 0, 0, 0]]] * 2)
    detection_loss(out, none).backward()
    assert torch.isfinite(out.grad).all() and not out.grad[:, 5:].any()


@pytest.mark.parametrize("name, task, steps", [("detector", "find", 30), ("unet", "paint", 20)])
def test_a_few_steps_make_the_loss_smaller(name, task, steps):
    torch.manual_seed(0)
    net = hosts.OTHERS[name](tasks.find(task).classes)
    how = {"loss": detection_loss} if name == "detector" else {}
    history = fit(net, tasks.Stream(task, steps, 8, seed=5), progress=False, **how)
    assert sum(history.loss[-4:]) < 0.8 * sum(history.loss[:4])
    assert len(history.accuracy) == (0 if how else steps)
    assert evaluate(net, tasks.make(task, 4), lambda out, y: out.shape[1]) == (14 if how else 11)


def test_pixels_of_a_box_are_where_the_picture_has_it():
    """A detector that has learned one picture by heart finds its boxes: the whole way, from the task to the box."""
    torch.manual_seed(0)
    batch = tasks.make("find", 4, seed=3)
    net = Detector(10)
    fit(net, [batch] * 60, lr=3e-3, progress=False, loss=detection_loss)
    out = net.train()(batch.x).detach()      # with the norms of training: sixty steps are few for running ones
    found = boxes_of(out, 5)
    hits = [(found[i, :, 0] == box[0]).logical_and((found[i, :, 1:5] - box[1:]).abs().amax(1) < 2).any().item()
            for i in range(4) for box in batch.y[i] if box[0] >= 0]
    assert sum(hits) >= 0.8 * len(hits), hits


def test_the_loss_of_pixels_is_that_by_hand_and_smallest_at_the_truth():
    g = torch.Generator().manual_seed(0)
    logits, y = torch.randn(2, 3, 4, 5, generator=g, dtype=torch.double), torch.randint(3, (2, 4, 5), generator=g)
    p, total, weights, both, sums = logits.softmax(1), 0.0, 0.0, [0.0] * 3, [0.0] * 3
    for n, row, column in torch.cartesian_prod(*map(torch.arange, y.shape)).tolist():
        c = y[n, row, column].item()
        weight = 1.0 if c else 0.1
        total, weights = total - weight * p[n, c, row, column].log().item(), weights + weight
        both[c] += p[n, c, row, column].item()
        for other in range(3):
            sums[other] += p[n, other, row, column].item() + (other == c)
    dice = sum(2 * b / s for b, s in zip(both, sums, strict=True)) / 3
    assert pixel_loss(logits, y).item() == pytest.approx(total / weights + 1 - dice)
    sure = 30 * torch.nn.functional.one_hot(y, 3).movedim(-1, 1).double()
    assert pixel_loss(sure, y) < 1e-6 < pixel_loss(sure, y.roll(1, 2))
    assert torch.isfinite(pixel_loss(sure, torch.zeros_like(y))), "a class that is not there"


def test_the_unet_sees_more_than_a_quarter_of_the_picture():
    net = UNet(3).eval()
    x = picture(1, 64, 64).requires_grad_()
    net(x)[0, :, 32, 32].sum().backward()
    rows = x.grad.abs().sum((0, 1, 3)).nonzero()
    assert rows.max() - rows.min() > 40
