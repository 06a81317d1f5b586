"""Write docs/export.md, every mechanism exported inside two networks for batches and pictures of any size.

usage: python tools/make_export_table.py [mechanisms to try again]

Rows that are there already are kept, if they were made with the same versions; so it can be stopped and goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import datetime
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import make_socket_table as tables
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from course_utils import attention, hosts
from course_utils.sockets import plug_in

PAGE = Path(__file__).resolve().parents[1] / "docs" / "export.md"
HOSTS = {"SmallHost": lambda: hosts.SmallHost(7), "ResNet-18": lambda: torchvision.models.resnet18(num_classes=7)}
EXPORTED = (2, 3, 64, 96)                        # at this size; it then runs at it and at others
OTHERS = ((1, 3, 90, 70), (3, 3, 32, 32))        # the last map of ResNet-18 has then one position
LIMIT = 1e-5
# A group whose mean is near zero is divided by little more than sge's eps of 1e-5: what is rounding elsewhere grows there.
ROUGH = {"sge": 1e-4}
BY_ROUNDING = 3                                  # times what float32 itself loses: where that is more than LIMIT
DYNAMIC = torch.export.Dim.DYNAMIC
NOWHERE = {"patches": "no plain socket: it gives parts of the picture to a network that reads them"}

Run = Callable[[Tensor], Tensor]
Rows = dict[str, dict[str, str]]                 # mechanism -> column -> cell


def place(name: str) -> str:
    """Where a mechanism is plugged in."""
    return {"kernel": "instead", "pool": "head", "input": "input"}.get(attention.REGISTRY[name].kind, "post")


def pictures(shape: tuple[int, ...]) -> Tensor:
    """Smooth, as photographs are: of white noise, rounding where `stn` looks makes other pixels."""
    coarse = torch.randn(*shape[:2], 8, 8, generator=torch.Generator().manual_seed(2))
    return F.interpolate(coarse, shape[2:], mode="bilinear")


def stir(net: nn.Module) -> None:
    """Every parameter away from its start."""
    g = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in net.parameters():
            size = 0.5 * p.std() if p.ndim > 1 and p.numel() > 1 and p.any() else 0.05
            p.add_(size * torch.randn(p.shape, generator=g))


def plugged(host: nn.Module, name: str, size: tuple[int, int] = EXPORTED[2:], at: str = "") -> nn.Module:
    """The network in eval mode with the mechanism everywhere, and nothing at its start: neither weights nor statistics."""
    at = at or place(name)
    maker = attention.AttentionGate if name == "attention_gate" and at != "fuse" else name      # by name it wants two maps
    few = {"kernels": 2} if name in ("condconv", "dynamic_conv") else {}
    plug_in(host.eval(), maker, at=at, start="as_made", input_size=size, **few)
    stir(host)
    tables.wake(host, pictures((4, 3, *size)))
    return host.eval()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The exporters warn that they are old, and print the whole graph where they fail."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def trace(net: nn.Module, x: Tensor) -> Run:
    with quiet():
        return torch.jit.trace(net, x, check_trace=False)


def in_onnxruntime(model: bytes) -> Run:
    import onnxruntime  # only here: tracing needs none

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: torch.from_numpy(session.run(None, {name: x.numpy()})[0])


def onnx(net: nn.Module, x: Tensor) -> Run:
    """The exporter that goes through torch.export."""
    file = io.BytesIO()
    with quiet():
        torch.onnx.export(net, (x,), dynamo=True, dynamic_shapes=({0: DYNAMIC, 2: DYNAMIC, 3: DYNAMIC},)).save(file)
    return in_onnxruntime(file.getvalue())


def onnx_by_trace(net: nn.Module, x: Tensor) -> Run:
    """The older exporter, through torch.jit.trace."""
    file = io.BytesIO()
    with quiet():
        torch.onnx.export(net, (x,), file, dynamo=False, opset_version=17, input_names=["x"], output_names=["y"],
                          dynamic_axes={"x": {0: "n", 2: "h", 3: "w"}, "y": {0: "n"}})
    return in_onnxruntime(file.getvalue())


WAYS = {"trace": trace, "ONNX": onnx, "older ONNX": onnx_by_trace}
HEAD = ("mechanism", "at", *(f"{host}: {column}" for host in HOSTS for column in ("rounding", *WAYS)))


@torch.no_grad()
def difference(run: Run, net: nn.Module, shapes: tuple[tuple[int, ...], ...] = (EXPORTED, *OTHERS)) -> float:
    """The largest |difference| to the network over these sizes, relative to its largest |output| at that size."""
    worst = 0.0
    for shape in shapes:
        x = pictures(shape)
        y = net(x)
        z = run(x)
        if z.shape != y.shape or not torch.isfinite(z).all():      # a maximum would pass over what is no number
            raise RuntimeError(f"{tuple(y.shape)} numbers wanted, got {tuple(z.shape)}, {int((~z.isfinite()).sum())} not finite")
        worst = max(worst, ((z - y).abs().max() / y.abs().max()).item())
    return worst


def rounding(net: nn.Module) -> float:
    """What float32 itself loses: the largest difference to double precision."""
    exact = copy.deepcopy(net).double()
    return difference(lambda x: exact(x.double()), net)


def attempt(net: nn.Module, way: Callable[[nn.Module, Tensor], Run]) -> str:
    """A cell: the largest relative difference, or in words what failed."""
    try:
        return f"{difference(way(net, pictures(EXPORTED)), net):.1e}".replace("0.0e+00", "0")
    except Exception as error:      # an exporter may fail in any way
        words = " ".join(str(error).replace("|", "/").split())
        return f"fails: {type(error).__name__}: {words[:120]}"


def row(name: str) -> list[str]:
    """One line of the table."""
    if name in NOWHERE:
        return [name, NOWHERE[name], *["-"] * (len(HEAD) - 2)]
    cells = [name, place(name)]
    for host in HOSTS.values():
        torch.manual_seed(0)
        net = plugged(host(), name)
        cells += [f"{rounding(net):.1e}", *(attempt(net, way) for way in WAYS.values())]
    return cells


def trials(rows: Rows) -> list[tuple[str, float, str]]:
    """Mechanism, rounding and cell of every pair of a network and an exporter that was tried."""
    return [(name, float(row[f"{host}: rounding"]), row[f"{host}: {way}"]) for name, row in rows.items()
            if row["at"] not in NOWHERE.values() for host in HOSTS for way in WAYS]


def agrees(name: str, rounds: float, cell: str) -> bool:
    return not cell.startswith("fails") and float(cell) <= max(ROUGH.get(name, LIMIT), BY_ROUNDING * rounds)


def finding(rows: Rows) -> str:
    """What the whole table says, in sentences."""
    tried = trials(rows)
    good = [(rounds, float(cell)) for name, rounds, cell in tried if agrees(name, rounds, cell)]
    more = [change / rounds for rounds, change in good if change > LIMIT]
    text = (f"{len(rows)} mechanisms, {len(tried)} exports of a network with one of them. {len(good)} of {len(tried)} give the "
            f"network's outputs at every size:\n{len(good) - len(more)} to {LIMIT:.0e} of the largest output")
    if more:
        text += (f", {len(more)} to {max(change for _, change in good):.0e}, at most {max(more):.1f} times what rounding does to "
                 "that network itself")
    return text + "."


def page(rows: Rows) -> str:
    """The whole text."""
    sizes = ", ".join("x".join(map(str, shape)) for shape in OTHERS)
    return f"""# Every mechanism exported

