"""Models of timm, for which there is no line of code: found by what they do, as a learner's own network is."""

from collections import Counter

import make_socket_table as tool
import make_timm_table as families
import pytest
import timm
import torch
from torch import nn

from course_utils.sockets import SOCKETS, doctor, list_sockets, plug_in, unplug

# What their papers say: blocks, and those of them with a skip. Branches that timm starts at zero are switched on.
MODELS = {
    "seresnet18": ({"zero_init_last": False}, {"pre": 8, "inner": 8, "post": 8, "after_add": 8, "identity": 8, "between": 3}),
    "convnext_atto": ({"ls_init_value": 1.0},
                      {"pre": 12, "inner": 12, "post": 12, "after_add": 12, "identity": 12, "between": 3}),
    "regnety_002": ({"zero_init_last": False},
                    {"pre": 13, "inner": 13, "post": 13, "after_add": 13, "identity": 13, "between": 3}),
    # Three paths are added that could be one convolution, and will be: no residual block, and one place before and after all.
    "repvgg_a0": ({}, {"pre": 22, "post": 22, "inner": 0, "after_add": 0, "identity": 0, "between": 4}),
    "mobilenetv4_conv_small": ({}, {"pre": 12, "inner": 12, "post": 12, "after_add": 10, "identity": 10, "between": 1}),
    # Parallel branches of different sizes.
    "hrnet_w18_small": ({}, {"pre": 23, "inner": 23, "post": 23, "after_add": 23, "identity": 23, "between": 0}),
    # A map is split, each part has a window of its own, and the parts are joined again; two convolutions that split the channels.
    "mixnet_s": ({}, {"pre": 16, "inner": 16, "post": 16, "after_add": 11, "identity": 11, "between": 4}),
    "skresnet18": ({}, {"pre": 8, "inner": 8, "post": 8, "after_add": 8, "identity": 8, "between": 3}),
    # The skip adds to a part of the channels, in 11 of 16 blocks.
    "rexnet_100": ({}, {"pre": 16, "post": 5, "after_add": 0, "identity": 11, "between": 4}),
    # Its stem sorts pixels into channels first.
    "tresnet_m": ({}, {"pre": 21, "inner": 21, "post": 21, "after_add": 21, "identity": 21, "between": 3}),
    # Its skips are handed in from outside of the block; twice it is the very map that the block gets.
    "dla34": ({}, {"pre": 12, "inner": 12, "post": 12, "after_add": 12, "identity": 2, "between": 3}),
}
TRIED = ("input", "pre", "inner", "post", "after_add", "identity", "between", "head", "fuse")


# In the fast tier blocks alone; hand-written networks of the other kinds are in test_sockets_blocks.py.
QUICKLY = ("seresnet18",)


@pytest.fixture(scope="module", params=[m if m in QUICKLY else pytest.param(m, marks=pytest.mark.full) for m in MODELS])
def model(request):
    options, expected = MODELS[request.param]
    torch.manual_seed(0)
    net, pictures = timm.create_model(request.param, num_classes=10, **options).eval(), torch.randn(2, 3, 64, 64)
    tool.wake(net, pictures)
    return net, pictures, {"input": 1, "head": 1} | expected, tool.loudness(net, pictures), list_sockets(net)


@pytest.mark.parametrize("at", TRIED)
def test_a_model_of_timm_needs_no_code_of_its_own(model, at):
    """Catches places that are lost or found twice, a start that changes outputs, and a trace after unplug."""
    net, pictures, expected, (size, rounding), places = model
    assert sum(p.socket == at for p in places) == expected.get(at, sum(p.socket == at for p in places))
    if at in places.missing:
        with pytest.raises(ValueError, match=f"has no socket '{at}'"):
            plug_in(net, tool.ATTENTION.get(at, "eca"), at)
        return
    cell = tool.try_socket(net, at, pictures[:1])
    assert cell.heard and cell.undone
    assert cell.change <= (1e-6 * size + 3 * rounding if at == "head" else 0)


