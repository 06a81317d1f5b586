"""Write docs/sockets.md, every socket tried on every classification model of torchvision.

usage: python tools/make_socket_table.py [models to try again]

Rows that are there already are kept, if they were made with the same versions and sockets; so it can be stopped and goes on.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import platform
import re
from dataclasses import dataclass
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

from course_utils.sockets import list_sockets, plug_in, unplug

PAGE = Path(__file__).resolve().parents[1] / "docs" / "sockets.md"
TRIED = ("pre", "post", "both", "input", "head", "inner", "after_add", "identity", "between", "instead", "fuse")
HEAD = ("model", "parameters", "picture", "output", "rounding", *TRIED)
LARGE = ("vit", "swin", "maxvit", "inception")      # they want 224 pixels, or have a last map of one position at 96
MOST = 60e6                                  # parameters; four kernels for one are too many beyond
ATTENTION = {"head": "attention_pool", "instead": "dynamic_conv", "fuse": "attention_gate"}      # elsewhere a gate


@dataclass(frozen=True)
class Cell:
    """What came of plugging into all places of one socket, and of taking everything out again.

    `change` is the largest |difference| of outputs with the identity start; `heard` says whether the outputs changed once
    the new weights were set to noise; `undone` whether the host came back: objects, keys, weights unwritten, outputs.
    """

    places: int
    change: float
    heard: bool
    undone: bool

    def __str__(self) -> str:
        return f"{self.places} · {self.change:.0e} · {'yes' if self.undone else 'NO'}".replace("0e+00", "0") + \
            ("" if self.heard else " · NOT HEARD")


def wake(net: nn.Module, pictures: Tensor) -> None:
    """Make a network without training depend on its picture up to the last layer.

    As it is made, layer scales of 1e-6 hide the branches, a last layer of zeros hides everything, and norms with the
    statistics of nothing let the signal of a deep network fade.
    """
    norms = [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [m.momentum for m in norms]
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if "layer_scale" in name:
                parameter.fill_(1)
            elif parameter.ndim > 1 and not parameter.any():
                parameter.normal_(std=0.02)
        for norm in norms:
            norm.train().momentum = 1.0
        net(pictures)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.eval().momentum = momentum


def host(name: str) -> tuple[nn.Module, Tensor]:
    """A model of torchvision in eval mode, awake, and two pictures for it."""
    fast = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}      # theirs take half a minute
    side = 224 if name.startswith(LARGE) else 96
    pictures = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(0)
    net = torchvision.models.get_model(name, weights=None, **fast).eval()
    wake(net, pictures)
    return net, pictures


@torch.no_grad()
def loudness(net: nn.Module, pictures: Tensor) -> tuple[float, float]:
    """The largest |output|, and how far rounding alone moves it: the largest |difference| to double precision.

    Raises:
        RuntimeError: two pictures give nearly the same, so that unchanged outputs would mean nothing.
    """
    one, other = net(pictures[:1]), net(pictures[1:])
    size = one.abs().max().item()
    if not (one - other).abs().max() > 1e-2 * size > 0:
        raise RuntimeError(f"the outputs of this {type(net).__name__} do not depend on the picture: {size:.1e} in both")
    exact = net.double()(pictures[:1].double())
    net.float()      # the same numbers as before: each has a place in double precision
    return size, (one - exact).abs().max().item()


def remember(net: nn.Module) -> list[tuple]:
    """What must come back: the module objects with their names, the keys, where the tensors are and how often written."""
    return [*net.named_modules(remove_duplicate=False),
            *((key, t.data_ptr(), t._version) for key, t in net.state_dict().items())]


@torch.no_grad()
def try_socket(net: nn.Module, at: str, x: Tensor) -> Cell:
    """Plug in everywhere, compare, and take out again."""
    y, before = net(x), remember(net)
    receipt = plug_in(net, ATTENTION.get(at, "eca"), at)
    change = (net(x) - y).abs().max().item()
    for name in receipt.names:
        for parameter in net.get_submodule(name).parameters():
            parameter.normal_()
    heard = not torch.equal(net(x), y)
    taken, after = unplug(net), remember(net)
    same = len(before) == len(after) and all(a[0] == b[0] and (a[1] is b[1] if len(a) == 2 else a == b)
                                             for a, b in zip(before, after, strict=True))
    return Cell(len(receipt), change, heard, taken == len(receipt) and same and torch.equal(net(x), y))


def row(name: str) -> list[str]:
    """One line of the table."""
    net, pictures = host(name)
    size, rounding = loudness(net, pictures)
    count, missing = sum(p.numel() for p in net.parameters()), list_sockets(net).missing
    cells = [name, f"{count / 1e6:.1f} M", str(pictures.shape[-1]), f"{size:.1g}", f"{rounding:.0e}"]
    for at in TRIED:
        large = at == "instead" and count > MOST
        cells.append("-" if at in missing else "large" if large else str(try_socket(net, at, pictures[:1])))
    return cells


def rows_of(text: str) -> dict[str, dict[str, str]]:
    """The rows of the page: model -> column -> cell."""
    lines = [[c.strip() for c in line.strip("| ").split(" | ")] for line in text.splitlines() if line.startswith("| ")]
    return {line[0]: dict(zip(lines[0], line, strict=True)) for line in lines[2:]}


def versions() -> str:
    plain = {m.__name__: re.sub(r"\+.*", "", m.__version__) for m in (torch, torchvision)}
    return ", ".join(f"{name} {number}" for name, number in plain.items()) + f", Python {platform.python_version()}"


def finding(rows: dict[str, dict[str, str]]) -> str:
    """What the whole table says, in sentences."""
    cells = [(at, float(row["rounding"]), *cell.split(" · ")) for row in rows.values() for at, cell in row.items()
             if at in TRIED and " · " in cell]
    inexact = [float(change) / rounding for _, rounding, _, change, *_ in cells if change != "0"]
    gates = [change for at, _, _, change, *_ in cells if at not in ATTENTION]
    return (f"{len(rows)} models, {sum(int(places) for _, _, places, *_ in cells):,} places in {len(cells)} pairs of a model "
            f"and a socket.\nGates leave the outputs unchanged to the bit in {gates.count('0')} of {len(gates)} pairs. At the "
            f"head, and instead of convolutions,\nwhere sums run in another order, outputs differ by rounding: at most "
            f"{max(inexact, default=0):.1f} times what\nrounding does to the host itself. "
            f"Undone without a trace: {sum(c[4] == 'yes' for c in cells)} of {len(cells)} pairs.")


def page(rows: dict[str, dict[str, str]]) -> str:
    """The whole text."""
    def line(cells) -> str:
        return f"| {' | '.join(cells)} |\n"

    text = f"""# Every socket on every classification model of torchvision