{finding(rows)}

Each mechanism sits at every place of one socket of `hosts.SmallHost` and of torchvision's ResNet-18, in eval mode; all
parameters are stirred and the norms have the statistics of four pictures, so that nothing is right by chance.
Exported is {"x".join(map(str, EXPORTED))} (N, C, H, W) with N, H and W left open; it then runs at that size and at {sizes}.
A cell is the largest |difference| to the network's own outputs, relative to the largest |output|; or it says what failed.
`rounding` is the same of float32 against double precision: a difference of that size is no fault of an exporter.

- *trace*: `torch.jit.trace(net, x)`
- *ONNX*: `torch.onnx.export(net, (x,), dynamo=True, dynamic_shapes=({{0: DYNAMIC, 2: DYNAMIC, 3: DYNAMIC}},))` with
  `DYNAMIC = torch.export.Dim.DYNAMIC`, in onnxruntime
- *older ONNX*: `torch.onnx.export(net, (x,), file, dynamo=False, opset_version=17, dynamic_axes=...)`, in onnxruntime

What torch's own operations cannot leave open is computed in another way while a graph is written, to the same numbers but for
rounding (`course_utils/attention/export.py`): the kernels per picture of `condconv` and `dynamic_conv` as a product with all
windows, the grid and the pooling of `stn`, the divisor of the variance in `srm`, `sge` and `simam`. `condconv` and
`dynamic_conv` have two kernels here. `attention_gate`, `aff` and `iaff` gate the map by themselves. `bot` is the form without a
table of positions; with one (`size=`) a map has that size and no other. `deform_conv` in 16 convolutions, one behind the
other, looks where the last one says, so that rounding grows from each to the next; in a group of `sge` whose mean is near zero
it grows too. With `halo` the new exporter thinks about the sizes for half a minute for each place, longer behind other places.
A traced network checks its input no more. Export two or more pictures: of a single one the new exporter keeps, with `bot`, the
number 1.

{tables.lines_of(HEAD, ["---"] * len(HEAD), *(rows[name].values() for name in attention.REGISTRY if name in rows))}
Made with {versions()}, on one CPU thread,
on {datetime.date.today()}, by `python tools/make_export_table.py`.
"""


def versions() -> str:
    return ", ".join(f"{name} {metadata.version(name)}" for name in ("onnx", "onnxscript", "onnxruntime")) + \
        f", {tables.versions()}"


def main(again: list[str]) -> None:
    tables.fill(PAGE, list(attention.REGISTRY), row, page, again, versions(), HEAD)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("again", nargs="*", help="mechanisms whose rows are made again; the others are kept")
    main(parser.parse_args().again)
