"""The receipt of plug_in: what it says is what was done."""

import base64
import html
import re
from itertools import permutations

import pytest
import torch
from sockets_host import USUAL, Block, host, picture, plug, stir
from sockets_wrong import VGG, answer
from torch import nn

from course_utils.attention import REGISTRY
from course_utils.sockets import SOCKETS, Eased, plug_in, unplug
from course_utils.sockets.fuse import Fuse

SMALL = (3, 12, 14)
each_socket = pytest.mark.parametrize("at", SOCKETS)


def test_the_usual_attention_is_named_for_every_socket():
    """Catches a new socket that the tests of surgery, which go through USUAL, would never fill."""
    assert set(USUAL) == set(SOCKETS)


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


class Tower(nn.Sequential):
    """Convolutions, `deep` on the whole map and one on half of it."""

    def __init__(self, deep: int):
        super().__init__(*(nn.Conv2d(3, 3, 3, padding=1) for _ in range(deep)), nn.Conv2d(3, 6, 3, 2, padding=1))


class MeanInCode(nn.Module):
    """Global pooling as a line of the forward, after a ReLU in the forward."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.classify = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Linear(8, 5)

    def forward(self, x):
        return self.classify(self.norm(self.conv(x)).relu().mean((2, 3)))


# ---- receipt: the facts

@each_socket
def test_names_are_those_of_the_new_modules(at):
    net = host()
    old = set(net.modules())
    receipt = plug(net, at)
    found = receipt.modules(net)
    assert len(receipt) == len(receipt.names) == len(set(receipt.names)) == len(receipt.places) == len(set(found)) > 0
    for name, module, place in zip(receipt.names, found, receipt.places, strict=True):
        assert net.get_submodule(name) is module and module not in old
        assert name.startswith(place.module + ".attention_" + place.socket)
        kind = getattr(module, {Eased: "module", Fuse: "attention"}.get(type(module), ""), module)
        assert type(kind) is REGISTRY[USUAL[at]] and kind.channels == place.channels
    assert receipt.channels == tuple(p.channels for p in receipt.places)
    assert (receipt.attention, receipt.at, receipt.start, receipt.host) == (USUAL[at], at, "identity", "Host")


@each_socket
def test_parameters_add_up_to_the_difference(at):
    net = host()
    before = count(net)
    receipt = plug(net, at)
    assert count(net) - before == receipt.parameters == sum(receipt.added) - receipt.removed
    assert list(receipt.added) == [count(m) for m in receipt.modules(net)]
    kernels = 8 * 8 * 9 + 2 * 16 * 16 * 9
    assert receipt.removed == (kernels if at == "instead" else 0)
    assert f"{sum(receipt.added):,} parameters added" in receipt.foot
    assert ("5,184 set aside" in receipt.foot) == (at == "instead")


def test_parameters_of_a_stack_are_only_the_new_ones():
    net = host()
    plug(net, "post")
    before = count(net)
    receipt = plug_in(net, "eca", "post", stack=True, input_size=SMALL)
    assert count(net) - before == receipt.parameters == 9
    assert all(name.endswith("bn2.attention_post_2") for name in receipt.names)


@pytest.mark.parametrize("first, second", list(permutations(("pre", "post", "instead"), 2)))
def test_sockets_at_the_same_convolution_do_not_lose_each_other(first, second):
    """Without norms, before, after and instead are all said of the convolution itself. A refusal is an answer too."""
    net = VGG()
    plug(net, first)
    before, y = count(stir(net)), answer(net, picture())
    try:
        receipt = plug(net, second)
    except ValueError as error:
        assert "unplug" in str(error)
        return
    assert count(net) - before == receipt.parameters
    torch.testing.assert_close(answer(net, picture()), y)
    assert unplug(net, first) > 0, f"{first} cannot be found any more"
    assert unplug(net, second) == len(receipt) and count(net) == count(VGG())


def test_a_pooling_in_the_forward_is_found_by_its_name_too():
    net = MeanInCode()
    before = count(net)
    receipt = plug_in(net, "attention_pool", "head", input_size=SMALL)
    (module,) = receipt.modules(net)
    assert type(module) is REGISTRY["attention_pool"] and count(net) - before == receipt.parameters == count(module)


def test_a_module_that_is_used_twice_counts_once_and_that_is_said():
    block = Block(8, 8)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), block, block)
    before = count(net)
    receipt = plug_in(net, "se", "post", input_size=SMALL)
    assert len(receipt) == 1 and count(net) - before == receipt.parameters
    assert "1 of them in a module that the host uses more than once" in receipt.foot
    assert "more than once" not in plug(host(), "post").foot


# ---- receipt: the table

def test_the_table_has_a_row_for_each_module_and_numbers_to_the_right():
    receipt = plug_in(host(), "se", "post", input_size=SMALL, reduction=1)
    assert str(receipt) == """\
