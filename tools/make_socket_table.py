"""Write docs/sockets.md, every socket tried on the models of torchvision: classification, segmentation, detection.

usage: python tools/make_socket_table.py [models to try again]

Rows that are there already are kept, if they were made with the same versions and sockets; so it can be stopped and goes on.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import platform
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

from course_utils.sockets import list_sockets, plug_in, unplug
from course_utils.sockets.record import tensors

PAGE = Path(__file__).resolve().parents[1] / "docs" / "sockets.md"
TRIED = ("pre", "post", "both", "input", "head", "inner", "after_add", "identity", "between", "instead", "fuse")
HEAD = ("model", "unit", "parameters", "picture", "output", "rounding", *TRIED)
MODELS = torchvision.models
KINDS = (MODELS, MODELS.segmentation, MODELS.detection)
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
            if "layer_scale" in name or parameter.ndim == 1 and 0 < parameter.abs().max() < 1e-3:
                parameter.fill_(1)
            elif parameter.ndim == 0 and not parameter:      # a branch that is multiplied by nothing
                parameter.fill_(1)
            elif parameter.ndim > 1 and not parameter.any():
                parameter.normal_(std=0.02)
        for norm in norms:
            if norm.affine and not norm.weight.any():      # a branch that starts at zero
                norm.weight.fill_(1)
            norm.train().momentum = 1.0
        net(pictures)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.eval().momentum = momentum


def host(name: str) -> tuple[nn.Module, Tensor]:
    """A model of torchvision in eval mode, awake, and two pictures for it."""
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}      # theirs take half a minute
    side = 224 if name.startswith(LARGE) else 96
    pictures = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(0)
    if name in names(MODELS):
        net = MODELS.get_model(name, weights=None, **options).eval()
        wake(net, pictures)
        return net, pictures
    resized = {"min_size": 96, "max_size": 160} if name in names(MODELS.detection) and not name.startswith("ssd") else {}
    net = MODELS.get_model(name, weights=None, weights_backbone=None, num_classes=5, **resized).eval()
    wake(net, pictures.abs())
    for part in net.modules():      # everything that is found counts, or two pictures without a find would be alike
        if hasattr(part, "score_thresh"):
            part.score_thresh = 0.0
        if hasattr(part, "detections_per_img"):      # the first few: heads for masks and keypoints run once for each
            part.detections_per_img = 5
        if hasattr(part, "_post_nms_top_n"):
            part._post_nms_top_n = {"training": 20, "testing": 20}
    return net.double(), pictures.abs().double()      # which of two boxes comes first must not be a matter of rounding


@torch.no_grad()
def answer(net: nn.Module, pictures: Tensor) -> Tensor:
    """All numbers that the network gives, in one row."""
    return torch.cat([t.flatten() for t in tensors(net(pictures)) if t.is_floating_point()])


def apart(one: Tensor, other: Tensor) -> float:
    """The largest |difference|; infinite where there are more numbers in one."""
    return (one - other).abs().max().item() if one.shape == other.shape else float("inf")


@torch.no_grad()
def loudness(net: nn.Module, pictures: Tensor) -> tuple[float, float]:
    """The largest |output|, and how far rounding alone moves it: the largest |difference| to double precision.

    Raises:
        RuntimeError: two pictures give nearly the same, so that unchanged outputs would mean nothing.
    """
    one, other = answer(net, pictures[:1]), answer(net, pictures[1:])
    size = one.abs().max().item()
    if not apart(one, other) > 1e-2 * size > 0:
        raise RuntimeError(f"the outputs of this {type(net).__name__} do not depend on the picture: {size:.1e} in both")
    if one.dtype == torch.float64:      # as far as single precision moves it, by as much as double precision is finer
        rough = answer(net.float(), pictures[:1].float()).double()
        net.double()
        return size, apart(one, rough) * torch.finfo(torch.float64).eps / torch.finfo(torch.float32).eps
    exact = answer(net.double(), pictures[:1].double())
    net.float()      # the same numbers as before: each has a place in double precision
    return size, apart(one, exact)


def remember(net: nn.Module) -> list[tuple]:
    """What must come back: the module objects with their names, the keys, where the tensors are and how often written."""
    return [*net.named_modules(remove_duplicate=False),
            *((key, t.data_ptr(), t._version) for key, t in net.state_dict().items())]


@torch.no_grad()
def try_socket(net: nn.Module, at: str, x: Tensor) -> Cell:
    """Plug in everywhere, compare, and take out again."""
    y, before = answer(net, x), remember(net)
    receipt = plug_in(net, ATTENTION.get(at, "eca"), at)
    change = apart(answer(net, x), y)
    for name in receipt.names:
        for parameter in net.get_submodule(name).parameters():
            parameter.normal_()
    heard = not torch.equal(answer(net, x), y)
    taken, after = unplug(net), remember(net)
    same = len(before) == len(after) and all(a[0] == b[0] and (a[1] is b[1] if len(a) == 2 else a == b)
                                             for a, b in zip(before, after, strict=True))
    return Cell(len(receipt), change, heard, taken == len(receipt) and same and torch.equal(answer(net, x), y))


def row(name: str) -> list[str]:
    """One line of the table."""
    return row_of(name, *host(name))


def row_of(name: str, net: nn.Module, pictures: Tensor) -> list[str]:
    """The line of a network; where it is refused, the reason stands in the cell."""
    size, rounding = loudness(net, pictures)
    count, found = sum(p.numel() for p in net.parameters()), list_sockets(net)
    side = str(pictures.shape[-1])
    cells = [name, f"{found.units} {found.unit}", f"{count / 1e6:.1f} M", side, f"{size:.1g}", f"{rounding:.0e}"]
    for at in TRIED:
        large = at == "instead" and count > MOST
        cells.append("-" if at in found.missing else "large" if large else tried(net, at, pictures[:1]))
    return cells


def tried(net: nn.Module, at: str, x: Tensor) -> str:
    """The cell of a socket."""
    try:
        return str(try_socket(net, at, x))
    except ValueError as error:
        return "refused: " + " ".join(str(error).split()).replace("|", "/")[:160]


def rows_of(text: str) -> dict[str, dict[str, str]]:
    """The rows of the page: model -> column -> cell."""
    lines = [[c.strip() for c in line.strip("| ").split(" | ")] for line in text.splitlines() if line.startswith("| ")]
    return {line[0]: dict(zip(lines[0], line, strict=True)) for line in lines if line[0] not in ("---", *lines[0][:1])}


def versions() -> str:
    plain = {m.__name__: re.sub(r"\+.*", "", m.__version__) for m in (torch, torchvision)}
    return ", ".join(f"{name} {number}" for name, number in plain.items()) + f", Python {platform.python_version()}"


def finding(rows: dict[str, dict[str, str]]) -> str:
    """What a whole table says, in sentences."""
    cells = [(at, float(row["rounding"]), *cell.split(" · ")) for row in rows.values() for at, cell in row.items()
             if at in TRIED and " · " in cell]
    refused = sum(cell.startswith("refused") for row in rows.values() for cell in row.values())
    inexact = [float(change) / rounding for _, rounding, _, change, *_ in cells if change != "0"]
    gates = [change for at, _, _, change, *_ in cells if at not in ATTENTION]
    return (f"{len(rows)} models, {sum(int(places) for _, _, places, *_ in cells):,} places in {len(cells)} pairs of a model "
            f"and a socket.\nGates leave the outputs unchanged to the bit in {gates.count('0')} of {len(gates)} pairs. At the "
            f"head, and instead of convolutions,\nwhere sums run in another order, and at fuse, where a map of ones is "
            f"resized, outputs differ by rounding: at most\n{max(inexact, default=0):.1f} times what it does to the host "
            f"itself. "
            f"Undone without a trace: {sum(c[4] == 'yes' for c in cells)} of {len(cells)} pairs."
            + (f"\nRefused, with the reason in the cell: {refused}." if refused else ""))


def page(rows: dict[str, dict[str, str]]) -> str:
    """The whole text."""
    text = f"""# Every socket on the models of torchvision

