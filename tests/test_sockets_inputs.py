"""Networks with several outputs, other inputs, or pictures that they change first: findings P7 and P11."""

from collections import OrderedDict, defaultdict
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from sockets_host import picture
from test_sockets_placement import alive, compare
from torch import nn

from course_utils.sockets import doctor, list_sockets, plug_in, unplug

SIZE = (3, 12, 14)


def conv(channels: int, out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU())


@dataclass
class Answer:
    logits: torch.Tensor
    features: torch.Tensor


FORMS = {"list": lambda a, b: [a, b], "tuple": lambda a, b: (a, b), "dict": lambda a, b: {"a": a, "b": b},
         "ordered": lambda a, b: OrderedDict(a=a, b=b), "dataclass": lambda a, b: Answer(a, b)}


class Several(nn.Module):
    """A backbone with two heads."""

    def __init__(self, form):
        super().__init__()
        self.stem, self.body = conv(3, 8), conv(8, 8, 2)
        self.one, self.two, self.form = conv(8, 4), nn.Linear(8, 5), form

    def forward(self, x):
        y = self.body(self.stem(x))
        return FORMS[self.form](self.one(y), self.two(F.adaptive_avg_pool2d(y, 1).flatten(1)))


@pytest.mark.parametrize("form", FORMS)
def test_several_outputs_have_an_input_and_stages_between(form):
    """P7. Catches a way to the answer that ends where there is more than one."""
    net, x = alive(Several(form)), picture()
    found = {p.socket: p.module for p in list_sockets(net, SIZE)}
    assert found["input"] == "stem.0" and found["between"].startswith("stem")
    before = net(x)
    receipt = plug_in(net, "pixel_gate", "input", start="as_made", input_size=SIZE)
    assert len(receipt) == 1
    after = net(x)
    assert type(after) is type(before)
    unplug(net)


def test_what_one_of_several_outputs_goes_past_is_no_way_to_all():
    """Catches a gateway that one answer does not go through."""
    class Early(Several):
        def forward(self, x):
            x = self.stem(x)
            return [self.two(x.mean((2, 3))), self.one(self.body(x))]
    places = [(p.socket, p.module) for p in list_sockets(Early("list"), SIZE) if p.socket in ("between", "head")]
    assert places == [("between", "stem.2")]


class Decoder(nn.Module):
    """Takes all maps, the picture in front, and drops the picture, as segmentation_models_pytorch's."""

    def __init__(self):
        super().__init__()
        self.up = conv(8, 8)

    def forward(self, features):
        return self.up(features[1])


class DecoderOf(Decoder):
    def forward(self, *features):
        return self.up(features[1])


@pytest.mark.parametrize("kind", [Decoder, DecoderOf])
def test_a_decoder_that_is_given_the_picture_too_is_not_where_it_enters(kind):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.enc, self.dec = conv(3, 8), kind()

        def forward(self, x):
            features = [x, self.enc(x)]
            return self.dec(features) if kind is Decoder else self.dec(*features)
    (place,) = [p for p in list_sockets(Net(), SIZE) if p.socket == "input"]
    assert place.module == "enc.0"


class Resized(nn.Module):
    """As torchvision's detectors: a list of pictures, written one by one into a batch of another size."""

    def __init__(self):
        super().__init__()
        self.stem = conv(3, 8)

    def forward(self, pictures):
        batch = torch.zeros(len(pictures), 3, 32, 32)
        for i, one in enumerate(pictures):
            batch[i, :, : one.shape[1], : one.shape[2]].copy_(one)
        return self.stem(batch).mean((2, 3))


def test_a_picture_that_is_written_into_a_batch_is_followed():
    """Catches a batch that looks as if it came from nowhere."""
    (place,) = [p for p in list_sockets(Resized(), inputs=([torch.rand(3, 12, 14), torch.rand(3, 9, 9)],)) if p.socket == "input"]
    assert (place.module, place.size) == ("stem.0", (32, 32))


class Two(nn.Module):
    """A picture and a mask, in any order of arguments."""

    def __init__(self):
        super().__init__()
        self.a, self.b = conv(3, 8), conv(8, 8)

    def forward(self, mask, x, scale=1.0):
        return self.b(self.a(x) * mask * scale).mean((2, 3))


GIVEN = {"tuple": (torch.ones(1, 1, 1, 1), torch.rand(1, 3, 12, 14)),
         "dict": {"x": torch.rand(1, 3, 12, 14), "mask": torch.ones(1, 1, 1, 1), "scale": 2.0}}


@pytest.mark.parametrize("given", GIVEN)
def test_any_example_input_will_do(given):
    net = alive(Two())
    inputs = GIVEN[given]
    before = net(**inputs) if given == "dict" else net(*inputs)
    receipt = plug_in(net, "se", "post", inputs=inputs)
    assert [p.module for p in receipt.places] == ["a.1", "b.1"] and receipt.unproved == ""
    assert torch.equal(net(**inputs) if given == "dict" else net(*inputs), before)


