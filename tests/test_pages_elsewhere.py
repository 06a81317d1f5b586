"""docs/elsewhere.md: what is written there is run, and compared with what the other library does."""

import copy
import re
import sys
import types

import pytest
import torch
import torchvision
from pages import DOCS, code, run, sections, table, untested
from torch import nn
from torchvision.models.resnet import Bottleneck, ResNet

from course_utils.sockets import doctor, plug_in, unplug

pytestmark = pytest.mark.full

PAGE = "elsewhere.md"


def moved(state: dict, pairs: dict[str, str]) -> dict:
    """The same weights under other names: each part of a name that is a key of `pairs` is exchanged."""
    def rename(key):
        for old, new in pairs.items():
            key = re.sub(old, new, key)
        return key
    return {rename(key): value for key, value in state.items()}


def numbers(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def alive(net: nn.Module) -> nn.Module:
    """Every weight and statistic moved, so that nothing is zero or right by chance."""
    g = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=g) * (p.std() if p.ndim > 1 else 1))
        for key, buffer in net.named_buffers():
            if key.endswith("running_mean"):
                buffer.add_(0.1 * torch.randn(buffer.shape, generator=g))
    return net.eval()


def pictures(side: int = 64) -> torch.Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))


def test_every_section_is_run():
    assert not untested(PAGE, __file__) and len(sections(PAGE)) == 5


def test_the_overview_has_a_row_for_each_library():
    overview = (DOCS / PAGE).read_text("utf-8").partition("\n## ")[0]
    assert all(name in overview for name in ("mmdetection", "YOLO", "timm", "segmentation_models_pytorch", "Composer"))


# ---- mmdetection

def test_plugins_of_mmdetection_have_as_many_parameters_as_gc_at_post():
    page = run(PAGE, "mmdetection: `plugins`")
    (plugin,) = page["plugins"]
    wanted = []
    for stage, (there, blocks) in enumerate(zip(plugin["stages"], (3, 4, 6, 3), strict=True)):
        c = 256 * 2 ** stage
        h = int(c * plugin["cfg"]["ratio"])
        # a mask of one channel; a convolution, a norm over (h, 1, 1) and a convolution back
        wanted += [(c + 1) + (c * h + h) + 2 * h + (h * c + c)] * (blocks if there else 0)
    assert list(page["receipt"].added) == wanted and all(".bn3.attention_post" in n for n in page["receipt"].names)


class Spy(nn.Module):
    def __init__(self, channels):
        super().__init__()

    def forward(self, x):
        self.got = x.detach().clone()      # what comes next works in place
        return x


POSITIONS = {row[0].strip("`"): row[2].strip("`") for row in table(PAGE, "mmdetection: `plugins`")}


@pytest.mark.parametrize("position", ["after_conv1", "after_conv2", "after_conv3"])
def test_a_position_of_mmdetection_is_the_call_beside_it(position):
    """Catches a socket on the wrong side of the ReLU, and stages that are counted in another way."""
    torch.manual_seed(0)
    net = alive(ResNet(Bottleneck, [1, 1, 1, 1], num_classes=3))
    seen = {}
    for name in ("layer2", "layer3", "layer4"):
        block = net.get_submodule(name)[0]
        behind = {"after_conv1": block.conv2, "after_conv2": block.conv3}.get(position)
        if behind is None:
            block.bn3.register_forward_hook(lambda m, args, out, name=name: seen.update({name: out.clone()}))
        else:
            behind.register_forward_pre_hook(lambda m, args, name=name: seen.update({name: args[0].clone()}))
    net(pictures())
    plain = dict(seen)
    receipt = plug_in(net, Spy, **eval(f"dict({POSITIONS[position]})"))
    net(pictures())
    assert len(receipt) == 3 and len(POSITIONS) == 3
    for name, spy in zip(plain, receipt.modules(net), strict=True):
        assert torch.equal(spy.got, plain[name])


# ---- YOLO

class Rows(nn.Module):
    """A network as a yaml describes it: each row reads one or two of the rows before it."""

    def __init__(self, *rows: tuple):
        super().__init__()
        self.model = nn.ModuleList(module for _, module in rows)
        self.reads = [sources for sources, _ in rows]

    def forward(self, x):
        done = [x]
        for module, sources in zip(self.model, self.reads, strict=True):
            given = [done[i] for i in sources]
            done.append(module(*given))
        return done[-1]


class Two(nn.Module):
    def forward(self, one, other):
        return torch.cat([one, other], 1)


def conv(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, 3, padding=1), nn.BatchNorm2d(out), nn.SiLU())