socket  stage  new module                   channels  map    parameters
------  -----  ---------------------------  --------  -----  ----------
post        1  blocks.0.bn2.attention_post         8  12x14         144
post        2  blocks.1.bn2.attention_post        16  6x7           544
post        2  blocks.2.bn2.attention_post        16  6x7           544
se at 'post' of Host, identity start: 3 modules, 1,232 parameters added."""


def test_the_ends_have_no_stage_and_many_parameters_have_commas():
    receipt = plug_in(host(), "double", "input", input_size=SMALL)
    (row,) = receipt.rows[1]
    assert row[1] == "-"
    wide = plug_in(nn.Sequential(nn.Conv2d(3, 100, 1)), "se", "post", input_size=SMALL)
    assert wide.rows[1][0][-1] == f"{wide.parameters:,}" == "1,306"


@pytest.mark.parametrize("deep, grouped", [(15, False), (16, True)])
def test_more_than_sixteen_rows_are_shown_by_stages(deep, grouped):
    receipt = plug_in(Tower(deep), "eca", "post", input_size=SMALL)
    head, rows = receipt.rows
    assert len(receipt) == deep + 1
    if not grouped:
        assert head[2] == "new module" and len(rows) == 16
        return
    assert head == ("socket", "stage", "places", "modules", "channels", "map", "parameters")
    first, second = receipt.added[:16], receipt.added[16]
    assert rows == [["post", "1", "16", "0 to 15", "3", "12x14", str(sum(first))],
                    ["post", "2", "1", "16", "6", "6x7", str(second)]]


def test_both_is_two_sockets_in_the_table():
    receipt = plug(host(), "both")
    assert [row[0] for row in receipt.rows[1]] == ["pre"] * 3 + ["post"] * 3
    assert "'both'" in receipt.foot and "6 modules" in receipt.foot


# ---- receipt: the picture

def lit(alt: str) -> list[str]:
    """The sockets that the words of the emblem call lit."""
    return re.findall(r"\d ([a-z_]+) \(", alt.split("Lit:")[1])


@each_socket
def test_the_emblem_lights_these_sockets_and_no_others(at):
    figure = plug(host(), at).emblem()
    assert lit(figure.alt) == (["pre", "post"] if at == "both" else [at])


@each_socket
def test_the_card_says_where_how_large_and_how_much(at):
    receipt = plug(host(), at)
    words = receipt.card({"host": "mine", "multiply-adds": "+1 %"}).alt
    first, last = receipt.places[0], receipt.places[-1]
    assert f"host mine, places {len(receipt)}, first {first.side} {first.module}, " in words
    assert f"last {last.side} {last.module}, last shape N, {last.channels}, {last.size[0]}, {last.size[1]}, " in words
    assert f"parameters {receipt.parameters:+,}, multiply-adds +1 %. Code: " in words
    assert f'plug_in(net, "{receipt.attention}", at="{at}")' in words
    assert "host Host, " in receipt.card().alt


def test_a_notebook_gets_the_emblem_as_a_picture_with_words():
    receipt = plug_in(host(), lambda c: nn.Conv2d(c, c, 1), "after_add", input_size=SMALL)
    page = receipt._repr_html_()
    (alt,) = re.findall(r'<img alt="([^"]*)"', page)
    assert html.unescape(alt) == receipt.emblem().alt and lit(html.unescape(alt)) == ["after_add"]
    (data,) = re.findall(r'src="data:image/png;base64,([^"]*)"', page)
    assert base64.b64decode(data, validate=True).startswith(b"\x89PNG")
    assert "<script" not in page.lower() and not re.search(r"\son\w+=", page) and "http" not in page
    assert page.count("<tr>") == 1 + len(receipt)
    for name in receipt.names:
        assert f">{name}<" in page
    assert "&lt;lambda&gt; at" in page and "<lambda>" not in page
