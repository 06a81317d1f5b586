"""What a network costs: multiply-adds, counted by torch's own counter."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


@torch.no_grad()
def multiply_adds(net: nn.Module, x: Tensor) -> float:
    """Multiply-adds of one forward pass in eval mode, per picture of `x` (N, C, H, W).

    Convolutions, matrix products and fused attention are counted, as in the papers; element-wise work such as norms, gates
    and pooling is not, and neither is the time that it takes.
    """
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        with FlopCounterMode(display=False) as counter:
            net(x)
    finally:
        for module, mode in modes:
            module.training = mode
    return counter.get_total_flops() / 2 / len(x)
