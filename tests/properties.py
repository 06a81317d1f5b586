"""What the property tests share: the cases, pictures, and modules whose parameters are away from their start.

A case is a registered mechanism, or one with options that change what it computes. A new mechanism is a case as soon as it
is registered. Its tests are found by name: `pytest -k "[se]"`, and with options `pytest -k "[se-"`.
"""

from __future__ import annotations

import copy
import inspect
import math
from typing import NamedTuple

import pytest
import torch
from torch import nn

from course_utils import attention
from course_utils.attention import (
    GRN,
    BoT,
    Coordinate,
    DeformConv,
    DynamicConv,
    Halo,
    Mechanism,
    PatchSelection,
    SeparableLargeKernel,
    ShuffleAttention,
    SpatialTransformer,
    Triplet,
)
from course_utils.attention.dynamic import KernelMixture

MAP = "map"      # stands for an option that must be the size of the picture

OPTIONS = {"patches": {"size": 2, "factor": 1, "patches": 2}}      # what a mechanism needs to run on the small pictures here

VARIANTS = [
    ("eca", {"kernel_size": 5}),
    ("ge", {"extent": 2}),
    ("ge_learned", {"extent": 2, "mlp": True, "reduction": 2}),
    ("channel_gate", {"pool": "max", "bias": False, "reduction": 2}),
    ("spatial_gate", {"norm": True, "kernel_size": 3}),
    ("attention_gate", {"subsample": 1, "hidden": 3}),
    ("residual_mask", {"residual": False, "levels": 1}),
    ("cbam", {"norm": True, "reduction": 2}),
    ("cbam", {"order": "spatial first"}),
    ("cbam", {"order": "parallel"}),
    ("bam", {"combine": "product", "dilation": 2}),
    ("scse", {"combine": "sum"}),
    ("simam", {"lambda_": 0.1}),
    ("aff", {"reduction": 2}),
    ("iaff", {"reduction": 2}),
    ("lska", {"side": 11}),
    ("sge", {"groups": 2}),
    ("ela", {"kernel_size": 3, "groups": 2}),
    ("ema", {"factor": 2}),
    ("shuffle", {"groups": 2}),
    ("shuffle", {"groups": 1, "shuffle": False}),
    ("non_local", {"form": "dot"}),
    ("non_local", {"form": "dot", "subsample": True}),
    ("non_local", {"subsample": True}),
    ("non_local", {"norm": False, "scale": 0.5}),
    ("gc", {"reduction": 2}),
    ("bot", {"size": MAP}),
    ("bot", {"size": MAP, "heads": 2, "scale_position": False}),
    ("criss_cross", {"passes": 1, "reduction": 2}),
    ("double", {"features": 3, "bags": 4}),
    ("halo", {"block": 2, "halo": 1, "heads": 2}),
    ("halo", {"block": 3, "halo": 0, "scale_position": False}),
    ("sk", {"out_channels": 6, "stride": 2, "branches": 3}),
    ("sk", {"groups": 2, "smallest": 4}),
    ("split", {"groups": 2, "stride": 2}),
    ("split", {"groups": 3, "radix": 2}),
    ("split", {"radix": 3, "out_channels": 6}),
    ("condconv", {"out_channels": 6, "stride": 2, "groups": 2, "kernels": 3}),
    ("dynamic_conv", {"out_channels": 6, "stride": 2, "kernel_size": 5}),
    ("dynamic_conv", {"groups": 2, "temperature": 1.0}),
    ("deform_conv", {"out_channels": 6, "stride": 2, "groups": 2}),
    ("deform_conv", {"kernel_size": 5}),
    ("deform_conv", {"groups": 2}),
    ("patches", {"size": 3, "factor": 2, "patches": 3, "patches_eval": 1}),
]


class Case(NamedTuple):
    """A mechanism with options, made for pictures of a given shape."""

    name: str
    options: dict

    @property
    def id(self) -> str:
        return "-".join([self.name, *(f"{key}={value}" for key, value in self.options.items())]).replace(" ", "_")

    @property
    def cls(self) -> type[Mechanism]:
        return attention.REGISTRY[self.name]

    @property
    def starts(self) -> tuple[str, ...]:
        resized = self.options.keys() & {"out_channels", "stride"}      # what changes the shape cannot start as the identity
        return ("as_made",) if resized else self.cls.starts

    def shape(self, n: int, c: int, h: int, w: int) -> tuple[int, int, int, int]:
        """The shape with C rounded up to what the options can divide."""
        groups = self.options.get("groups", 1) * self.options.get("radix", 1)
        return n, c + -c % math.lcm(groups, self.options.get("heads", 1)), h, w

    def build(self, shape: tuple[int, ...], start: str = "as_made", seed: int = 0) -> Mechanism:
        torch.manual_seed(seed)
        options = OPTIONS.get(self.name, {}) | self.options
        options = {key: tuple(shape[2:]) if value == MAP else value for key, value in options.items()}
        return attention.build(self.name, shape[1], start=start, **options)

    def trained(self, shape: tuple[int, ...], start: str = "as_made", noise: float = 0.5) -> Mechanism:
        """In float64 and evaluation mode, every parameter and every running statistic away from its start."""
        module, g = self.build(shape, start).double(), torch.Generator().manual_seed(1)
        if isinstance(module, SpatialTransformer):
            noise = 0.1 * noise      # otherwise it looks beyond the border everywhere
        with torch.no_grad():
            for p in module.parameters():
                p.add_(noise * torch.randn(p.shape, dtype=p.dtype, generator=g))
            for key, buffer in module.named_buffers():
                if key.endswith("running_mean"):
                    buffer.add_(0.3 * torch.randn(buffer.shape, dtype=buffer.dtype, generator=g))
                if key.endswith("running_var"):
                    buffer.mul_(0.5 + torch.rand(buffer.shape, dtype=buffer.dtype, generator=g))
        return module.eval()


