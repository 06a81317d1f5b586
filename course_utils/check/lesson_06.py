"""Checks of lesson 06, each with the wrong answers that it rejects."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .report import Mistake, Report, close_number, compare, exercise, numbers

KERNEL, ROUTER = 9 * 64 * 64, 64 * 16 + 16 * 4 + 4


@exercise("Parameters of a dynamic convolution", [
    Mistake("the router is missing: the two layers that choose the weights.", 4 * KERNEL),
    Mistake("all four kernels are stored, not only their mixture.", KERNEL + ROUTER),
    Mistake("that is a plain convolution.", KERNEL),
    Mistake("the bias of the router's second layer is missing: one for each kernel.", 4 * KERNEL + ROUTER - 4),
    Mistake("the router's first layer has no bias.", 4 * KERNEL + ROUTER + 16),
    Mistake("a 3x3 kernel has 9 weights for each pair of channels.", 4 * 64 * 64 + ROUTER),
    Mistake("every output channel reads all 64 input channels; you count one.", 4 * 9 * 64 + ROUTER),
    Mistake("there is one router for all kernels, not one for each.", 4 * (KERNEL + ROUTER)),
    Mistake("the kernels have no biases here.", 4 * KERNEL + ROUTER + 4 * 64),
])
def mixture_parameters(report: Report, answer: int) -> None:
    """Four kernels 3x3, 64 -> 64 channels; router 64 -> 16 without bias, 16 -> 4 with bias."""
    close_number(report, answer, 4 * 9 * 64 * 64 + 64 * 16 + 16 * 4 + 4, "parameters")


def true_branches(logits: Tensor, branches: int) -> Tensor:
    channels = logits.shape[1] // branches
    weights = torch.empty(len(logits), branches, channels)
    for n in range(len(logits)):
        for c in range(channels):
            e = [torch.exp(logits[n, m * channels + c]) for m in range(branches)]
            weights[n, :, c] = torch.stack(e) / sum(e)
    return weights


def split(logits: Tensor, branches: int) -> Tensor:
    return logits.unflatten(1, (branches, -1))


@exercise("Weights of branches", [
    Mistake("the softmax runs over the channels (dim 2); for each channel the branches (dim 1) should sum to one.",
            lambda s, branches: split(s, branches).softmax(2)),
    Mistake("the softmax runs over the pictures of the batch (dim 0).", lambda s, branches: split(s, branches).softmax(0)),
    Mistake("the softmax runs over all M * C logits together: reshape first, then softmax over the branches.",
            lambda s, branches: split(s.softmax(1), branches)),
    Mistake("sigmoid instead of softmax: the branches should compete for a sum of one.",
            lambda s, branches: split(s, branches).sigmoid()),
    Mistake("the first C logits belong to the first branch: reshape to (N, M, C), not to (N, C, M).",
            lambda s, branches: s.unflatten(1, (-1, branches)).softmax(2).mT),
    Mistake("the result has channels before branches: (N, C, M) instead of (N, M, C).",
            lambda s, branches: split(s, branches).softmax(1).mT),
    Mistake("the logits are reshaped to (N, C, M): the first C of them belong to the first branch.",
            lambda s, branches: s.unflatten(1, (-1, branches)).softmax(2)),
    Mistake("the number of branches is fixed at two.", lambda s, branches: split(s, 2).softmax(1)),
    Mistake("the softmax is missing.", split),
])
def branch_weights(report: Report, answer) -> None:
    """logits (N, M C), branches M -> (N, M, C)."""
    for n, branches, channels in [(4, 2, 5), (2, 3, 4), (2, 3, 3), (3, 3, 3), (1, 4, 1)]:      # C equals M, N equals both
        logits = numbers(n, branches * channels)
        compare(report, answer, (logits, branches), true_branches(logits, branches),
                f"{n} pictures, {branches} branches, {channels} channels")


def grouped(x: Tensor, mixed: Tensor, padding: int | None = None) -> Tensor:
    """Every picture with its own kernel (N, O, C, k, k), as groups of one convolution."""
    n, _, _, k, _ = mixed.shape
    y = F.conv2d(x.flatten(0, 1)[None], mixed.flatten(0, 1), padding=k // 2 if padding is None else padding, groups=n)
    return y[0].unflatten(0, (n, -1))


def mixture(weights: Tensor, kernels: Tensor) -> Tensor:
    return torch.einsum("nk,koiab->noiab", weights, kernels)


def like_mix(route=lambda w: w, stored=lambda kernels: kernels, order=lambda mixed: mixed, padding=None):
    """A mixed convolution with one thing to get wrong."""
    return lambda x, kernels, weights: grouped(x, order(mixture(route(weights), stored(kernels))), padding)


def true_mix(x: Tensor, kernels: Tensor, weights: Tensor) -> Tensor:
    pictures = []
    for n in range(len(x)):      # convolution is linear: mixing the results is mixing the kernels
        results = [F.conv2d(x[n:n + 1], kernel, padding=kernel.shape[-1] // 2) for kernel in kernels]
        pictures.append(sum(weights[n, i] * y for i, y in enumerate(results)))
    return torch.cat(pictures)


@exercise("A kernel for every picture", [
    Mistake("the weights are averaged over the batch: each picture should be convolved with its own mixture.",
            like_mix(lambda w: w.mean(0, keepdim=True).expand_as(w))),
    Mistake("every picture gets the kernel of the first one.", like_mix(lambda w: w[:1].expand_as(w))),
    Mistake("only the kernel with the largest weight is used.", like_mix(lambda w: F.one_hot(w.argmax(1), w.shape[1]).to(w))),
    Mistake("the kernels are added without their weights.", like_mix(torch.ones_like)),
    Mistake("the weights go through a softmax again; take them as they are.",
            like_mix(lambda w: w.softmax(1))),
    Mistake("the weights are divided by their sum; take them as they are.", like_mix(lambda w: w / w.sum(1, keepdim=True))),
    Mistake("the mean over the kernels instead of the sum: the weights say already how much of each.",
            like_mix(lambda w: w / w.shape[1])),
    Mistake("the convolution has no padding; padding=k // 2 keeps the size.", like_mix(padding=0)),
    Mistake("input and output channels of the kernels are exchanged.", like_mix(stored=lambda kernels: kernels.transpose(1, 2))),
    Mistake("pictures and output channels are mixed up: in a grouped convolution the kernels of the first picture come first.",
            like_mix(order=lambda mixed: mixed.transpose(0, 1).reshape(mixed.shape))),
    Mistake("the kernels are turned by half a turn; F.conv2d takes them as they are.",
            like_mix(stored=lambda kernels: kernels.flip(3, 4))),
    Mistake("the weights are read with kernels before pictures; they are (N, K).", like_mix(lambda w: w.mT)),
])
def mix_kernels(report: Report, answer) -> None:
    """x (N, C, H, W), kernels (K, O, C, k, k), weights (N, K) -> (N, O, H, W)."""
    for (n, c, h, w), count, out, k in [((3, 4, 6, 5), 3, 4, 3),      # N equals K, O equals C: exchanged axes have a valid shape
                                        ((2, 3, 5, 7), 4, 2, 3), ((2, 2, 4, 6), 3, 5, 1), ((1, 3, 6, 5), 2, 4, 5)]:
        x, kernels = numbers(n, c, h, w), 0.02 * numbers(count, out, c, k, k, seed=1)      # small sums, small rounding
        weights = numbers(n, count, seed=2).sigmoid()      # they need not sum to one
        compare(report, answer, (x, kernels, weights), true_mix(x, kernels, weights),
                f"{n} pictures, {count} kernels {k}x{k}, {c} -> {out} channels")
