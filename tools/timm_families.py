"""Write tools/timm_families.txt: the smallest model of every convolutional family of timm, a line each.

usage: python tools/timm_families.py

A family is what one file of timm calls by one word: `regnet: regnetx`. It is convolutional if at least four different
convolutions of its smallest model, one of them a window, read a map. Models are made on the meta device, without weights.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import timm
import torch
from torch import nn

from course_utils.sockets.probe import probe
from course_utils.sockets.units import convolutions

LIST = Path(__file__).with_suffix(".txt")


def families() -> dict[tuple[str, str], list[str]]:
    """(file, word) -> names of models."""
    found: dict[tuple[str, str], list[str]] = {}
    for name in timm.list_models():
        file = timm.models.model_entrypoint(name).__module__.rpartition(".")[2]
        found.setdefault((file, re.split(r"[_\d]", name)[0]), []).append(name)
    return found


def on_meta(name: str) -> nn.Module:
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return timm.create_model(name, pretrained=False)


def smallest(names: list[str]) -> str | None:
    """Of those that can be made on the meta device the one with the fewest parameters."""
    sizes = {}
    for name in names:
        try:
            sizes[name] = sum(p.numel() for p in on_meta(name).parameters())
        except Exception:      # a few copy numbers while they are made
            sizes[name] = sum(p.numel() for p in timm.create_model(name, pretrained=False).parameters())
    return min(sizes, key=sizes.get) if sizes else None


def is_convolutional(name: str) -> bool:
    """At least four different convolutions on maps, one of them a window."""
    try:
        found = {c.module for c in convolutions(probe(on_meta(name))[0])}
    except Exception:
        found = {m for m in timm.create_model(name, pretrained=False).modules() if isinstance(m, nn.Conv2d)}
    return len(found) >= 4 and any(max(m.kernel_size) > 1 for m in found)


def main() -> None:
    lines = []
    for (file, word), names in sorted(families().items()):
        name = smallest(names)
        if name and is_convolutional(name):
            lines.append(f"{file} {word} {name}")
            print(lines[-1], flush=True)
    LIST.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
