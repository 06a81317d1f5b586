"""Hosts by name: of the course, of torchvision and timm, of one's own; the size they take, and the arms they can have."""

import json
import warnings

import pytest
import torch
import torchvision
from torch import nn

from course_utils.answer.arms import arms, attention, fit_size
from course_utils.attention import SE
from course_utils.cost import parameters
from course_utils.hosts import SmallResNet
from course_utils.studies import Trial, hosting, network
from course_utils.studies.controls import Pointwise
from course_utils.studies.hosting import Normalised, build, cached, check_host, imagenet, new_last_layer

OWN = """
import pathlib
pathlib.Path(__file__).with_name("imported").touch()
from torch import nn
def tiny(classes):
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(8, classes))
def fixed(classes):
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 48 * 48, classes))
def words(classes):
    return "no network"
def wrong(classes):
    return tiny(classes + 1)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "my_own_nets.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "my_own_nets", raising=False)
    return tmp_path


@pytest.mark.parametrize("name, words", [
    ("resnet81", "Did you mean 'resnet18'"), ("small_resnt", "Did you mean 'small_resnet'"), ("timm:", "Known: "),
    ("", "Known: "), (":net", "Known: "), ("a b:net", "Known: "), ("os.path:1", "Known: "), ("__import__('os'):f", "Known: ")])
def test_what_is_no_host_is_refused_with_the_closest_name(name, words):
    with pytest.raises(ValueError, match=f"unknown host.*{words}"):
        check_host(name)


def test_a_module_is_imported_when_the_network_is_made_and_not_by_its_name_in_a_file(own):
    trial = Trial("twins", "my_own_nets:tiny")
    assert not (own / "imported").exists(), "a file of results would run whatever it names"
    assert network(trial)(torch.rand(2, 3, 24, 24)).shape[0] == 2 and (own / "imported").exists()


@pytest.mark.parametrize("host, classes", [("resnet18", 3), ("timm:test_resnet", 4), ("my_own_nets:tiny", 5)])
def test_a_host_has_the_outputs_that_are_asked_for(host, classes, own):
    assert build(host, classes)(torch.rand(2, 3, 64, 64)).shape == (2, classes)


@pytest.mark.parametrize("host, error, words", [
    ("my_own_nets:words", TypeError, "gave str; wanted a torch.nn.Module with 3 outputs"),
    ("my_own_nets:missing", ImportError, "has no 'missing'"),
    ("gone_with_the_wind:net", ImportError, "no module 'gone_with_the_wind'"),
    ("timm:resnet1888", ValueError, "unknown model of timm 'resnet1888'. Did you mean 'resnet.{,200} in all")])
def test_what_gives_no_network_is_refused_in_words(host, error, words, own):
    with pytest.raises(error, match=words):
        build(host, 3)


def test_the_same_seed_gives_the_same_network_whatever_it_is():
    one, two = (network(Trial("cifar10", "resnet18", size=64, seed=3)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


# ---- pretrained weights

def test_weights_that_are_not_there_are_not_fetched_and_the_words_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    for host in ("resnet18", "timm:resnet18"):
        with pytest.raises(FileNotFoundError, match="pretrained weights of .*resnet18.* not in .*--download"):
            build(host, 3, pretrained=True)
    with pytest.raises(ValueError, match="has no pretrained weights"):
        build("small_resnet", 3, pretrained=True)


def test_weights_that_are_there_are_used_and_the_pictures_are_brought_to_what_they_know(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    there = torchvision.models.squeezenet1_1()
    file = tmp_path / "checkpoints" / torchvision.models.SqueezeNet1_1_Weights.DEFAULT.url.rpartition("/")[2]
    file.parent.mkdir()
    torch.save(there.state_dict(), file)
    assert cached("squeezenet1_1") == file
    net = build("squeezenet1_1", 3, pretrained=True)
    assert isinstance(net, Normalised) and torch.equal(net.net.features[0].weight, there.features[0].weight)
    x = torch.rand(1, 3, 64, 64)
    assert net(x).shape == (1, 3)
    seen = (x - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    net.eval(), there.eval()
    with torch.no_grad():
        assert torch.allclose(net.net.features(seen), there.features(seen), atol=1e-5)
        assert torch.allclose(net(x), net.net(seen), atol=1e-5)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_weights_of_networks_with_further_outputs_answer_as_torchvision_has_them(name, tmp_path, monkeypatch):
    """One output in training too, and the colours that the weights know: -1..1, which torchvision's own builder sees to."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        there = torchvision.models.get_model(name, weights=None, init_weights=False, transform_input=True)
    file = tmp_path / "checkpoints" / torchvision.models.get_model_weights(name).DEFAULT.url.rpartition("/")[2]
    file.parent.mkdir()
    torch.save(there.state_dict(), file)
    net, x = build(name, 1000, pretrained=True), torch.rand(2, 3, 96, 96)
    assert net.train()(x).shape == (2, 1000) and not any("aux" in key.lower() for key in net.state_dict())
    net.net.fc = there.fc
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    for one in (net, there):
        for module in one.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
        one.eval()
    with torch.no_grad():
        assert torch.allclose(net(x), there((x - mean) / std), atol=1e-5)