{finding(rows)}

{CELLS}
"""
    for kind, title in zip(KINDS, ("Classification", "Segmentation", "Detection"), strict=True):
        made = [list(rows[n].values()) for n in names(kind) if n in rows]
        text += f"\n## {title}\n\n" + lines_of(HEAD, ["---"] * len(HEAD), *made) if made else ""
    return text + made_by("python tools/make_socket_table.py")


def lines_of(*rows) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def made_by(command: str) -> str:
    return (f"\nMade with {versions()}, without pretrained weights, on one CPU thread,\n"
            f"on {datetime.date.today()}, by `{command}`.\n")


CELLS = f"""\

A cell reads: number of places · largest |difference| of the outputs right after `plug_in(model, ..., at=socket)`, with the
identity start and everywhere at once · whether `unplug` gave everything back: the very same module objects under the same
names, the same keys, tensors that nobody has written to, and the same outputs to the bit. A dash: the model has no such
place. Plugged in were `eca`, at the head `attention_pool`, at fuse `attention_gate`, instead of convolutions `dynamic_conv`,
which begins with their kernel. *large*: not tried with more than {MOST / 1e6:.0f} M parameters, since `dynamic_conv` has four
kernels for one.

So that "unchanged" means something, the networks are awake: norms have the statistics of two random pictures, layer scales
are 1, a last layer of zeros has random weights. The two pictures give different outputs in every row. `output` is the
largest of them, and `rounding` how far they lie from those in double precision: the yardstick for the differences. And in
every cell the outputs change once the new weights are set to noise; where they did not, the cell would say NOT HEARD.
plug_in itself has refused whatever is not called as often as its place. `unit` is what `pre` and `post` go around: residual
blocks where there are any, otherwise convolutions with their norms. So in DenseNet, in Inception and in blocks that split and
concatenate (CSP) it is each convolution; parallel convolutions that a module adds count as one. Detectors are tried in double
precision, at 96 pixels (SSD: 300), and their five surest finds count, however unsure."""


def names(kind=None) -> list[str]:
    """The models of one module of torchvision, or of all; quantised ones cannot be changed, and videos are no pictures."""
    return [n for k in ((kind,) if kind else KINDS) for n in MODELS.list_models(module=k)]


def fill(path: Path, wanted: list[str], row: Callable, page: Callable, again: list[str], versions: str,
         head: tuple[str, ...] = ()) -> None:
    """Make the rows that a page lacks, and write it after each. `head` names the columns; without it, those of the sockets."""
    torch.set_num_threads(1)
    head = head or HEAD
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    same = f"Made with {versions}," in text and f"| {' | '.join(head)} |" in text
    rows = rows_of(text) if same else {}
    for name in wanted:
        if name in again or name not in rows:
            rows[name] = dict(zip(head, row(name), strict=True))
            print(*rows[name].values(), sep=" | ", flush=True)
            path.write_text(page(rows), encoding="utf-8")
            gc.collect()      # modules and their hooks hold each other


def main(again: list[str]) -> None:
    fill(PAGE, names(), row, page, again, versions())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("again", nargs="*", help="models whose rows are made again; the others are kept")
    main(parser.parse_args().again)
