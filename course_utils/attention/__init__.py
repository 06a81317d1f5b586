"""Every mechanism of the course, by name: `REGISTRY["se"] -> SE`, `build("se", channels)`."""

from __future__ import annotations

import inspect
import re

from torch import nn

from .. import names
from .axes import ELA, Coordinate, SimAM, Triplet
from .base import Gate, Mechanism, read
from .channel import ECA, SE, SRM, GatedChannel
from .combined import BAM, CBAM, ChannelGate, ScSE
from .deform import DeformConv
from .dynamic import CondConv, DynamicConv
from .fusion import AFF, IAFF
from .gather import GatherExcite, LearnedGatherExcite
from .groups import EMA, SGE, ShuffleAttention
from .halo import Halo
from .inputs import AttentionPool, PatchSelection, PixelGate, SpatialTransformer
from .interventions import frozen, shuffled, swapped
from .kernel import SelectiveKernel, SplitAttention
from .linear import CrissCross, DoubleAttention, EfficientAttention
from .mixing import BoT, GlobalContext, NonLocal
from .response import GRN, EffectiveSE
from .separable import SeparableLargeKernel
from .spatial import AttentionGate, SpatialGate, SpatialSE
from .window import LargeKernel, ResidualMask

REGISTRY: dict[str, type[nn.Module]] = {
    "se": SE, "eca": ECA, "gct": GatedChannel, "srm": SRM, "ge": GatherExcite, "ge_learned": LearnedGatherExcite,
    "channel_gate": ChannelGate, "ese": EffectiveSE, "grn": GRN,
    "spatial_gate": SpatialGate, "sse": SpatialSE, "attention_gate": AttentionGate, "residual_mask": ResidualMask,
    "lka": LargeKernel, "lska": SeparableLargeKernel, "sge": SGE,
    "cbam": CBAM, "bam": BAM, "scse": ScSE, "coordinate": Coordinate, "triplet": Triplet, "simam": SimAM,
    "ela": ELA, "ema": EMA, "shuffle": ShuffleAttention, "aff": AFF, "iaff": IAFF,
    "non_local": NonLocal, "gc": GlobalContext, "bot": BoT, "efficient": EfficientAttention, "criss_cross": CrissCross,
    "double": DoubleAttention, "halo": Halo,
    "sk": SelectiveKernel, "split": SplitAttention, "condconv": CondConv, "dynamic_conv": DynamicConv,
    "deform_conv": DeformConv,
    "pixel_gate": PixelGate, "stn": SpatialTransformer, "patches": PatchSelection, "attention_pool": AttentionPool,
}

__all__ = ["REGISTRY", "Gate", "Mechanism", "build", "find", "formula", "frozen", "read", "shuffled", "swapped", "table",
           *(cls.__name__ for cls in REGISTRY.values())]


def find(name: str) -> type[nn.Module]:
    """The class of a mechanism.

    Raises:
        ValueError: no such name; the message lists the names and the closest one.
    """
    return names.find("mechanism", name, dict(sorted(REGISTRY.items())), cutoff=0.5)


def build(name: str, channels: int, **options) -> nn.Module:
    """Make a mechanism for `channels` channels: `build("se", 64, reduction=4)`.

    Raises:
        ValueError: unknown name, or a value that the mechanism refuses. TypeError: an option that it does not have.
    """
    return find(name)(channels, **options)


def formula(name: str) -> str:
    """The number of parameters as its docstring gives it: `formula("se")` is "2 C h + h + C with h = max(1, C // r)"."""
    text = " ".join(inspect.getdoc(find(name)).split())
    return re.search(r"Parameters: (.+?)\.(?= |$)", text).group(1)


def table() -> str:
    """All mechanisms as a table in Markdown, made from the registry: the one in the README."""
    rows = ["| name | family | class | paper | parameters | home | compared with |", "| --- " * 7 + "|"]
    for name, cls in REGISTRY.items():
        paper = f"[{cls.paper}](https://arxiv.org/abs/{cls.paper})" if re.fullmatch(r"\d{4}\.\d{5}", cls.paper) else cls.paper
        rows.append(f"| `{name}` | {cls.family} | {cls.__name__} | {paper} | {formula(name)} | `{cls.home}` | {cls.compared} |")
    return "\n".join(rows)