NAMES = sorted(attention.REGISTRY)
CASES = [Case(name, {}) for name in NAMES] + [Case(name, options) for name, options in VARIANTS]
ARGUMENTS = {name: [a for a in inspect.signature(attention.REGISTRY[name].__init__).parameters if a != "self"] for name in NAMES}


def over(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.id for case in cases])


each = over(CASES)
each_name = pytest.mark.parametrize("name", NAMES)
each_start = pytest.mark.parametrize("case, start", [(case, start) for case in CASES for start in case.starts],
                                     ids=[f"{case.id}-{start}" for case in CASES for start in case.starts])


def picture(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def fits(module: Mechanism, shape: tuple[int, ...]) -> bool:
    """Whether a picture is large enough: only patches ask for more than one pixel."""
    if not isinstance(module, PatchSelection):
        return True
    places = (shape[2] // module.factor) * (shape[3] // module.factor)
    return min(shape[2:]) >= module.size and places >= max(module.patches, module.patches_eval)


def out_shape(module: Mechanism, shape: tuple[int, ...]) -> tuple[int, ...]:
    """What a mechanism makes of a shape: the same, but for a pool, patches, and what replaces a convolution."""
    n, c, h, w = shape
    if module.kind == "pool":
        return n, c
    if isinstance(module, PatchSelection):
        return n, c, module.size, module.size
    if module.kind == "kernel":
        return n, module.out_channels, -(-h // module.stride), -(-w // module.stride)
    return shape


def applied(module: Mechanism, gate: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """What a mechanism makes of its gate and its input: the product, but where the docstring says more."""
    y = gate * x
    if isinstance(module, GRN):
        y = y + module.beta
    if isinstance(module, ShuffleAttention) and module.shuffle:
        y = nn.functional.channel_shuffle(y, 2)
    return y


def swap(module: nn.Module, one: str, other: str) -> None:
    a, b = getattr(module, one), getattr(module, other)
    setattr(module, one, b)
    setattr(module, other, a)


def turned(module: Mechanism) -> Mechanism:
    """The module with height and width exchanged in its parameters, so that turned(f)(x) is f(x.mT).mT."""
    module = copy.deepcopy(module)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Conv2d) and not isinstance(module, SeparableLargeKernel):
                part.weight.copy_(part.weight.mT.clone())
        if isinstance(module, KernelMixture):
            module.kernels.copy_(module.kernels.mT.clone())
        if isinstance(module, (Coordinate, BoT, Halo)) and getattr(module, "rows", None) is not None:
            swap(module, "rows", "columns")
        if isinstance(module, BoT) and module.size is not None:
            module.size = module.size[::-1]
        if isinstance(module, Triplet):
            for planes in (module.convs, module.norms):
                planes[0], planes[1] = planes[1], planes[0]
        if isinstance(module, SeparableLargeKernel):      # a bias between the two makes their order count at the border
            for pair in (module.near, module.far):
                along, down = pair
                along.weight.data, down.weight.data = down.weight.mT.clone(), along.weight.mT.clone()
                along.bias.data, down.bias.data = down.bias.data, along.bias.data
                pair[0], pair[1] = down, along
        if isinstance(module, DeformConv):
            k = module.kernel_size
            module.kernel.copy_(module.kernel.mT.clone())
            taps = torch.arange(k * k).view(k, k).T.flatten()
            order = torch.cat([torch.stack([2 * taps + 1, 2 * taps], 1).flatten(), 2 * k * k + taps])
            module.look.weight.copy_(module.look.weight[order].clone())
            module.look.bias.copy_(module.look.bias[order].clone())
        if isinstance(module, SpatialTransformer):
            first = next(part for part in module.localise if isinstance(part, nn.Linear))
            first.weight.copy_(first.weight.unflatten(1, (-1, 4, 4)).mT.flatten(1))      # its input is a map of 4x4
            order = [4, 3, 5, 1, 0, 2]                                 # [a b c; d e f] becomes [e d f; b a c]
            module.last.weight.copy_(module.last.weight[order].clone())
            module.last.bias.copy_(module.last.bias[order].clone())
    return module


def looks_at_regions(case: Case) -> bool:
    """Whether a channel gate may differ from region to region: gather-excite with an extent."""
    extent = inspect.signature(case.cls).parameters.get("extent")
    return extent is not None and case.options.get("extent", extent.default) > 0


def rounding(module: Mechanism) -> float:
    """How far an identity start may be from x: nothing, but where a sum of weights or a resampling stands before it."""
    if isinstance(module, SpatialTransformer):
        return 1e-5
    return 1e-6 if isinstance(module, DynamicConv) or module.kind == "pool" else 0.0
