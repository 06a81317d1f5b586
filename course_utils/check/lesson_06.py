"""Checks of lesson 06, each with the wrong answers that it rejects."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .report import Mistake, Report, built, compare, compare_module, exercise, noise_in, numbers


class Mixture(nn.Module):
    """A dynamic convolution with the three faults of the exercise, each of which can be mended by itself."""

    leaks = heated = forgotten = False
    axis = 1

    def __init__(self, channels: int, kernels: int = 4, temperature: float = 30.0):
        super().__init__()
        self.temperature = temperature
        made = torch.randn(kernels, channels, channels, 3, 3) * 0.05
        self.kernels = made if self.forgotten else nn.Parameter(made)
        self.squeeze, self.router = nn.Linear(channels, max(1, channels // 4)), nn.Linear(max(1, channels // 4), kernels)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        z = x.mean((0, 2, 3)).expand(n, c) if self.leaks else x.mean((2, 3))
        logits = self.router(torch.relu(self.squeeze(z)))
        p = self.scaled(logits).softmax(self.axis)
        kernels = torch.einsum("nk,koiab->noiab", p, self.kernels).flatten(0, 1)
        return F.conv2d(x.reshape(1, n * c, h, w), kernels, padding=1, groups=n).view(n, c, h, w)

    def scaled(self, logits: Tensor) -> Tensor:
        return logits * self.temperature if self.heated else logits / self.temperature


def mixture_with(**faults) -> type[Mixture]:
    return type("Mixture", (Mixture,), faults)


def true_mixture(module: nn.Module, temperature: float, x: Tensor) -> Tensor:
    """One picture at a time, its kernel added up in the open."""
    pictures = []
    for picture in x:
        logits = module.router(torch.relu(module.squeeze(picture.mean((1, 2))))) / temperature
        e = [torch.exp(value - logits.max()) for value in logits]
        kernel = sum(weight / sum(e) * one for weight, one in zip(e, module.kernels, strict=True))
        pictures.append(F.conv2d(picture[None], kernel, padding=1))
    return torch.cat(pictures)


@exercise("Mend the mixture", [
    Mistake("the kernels are a plain tensor, so the optimiser never sees them: nn.Parameter.", mixture_with(forgotten=True)),
    Mistake("the mean runs over the batch too, so every picture gets the same mixture: mean((2, 3)).", mixture_with(leaks=True)),
    Mistake("the logits are multiplied by the temperature; a high one should flatten the softmax.", mixture_with(heated=True)),
    Mistake("the softmax runs over the pictures (dim 0); the weights of each picture should sum to one.", mixture_with(axis=0)),
    Mistake("the temperature is gone.", mixture_with(scaled=lambda self, logits: logits)),
    Mistake("the mean runs over the batch too, and the temperature multiplies.", mixture_with(leaks=True, heated=True)),
])
def mended_mixture(report: Report, answer: type) -> None:
    """The class of the exercise: channels, kernels, temperature; parts named kernels, squeeze and router."""
    temperature = 2.0
    module = built(report, answer, 8, 3, temperature)
    x = numbers(4, 8, 5, 6) + numbers(4, 8, 1, 1, seed=1)      # pictures that differ in their means
    report.tensor(report.call(module, x.clone(), what="forward"), tuple(x.shape), "the result")
    for name in ("kernels", "squeeze", "router"):
        if not hasattr(module, name):
            report.wrong(f"the class should keep its part {name!r}; it is not there")
    if not any(parameter is module.kernels for parameter in module.parameters()):
        report.wrong("kernels is not among the parameters", "the kernels are a plain tensor, so the optimiser never sees them: "
                     "nn.Parameter.")
    report.right("the kernels are parameters")
    if tuple(module.kernels.shape) != (3, 8, 8, 3, 3):
        report.wrong(f"kernels should have the shape (3, 8, 8, 3, 3), got {tuple(module.kernels.shape)}")
    noise_in(module)
    compare_module(report, module, x, lambda x: true_mixture(module, temperature, x), "4 pictures, 3 kernels, temperature 2")


def everywhere(x: Tensor, kernels: Tensor) -> Tensor:
    """What each kernel makes of x: (N, K, O, H, W)."""
    results = F.conv2d(x, kernels.flatten(0, 1), padding=kernels.shape[-1] // 2)
    return results.unflatten(1, kernels.shape[:2])


def like_places(route=lambda w: w, stored=lambda kernels: kernels, total=lambda y: y.sum(1)):
    """Outputs of all kernels, weighed at every place, with one thing to get wrong."""
    return lambda x, kernels, weights: total(everywhere(x, stored(kernels)) * route(weights)[:, :, None])


def true_places(x: Tensor, kernels: Tensor, weights: Tensor) -> Tensor:
    mixed = torch.zeros(len(x), kernels.shape[1], *x.shape[2:])
    for n in range(len(x)):
        for k, kernel in enumerate(kernels):
            mixed[n] += weights[n, k] * F.conv2d(x[n:n + 1], kernel, padding=kernel.shape[-1] // 2)[0]
    return mixed


@exercise("A kernel for every place", [
    Mistake("the weights are averaged over the places: that is one mixture for the whole picture.",
            like_places(lambda w: w.mean((2, 3), keepdim=True))),
    Mistake("the weights are averaged over the batch.", like_places(lambda w: w.mean(0, keepdim=True))),
    Mistake("every picture gets the weights of the first one.", like_places(lambda w: w[:1])),
    Mistake("only the kernel with the largest weight is used at each place.",
            like_places(lambda w: F.one_hot(w.argmax(1), w.shape[1]).movedim(-1, 1).to(w))),
    Mistake("the weights go through a softmax again; take them as they are.", like_places(lambda w: w.softmax(1))),
    Mistake("the outputs are added without their weights.", like_places(torch.ones_like)),
    Mistake("the mean over the kernels instead of the sum: the weights say already how much of each.",
            like_places(total=lambda y: y.mean(1))),
    Mistake("only the first kernel is used: is the return inside of the loop?", like_places(total=lambda y: y[:, 0])),
    Mistake("the weights stand where the output comes from, before the convolution; they belong to the place of the result.",
            lambda x, kernels, weights: sum(F.conv2d(x * weights[:, k:k + 1], kernel, padding=kernel.shape[-1] // 2)
                                            for k, kernel in enumerate(kernels))),
    Mistake("height and width of the weights are exchanged.",
            lambda x, kernels, weights: like_places(lambda w: w.mT if w.shape[2] == w.shape[3] else w.mT.reshape(w.shape))(
                x, kernels, weights)),
    Mistake("the kernels are turned by half a turn; F.conv2d takes them as they are.",
            like_places(stored=lambda kernels: kernels.flip(3, 4))),
])
def mix_places(report: Report, answer) -> None:
    """x (N, C, H, W), kernels (K, O, C, k, k), weights (N, K, H, W) -> (N, O, H, W)."""
    for (n, c, h, w), count, out, k in [((3, 4, 5, 5), 3, 4, 3), ((2, 3, 5, 7), 4, 2, 3), ((1, 2, 4, 6), 2, 5, 5)]:
        x, kernels = numbers(n, c, h, w), 0.02 * numbers(count, out, c, k, k, seed=1)
        weights = numbers(n, count, h, w, seed=2).sigmoid()      # they need not sum to one
        compare(report, answer, (x, kernels, weights), true_places(x, kernels, weights),
                f"{n} pictures, {count} kernels {k}x{k}, {c} -> {out} channels")