def test_attention_of_a_block_is_in_this_block(model):
    """Catches attention on one path of the next block, whose first module may give the very tensor that it reads."""
    places = model[-1]
    inside = ("pre", "inner", "post", "after_add", "identity")
    astray = [(p.socket, p.unit, p.module) for p in places if p.socket in inside and p.module != p.unit
              and not p.module.startswith(p.unit + ".")]
    assert not astray


def test_attention_between_stages_is_in_no_block_of_the_next_stage(model):
    places = model[-1]
    blocks = {p.unit: p.stage for p in places if p.socket == "post"}
    astray = [p.module for p in places if p.socket == "between"
              for unit, stage in blocks.items() if stage > p.stage and p.module.startswith(unit + ".")]
    assert not astray


def test_inner_is_behind_the_last_window_of_the_branch():
    """A block of MobileNetV4 may have two depthwise convolutions; the second one sees the wide map."""
    places = {p.unit: p.module for p in list_sockets(timm.create_model("mobilenetv4_conv_small")) if p.socket == "inner"}
    assert places["blocks.2.0"] == "blocks.2.0.dw_mid.bn" and places["blocks.3.0"] == "blocks.3.0.dw_mid.bn"
    assert places["blocks.2.5"] == "blocks.2.5.dw_start.bn", "it has no other"


class Half(nn.Module):
    """A gate of exactly one half: the ReLU behind it, if there is one, does not mind."""

    def forward(self, x):
        return 0.5 * x


@torch.no_grad()
def output_of(net: nn.Module, name: str, picture: torch.Tensor) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    handle = net.get_submodule(name).register_forward_hook(lambda module, args, out: seen.append(out.clone()))
    net(picture)
    handle.remove()
    return seen[0]


def test_after_the_addition_both_branch_and_skip_are_weighed(model):
    """The whole output of the block is halved, once."""
    net, pictures, *_, places = model
    units = list(dict.fromkeys(p.unit for p in places if p.socket == "after_add"))
    for unit in {*units[:1], *units[len(units) // 2:][:1]}:
        before = output_of(net, unit, pictures[:1])
        plug_in(net, lambda channels: Half(), "after_add", layers=lambda p, unit=unit: p.unit == unit, start="as_made")
        after = output_of(net, unit, pictures[:1])
        unplug(net)
        assert torch.equal(after, 0.5 * before), unit


def test_what_is_tried_here_is_every_socket_but_two():
    """`both` is pre and post; `instead` of every convolution is in the table of docs/sockets.md."""
    assert set(SOCKETS) - set(TRIED) == {"both", "instead"}


@pytest.mark.full
@pytest.mark.parametrize("name, gone", [("repvgg_a0", 0), ("mobileone_s0", 8), ("fastvit_t8", 0), ("repghostnet_050", 0)])
def test_the_doctor_knows_what_re_parameterising_has_lost(name, gone):
    """P2. Attention behind the sum of parallel convolutions outlives their fusion; what joined a part that goes is missed."""
    from timm.utils import reparameterize_model
    net = timm.create_model(name, num_classes=10).eval()
    receipt = plug_in(net, "eca", "post")
    assert doctor(net)
    checkup = doctor(reparameterize_model(net))
    assert sum(bool(f.complaints) for f in checkup.findings) == gone and len(checkup.findings) == len(receipt)
    assert sum(f.runs for f in checkup.findings) == len(receipt) - gone


def test_the_page_of_timm_holds_every_family():
    """Catches a page that was written before the run was over."""
    text = families.PAGE.read_text(encoding="utf-8")
    rows = tool.rows_of(text)
    assert list(rows) == list(families.families()) and len(rows) > 100
    assert not [name for name, row in rows.items() if "NO" in " ".join(row.values()).split(" · ")]


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.all_models if i % 4 else pytest.mark.full)
                                  for i, name in enumerate(families.families())])
def test_the_page_of_timm_says_how_many_places_there_are(name):
    """Catches rows of an older way to find places."""
    row = tool.rows_of(families.PAGE.read_text(encoding="utf-8"))[name]
    places = Counter(p.socket for p in list_sockets(timm.create_model(name, pretrained=False).eval()))
    places["both"] = places["pre"] + places["post"]
    said = {at: row[at].split(" · ")[0] for at in tool.TRIED if row[at] != "large"}
    assert said == {at: str(places[at] or "-") for at in said}
