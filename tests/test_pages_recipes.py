"""docs/recipes.md: every recipe is run as it stands there, and what is said below it is true."""

import copy
import sys
import types

import pytest
import torch
import torchvision
from pages import run, untested
from torch import distributed, nn

from course_utils.hosts import SmallResNet
from course_utils.sockets import doctor, list_sockets, plug_in, unplug

pytestmark = pytest.mark.full

PAGE = "recipes.md"


def pictures(side: int = 64, n: int = 2) -> torch.Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(1))


def test_every_section_is_run():
    assert not untested(PAGE, __file__)


# ---- detection

def test_a_detector_of_torchvision_and_its_parts():
    page = run(PAGE, "FCOS and Faster R-CNN")
    net = page["net"]
    assert [len(page[part]) for part in ("backbone", "sums", "pyramid", "head")] == [8, 3, 4, 8]
    assert {place.calls for place in page["head"].places} == {5}, "one head, five levels"
    with pytest.raises(ValueError, match=r"given one OrderedDict of 4 \(0, 1, 2, 3\)"):
        net.backbone.fpn(dict(list(net.backbone.body(pictures()).items())[1:]))
    assert unplug(net) == 23


@pytest.mark.full
def test_a_whole_detector():
    page = run(PAGE, "A whole detector")
    net = page["net"]
    assert len(page["receipt"]) == 8 and net.transform.min_size == page["sides"] == (800,)
    part = plug_in(copy.deepcopy(net).backbone, "se", at="post", input_size=96, stack=True)
    assert [f"backbone.{p.module}" for p in part.places] == [p.module for p in page["receipt"].places]


@pytest.mark.full
def test_the_head_of_faster_r_cnn():
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
    net = FasterRCNN(resnet_fpn_backbone(backbone_name="resnet18", weights=None), num_classes=3, min_size=96).eval()
    x = [pictures(96)[0]]
    before = net(x)[0]
    maps = net.backbone(pictures(96))
    head = plug_in(net.rpn.head, "gct", at="pre", layers="conv.*", inputs=(list(maps.values()),))
    plug_in(net.backbone, "se", at="post", layers="body.*", input_size=96)
    with pytest.raises(ValueError, match="no torch.nn.Conv2d"):
        list_sockets(net.roi_heads)
    assert len(head) == 1 and doctor(net.backbone, pictures(96))
    assert all(torch.equal(value, before[key]) for key, value in net(x)[0].items())


# ---- segmentation

def test_segmentation_of_torchvision():
    page = run(PAGE, "LR-ASPP and DeepLabV3")
    found = doctor(page["net"], pictures(96)).findings
    assert len(page["backbone"]) == 15 and len(found) == 17 and all(one.runs == one.wanted == 1 for one in found)
    assert page["head"].names == ("classifier.low_classifier.attention_pre", "classifier.high_classifier.attention_pre")
    with pytest.raises(ValueError, match="matches none of"):
        plug_in(unplugged(page["net"]), "se", at="pre", layers="classifier.*", input_size=96)


def unplugged(net: nn.Module) -> nn.Module:
    unplug(net)
    return net


@pytest.mark.full
def test_the_pyramid_of_deeplab():
    from torchvision.models.segmentation import deeplabv3_mobilenet_v3_large
    net = deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=2).eval()
    receipt = plug_in(net, "se", at="post", unit="conv", layers="classifier.0.project.0", input_size=96)
    assert receipt.names == ("classifier.0.project.1.attention_post",) and doctor(net, pictures(96))


def test_a_unet_written_by_hand():
    page = run(PAGE, "A U-Net of your own")
    net = page["net"].eval()
    assert [len(page[part]) for part in ("encoder", "decoder", "skips", "own")] == [3, 2, 2, 1]
    (place,) = page["own"].places
    assert place.size == (64, 64) and place.skip.channels == (32, 16)
    assert len({p.module for p in page["skips"].places}) == 1, "both are lines of one forward"
    plain = page["UNet"]().eval()
    plain.load_state_dict({k: v for k, v in net.state_dict().items() if "attention" not in k})
    assert torch.equal(net(pictures()), plain(pictures())) and doctor(net, pictures())


# ---- timm

def test_pretrained_weights_of_timm_fit_before_and_after():
    page = run(PAGE, "timm with pretrained weights")
    net, late, saved = page["net"].eval(), page["late"].eval(), page["saved"]
    plain = page["timm"].create_model("resnet18").eval()
    plain.load_state_dict(saved)
    assert len(page["receipt"]) == 8 and len(page["found"].missing_keys) == 32
    assert torch.equal(net(pictures()), plain(pictures())) and torch.equal(late(pictures()), plain(pictures()))
    assert doctor(net, pictures()) and doctor(late, pictures())