def rows(attention: nn.Module | None, both: bool) -> Rows:
    """Row 1 is read by row 2 and, in the end, by a concatenation: through the attention too, if `both`."""
    torch.manual_seed(0)
    a, b, c, d = conv(3, 8), conv(8, 8), conv(8, 8), conv(16, 4)
    if attention is None:
        return alive(Rows(([0], a), ([1], b), ([2], c), ([3, 2], Two()), ([4], d)))
    net = alive(Rows(([0], a), ([1], b), ([2], c), ([3, 2], Two()), ([4], d)))
    return Rows(([0], a), ([1], b), ([2], attention), ([3], c), ([4, 3 if both else 2], Two()), ([5], net.model[4])).eval()


@pytest.mark.parametrize("both", [False, True])
def test_a_row_that_only_the_next_row_reads_is_pre_of_its_convolution(both):
    """And where a concatenation reads it too, it is not."""
    plain = rows(None, both)
    (gate,) = plug_in(plain, "se", at="pre", unit="conv", layers="model.2.0", reduction=4, start="as_made",
                      input_size=16).modules(plain)
    row = rows(gate, both)
    x = pictures(16)
    assert torch.equal(plain(x), row(x)) != both


def test_a_row_of_a_yolo_yaml_is_pre_of_the_next_convolution():
    page = run(PAGE, "A row in a YOLO yaml")
    ultralytics = pytest.importorskip("ultralytics")
    import yaml
    yaml_model_load = pytest.importorskip("ultralytics.nn.tasks").yaml_model_load
    intersect_dicts = pytest.importorskip("ultralytics.utils.torch_utils").intersect_dicts
    before, row, after = yaml.safe_load(code(PAGE, "A row in a YOLO yaml", "yaml")[0])
    plan = yaml_model_load("yolov8n.yaml")
    assert plan["backbone"][2:4] == [before, after]

    def behind(source):
        return [behind(s) for s in source] if isinstance(source, list) else source + (source >= 3)
    longer = copy.deepcopy(plan)
    longer["backbone"].insert(3, row)
    for part in longer["backbone"] + longer["head"]:
        part[0] = behind(part[0])
    build = page["DetectionModel"]
    plain, other, net = build(plan, nc=3, verbose=False), alive(build(longer, nc=3, verbose=False)), page["net"].eval()
    assert numbers(other) == numbers(net) == numbers(plain) + page["receipt"].parameters

    state = {}
    for key, value in other.state_dict().items():
        _, number, rest = key.split(".", 2)
        number = int(number)
        state[f"model.3.conv.attention_pre.{rest}" if number == 3 else f"model.{number - (number > 3)}.{rest}"] = value
    net.load_state_dict(state)
    x = pictures()
    assert torch.equal(net(x)[0], other(x)[0])

    whole, kept, version = re.search(r"Of the (\d+) tensors .*? (\d+) still fit .*?\(ultralytics ([\d.]+)\)",
                                     sections(PAGE)["A row in a YOLO yaml"]).groups()
    fit = len(intersect_dicts(plain.state_dict(), other.state_dict()))
    everything = len(plain.state_dict())
    assert fit < everything / 2 and len(intersect_dicts(plain.state_dict(), net.state_dict())) == everything
    assert ultralytics.__version__ != version or (everything, fit) == (int(whole), int(kept))
    plan["backbone"][3] = [-1, 1, "CBAM", [32]]
    with pytest.raises(KeyError, match="CBAM"):
        build(plan, nc=3, verbose=False)


# ---- timm

def test_attn_layer_of_timm_is_post():
    page = run(PAGE, "timm: `attn_layer`")
    built, net = alive(page["built"]), page["net"].eval()
    assert numbers(built) == numbers(net) and len(page["receipt"]) == 8
    with pytest.raises(RuntimeError, match=r"Missing key.*layer1.0.se.fc1.weight"):
        unplugged = copy.deepcopy(net)
        unplug(unplugged)
        built.load_state_dict(unplugged.state_dict())
    assert "layer1.0.se.fc1.weight" in built.state_dict()
    net.load_state_dict(moved(built.state_dict(), {r"\.se\.": ".bn2.attention_post."}))
    x = pictures()
    assert torch.equal(built(x), net(x))


def test_se_by_name_differs_from_timm_in_the_first_stage_alone():
    import timm
    page = run(PAGE, "timm: `attn_layer`")
    ours = plug_in(timm.create_model("resnet18"), "se", at="post")
    pairs = zip(ours.places, ours.added, page["receipt"].added, strict=True)
    assert [place.channels for place, here, there in pairs if here != there] == [64, 64]
    assert page["timm"].layers.get_attn("se") is page["timm"].layers.SEModule


# ---- segmentation_models_pytorch