def test_colours_are_those_of_the_weights_and_not_of_imagenet_for_all(tmp_path, monkeypatch):
    """EfficientNetV2-L was trained with 0.5 for every mean and spread."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    small, known = torchvision.models.squeezenet1_1(), torchvision.models.EfficientNet_V2_L_Weights.DEFAULT
    monkeypatch.setattr(hosting, "weights_of", lambda name: known)      # in a network that is made in a moment
    file = tmp_path / "checkpoints" / known.url.rpartition("/")[2]
    file.parent.mkdir()
    torch.save(small.state_dict(), file)
    net = build("squeezenet1_1", 3, pretrained=True)
    assert net.mean.flatten().tolist() == net.std.flatten().tolist() == [0.5, 0.5, 0.5]


def test_weights_of_timm_are_loaded_from_the_file_and_nobody_is_asked(tmp_path, monkeypatch):
    import huggingface_hub
    import timm
    from safetensors.torch import save_file
    there = timm.create_model("test_resnet")
    save_file(there.state_dict(), tmp_path / "model.safetensors")
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda repo, file: str(tmp_path / "model.safetensors"))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_, **__: pytest.fail("asked the network"))
    net = build("timm:test_resnet", 4, pretrained=True)
    assert isinstance(net, Normalised) and net(torch.rand(1, 3, 64, 64)).shape == (1, 4)
    assert torch.equal(net.net.conv1[0].weight if isinstance(net.net.conv1, nn.Sequential) else net.net.conv1.weight,
                       there.conv1[0].weight if isinstance(there.conv1, nn.Sequential) else there.conv1.weight)


def test_weights_that_would_run_code_are_refused(tmp_path, monkeypatch):
    class Evil:
        def __reduce__(self):
            return (print, ("code was run",))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    file = tmp_path / "checkpoints" / torchvision.models.SqueezeNet1_1_Weights.DEFAULT.url.rpartition("/")[2]
    file.parent.mkdir()
    torch.save({"features.0.weight": Evil()}, file)
    with pytest.raises(Exception, match="(?i)weights.?only|unpickl"):
        build("squeezenet1_1", 3, pretrained=True)


def test_a_network_that_ends_in_no_linear_layer_is_refused():
    with pytest.raises(ValueError, match="does not end in a linear layer"):
        new_last_layer(nn.Sequential(nn.Conv2d(3, 8, 3)), 3)


# ---- the size

def test_small_pictures_are_brought_to_what_the_host_was_made_for():
    assert fit_size("small_resnet", 2, 28)[0] == 28 and fit_size("small_resnet", 2, 500)[0] == 64
    size, said = fit_size("resnet18", 2, 28)
    assert size == 64 and said == "resnet18 was made for larger pictures: they are brought to 64x64."
    assert imagenet("timm:resnet18d") and not imagenet("small_host") and not imagenet("a:b")


def test_a_host_of_one_size_gets_it_and_another_is_refused_with_the_size_that_it_takes(own):
    size, said = fit_size("my_own_nets:fixed", 2, 30)
    assert size == 48 and "does not take 30x30" in said
    with pytest.raises(ValueError, match="cannot take pictures of 64x64 .* It takes 48x48: --size 48"):
        fit_size("my_own_nets:fixed", 2, 30, size=64)
    with pytest.raises(ValueError, match=r"its output is \(2, 3\) for 2 pictures and 2 classes"):
        fit_size("my_own_nets:wrong", 2, 30)


# ---- the arms

def test_the_course_host_has_all_arms_and_its_wider_self_as_control():
    found, lacks = arms("small_resnet", 3, 32)
    assert list(found) == ["plain", "SE at post", "wider", "ECA at post", "CBAM at post", "SE at inner", "GC at post"]
    assert not lacks
    assert found["wider"] == {"host": "wide_resnet"} and len(attention(found)) == 5
    most = max(parameters(network(Trial("cifar10", "small_resnet", **s))) for n, s in found.items() if n != "wider")
    assert parameters(network(Trial("cifar10", **found["wider"]))) > most, "the control must have no fewer weights"


def test_a_host_of_others_gets_a_control_of_as_many_weights_as_se_and_a_socket_it_lacks_is_named(own):
    found, lacks = arms("my_own_nets:tiny", 3, 32)
    assert lacks == {"SE at inner": "my_own_nets:tiny has no socket 'inner'"} and "SE at inner" not in found
    assert found["wider"]["mechanism"] == "pointwise"
    for channels, reduction in ((8, 4), (64, 16), (512, 16)):
        assert parameters(Pointwise(channels, reduction)) == parameters(SE(channels, reduction))


def test_all_arms_of_a_seed_begin_as_the_same_network():
    x = torch.rand(2, 3, 64, 64)
    outputs = {}
    for arm, settings in arms("resnet18", 3, 64)[0].items():
        net = network(Trial("cifar10", "resnet18", size=64, seed=5, **settings)).eval()
        with torch.no_grad():
            outputs[arm] = net(x)
    assert all(torch.allclose(y, outputs["plain"], atol=1e-5) for y in outputs.values()), outputs


def test_the_registry_of_hosts_is_that_of_the_course():
    assert isinstance(build("small_resnet", 3), SmallResNet)
    old = Trial("cifar10", "small_resnet").key
    assert not {"size", "split", "pretrained"} & json.loads(old).keys()
    assert len({old, Trial("cifar10", "small_resnet", size=64).key, Trial("cifar10", "small_resnet", split="once").key}) == 3