class AtTime(nn.Module):
    """A picture and how noisy it is, as a denoiser gets it: one number for all pictures, or one for each."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.answer = conv(3, 8), conv(8, 8), nn.Linear(8, 5)

    def forward(self, t, x):
        return self.answer(self.b(self.a(x) * t.reshape(-1, 1, 1, 1)).mean((2, 3)))


@pytest.mark.parametrize("form", ["a number", "one for all", "one for each"])
def test_a_number_beside_the_picture_is_an_input_as_any_other(form):
    """It has neither height nor width, and of a number by itself there is no part."""
    t, x = {"a number": torch.tensor(0.5), "one for all": torch.tensor([0.5]), "one for each": torch.rand(70)}[form], picture(70)
    net = alive(AtTime())
    before = net(t, x)
    receipt = plug_in(net, "se", "post", inputs=(t, x))
    assert [p.module for p in receipt.places] == ["a.1", "b.1"] and torch.equal(net(t, x), before)
    checkup = doctor(net, (t, x), before.argmax(1))
    assert checkup.pictures == 70 and checkup.lost is not None and checkup.lost.whole == 1


class Scales(nn.Module):
    """It scales its pictures in the place where they lie."""

    def __init__(self):
        super().__init__()
        self.a, self.answer = conv(3, 8), nn.Linear(8, 5)

    def forward(self, x):
        x.sub_(0.5).div_(0.2)
        return self.answer(self.a(x).mean((2, 3)))


def test_pictures_that_the_network_writes_into_stay_as_they_were():
    """And the comparison is made all the same: before and after attention with one picture, not with one scaled twice."""
    net, x = alive(Scales()), picture(70)
    before = x.clone()
    plug_in(net, "se", "post", inputs=x)
    checkup = doctor(net, x, net(x.clone()).argmax(1))
    assert torch.equal(x, before) and checkup.lost.whole == 1
    asked = torch.ones(2, 3, 12, 14, requires_grad=True)
    assert doctor(net, asked) and asked.grad is None and torch.equal(asked, torch.ones_like(asked))

    class Asks(Scales):
        def forward(self, x):
            return super().forward(x) + hasattr(self.a[1], "attention_post")
    with pytest.raises(ValueError, match="changes nothing at its start"):
        plug_in(alive(Asks()), "se", "post", inputs=x)


@pytest.mark.parametrize("kind", [dict, OrderedDict, lambda maps: defaultdict(list, maps)])
def test_a_part_that_takes_maps_and_no_picture_is_plugged_with_an_example_of_them(kind):
    """P7: a feature pyramid or a head by itself."""
    class Pyramid(nn.Module):
        def __init__(self):
            super().__init__()
            self.sides = nn.ModuleList([conv(4, 8), conv(6, 8)])

        def forward(self, maps):
            return [side(maps[name]) for side, name in zip(self.sides, maps, strict=True)]
    net, maps = alive(Pyramid()), kind({"a": torch.rand(2, 4, 8, 8), "b": torch.rand(2, 6, 4, 4)})
    before = net(maps)
    assert [p.channels for p in plug_in(net, "se", "post", inputs=(maps,)).places] == [8, 8]
    assert all(map(torch.equal, net(maps), before))


class Sorted(nn.Module):
    """As TResNet's stem: pixels are sorted into channels before the first convolution."""

    def __init__(self, channels: int):
        super().__init__()
        self.sort, self.a, self.channels = nn.PixelUnshuffle(2), conv(4 * channels, 8), channels

    def forward(self, x):
        if x.shape[1] != self.channels:
            raise RuntimeError("not the channels of a picture")
        return self.a(self.sort(x)).mean((2, 3))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_has_not_the_channels_of_the_first_convolution(channels):
    """P11."""
    net = alive(Sorted(channels))
    assert list_sockets(net).input_size[0] == channels and list_sockets(net, 64).input_size == (channels, 64, 64)
    (place,) = [p for p in list_sockets(net) if p.socket == "input"]
    assert place.module == "sort"


def test_attention_before_and_after_an_assignment_to_a_part():
    """Catches a node that is lost when a slice of a map is added to in place."""
    class Sliced(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = conv(3, 8)[:2], conv(8, 8)[:2]

        def forward(self, x):
            y = self.a(x).clone()
            part = y[:, :4]
            part.mul_(2.0)
            return self.b(y).mean((2, 3))

    def by_hand(n, x, a, b):
        y = a(n.a[1](n.a[0](x)))
        y = torch.cat([2 * y[:, :4], y[:, 4:]], 1)
        return b(n.b[1](n.b[0](y))).mean((2, 3))
    compare(alive(Sliced()), "post", by_hand)