def test_scse_of_smp_is_pre_for_the_first_of_its_two_modules():
    page = run(PAGE, "segmentation_models_pytorch: `decoder_attention_type`")
    built, net = alive(page["built"]), page["net"].eval()
    built.train()(pictures()).sum().backward()
    without = {key.rpartition("attention")[0] for key, p in built.named_parameters() if p.grad is None}
    assert without == {"decoder.blocks.4.attention1."}
    second = sum(numbers(block.attention2) for block in built.decoder.blocks)
    for block in built.eval().decoder.blocks:
        block.attention2 = nn.Identity()
    built.decoder.blocks[4].attention1 = nn.Identity()
    assert numbers(built) == numbers(net)
    net.load_state_dict(moved(built.state_dict(), {
        r"attention1\.attention\.cSE\.1": "conv1.0.attention_pre.what.squeeze",
        r"attention1\.attention\.cSE\.3": "conv1.0.attention_pre.what.excite",
        r"attention1\.attention\.sSE\.0": "conv1.0.attention_pre.where.conv"}))
    torch.testing.assert_close(net(pictures()), built(pictures()))
    after = plug_in(net, "scse", at="post", unit="conv", layers="decoder.blocks.*.conv2.0", reduction=16, input_size=64)
    assert after.parameters == second and len(after) == 5


# ---- Composer

class SqueezedConv(nn.Module):
    """What stands in place of a convolution after Composer's surgery, from its documentation."""

    def __init__(self, conv: nn.Conv2d, latent: int):
        super().__init__()
        self.conv = conv
        self.down = nn.Linear(conv.out_channels, latent, bias=False)
        self.up = nn.Linear(latent, conv.out_channels, bias=False)

    def forward(self, x):
        y = self.conv(x)
        gate = torch.sigmoid(self.up(torch.relu(self.down(y.mean((2, 3))))))
        return y * gate[:, :, None, None]


def squeeze_excite(model: nn.Module, latent_channels: int = 64, min_channels: int = 128) -> None:
    """Composer's rule: behind every Conv2d whose numbers of channels, in and out, are both at least min_channels."""
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Conv2d) and min(module.in_channels, module.out_channels) >= min_channels:
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, SqueezedConv(module, latent_channels))


@pytest.fixture
def composer(monkeypatch):
    """Its rule under its name: the library itself wants older versions of torch."""
    functional = types.ModuleType("composer.functional")
    functional.apply_squeeze_excite = squeeze_excite
    monkeypatch.setitem(sys.modules, "composer", types.ModuleType("composer"))
    monkeypatch.setitem(sys.modules, "composer.functional", functional)


def squeezed(net: nn.Module) -> list[str]:
    return [name for name, m in net.named_modules() if isinstance(m, SqueezedConv)]


def test_the_surgery_of_composer_chooses_the_same_convolutions(composer):
    page = run(PAGE, "Composer: `apply_squeeze_excite`")
    receipt, built = page["receipt"], page["built"]
    assert {place.unit for place in receipt.places} == set(squeezed(built)) and len(receipt) > 8
    more = sum(64 + c for c in receipt.channels)      # the biases
    assert numbers(page["net"]) == numbers(built) + more
    assert "layer2.1.conv1.conv.weight" in built.state_dict() and "layer2.1.conv1.weight" in page["net"].state_dict()
    wider = plug_in(torchvision.models.resnet18(), "se", at="post", unit="conv", layers=lambda place: place.channels >= 128)
    assert {p.unit for p in wider.places} > set(squeezed(built))


def test_without_a_norm_the_surgery_of_composer_is_the_same_function(composer):
    page = run(PAGE, "Composer: `apply_squeeze_excite`")
    plain = [nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 128, 3), nn.ReLU(), nn.Conv2d(128, 192, 3), nn.ReLU(),
             nn.Conv2d(192, 128, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 3)]
    net = nn.Sequential(*plain)
    built = copy.deepcopy(net)
    squeeze_excite(built)
    page["net"] = net
    exec("receipt = plug_in(net, lambda channels: SE(channels, channels // 64), at='post', unit='conv', layers=wide, "
         "start='as_made', input_size=16)", page)
    for gate, there in zip(page["receipt"].modules(net), squeezed(built), strict=True):
        other = built.get_submodule(there)
        with torch.no_grad():
            gate.squeeze.weight.copy_(other.down.weight[:, :, None, None])
            gate.excite.weight.copy_(other.up.weight[:, :, None, None])
            gate.squeeze.bias.zero_()
            gate.excite.bias.zero_()
    torch.testing.assert_close(net(pictures(16)), built(pictures(16)))
    assert len(page["receipt"]) == len(squeezed(built)) == 2 and doctor(net, pictures(16))
