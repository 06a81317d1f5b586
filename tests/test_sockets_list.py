"""The list of all places of a network: which there are, of which size, and how they are printed."""

from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision
from sockets_host import Host, host, plugged
from torch import nn

from course_utils.sockets import SOCKETS, list_sockets, plug_in

SMALL = (3, 12, 14)


def on_meta(make) -> nn.Module:
    """A network without weights: made at once, however large."""
    with torch.device("meta"):
        return make()


def test_the_list_of_a_resnet_is_this():
    found = list_sockets(on_meta(torchvision.models.resnet18), 64)
    short = {}
    for place in found:
        short.setdefault(place.socket, []).append(f"{place.stage} {place.module} {place.channels} {place.size[0]}")
    stages = [(1, 64, 64, 16), (2, 64, 128, 8), (3, 128, 256, 4), (4, 256, 512, 2)]
    in_all = [(s, b, c, side) for s, _, c, side in stages for b in (0, 1)]
    assert short == {
        "input": ["0 conv1 3 64"],
        # a block that shrinks the map reads the larger one, of the stage before
        "pre": [f"{s} layer{s}.{b}.conv1 {c if b else before} {side if b or s == 1 else 2 * side}"
                for s, before, c, side in stages for b in (0, 1)],
        "inner": [f"{s} layer{s}.{b}.bn1 {c} {side}" for s, b, c, side in in_all],
        "post": [f"{s} layer{s}.{b}.bn2 {c} {side}" for s, b, c, side in in_all],
        "after_add": [f"{s} layer{s}.{b} {c} {side}" for s, b, c, side in in_all],
        "identity": [f"{s} layer{s}.{b}{'' if b or s == 1 else '.downsample.1'} {c} {side}" for s, b, c, side in in_all],
        "between": [f"{s} layer{s}.1 {c} {side}" for s, _, c, side in stages[:-1]],
        "instead": [f"{s} layer{s}.{b}.conv2 {c} {side}" for s, b, c, side in in_all],
        "head": ["0 avgpool 512 2"],
        "fuse": [f"{s} layer{s}.{b} {c} {side}" for s, b, c, side in in_all],
    }
    assert (found.missing, found.input_size, found.unit, found.host) == ((), (3, 64, 64), "block", "ResNet")


@pytest.mark.parametrize("stages", [[2, 4], (4, 2), np.arange(2, 5, 2)])
def test_stages_of_a_resnet_are_layer1_to_layer4(stages):
    net = on_meta(torchvision.models.resnet18)
    for place in list_sockets(net, 64):
        if place.stage:
            assert place.module.startswith(f"layer{place.stage}")
    names = plug_in(net, "eca", "post", stages=stages, input_size=64).names
    assert [name.split(".")[0] for name in names] == ["layer2", "layer2", "layer4", "layer4"]


def test_a_vgg_says_which_sockets_it_does_not_have():
    found = list_sockets(on_meta(torchvision.models.vgg11), 64)
    assert found.missing == ("inner", "after_add", "identity", "head", "fuse") and found.unit == "conv"
    assert {p.socket for p in found} == {"input", "pre", "post", "between", "instead"}
    assert str(found).endswith("VGG on a picture of 3x64x64; unit: conv. It has no inner, after_add, identity, head, fuse.")


def test_the_list_is_printed_by_stages():
    assert str(list_sockets(Host(), SMALL)).splitlines()[:9] == """\
socket     stage  places  modules                           channels  map
---------  -----  ------  --------------------------------  --------  -----
input      -           1  conv                                     3  12x14
pre        1           1  blocks.0.conv1                           8  12x14
pre        2           1  blocks.1.conv1                           8  12x14
pre        2           1  blocks.2.conv1                          16  6x7
inner      1           1  blocks.0.bn1                             8  12x14
inner      2           2  blocks.1.bn1 to blocks.2.bn1            16  6x7
post       1           1  blocks.0.bn2                             8  12x14""".splitlines()


def test_the_list_in_a_notebook_is_a_table_without_a_script():
    net = Host()
    net.blocks = nn.Sequential(OrderedDict({"<script>": net.blocks}))
    found = list_sockets(net, SMALL)
    page = found._repr_html_()
    assert page.startswith("<table>") and page.count("<tr>") == len(str(found).splitlines()) - 2
    assert "<script" not in page and ">blocks.&lt;script&gt;.0.bn2<" in page
    found.host = "<script>"
    assert "<script" not in found._repr_html_() and "&lt;script&gt; on a picture of 3x12x14" in found._repr_html_()


def test_another_picture_has_other_maps_and_the_same_places():
    net = Host()
    small, large = list_sockets(net, SMALL), list_sockets(net, (24, 32))
    assert (small.input_size, large.input_size) == (SMALL, (3, 24, 32))
    assert [replace(p, size=(0, 0)) for p in small] == [replace(p, size=(0, 0)) for p in large]
    assert {p.size for p in small} == {(12, 14), (6, 7)} and {p.size for p in large} == {(24, 32), (12, 16)}
    assert list_sockets(net, 20).input_size == (3, 20, 20)


@pytest.mark.parametrize("unit", [None, "conv"])
@pytest.mark.parametrize("at", SOCKETS)
def test_what_is_plugged_in_does_not_change_the_list(at, unit):
    plain, net = list_sockets(host(), SMALL, unit), plugged(at)[0]
    assert list_sockets(net, SMALL, unit) == plain and str(list_sockets(net, SMALL, unit)) == str(plain)


def test_convolutions_of_a_residual_network_can_be_asked_for():
    found = list_sockets(Host(), SMALL, unit="conv")
    inside = [f"blocks.{i}.{name}" for i in range(3) for name in ("conv1", "conv2")]
    assert sorted(p.module for p in found if p.socket == "pre") == sorted(["conv", *inside, "blocks.1.shortcut.0"])
    norms = [name.replace("conv", "bn") for name in inside]
    assert sorted(p.module for p in found if p.socket == "post") == sorted(["norm", *norms, "blocks.1.shortcut.1"])
    assert found.missing == ("inner", "after_add", "identity") and found.unit == "conv"
