"""Attention over kernels: one convolution whose kernel is mixed for each picture. Lesson 06."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import Mechanism, odd, positive
from .export import by_windows, exporting
from .kernel import KernelMechanism


class KernelMixture(KernelMechanism):
    """One convolution whose kernel is a weighted sum of K kernels, with weights from the picture; the shared part of two.

    `route(x)` gives the weights (N, K). Each picture has a kernel of its own, so the batch becomes groups of one convolution.
    """

    adopts = "exact"

    def __init__(self, channels: int, out_channels: int | None, kernel_size: int, stride: int, groups: int, kernels: int,
                 start: str):
        super().__init__(channels, out_channels, stride, groups, start)
        name = type(self).__name__
        self.kernel_size = k = odd(kernel_size, "kernel_size", name)
        self.count = positive(kernels, "kernels", name)
        # One below the other in four dimensions: five could not be put into channels_last with the rest of a network.
        self.kernels = nn.Parameter(torch.empty(self.count * self.out_channels, channels // groups, k, k))
        nn.init.kaiming_uniform_(self.kernels, a=5 ** 0.5)      # as torch makes a convolution

    def route(self, x: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must define route(x)")

    def adopt(self, kernel: Tensor) -> None:
        """Begin as the convolution with this kernel, (C_out, C / G, k, k): the router says the same for every picture.

        The K kernels differ from it a little, or all of them would get the same gradient for ever; their sum does not.
        """
        for parameter in self.router.parameters():
            nn.init.zeros_(parameter)
        routing = self.route(kernel.new_zeros(1, self.channels, 1, 1))           # (1, K), all the same
        apart = 0.1 * kernel.std() * torch.randn(self.count, *kernel.shape, dtype=kernel.dtype, device=kernel.device)
        kernels = kernel / routing.sum() + apart - apart.mean(0)                 # (K, C_out, C / G, k, k)
        self.kernels.data.copy_(kernels.flatten(0, 1))

    def forward(self, x: Tensor) -> Tensor:
        self.check(x)
        n, c, h, w = x.shape
        routing = self.note("weights", self.route(x))                            # (N, K)
        flat = self.kernels.reshape(self.count, -1)                              # (K, O C / G k k)
        kernels = (routing @ flat).view(-1, *self.kernels.shape[1:])             # (N O, C / G, k, k)
        kernels = kernels.to(x.dtype)
        if exporting():
            return by_windows(x, kernels, self.kernel_size, self.stride, self.groups)
        y = F.conv2d(x.reshape(1, n * c, h, w), kernels, stride=self.stride, padding=self.kernel_size // 2,
                     groups=n * self.groups)
        return y.view(n, self.out_channels, *y.shape[2:])


class CondConv(KernelMixture):
    """CondConv: a kernel per picture, mixed from E experts by independent sigmoids.

    Yang et al., NeurIPS 2019, arXiv 1904.04971.   Taught in lesson 06.

        r = sigmoid(R mean(x) + b)              (N, E)
        y = conv(x; sum over e of r_e W_e)      (N, C_out, H, W)    a different kernel for every picture

    Args:
        channels: C in.
        out_channels: C out; None: as many.
        kernel_size: odd.
        stride, groups: of the convolution.
        kernels: E, 8 in the paper.
        start: "as_made" only.

    Raises:
        ValueError: an argument out of range; in `forward`, an input that is not a float (N, channels, H, W).

    Parameters: E k^2 C C_out / G + E C + E.   Authors' socket: `instead`, in the last blocks of the network.
    timm's CondConv2d is the same convolution; it gets the weights r from outside.
    """

    paper = "1904.04971"
    compared = "timm"

    def __init__(self, channels: int, out_channels: int | None = None, kernel_size: int = 3, stride: int = 1, groups: int = 1,
                 kernels: int = 8, start: str = "as_made"):
        super().__init__(channels, out_channels, kernel_size, stride, groups, kernels, start)
        self.router = nn.Linear(channels, kernels)

    def route(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.router(x.mean((2, 3))))                        # (N, E): independent of each other


class DynamicConv(KernelMixture):
    """Dynamic convolution: a kernel per picture, mixed from K kernels by a softmax that starts out nearly flat.

    Chen et al., CVPR 2020, arXiv 1912.03458.   Taught in lesson 06.

        p = softmax over k of (W2 relu(W1 mean(x)) + b2) / tau    (N, K)    hidden width max(1, C // reduction)
        y = conv(x; sum over k of p_k W_k)                        (N, C_out, H, W)

    Args:
        channels: C in.
        out_channels: C out; None: as many.
        kernel_size: odd.
        stride, groups: of the convolution.
        kernels: K, 4 in the paper.
        reduction: 4 in the paper.
        temperature: tau. The paper starts at 30 and lowers it to 1 over the first epochs: set `.temperature` as you train.
        start: "as_made", or "identity": every kernel passes its channel on, so the output is x whatever the weights are; for
            out_channels = channels and stride 1.

    Raises:
        ValueError: an argument out of range; in `forward`, an input that is not a float (N, channels, H, W).

    Parameters: K k^2 C C_out / G + C h + h K + K with h = max(1, C // reduction).   Authors' socket: `instead`, every
    convolution but the first. The paper also gives each kernel a bias; here, as in a convolution before a norm, there is none.
    Not in timm or torchvision; compared with nested loops written from the formula.
    """

    paper = "1912.03458"
    starts = Mechanism.starts

    def __init__(self, channels: int, out_channels: int | None = None, kernel_size: int = 3, stride: int = 1, groups: int = 1,
                 kernels: int = 4, reduction: int = 4, temperature: float = 30.0, start: str = "as_made"):
        super().__init__(channels, out_channels, kernel_size, stride, groups, kernels, start)
        if not temperature > 0:
            raise ValueError(f"DynamicConv: temperature must be positive, got {temperature!r}")
        self.temperature = temperature
        hidden = max(1, channels // positive(reduction, "reduction", "DynamicConv"))
        self.squeeze, self.router = nn.Linear(channels, hidden, bias=False), nn.Linear(hidden, kernels)
        if start == "identity":
            if self.out_channels != channels or stride != 1:
                raise ValueError(f"DynamicConv: an identity start needs out_channels = channels and stride 1, got "
                                 f"{self.out_channels}, {channels} and stride {stride}")
            for kernel in self.kernels.chunk(self.count):
                nn.init.dirac_(kernel, groups)

    def route(self, x: Tensor) -> Tensor:
        logits = self.router(F.relu(self.squeeze(x.mean((2, 3)))))               # (N, K)
        return (logits / self.temperature).softmax(1)