def test_the_attention_alone_is_trained_saved_and_loaded(tmp_path, monkeypatch):
    """Catches norms that move though all is frozen, which nobody sees until the attention is taken out."""
    monkeypatch.chdir(tmp_path)
    page = run(PAGE, "Train the attention alone, save, load")
    net, again, x = page["net"], page["again"].eval(), pictures(n=4)
    frozen = {name: value.clone() for name, value in net.state_dict().items() if "attention" not in name and "fc." not in name}
    trained = {name for name, p in net.named_parameters() if p.requires_grad}
    assert trained == {f"{module}.{name}" for module in page["receipt"].names for name, _ in again.get_submodule(
        module).named_parameters()} | {"fc.weight", "fc.bias"}
    assert torch.equal(again(x), net.eval()(x))
    page["train_mode"]()
    for _ in range(2):
        page["optimiser"].zero_grad()
        nn.functional.cross_entropy(net(x), torch.tensor([0, 1, 2, 0])).backward()
        page["optimiser"].step()
    assert not torch.equal(again(x), net.eval()(x))
    plain = page["timm"].create_model("resnet18", num_classes=3)
    with pytest.raises(RuntimeError, match="Unexpected key.*attention_post"):
        plain.load_state_dict(net.state_dict())
    unplug(net)
    now = net.state_dict()
    assert all(torch.equal(value, now[name]) for name, value in frozen.items())


def test_a_kernel_that_was_replaced_is_no_longer_loaded():
    net = SmallResNet()
    saved = copy.deepcopy(net.state_dict())
    plug_in(net, "dynamic_conv", at="instead")
    assert net.load_state_dict(saved, strict=False).unexpected_keys


def test_no_gradient_comes_through_a_norm_that_begins_at_zero():
    timm = pytest.importorskip("timm")
    net = timm.create_model("resnet18", num_classes=3)
    optimiser = torch.optim.SGD(net.parameters(), 0.1)
    gates = plug_in(net, "se", at="post", stages=4).modules(net)
    felt = []
    for _ in range(2):
        optimiser.zero_grad()
        net(pictures(n=4)).square().mean().backward()
        felt.append(all(bool(gate.excite.bias.grad.abs().max()) for gate in gates))
        optimiser.step()
    assert felt == [False, True]


def test_features_of_timm():
    page = run(PAGE, "timm, features only")
    assert page["receipt"].channels == (256, 256, 512, 512)


# ---- LoRA

class Adapter(nn.Module):
    """A convolution that stays as it is, and beside it a narrow one and a 1x1 that learn: LoRA, where peft is not installed."""

    def __init__(self, conv: nn.Conv2d, r: int):
        super().__init__()
        self.base_layer = conv
        self.a = nn.Conv2d(conv.in_channels, r, conv.kernel_size, conv.stride, conv.padding, bias=False)
        self.b = nn.Conv2d(r, conv.out_channels, 1, bias=False)
        nn.init.zeros_(self.b.weight)

    def forward(self, x):
        return self.base_layer(x) + self.b(self.a(x))

    def merged(self) -> nn.Conv2d:
        with torch.no_grad():
            self.base_layer.weight += torch.einsum("or,rihw->oihw", self.b.weight[:, :, 0, 0], self.a.weight)
        return self.base_layer


class Adapted(nn.Module):
    def __init__(self, net: nn.Module, config):
        super().__init__()
        net.requires_grad_(False)
        self.net = net
        for name, module in list(net.named_modules()):
            parent, _, last = name.rpartition(".")
            if last in config.target_modules and isinstance(module, nn.Conv2d):
                setattr(net.get_submodule(parent), last, Adapter(module, config.r))
            if last in config.modules_to_save:
                module.requires_grad_(True)

    def forward(self, x):
        return self.net(x)

    def merge_and_unload(self) -> nn.Module:
        for name, module in list(self.net.named_modules()):
            if isinstance(module, Adapter):
                parent, _, last = name.rpartition(".")
                setattr(self.net.get_submodule(parent), last, module.merged())
        return self.net


