"""The host of a trial, by name: one of the course, of torchvision, of timm, or made by a function of your own.

    "small_resnet"        a name of HOSTS
    "resnet18"            any classifier of torchvision
    "timm:resnet18d"      any model of timm
    "my_nets:tiny"        the function `tiny` of the module `my_nets`: number of classes -> network

Nothing is fetched here: weights are taken from files that are there already, and `fetch` is what brings them.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from .. import hosts, names
from ..attention import PatchSelection

# The hosts, and those that read one patch of a large picture: where patch selection says, or a rule of hand. `zoom_all` reads
# all places, "two" has two layers in the classifier.
zoom = partial(hosts.ZoomHost, select=partial(PatchSelection, size=32, factor=4, hidden=8))
HOSTS = {**hosts.HOSTS, **hosts.OTHERS, "zoom": zoom, "zoom_all": partial(zoom, every=True), "zoom_two": partial(zoom, hidden=64),
         "zoom_all_two": partial(zoom, every=True, hidden=64), "red_patch": hosts.RedPatchHost}
TIMM = "timm:"
OTHERS = ("resnet18", "convnext_tiny", "... (classifiers of torchvision)", "timm:NAME", "module:factory")
FURTHER = {"googlenet": ("aux1", "aux2"), "inception_v3": ("AuxLogits",)}      # outputs for training alone: without them
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)      # of ImageNet: what pretrained weights were trained with


@functools.lru_cache(maxsize=1)
def of_torchvision() -> tuple[str, ...]:
    from torchvision import models  # takes seconds to import, and the course's own hosts do without it
    return tuple(models.list_models(module=models))


def check_host(name: str) -> None:
    """Refuse a name that cannot be that of a host; nothing is imported that it names.

    Raises:
        ValueError: unknown; the message lists the names and the closest one.
    """
    if not isinstance(name, str) or not name:
        raise names.unknown("host", name, [*HOSTS, *OTHERS])
    if name in HOSTS or name.startswith(TIMM) and len(name) > len(TIMM):
        return
    module, colon, factory = name.partition(":")
    if colon and factory.isidentifier() and all(part.isidentifier() for part in module.split(".")):
        return
    if colon or name not in of_torchvision():
        near = names.hint(name, of_torchvision(), 0.87) or names.hint(name, HOSTS)
        raise ValueError(f"unknown host {name!r}.{near} Known: {', '.join([*HOSTS, *OTHERS])}")


def imagenet(name: str) -> bool:
    """Was it made for pictures of about 224x224? Of networks that somebody else made, nobody knows."""
    return name.startswith(TIMM) or name not in HOSTS and ":" not in name


def build(name: str, classes: int, pretrained: bool = False) -> nn.Module:
    """The network, with so many outputs; initial weights from torch's generator, or pretrained ones and a new last layer.

    Raises:
        ValueError: no such model, or no pretrained weights for it. ImportError: no such module, or timm is not installed.
        FileNotFoundError: the weights are not there. TypeError: the function gives something else than a network.
    """
    check_host(name)
    if name in HOSTS:
        if pretrained:
            raise ValueError(f"the course's host {name!r} has no pretrained weights; those of torchvision and timm have")
        return HOSTS[name](classes)
    if name.startswith(TIMM):
        return from_timm(name.removeprefix(TIMM), classes, pretrained)
    if ":" in name:
        if pretrained:
            raise ValueError(f"{name}: load your weights in the function itself, and leave `pretrained` out")
        return from_module(name, classes)
    from torchvision import models
    further = FURTHER.get(name, ())
    with no_notes():
        if not pretrained:
            return models.get_model(name, weights=None, num_classes=classes, **({"aux_logits": False} if further else {}))
        # The weights of these two are for colours in -1..1, and transform_input brings them there.
        net = models.get_model(name, weights=None, **({"transform_input": True} if further else {}))
    net.load_state_dict(torch.load(cached(name), map_location="cpu", weights_only=True))
    if further:
        net.aux_logits = False
        for part in further:
            setattr(net, part, None)
    known = weights_of(name).transforms()
    return Normalised(new_last_layer(net, classes), known.mean, known.std)


@contextlib.contextmanager
def no_notes() -> Iterator[None]:
    """torchvision warns of initial weights that take long; here that is said by the times that are measured."""
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def from_timm(name: str, classes: int, pretrained: bool) -> nn.Module:
    try:
        import timm
    except ImportError as error:
        raise ImportError(f"the host timm:{name} needs timm, which is not installed: pip install timm") from error
    if not timm.is_model(name.split(".")[0]):
        raise names.unknown("model of timm", name, timm.list_models())
    if not pretrained:
        return timm.create_model(name, pretrained=False, num_classes=classes)
    # Given the file, timm loads it (weights only) and asks nobody for a newer one.
    net = timm.create_model(name, pretrained=True, num_classes=classes,
                            pretrained_cfg_overlay={"file": str(cached(TIMM + name)), "source": ""})
    return Normalised(net, net.pretrained_cfg.get("mean", MEAN), net.pretrained_cfg.get("std", STD))


def from_module(name: str, classes: int) -> nn.Module:
    module, _, factory = name.partition(":")
    try:
        make = getattr(importlib.import_module(module), factory)
    except ModuleNotFoundError as error:
        raise ImportError(f"{name}: there is no module {error.name!r} here. Run in the folder that holds {module}.py, or install "
                          "it.") from error
    except AttributeError as error:
        raise ImportError(f"{name}: the module {module} has no {factory!r}") from error
    net = make(classes)
    if not isinstance(net, nn.Module):
        raise TypeError(f"{name}: {factory}({classes}) gave {type(net).__name__}; wanted a torch.nn.Module with {classes} "
                        "outputs")
    return net


# ---- pretrained weights

def weights_of(name: str):
    """torchvision's entry of the default weights of a model."""
    from torchvision import models
    return models.get_model_weights(name).DEFAULT


