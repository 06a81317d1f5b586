"""The trainer: one readable loop, the same for every lesson and every study."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from .runtime import keep_memory, rehearsing
from .tasks import Batch

Measure = Callable[[Tensor, Tensor], Tensor | float]      # of the output of a network and the right answers
CHECK_EVERY = 50      # steps between looks at the loss and at unseen pictures: each look makes a GPU wait


@dataclass
class History:
    """What happened during training, one entry per step."""

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)     # on the training batch, before its step; none with another loss
    unseen: list[float] = field(default_factory=list)       # accuracy or metric on unseen pictures, after every CHECK_EVERY steps
    seconds: float = 0.0
    interrupted: bool = False

    def smooth(self, values: str = "accuracy", width: int = 25) -> tuple[list[int], list[float]]:
        """Steps and means over `width` steps each, fewer if there are fewer: a curve that can be read."""
        series = getattr(self, values)
        width = max(1, min(width, len(series)))
        ends = range(width, len(series) + 1, width)
        return list(ends), [sum(series[end - width:end]) / width for end in ends]


def layout(x: Tensor, device: torch.device) -> Tensor:
    """To the device, channels last: the memory order in which convolutions are fastest."""
    return x.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)


def autocast(device: torch.device) -> contextlib.AbstractContextManager:
    """Half precision on a GPU: bfloat16 where the chip has it, else float16. Full precision elsewhere."""
    if device.type != "cuda":
        return contextlib.nullcontext()
    native = torch.cuda.get_device_capability(device) >= (8, 0)
    return torch.autocast("cuda", torch.bfloat16 if native else torch.float16)


def device_of(net: nn.Module) -> torch.device:
    """Where its parameters are; the processor for a rule by hand, which has none."""
    return next((p.device for p in net.parameters()), torch.device("cpu"))


def fit(net: nn.Module, batches: Iterable[Batch], lr: float = 1e-2, weight_decay: float = 1e-2,
        progress: bool = True, label: str = "training", unseen: Batch | None = None,
        loss: Measure | None = None, metric: Measure | None = None) -> History:
    """Train a network in place, one pass over `batches`, with AdamW and a one-cycle learning rate.

    The process keeps the memory of a step for the next one (`runtime.keep_memory`).

    Args:
        net: on the device it should train on; (N, C, H, W) -> (N, classes), or (N, classes, H, W) with y (N, H, W), or whatever
            `loss` takes.
        batches: sized iterable of Batch, for example `tasks.Stream("what", steps=800)`.
        lr: the peak of the one-cycle schedule.
        progress: show a bar.
        unseen: pictures to look at every CHECK_EVERY steps; training does not depend on it.
        loss: function of the network's output, in float32, and y -> a number to make smaller; None: cross-entropy.
        metric: what is measured on the unseen pictures, a function of output and y -> a number; None: the accuracy.

    Returns:
        History; the time spent on unseen pictures is not in its seconds.
        Stopped by the keyboard (Kernel > Interrupt) it keeps what was learned and says so.

    Raises:
        ValueError: no batches, or the loss is not a number; the message says at which step and what to try.
    """
    device = device_of(net)
    steps = min(len(batches), 2) if rehearsing() else len(batches)
    if steps < 1:
        raise ValueError("fit: got no batches; there must be at least one step")
    keep_memory()
    net.to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=weight_decay)
    # A one-cycle schedule needs some steps for its two halves; below that the rate stays at its peak.
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=steps) if steps >= 10 else None
    scaler = torch.amp.GradScaler(device.type, enabled=device.type == "cuda"
                                  and torch.cuda.get_device_capability(device) < (8, 0))
    losses, hits, history, began, looking = [], [], History(), time.perf_counter(), 0.0
    bar = tqdm(total=steps, desc=label, disable=not progress, leave=False, mininterval=0.5)
    try:
        for step, (x, y, _) in zip(range(steps), batches, strict=False):
            x, y = layout(x, device), y.to(device)
            with autocast(device):
                out = net(x)                                      # (N, classes)
                error = (loss or F.cross_entropy)(out.float(), y)
            optimiser.zero_grad(set_to_none=True)
            scaler.scale(error).backward()
            scaler.step(optimiser)
            scaler.update()
            if schedule:
                schedule.step()
            losses.append(error.detach())
            if loss is None:
                hits.append((out.argmax(1) == y).float().mean())
            if step % CHECK_EVERY == 0 or step == steps - 1:
                stop_if_not_finite(losses, step, lr)
                bar.set_postfix(loss=f"{losses[-1].item():.2f}", refresh=False)
            if unseen is not None and (step + 1) % CHECK_EVERY == 0:
                looked = time.perf_counter()
                history.unseen.append(evaluate(net, unseen, metric))
                looking += time.perf_counter() - looked
            bar.update()
    except KeyboardInterrupt:
        history.interrupted = True
        print(f"Stopped by you after {len(losses)} of {steps} steps. The network keeps what it has learned.")
    finally:
        bar.close()
        if whole := len(losses) if loss else min(len(losses), len(hits)):      # a stop between the two leaves one more loss
            history.loss = torch.stack(losses[:whole]).tolist()
            history.accuracy = torch.stack(hits[:whole]).tolist() if hits else []
        history.seconds = time.perf_counter() - began - looking
    return history


def stop_if_not_finite(losses: list[Tensor], step: int, lr: float) -> None:
    """Raise when a loss since the last look is NaN or infinite."""
    recent = torch.stack(losses[-CHECK_EVERY:])
    if not torch.isfinite(recent).all():
        bad = step - len(recent) + 1 + int((~torch.isfinite(recent)).int().argmax())
        raise ValueError(f"the loss became {losses[bad].item()} at step {bad}. Try, in this order: a smaller learning rate "
                         f"(lr={lr / 10:g} instead of {lr:g}); look for numbers that are not finite in your pictures "
                         "(torch.isfinite(x).all()); look for a root or a logarithm of zero in your own module.")


@contextlib.contextmanager
def evaluating(*nets: nn.Module) -> Iterator[None]:
    """Eval mode without gradients; afterwards every module has its own mode again, also after an error."""
    modes = [(module, module.training) for net in nets for module in net.modules()]
    try:
        for net in nets:
            net.eval()
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:      # net.train(mode) would wake a batch norm that somebody froze
            module.training = mode


def predict(net: nn.Module, x: Tensor, chunk: int = 256) -> Tensor:
    """What the network gives, logits (N, classes) of a classifier, in float32 and eval mode; then each part has its own mode
    again."""
    device = device_of(net)
    with evaluating(net), autocast(device):
        return torch.cat([net(layout(part, device)).float() for part in x.split(chunk)])


def evaluate(net: nn.Module, batch: Batch, metric: Measure | None = None) -> float:
    """Share of right answers on a batch of any size, or the metric: a function of the network's output and y."""
    out = predict(net, batch.x)
    return float(metric(out, batch.y.to(out.device))) if metric else (out.argmax(1).cpu() == batch.y.cpu()).float().mean().item()
