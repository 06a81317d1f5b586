"""Every mechanism that timm or torchvision has too, with the options that make both one function: what is timed is the same work.

Shared by test_against_timm.py and compare.py.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from timm.layers import (
    CondConv2d,
    EcaModule,
    EffectiveSEModule,
    GatherExcite,
    GlobalContext,
    NonLocalAttn,
    SelectiveKernel,
    SEModule,
    SplitAttn,
)
from timm.layers.bottleneck_attn import BottleneckAttn
from timm.layers.cbam import CbamModule, ChannelAttn, SpatialAttn
from timm.layers.coord_attn import CoordAttn
from timm.layers.grn import GlobalResponseNorm
from torch import Tensor, nn
from torchvision.ops import DeformConv2d

from course_utils import attention

SIZES = ((32, 64, 32, 32), (32, 256, 14, 14))      # (N, C, H, W): a wide early map and a narrow late one
PLACES = {"cpu": ("cpu", False), "cuda": ("cuda", False), "cuda-bf16": ("cuda", True)}      # device, bfloat16 or not


class RoutedCondConv(nn.Module):
    """timm's CondConv2d gets its routing weights from outside; with our router before it, the work is equal."""

    def __init__(self, channels: int, experts: int = 8):
        super().__init__()
        self.conv = CondConv2d(channels, channels, 3, padding=1, num_experts=experts)
        self.router = nn.Linear(channels, experts)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x, torch.sigmoid(self.router(x.mean((2, 3)))))


class Deformed(nn.Module):
    """torchvision's DeformConv2d gets offsets and mask from outside; with our convolution before it, the work is equal."""

    def __init__(self, channels: int):
        super().__init__()
        self.look = nn.Conv2d(channels, 27, 3, padding=1)
        self.conv = DeformConv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        told = self.look(x)
        return self.conv(x, told[:, :18], told[:, 18:].sigmoid())


def global_context(channels: int) -> nn.Module:
    module = GlobalContext(channels, fuse_add=True, fuse_scale=False, rd_ratio=1 / 16)
    module.mlp_add.norm.eps = 1e-5      # the only difference from the authors' code, and none in work
    return module


# name -> function of (channels, (H, W)) that returns the options of ours and timm's module
PAIRS: dict[str, Callable[[int, tuple[int, int]], tuple[dict, nn.Module]]] = {
    "se": lambda c, hw: ({}, SEModule(c, rd_channels=c // 16)),
    "eca": lambda c, hw: ({}, EcaModule(c)),
    "ge": lambda c, hw: ({}, GatherExcite(c, use_mlp=False, extra_params=False)),
    "channel_gate": lambda c, hw: ({"bias": False}, ChannelAttn(c)),
    "spatial_gate": lambda c, hw: ({"norm": True}, SpatialAttn()),
    "cbam": lambda c, hw: ({"norm": True, "bias": False}, CbamModule(c)),
    "coordinate": lambda c, hw: ({}, CoordAttn(c, rd_channels=max(8, c // 32), bias=True)),
    "non_local": lambda c, hw: ({"hidden": c // 8, "scale": c ** -0.5}, NonLocalAttn(c, rd_channels=c // 8)),
    "gc": lambda c, hw: ({}, global_context(c)),
    "bot": lambda c, hw: ({"size": hw}, BottleneckAttn(c, feat_size=hw, scale_pos_embed=True)),
    "sk": lambda c, hw: ({}, SelectiveKernel(c, split_input=False, rd_channels=max(c // 16, 32))),
    "split": lambda c, hw: ({}, SplitAttn(c, norm_layer=nn.BatchNorm2d)),
    "ese": lambda c, hw: ({}, EffectiveSEModule(c)),
    "grn": lambda c, hw: ({}, GlobalResponseNorm(c, channels_last=False)),
    "deform_conv": lambda c, hw: ({}, Deformed(c)),
    "condconv": lambda c, hw: ({}, RoutedCondConv(c)),
}


def label(shape: tuple[int, ...]) -> str:
    """(32, 64, 14, 14) -> "32x64x14x14"."""
    return "x".join(map(str, shape))


def assert_same_function(ours: nn.Module, theirs: nn.Module, shape: tuple[int, ...]) -> None:
    """Both have the same parameters and, with the same values in them, compute the same numbers from two pictures.

    Works on copies: what is timed afterwards is as it was made.

    Raises:
        AssertionError: parameter count, output shape or numbers differ.
    """
    ours, theirs = copy.deepcopy(ours).double().train(), copy.deepcopy(theirs).double().train()
    mine, other = list(ours.parameters()), list(theirs.parameters())
    counts = [sum(p.numel() for p in side) for side in (mine, other)]
    assert counts[0] == counts[1], f"ours has {counts[0]} parameters, timm's {counts[1]}"
    g = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in other:      # away from the zeros of a start, which would hide what comes before them
            p.add_(0.1 * torch.randn(p.shape, dtype=p.dtype, generator=g))
        for p in mine:      # by size, then in order: a table and a layer may be registered in another order
            place = next((i for i, q in enumerate(other) if q.numel() == p.numel()), None)
            assert place is not None, f"timm's has no parameter for the {tuple(p.shape)} of ours"
            p.copy_(other.pop(place).view_as(p))
        x = torch.randn(2, *shape[1:], dtype=torch.float64, generator=g)
        y, wanted = ours(x), theirs(x)
    assert y.shape == wanted.shape, f"ours gives {tuple(y.shape)}, timm's {tuple(wanted.shape)}"
    torch.testing.assert_close(y, wanted)


def make(name: str, shape: tuple[int, ...], device: str = "cpu") -> dict[str, nn.Module]:
    """{"ours": ..., "timm": ...} for maps of `shape`, in training mode, after the check that they are the same function.

    Raises:
        AssertionError: they are not.
    """
    torch.manual_seed(0)
    _, channels, *size = shape
    options, theirs = PAIRS[name](channels, tuple(size))
    ours = attention.build(name, channels, **options)
    assert_same_function(ours, theirs, shape)
    return {"ours": ours.train().to(device), "timm": theirs.train().to(device)}


def training_step(module: nn.Module, shape: tuple[int, ...], device: str = "cpu", half: bool = False) -> Callable[[], None]:
    """One forward and backward pass, down to the gradients of the input and of all parameters, as a function to time.

    With `half` under autocast to bfloat16, and the input is bfloat16 too: inside a network it comes from a convolution.
    On CUDA the work is only handed in; `wait` afterwards.
    """
    g = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=g).to(device, torch.bfloat16 if half else torch.float32).requires_grad_()
    wanted = [x, *module.parameters()]

    def forward() -> Tensor:
        with torch.autocast(device, torch.bfloat16, enabled=half):
            return module(x)

    gradient = torch.randn(shape, generator=g).to(device, forward().dtype)

    def step() -> None:
        torch.autograd.grad(forward(), wanted, gradient)

    return step


def wait(device: str) -> None:
    """Until the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