def cached(name: str) -> Path:
    """The file of pretrained weights, where torchvision and timm keep theirs.

    Raises:
        FileNotFoundError: it is not there; the message says how to get it. ValueError: there are none for this model.
    """
    how = "With a connection, --download fetches it once; without, copy it there, or leave --pretrained out."
    if name.startswith(TIMM):
        import timm
        from huggingface_hub import try_to_load_from_cache
        config = timm.get_pretrained_cfg(name.removeprefix(TIMM))
        if config is None or not config.hf_hub_id:
            raise ValueError(f"{name} has no pretrained weights in timm")
        for file in ("model.safetensors", "pytorch_model.bin"):
            found = try_to_load_from_cache(config.hf_hub_id, file)
            if isinstance(found, str):
                return Path(found)
        raise FileNotFoundError(f"the pretrained weights of {name} ({config.hf_hub_id}) are not in the cache of huggingface_hub. "
                                f"{how}")
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights_of(name).url).name
    if not file.is_file():
        raise FileNotFoundError(f"the pretrained weights of {name} are not in {file}. {how}")
    return file


def fetch(name: str) -> None:
    """Bring the weights into the cache, with the loaders of torchvision and timm; only what --download asks for comes here."""
    if name.startswith(TIMM):
        import timm
        timm.create_model(name.removeprefix(TIMM), pretrained=True)
    else:
        weights_of(name).get_state_dict(progress=True, check_hash=True, weights_only=True)


def new_last_layer(net: nn.Module, classes: int) -> nn.Module:
    """The last linear layer, or 1x1 convolution, made anew with so many outputs.

    Raises:
        ValueError: the network ends in neither.
    """
    name, last = [(n, m) for n, m in net.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    if isinstance(last, nn.Linear):
        new = nn.Linear(last.in_features, classes, bias=last.bias is not None)
    elif last.kernel_size == (1, 1):
        new = nn.Conv2d(last.in_channels, classes, 1)
    else:
        raise ValueError(f"this {type(net).__name__} does not end in a linear layer: give a function of your own, module:factory")
    net.set_submodule(name, new)
    return net


class Normalised(nn.Module):
    """A pretrained network that takes pictures in 0..1 as all others here: y = net((x - mean) / std).

    Args:
        net: the network.
        mean, std: of each colour, as it was trained with.
    """

    def __init__(self, net: nn.Module, mean=MEAN, std=STD):
        super().__init__()
        self.net = net
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.net((x - self.mean) / self.std)