@pytest.fixture(params=["by hand", pytest.param("peft", marks=pytest.mark.full)])
def peft(request, monkeypatch):
    """The real one where it is installed; in any case a few lines that do the same."""
    if request.param == "peft":
        return pytest.importorskip("peft")
    module = types.ModuleType("peft")
    module.LoraConfig = lambda r, target_modules, modules_to_save=(): types.SimpleNamespace(
        r=r, target_modules=target_modules, modules_to_save=modules_to_save)
    module.get_peft_model = Adapted
    monkeypatch.setitem(sys.modules, "peft", module)
    return module


def stir(net: nn.Module) -> nn.Module:
    """As if trained: what may learn has moved."""
    g = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in net.parameters():
            if p.requires_grad:
                p.add_(0.02 * torch.randn(p.shape, generator=g))
    return net.eval()


def adapted(peft, at: str, first: bool, kept: bool = True) -> nn.Module:
    """A ResNet-18 with attention and adapters, attention first or last, everything that learns moved; `kept`: attention too."""
    torch.manual_seed(0)
    net = torchvision.models.resnet18(num_classes=5).eval()
    if first:
        plug_in(net, "se", at=at, start="as_made", input_size=64)
    save = {"modules_to_save": ["attention_" + at]} if kept and first else {}
    net = peft.get_peft_model(net, peft.LoraConfig(r=4, target_modules=["conv1", "conv2"], **save))
    if not first:
        plug_in(net, "se", at=at, start="as_made", input_size=64)
    return stir(net)


def test_lora_beside_attention(peft):
    page = run(PAGE, "LoRA beside attention")
    learns = [p.requires_grad for key, p in page["merged"].named_parameters() if "attention_post" in key]
    assert len(page["receipt"]) == 8 and len(learns) == 32 and all(learns)
    net = adapted(peft, "post", first=True)
    assert all(p.requires_grad for key, p in net.named_parameters() if "attention_post" in key and "original" not in key)
    before = net(pictures())
    merged = net.merge_and_unload()
    torch.testing.assert_close(merged(pictures()), before)
    assert doctor(merged, pictures()) and unplug(merged) == 8


def test_an_adapter_on_a_convolution_that_holds_attention_is_not_merged_rightly(peft):
    net = adapted(peft, "pre", first=True, kept=False)
    before = net(pictures())
    assert (net.merge_and_unload()(pictures()) - before).abs().max() > 0.01 * before.abs().max()


def test_attention_on_an_adapter_is_lost_with_it(peft):
    net = adapted(peft, "pre", first=False)
    assert not any("attention_" in key for key in net.merge_and_unload().state_dict())


# ---- export, several GPUs, averages

