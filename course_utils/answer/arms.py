"""What is compared: the plain host, a wider one without attention, attention at sensible places; how large the pictures are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from ..sockets import list_sockets
from ..studies.hosting import HOSTS, build, imagenet

PLAIN, WIDER = "plain", "wider"
# The first are the last to be dropped where time is short: what is asked most, and the control without attention.
ORDER = (PLAIN, "SE at post", WIDER, "ECA at post", "CBAM at post", "SE at inner", "GC at post")
WIDE = {"small_resnet": "wide_resnet", "small_host": "wide_host"}      # the course's own hosts with more channels
NARROW = 64      # channels: below that SE's sixteenth would be one or two, and a fourth is taken
SIZES = (32, 48, 64, 96, 128, 160, 224, 256, 299, 384)      # tried in turn, for a host that takes none smaller
SCRATCH, TUNED = 64, 128      # the least side for hosts that were made for ImageNet: with new weights, and with theirs


def takes(host: str, classes: int, size: int) -> str:
    """Why the host cannot train on pictures of that side; empty if it can."""
    with torch.random.fork_rng(devices=[]):
        net = build(host, classes).train()
        try:
            out = net(torch.rand(2, 3, size, size))
        except Exception as error:  # whatever a network ends with
            return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no words'}"
    if not isinstance(out, torch.Tensor) or out.shape != (2, classes):
        got = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
        return f"its output is {got} for 2 pictures and {classes} classes"
    return ""


def fit_size(host: str, classes: int, side: int, size: int | None = None, pretrained: bool = False) -> tuple[int, str]:
    """A side of the pictures that the host takes, and a sentence that says what is done.

    Args:
        side: that of the pictures themselves.
        size: the side that was asked for; None: one is chosen.

    Raises:
        ValueError: it does not take the size that was asked for, or none; the message says which it takes.
    """
    if size is not None:
        if not (why := takes(host, classes, size)):
            return size, f"The pictures are brought to {size}x{size}, as asked."
        fits = next((other for other in SIZES if other != size and not takes(host, classes, other)), None)
        helps = f"It takes {fits}x{fits}: --size {fits}." if fits else "It takes none of the usual sizes either."
        raise ValueError(f"{host} cannot take pictures of {size}x{size} ({why}). {helps}")
    least = (TUNED if pretrained else SCRATCH) if imagenet(host) else 0
    wanted = max(min(side, SCRATCH), least)      # what is small stays small: it holds no more
    first = ""
    for one in dict.fromkeys([wanted, *(s for s in SIZES if s > wanted)]):
        if not (why := takes(host, classes, one)):
            said = (f"{host} was made for larger pictures: they are brought to {one}x{one}." if one > side else
                    f"The pictures are used as {one}x{one}.")
            return one, said + (f" It does not take {wanted}x{wanted} ({first})." if first else "")
        first = first or why
    raise ValueError(f"{host} takes no pictures of {wanted}x{wanted} nor of any usual size up to {SIZES[-1]}: {first}. Give "
                     "another host, or its size: --size N.")


def arms(host: str, classes: int, size: int) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Arm -> its settings of a trial, in the order of importance; and arm -> why the host cannot have it.

    All have the same budget and the identity start, so that the arms of a seed begin as the same network.
    """
    with torch.random.fork_rng(devices=[]):
        places = list_sockets(build(host, classes), input_size=size)
    there = {place.socket for place in places}
    r = {"reduction": 4 if min((p.channels for p in places if p.socket == "post"), default=NARROW) < NARROW else 16}
    wider = {"host": WIDE[host]} if host in WIDE else {"mechanism": "pointwise", "at": "post", "options": r}
    found = {
        PLAIN: {}, WIDER: wider,
        "SE at post": {"mechanism": "se", "at": "post", "options": r},
        "ECA at post": {"mechanism": "eca", "at": "post"},
        "CBAM at post": {"mechanism": "cbam", "at": "post", "options": r},
        "GC at post": {"mechanism": "gc", "at": "post", "options": r},
        "SE at inner": {"mechanism": "se", "at": "inner", "options": r},
    }
    lacks = {arm: f"{host} has no socket {at!r}" for arm in ORDER if (at := found[arm].get("at")) and at not in there}
    return {arm: found[arm] for arm in ORDER if arm not in lacks}, lacks


def what_is_wider(host: str) -> str:
    """The control in words."""
    if host in WIDE:
        return f"{WIDER}: {WIDE[host]}, the host with more channels, without attention"
    return (f"{WIDER}: two 1x1 convolutions at every position, added at 'post'; as many weights as SE, and nothing is weighed")


def attention(names: Iterable[str]) -> list[str]:
    """Those arms that have attention."""
    return [name for name in names if name not in (PLAIN, WIDER)]


def rate(host: str, pretrained: bool) -> float:
    """The peak learning rate: that of the lessons for the course's hosts, less for deep ones, least for pretrained weights."""
    return 5e-4 if pretrained else 1e-2 if host in HOSTS else 1e-3 if "convnext" in host else 3e-3


def contrasts(chosen: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every arm against the plain host, named before the first run."""
    return [(arm, PLAIN) for arm in chosen if arm != PLAIN]
