"""Every socket on torchvision's classification models: one of each family, all of them where `pytest --all-models` asks.

The functions are those that write docs/sockets.md, so what is tested is what the page says.
"""

import copy
from collections import Counter

import make_socket_table as tool
import pytest
import torch
import torchvision
from torch import nn

from course_utils.sockets import list_sockets, plug_in, unplug

FAMILIES = ("alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "mnasnet0_5",
            "mobilenet_v2", "mobilenet_v3_small", "regnet_y_400mf", "resnet18", "shufflenet_v2_x0_5", "squeezenet1_1", "vgg11")
# Built as mobilenet_v3_small, mobilenet_v2, alexnet, and two of the models in test_sockets_timm.py are; or the largest.
ALIKE = ("efficientnet_b0", "vgg11", "regnet_y_400mf", "convnext_tiny", "densenet121", "googlenet", "mnasnet0_5")
EVERYWHERE = ("pre", "post", "both", "input", "head")
ROUNDING = 1e-6      # of outputs of about 1
PAGE = tool.rows_of(tool.PAGE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module", params=[pytest.param(name, marks=[pytest.mark.full] * (name in ALIKE)) for name in FAMILIES])
def family(request):
    net, pictures = tool.host(request.param)
    return request.param, net, pictures[:1]


@pytest.mark.parametrize("at", EVERYWHERE)
def test_a_socket_changes_nothing_at_first_and_leaves_nothing_behind(family, at):
    """Catches a start that is not the identity, attention that nobody hears, a trace after unplug, and lost places."""
    name, net, x = family
    recorded = PAGE[name][at]
    if recorded == "-":
        with pytest.raises(ValueError, match=f"has no socket '{at}'"):
            plug_in(net, tool.ATTENTION.get(at, "eca"), at)
        return
    cell = tool.try_socket(net, at, x)
    assert cell.heard and cell.undone
    assert cell.change <= (ROUNDING if at in tool.ATTENTION else 0)
    assert cell.places == int(recorded.split(" · ")[0])


def test_attention_is_in_its_own_block_and_between_two_stages_in_none_of_the_next(family):
    """Catches a place on one path of a neighbour."""
    places = list_sockets(family[1])
    blocks = {p.unit: p.stage for p in places if p.socket == "post"}
    inside = [p for p in places if p.socket in ("pre", "inner", "post", "after_add", "identity") and places.unit == "block"]
    assert not [(p.socket, p.unit, p.module) for p in inside if not (p.module + ".").startswith(p.unit + ".")]
    assert not [(p.module, unit) for p in places if p.socket == "between" for unit, stage in blocks.items()
                if stage > p.stage and places.unit == "block" and p.module.startswith(unit + ".")]


def test_the_page_says_how_many_places_there_are(family):
    """Catches rows of an older way to find places, and a way that finds others."""
    assert said(family[0]) == counted(family[1])


@pytest.mark.full
@pytest.mark.parametrize("name", ["swin_t", "maxvit_t", "vit_b_32", "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large",
                                  "retinanet_resnet50_fpn", "ssdlite320_mobilenet_v3_large"])
def test_the_page_says_how_many_places_the_other_kinds_have(name):
    """With channels that are last, a large picture, or several answers."""
    assert said(name) == counted(tool.host(name)[0])


def said(name: str) -> dict[str, str]:
    assert set(tool.TRIED) <= set(PAGE[name]), "a socket has no column yet; run: python tools/make_socket_table.py"
    return {at: PAGE[name][at].split(" · ")[0] for at in tool.TRIED if at != "instead"}


def counted(net: nn.Module) -> dict[str, str]:
    places = Counter(p.socket for p in list_sockets(net))
    places["both"] = places["pre"] + places["post"]
    return {at: str(places[at] or "-") for at in tool.TRIED if at != "instead"}


def agrees(name: str, fresh: dict[str, str]) -> list[str]:
    """The sockets where a fresh row says something else than the page, or something bad."""
    wrong = []
    for at in tool.TRIED:
        new, old = fresh[at].split(" · "), PAGE[name][at].split(" · ")
        limit = 0 if at not in tool.ATTENTION else 3 * float(fresh["rounding"]) + ROUNDING
        if new[0] != old[0] or len(new) == 3 and (float(new[1]) > limit or new[2] != "yes") or len(new) not in (1, 3):
            wrong.append(f"{at}: {fresh[at]}, on the page {PAGE[name][at]}")
    return wrong


@pytest.mark.all_models
@pytest.mark.parametrize("name", tool.names())
def test_every_model_does_what_the_page_says(name):
    """All sockets, all models: half an hour and 8 GB. Runs with: pytest --all-models -n 0 tests/test_sockets_hosts.py"""
    assert not agrees(name, dict(zip(tool.HEAD, tool.row(name), strict=True)))


def test_the_page_holds_every_model_and_no_failure():
    """Catches a page that was written before the run was over, or with a NO in it."""
    text = tool.PAGE.read_text(encoding="utf-8")
    if f"Made with {tool.versions()}," in text:
        assert list(PAGE) == tool.names()
    assert len(PAGE) >= 80 and not [f"{name} {wrong}" for name, row in PAGE.items() for wrong in agrees(name, row)]
    assert tool.finding(PAGE) in text


class Small(nn.Module):
    """A convolution, its norm and a classifier, for mistakes in the tool itself."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        return self.fc(self.stem(x).mean((2, 3)))


def small(seed=0):
    torch.manual_seed(seed)
    net, pictures = Small().eval(), torch.randn(2, 3, 32, 32)
    tool.wake(net, pictures)
    return net, pictures


def another_object(net):
    taken = unplug(net)
    net.stem[1] = copy.deepcopy(net.stem[1])
    return taken


def another_key(net):
    taken = unplug(net)
    net.stem.register_buffer("left", torch.zeros(1))
    return taken


def statistics_moved(net):
    taken = unplug(net)
    net.stem[1].running_mean += 0.0
    return taken


@pytest.mark.parametrize("fault", [another_object, another_key, statistics_moved, lambda net: unplug(net) - 1])
def test_the_tool_sees_what_unplug_leaves_behind(monkeypatch, fault):
    """Catches a column of yes that would say yes to anything."""
    net, pictures = small()
    assert tool.try_socket(net, "post", pictures[:1]).undone
    monkeypatch.setattr(tool, "unplug", fault)
    assert not tool.try_socket(net, "post", pictures[:1]).undone


def test_the_tool_sees_a_start_that_is_not_the_identity(monkeypatch):
    net, pictures = small()
    monkeypatch.setattr(tool, "plug_in", lambda net, attention, at: plug_in(net, attention, at, start="as_made"))
    assert tool.try_socket(net, "post", pictures[:1]).change > 0.01


def test_the_tool_sees_attention_that_nobody_hears():
    """A branch that is multiplied by zero: unchanged outputs would prove nothing."""
    net, pictures = small()
    nn.init.zeros_(net.fc.weight)
    cell = tool.try_socket(net, "post", pictures[:1])
    assert not cell.heard and "NOT HEARD" in str(cell)
    with pytest.raises(RuntimeError, match="do not depend on the picture"):
        tool.loudness(net, pictures)


def test_waking_keeps_the_momentum_and_the_mode_of_the_norms():
    net, pictures = small()
    norm = net.stem[1]
    assert norm.momentum == 0.1 and not any(m.training for m in net.modules())
    torch.testing.assert_close(norm.running_mean, net.stem[0](pictures).mean((0, 2, 3)))


def test_waking_uncovers_hidden_branches_and_a_last_layer_of_zeros():
    net = torchvision.models.convnext.CNBlock(8, 1e-6, 0.0).eval()
    nn.init.zeros_(net.block[3].weight)
    tool.wake(net, torch.randn(2, 8, 9, 9))
    assert (net.layer_scale == 1).all() and net.block[3].weight.std() > 0.01


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A page of three models, each made by a stub that notes its name."""
    made = []

    def row(name):
        made.append(name)
        cells = {"model": name, "unit": "8 block", "parameters": "1.0 M", "picture": "96", "output": "1", "rounding": "1e-06",
                 "pre": "8 · 0 · yes", "instead": "2 · 2e-06 · yes"}
        return [cells.get(column, "-") for column in tool.HEAD]
    monkeypatch.setattr(tool, "PAGE", tmp_path / "sockets.md")
    monkeypatch.setattr(tool, "names", lambda kind=tool.MODELS: ["a", "b", "c"] if kind is tool.MODELS else [])
    monkeypatch.setattr(tool, "row", row)
    return made


@pytest.mark.full
def test_a_stopped_run_goes_on_where_it_was(page, monkeypatch):
    tool.main([])
    whole = tool.PAGE.read_text(encoding="utf-8")
    tool.PAGE.write_text("".join(line for line in whole.splitlines(True) if not line.startswith("| b ")), encoding="utf-8")
    tool.main([])
    assert page == ["a", "b", "c", "b"] and tool.PAGE.read_text(encoding="utf-8") == whole
    tool.main(["c"])
    assert page[4:] == ["c"]
    monkeypatch.setattr(tool, "versions", lambda: "torch 9")
    tool.main([])
    assert page[5:] == ["a", "b", "c"], "rows of other versions must not stand under these"


def test_a_new_socket_makes_every_row_anew(page, monkeypatch):
    """Catches rows of the old page that are one cell too short for the new one: the tool stopped at the first of them."""
    tool.main([])
    monkeypatch.setattr(tool, "TRIED", ("new", *tool.TRIED))
    monkeypatch.setattr(tool, "HEAD", (*tool.HEAD[:6], *tool.TRIED))
    tool.main([])
    assert page == 2 * ["a", "b", "c"] and rows_are_whole(tool.PAGE.read_text(encoding="utf-8"))


def rows_are_whole(text):
    return all(tuple(row) == tool.HEAD for row in tool.rows_of(text).values())


def test_the_sentence_counts_what_the_table_says(page):
    tool.main([])
    rows = tool.rows_of(tool.PAGE.read_text(encoding="utf-8"))
    assert list(rows) == ["a", "b", "c"] and rows["b"]["pre"] == "8 · 0 · yes" and rows["b"]["instead"] == "2 · 2e-06 · yes"
    assert "3 models, 30 places in 6 pairs" in tool.finding(rows) and "in 3 of 3 pairs" in tool.finding(rows)
    assert "at most 2.0 times" in tool.finding(rows).replace("\n", " ")
    rows["b"]["pre"] = "8 · 1e-03 · NO"
    assert "in 2 of 3 pairs" in tool.finding(rows) and "5 of 6 pairs" in tool.finding(rows)


def test_a_place_is_listed_exactly_where_it_can_be_plugged():
    net, _ = small()
    assert set(list_sockets(net).missing) == {at for at in tool.TRIED if tool_refuses(net, at)}


def tool_refuses(net, at):
    try:
        plug_in(net, tool.ATTENTION.get(at, "eca"), at)
    except ValueError as error:
        return f"has no socket '{at}'" in str(error)
    unplug(net)
    return False
