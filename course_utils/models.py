"""The hosts of the lessons: a small-window CNN, and a small residual network. Each has sockets to plug a mechanism in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from . import attention as mechanisms

Mechanism = str | Callable[[int], nn.Module] | None
WIDTHS = (16, 48, 64, 64)      # of the four layers of SmallHost
PLACES = ("input", "pre", "post", "both", "instead", "head")


def make_attention(mechanism: Mechanism, channels: int, start: str = "paper") -> nn.Module:
    """A mechanism for `channels` channels: by its name, by a callable channels -> module, or none at all.

    Raises:
        ValueError: unknown name.
        TypeError: a callable that does not return a module; a finished module instead of something that makes one.
    """
    if mechanism is None:
        return nn.Identity()
    if isinstance(mechanism, str):
        return mechanisms.build(mechanism, channels, start=start)
    if isinstance(mechanism, nn.Module) or not callable(mechanism):
        raise TypeError(f"attention must be a name, or a callable channels -> module such as the class itself; got "
                        f"{type(mechanism).__name__}. Each place needs a module of its own: pass SE, not SE(64).")
    module = mechanism(channels)
    if not isinstance(module, nn.Module):
        raise TypeError(f"attention({channels}) must return a torch.nn.Module, got {type(module).__name__}")
    return module


def make_convolution(mechanism: Mechanism, c_in: int, c_out: int, stride: int, start: str = "paper") -> nn.Module:
    """A mechanism in place of a 3x3 convolution: made with `out_channels` and `stride` where these differ from the default.

    Raises:
        TypeError: the mechanism does not take them, so it cannot stand where the map changes its channels or its size.
    """
    if c_in == c_out and stride == 1:
        return make_attention(mechanism, c_in, start)
    shape = {"out_channels": c_out, "stride": stride}
    try:
        if isinstance(mechanism, str):
            return mechanisms.build(mechanism, c_in, start=start, **shape)
        return make_attention(lambda channels: mechanism(channels, **shape), c_in)
    except TypeError as error:
        raise TypeError(f"at='instead' replaces a convolution {c_in} -> {c_out} of stride {stride}: the mechanism must take "
                        f"out_channels and stride, as the kernel mechanisms do ({error})") from None


def check_place(at: str) -> None:
    """Refuse a socket that these hosts do not have."""
    if at not in PLACES:
        raise ValueError(f"this host has the sockets {', '.join(map(repr, PLACES))}, got {at!r}")


def check_sizes(classes: int, widths: Sequence[int], layers: int | None = None, blocks: int = 1) -> None:
    """Refuse a network without outputs, layers or channels."""
    if layers is not None and len(widths) != layers:
        raise ValueError(f"widths must name {layers} layers, got {tuple(widths)}")
    if not widths or min(widths) < 1:
        raise ValueError(f"widths must be channel numbers of at least 1, got {tuple(widths)}")
    if classes < 1 or blocks < 1:
        raise ValueError(f"classes and blocks must be at least 1, got classes={classes}, blocks={blocks}")


class ConvLayer(nn.Module):
    """pre socket -> convolution (or what stands instead) -> batch norm -> post socket -> ReLU."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int, attention: Mechanism, at: str, start: str):
        super().__init__()
        self.pre = make_attention(attention if at in ("pre", "both") else None, c_in, start)
        if at == "instead" and attention is not None:
            self.conv = make_convolution(attention, c_in, c_out, stride, start)
        else:
            self.conv = nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(c_out)
        self.post = make_attention(attention if at in ("post", "both") else None, c_out, start)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.post(self.norm(self.conv(self.pre(x)))))


class AveragePool(nn.Module):
    """The mean over all positions, (N, C, H, W) -> (N, C): what stands at the head when nothing is plugged in there."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class SmallHost(nn.Module):
    """Four convolutions, average pooling, a linear classifier: a CNN with a window of 15 pixels and no more.

        layer   kernel stride   channels     map of 56x56      window     sees every
        1       3x3    2        3 -> 16      28x28             3          2 pixels
        2       3x3    2        16 -> 48     14x14             7          4
        3       3x3    1        48 -> 64     14x14             15         4
        4       1x1    1        64 -> 64     14x14             15         4

    Average pooling then adds up what all windows say, so nothing in the host can let one window decide how another is
    read. The batch norm before the classifier brings the average, small because most windows see nothing, back to size.

    Args:
        classes: outputs, at least 1.
        attention: a mechanism by name, or a callable channels -> module; one at every layer. None: the plain host.
        at: "input" (on the picture), "pre" (before every convolution), "post" (after its norm), "both" of these two,
            "instead" (of the 3x3 convolutions of layers 2 and 3; the mechanism must take `out_channels` and `stride`) or
            "head" (instead of average pooling).
        start: the start of mechanisms given by name.
        widths: output channels of the four layers.
        layers: which of the layers 1 to 4 get the mechanism at pre, post, both or instead; None: all that can.

    Raises:
        ValueError: unknown mechanism, socket or layer. TypeError: `attention` does not make modules, or none that fit.

    Shape: (N, 3, H, W) float -> (N, classes).
    """

    LAYOUT = ((3, 2), (3, 2), (3, 1), (1, 1))      # kernel, stride

    def __init__(self, classes: int = 10, attention: Mechanism = None, at: str = "post", start: str = "paper",
                 widths: Sequence[int] = WIDTHS, layers: Sequence[int] | None = None):
        super().__init__()
        check_place(at)
        check_sizes(classes, widths, len(self.LAYOUT))
        if layers is not None and (not layers or not set(layers) <= {1, 2, 3, 4}):
            raise ValueError(f"layers must name some of 1, 2, 3, 4, got {tuple(layers)}")
        ins = (3, *widths[:-1])
        # The input socket is the `pre` of the first convolution; what stands instead is a 3x3 and not the first.
        possible = {"input": (1,), "head": (), "instead": (2, 3)}.get(at, (1, 2, 3, 4))
        chosen = set(possible if layers is None else layers)
        if not chosen <= set(possible):
            raise ValueError(f"at={at!r} is possible at layers {possible}, got layers={tuple(layers)}")
        places = [("pre" if at == "input" else at) if number in chosen else "" for number in (1, 2, 3, 4)]
        self.layers = nn.Sequential(*(ConvLayer(i, o, k, s, attention, place, start)
                                      for i, o, (k, s), place in zip(ins, widths, self.LAYOUT, places, strict=True)))
        self.pool = make_attention(attention, widths[-1], start) if at == "head" and attention else AveragePool()
        self.norm = nn.BatchNorm1d(widths[-1])
        self.classify = nn.Linear(widths[-1], classes)

    def features(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 64, H/4, W/4): what each window says."""
        return self.layers(x)

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.pool(self.features(x))                # (N, 64)
        return self.classify(self.norm(pooled))             # (N, classes)