@pytest.mark.full
def test_onnx(tmp_path, monkeypatch):
    pytest.importorskip("onnxscript")
    monkeypatch.chdir(tmp_path)
    page = run(PAGE, "ONNX")
    session = pytest.importorskip("onnxruntime").InferenceSession("net.onnx")
    x = pictures(40, n=5)
    (answer,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    torch.testing.assert_close(torch.from_numpy(answer), page["net"](x).detach())


@pytest.mark.full
@pytest.mark.parametrize("name", ["condconv", "dynamic_conv"])
def test_a_kernel_for_each_picture_is_exported_for_one_size_of_batch(tmp_path, monkeypatch, name):
    pytest.importorskip("onnxscript")
    monkeypatch.chdir(tmp_path)
    net, x = SmallResNet().eval(), pictures(40)
    plug_in(net, name, at="instead", input_size=40)
    torch.onnx.export(net, (x,), "net.onnx", dynamo=True, verbose=False)
    (answer,) = pytest.importorskip("onnxruntime").InferenceSession("net.onnx").run(None, {"x": x.numpy()})
    torch.testing.assert_close(torch.from_numpy(answer), net(x).detach())


@pytest.fixture
def alone(tmp_path):
    """A group of one process."""
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.skipif(not distributed.is_available() or not distributed.is_gloo_available(), reason="torch without gloo")
def test_distributed_data_parallel(alone):
    page = run(PAGE, "Several GPUs: DistributedDataParallel")
    net, inside = page["net"], page["net"].module
    held = {id(p) for group in page["optimiser"].param_groups for p in group["params"]}
    assert held == {id(p) for p in inside.parameters()} and any("attention_post" in key for key in inside.state_dict())
    with pytest.raises(TypeError, match="wrapped in DistributedDataParallel"):
        plug_in(net, "se", at="pre")


def test_norms_that_are_converted_later_lose_their_attention():
    net = nn.SyncBatchNorm.convert_sync_batchnorm(SmallResNet())
    assert len(plug_in(net, "se", at="post")) == 3 and doctor(net, pictures(40))
    net = SmallResNet()
    plug_in(net, "se", at="post")
    assert "gone" in str(doctor(nn.SyncBatchNorm.convert_sync_batchnorm(net), pictures(40)))


def test_moving_averages():
    page = run(PAGE, "Moving averages of the weights")
    net, average = page["net"], page["average"]
    with torch.no_grad():
        for p in net.parameters():
            p.add_(1.0)
    before = {key: p.clone() for key, p in average.module.named_parameters()}
    average.update_parameters(net)
    moved = {key: (p - before[key]).mean().item() for key, p in average.module.named_parameters()}
    assert any("attention_post" in key for key in moved) and all(abs(by - 0.01) < 1e-4 for by in moved.values())


def test_an_average_that_was_made_before_does_not_fit():
    net = SmallResNet()
    average = torch.optim.swa_utils.AveragedModel(net)
    plug_in(net, "se", at="post")
    with pytest.raises(RuntimeError, match="shape"):
        average.update_parameters(net)


# ---- libraries that are no dependencies

@pytest.mark.full
def test_segmentation_models_pytorch():
    page = run(PAGE, "segmentation_models_pytorch")
    assert [len(page[part]) for part in ("encoder", "skips")] == [8, 4]
    smp = page["smp"]
    found = {name: any(p.socket == "fuse" and p.unit.startswith("decoder") for p in list_sockets(
        getattr(smp, name)("resnet18", encoder_weights=None), 64)) for name in
        ("Unet", "UnetPlusPlus", "MAnet", "FPN", "DeepLabV3Plus", "Linknet")}
    assert found.pop("Linknet") is False and all(found.values())


@pytest.fixture
def ultralytics(tmp_path, monkeypatch):
    """Its settings into a folder of their own, and no question to the network."""
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("YOLO_OFFLINE", "true")
    monkeypatch.chdir(tmp_path)
    return pytest.importorskip("ultralytics")


@pytest.mark.full
def test_yolo_and_what_fusing_does_to_it(ultralytics):
    page = run(PAGE, "YOLO (ultralytics)")
    assert len(page["receipt"]) == 10
    model = page["YOLO"]("yolov8n.yaml")
    rows = [f"model.{row}" for row in (11, 14, 17, 20)]
    neck = plug_in(model.model, "attention_gate", at="fuse", layers=rows, input_size=64)
    model.fuse()
    assert [place.skip.joins for place in neck.places] == ["cat"] * 4 and doctor(model.model, pictures())
    for at, options in (("inner", {}), ("post", {"unit": "conv", "layers": "model.*.cv2.conv"})):
        model = page["YOLO"]("yolov8n.yaml")
        plug_in(model.model, "se", at=at, input_size=64, **options)
        assert doctor(model.model, pictures())
        model.predict(pictures(), verbose=False, device="cpu")      # fuses a copy
        assert doctor(model.model, pictures()) and not doctor(model.predictor.model.backend.model, pictures())
        model.fuse()
        assert "gone" in str(doctor(model.model, pictures()))


@pytest.mark.full
def test_training_of_yolo_builds_the_network_anew(ultralytics, tmp_path):
    from PIL import Image
    page = run(PAGE, "YOLO (ultralytics)")
    for i in range(2):
        for kind in ("images", "labels"):
            (tmp_path / "data" / kind).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 64), (90 * i, 40, 200)).save(tmp_path / f"data/images/{i}.png")
        (tmp_path / f"data/labels/{i}.txt").write_text("0 0.5 0.5 0.4 0.4\n")
    (tmp_path / "data.yaml").write_text(f"path: {tmp_path}/data\ntrain: images\nval: images\nnames: {{0: thing}}\n")

    def trained(model, **more):
        model.train(data=str(tmp_path / "data.yaml"), epochs=1, imgsz=64, batch=2, workers=0, device="cpu", plots=False,
                    verbose=False, project=str(tmp_path / "runs"), **more)
        return model
    plain = page["YOLO"]("yolov8n.yaml")
    plug_in(plain.model, "se", at="post", input_size=64)
    assert "nothing is plugged in" in str(doctor(trained(plain).trainer.model, pictures()))
    model = trained(page["YOLO"]("yolov8n.yaml"), trainer=page["WithAttention"])
    from_file = page["YOLO"](str(model.trainer.best)).model.float()
    for net in (model.trainer.model, model.trainer.ema.ema, from_file):
        assert doctor(net, pictures()) and len(doctor(net, pictures()).findings) == 10
