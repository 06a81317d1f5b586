"""Networks that are broken, each in one way, for lesson 14 and for the table of the doctor. Whoever wants to find the faults
by himself reads no further.

    clinic.patient(3)                       a trained network, with pictures that it has not seen, and their labels
    python -m course_utils.clinic           trains the six anew: data/clinic.pt
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from . import hosts, tasks
from .attention import ECA, SE, Gate
from .paths import DATA, get_back, shipped
from .sockets import plug_in
from .tasks import Batch
from .train import fit

PATH = DATA / "clinic.pt"
SEED, STEPS, PICTURES, TEST_SEED = 14, 800, 500, 2_000_014


def disguised(cls: type) -> type:
    """Under the name of what it was made from: whoever examines it shall not read the fault off a table."""
    cls.__name__ = cls.__bases__[0].__name__
    return cls


@disguised
class Sum(SE):
    """Adds up all positions, where the mean was meant."""

    def gate(self, x: Tensor) -> Tensor:
        z = x.sum((2, 3), keepdim=True)
        return self.squash(self.excite(F.relu(self.squeeze(z))))


@disguised
class AfterNorm(SE):
    """Each map is brought to mean 0 and spread 1 before it is summarised, so that the summary of every picture is 0."""

    def gate(self, x: Tensor) -> Tensor:
        return super().gate(F.instance_norm(x))


@disguised
class WrongAxis(ECA):
    """A softmax that runs over the pictures of the batch, axis 0, where each gate was to have its own sigmoid."""

    def squash(self, logits: Tensor) -> Tensor:
        return torch.softmax(logits, 0) * len(logits)


@disguised
class Saving(ECA):
    """The gate is made without a gradient, to save memory."""

    def gate(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return super().gate(x)


class Root(Gate):
    """The root of a variance, which is zero where a map is zero: its slope there is infinite."""

    def __init__(self, channels: int):
        super().__init__(channels)
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))

    def gate(self, x: Tensor) -> Tensor:
        return torch.sigmoid((self.scale * (x * 0).var((2, 3), keepdim=True)).sqrt())


def fused(net: nn.Module) -> None:
    """Convolution and norm of each layer made one for speed, as tools for deployment do: what joined the norm is passed by."""
    for layer in net.layers:
        norm = copy.deepcopy(layer.norm)
        layer.fast = fuse_conv_bn_eval(copy.deepcopy(layer.conv).eval(), as_plain(norm).eval())
        layer.forward = lambda x, layer=layer: torch.relu(layer.fast(x))


def as_plain(norm: nn.Module) -> nn.BatchNorm2d:
    plain = nn.BatchNorm2d(norm.num_features)
    plain.load_state_dict({key: norm.state_dict()[key] for key in plain.state_dict()})
    return plain


def without_statistics(net: nn.Module) -> None:
    """As after load_state_dict(..., strict=False) of a file that holds parameters only."""
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.reset_running_stats()


def gone(net: nn.Module) -> None:
    """A norm is exchanged for another, as conversions do."""
    net.layer2.norm = as_plain(net.layer2.norm)


def not_finite(net: nn.Module) -> None:
    with torch.no_grad():
        net.get_submodule("layer4.norm.attention_post").conv.weight.fill_(float("nan"))


def far_out(net: nn.Module) -> None:
    """Weights a thousand times too large, as after a learning rate that was."""
    with torch.no_grad():
        for layer in net.layers:
            for p in layer.norm.attention_post.parameters():
                p.mul_(1000)


def untouched(net: nn.Module) -> None:
    """As it was trained."""


@dataclass(frozen=True)
class Case:
    """One way to be broken: what is plugged in, what happens once it is trained, and what the doctor should name."""

    fault: str
    attention: str | Callable[[int], nn.Module] = "eca"
    after: Callable[[nn.Module], None] = untouched
    task: str = "what"
    start: str = "as_made"
    steps: int = STEPS
    frozen_out: bool = False      # the optimiser does not know what was plugged in
    pictures: int = PICTURES


CASES = {
    "fused for speed": Case("does not run", after=fused),
    "a gate without a gradient": Case("no gradient", Saving),
    "a sum for a mean": Case("saturated", Sum),
    "a norm before the summary": Case("constant", AfterNorm),
    "loaded without statistics": Case("stale norms", after=without_statistics),
    "softmax over the batch": Case("mixes pictures", WrongAxis),
    # not in the lesson
    "a norm exchanged": Case("gone", after=gone),
    "weights not a number": Case("not finite", after=not_finite),
    "weights a thousandfold": Case("saturated", after=far_out),
    "the root of zero": Case("gradient not finite", Root, steps=0),
    "optimiser made before": Case("untrained", start="identity", frozen_out=True),
    "a task without need": Case("not used", task="twins", steps=400, pictures=2000),      # to show so little
}
PATIENTS = ("a sum for a mean", "loaded without statistics", "fused for speed", "softmax over the batch",
            "a norm before the summary", "a gate without a gradient")


def made(name: str, seed: int) -> nn.Module:
    """The network of a case before it is trained."""
    case = CASES[name]
    torch.manual_seed(seed)
    net = hosts.SmallHost(tasks.find(case.task).classes)
    plug_in(net, case.attention, at="post", start=case.start, input_size=tasks.find(case.task).size)
    return net


def trained(name: str, seed: int, device: torch.device | str = "cpu") -> nn.Module:
    """The network of a case as it is after training, and before what happens then."""
    case, net = CASES[name], made(name, seed).to(device)
    for key, p in net.named_parameters():
        p.requires_grad_(not (case.frozen_out and "attention" in key))
    if case.steps:
        fit(net, tasks.Stream(case.task, case.steps, seed=seed, device=device), progress=False)
    return net.requires_grad_(True).eval()


def unseen(name: str) -> Batch:
    return tasks.make(CASES[name].task, CASES[name].pictures, "test", TEST_SEED)


def patient(number: int) -> tuple[nn.Module, Tensor, Tensor]:
    """A broken network, 500 pictures that it has not seen, (N, 3, H, W), and what is right, (N,).

    Args:
        number: 1 to 6.

    Raises:
        ValueError: no such patient. FileNotFoundError: data/clinic.pt is missing; ValueError: or damaged.
    """
    if isinstance(number, bool) or number not in range(1, len(PATIENTS) + 1):
        raise ValueError(f"there are patients 1 to {len(PATIENTS)}, got {number!r}")
    name = PATIENTS[number - 1]
    net = stored(name)
    CASES[name].after(net)
    x, y, _ = unseen(name)
    return net, x, y


def healthy() -> tuple[nn.Module, Tensor, Tensor]:
    """The same of a network that works: ECA after every convolution, on `what`."""
    x, y, _ = unseen(PATIENTS[1])
    return stored(PATIENTS[1]), x, y


def stored(name: str) -> nn.Module:
    """A trained network from the file, in evaluation mode, before what happens to it then."""
    net = made(name, SEED)
    try:
        net.load_state_dict(torch.load(shipped(PATH), weights_only=True)[name])
    except FileNotFoundError:
        raise
    except Exception as error:      # zip, pickle and torch each have their own for a damaged file
        raise ValueError(f"{PATH} cannot be read ({type(error).__name__}: {error}). "
                         f"{get_back(PATH, 'python -m course_utils.clinic')}") from error
    return net.eval()


def main() -> None:
    states = {}
    for name in PATIENTS:
        states[name] = trained(name, SEED).state_dict()
        print(name, "is trained", flush=True)
    torch.save(states, PATH)


if __name__ == "__main__":
    main()