{finding(rows)}

A cell reads: number of places · largest |difference| of the outputs right after `plug_in(model, ..., at=socket)`, with the
identity start and everywhere at once · whether `unplug` gave everything back: the very same module objects under the same
names, the same keys, tensors that nobody has written to, and the same outputs to the bit. A dash: the model has no such
place. Plugged in were `eca`, at the head `attention_pool`, instead of convolutions `dynamic_conv`, which begins with their
kernel. *large*: not tried with more than {MOST / 1e6:.0f} M parameters, since `dynamic_conv` has four kernels for one.

So that "unchanged" means something, the networks are awake: norms have the statistics of two random pictures, layer scales
are 1, a last layer of zeros has random weights. The two pictures give different outputs in every row. `output` is the
largest of them, and `rounding` how far they lie from those in double precision: the yardstick for the differences. And in
every cell the outputs change once the new weights are set to noise; where they did not, the cell would say NOT HEARD.

"""
    text += line(HEAD) + line("---" for _ in HEAD)
    text += "".join(line(rows[name].values()) for name in names() if name in rows)
    return text + (f"\nMade with {versions()}, without pretrained weights, on one CPU thread,\n"
                   f"on {datetime.date.today()}, by `python tools/make_socket_table.py`.\n")


def names() -> list[str]:
    return torchvision.models.list_models(module=torchvision.models)


def main(again: list[str]) -> None:
    torch.set_num_threads(1)
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    same = f"Made with {versions()}," in text and f"| {' | '.join(HEAD)} |" in text
    rows = rows_of(text) if same else {}
    for name in names():
        if name in again or name not in rows:
            rows[name] = dict(zip(HEAD, row(name), strict=True))
            print(*rows[name].values(), sep=" | ", flush=True)
            PAGE.write_text(page(rows), encoding="utf-8")
            gc.collect()      # modules and their hooks hold each other


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("again", nargs="*", help="models whose rows are made again; the others are kept")
    main(parser.parse_args().again)