class ResidualBlock(nn.Module):
    """y = relu(skip(x) + branch(x)); `pre` and `post` sit at the two ends of the branch, the skip is left alone."""

    def __init__(self, c_in: int, c_out: int, stride: int, attention: Mechanism, at: str, start: str):
        super().__init__()
        self.pre = make_attention(attention if at in ("pre", "both") else None, c_in, start)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(c_out)
        instead = attention if at == "instead" else None
        self.conv2 = make_convolution(instead, c_out, c_out, 1, start) if instead else nn.Conv2d(c_out, c_out, 3, padding=1,
                                                                                                 bias=False)
        self.norm2 = nn.BatchNorm2d(c_out)
        self.post = make_attention(attention if at in ("post", "both") else None, c_out, start)
        same = stride == 1 and c_in == c_out
        self.skip = nn.Identity() if same else nn.Sequential(
            nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norm1(self.conv1(self.pre(x))))
        y = self.post(self.norm2(self.conv2(y)))
        return torch.relu(self.skip(x) + y)


class SmallResNet(nn.Module):
    """A residual network for 28x28 to 64x64 pictures: a stem and three stages of `blocks` residual blocks.

    He et al., CVPR 2016, arXiv 1512.03385, the CIFAR form of section 4.2 with projection skips.
    Arguments and errors as in SmallHost; `instead` is the second 3x3 of each block; `channels` is the number of input
    channels.

    Shape: (N, channels, H, W) float -> (N, classes).
    """

    def __init__(self, classes: int = 10, attention: Mechanism = None, at: str = "post", start: str = "paper",
                 widths: Sequence[int] = (16, 32, 64), blocks: int = 1, channels: int = 3):
        super().__init__()
        check_place(at)
        check_sizes(classes, widths, blocks=blocks)
        self.input = make_attention(attention if at == "input" else None, channels, start)
        self.stem = nn.Sequential(nn.Conv2d(channels, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]),
                                  nn.ReLU())
        self.stages, c_in = nn.Sequential(), widths[0]
        for level, c_out in enumerate(widths):
            stage = nn.Sequential()
            for stride in [1 if level == 0 else 2] + [1] * (blocks - 1):
                stage.append(ResidualBlock(c_in, c_out, stride, attention, at, start))
                c_in = c_out
            self.stages.append(stage)
        self.pool = make_attention(attention, c_in, start) if at == "head" and attention else AveragePool()
        self.classify = nn.Linear(c_in, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.pool(self.stages(self.stem(self.input(x)))))


HOSTS: dict[str, type[nn.Module]] = {"small_host": SmallHost, "small_resnet": SmallResNet}
# Controls of a study: no attention, and more parameters than the same host has with attention at all of its places.
CONTROLS: dict[str, Callable[..., nn.Module]] = {
    "wide_host": partial(SmallHost, widths=(18, 54, 72, 72)),
    "wide_resnet": partial(SmallResNet, widths=(17, 33, 66)),
}


def count_parameters(net: nn.Module) -> int:
    """Numbers that training can change."""
    return sum(p.numel() for p in net.parameters() if p.requires_grad)


@dataclass(frozen=True)
class Window:
    """The part of a picture that one output position of a stack of convolutions depends on."""

    size: int     # pixels across
    step: int     # pixels between the windows of neighbouring positions
    start: int    # first pixel of the window of position 0; negative when it begins in the padding

    def span(self, position: int) -> tuple[int, int]:
        """First and last pixel that the output position sees, along one axis."""
        first = self.start + position * self.step
        return first, first + self.size - 1


def receptive_field(net: nn.Module) -> Window:
    """The window of a chain of convolutions, from kernel sizes, strides, padding and dilation.

    Only for modules whose Conv2d and pooling layers follow each other in the order in which they are registered: no
    branches, square kernels. Araujo, Norris & Sim, Distill 2019, "Computing receptive fields of CNNs", eq. 2-4.
    """
    size, step, start = 1, 1, 0
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            kernel, stride, padding, dilation = (
                value[0] if isinstance(value, tuple) else value
                for value in (layer.kernel_size, layer.stride, layer.padding, getattr(layer, "dilation", 1)))
            reach = dilation * (kernel - 1)
            size += reach * step
            start -= padding * step
            step *= stride
    return Window(size, step, start)
