"""Write docs/sockets_timm.md, every socket tried on the smallest model of each convolutional family of timm.

usage: python tools/make_timm_table.py [models to try again]

The list of families is tools/timm_families.txt, made by tools/timm_families.py. Rows that are there already are kept, if they
were made with the same versions and sockets; so it can be stopped and goes on.
"""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path

import make_socket_table as tool
import timm
import torch
from torch import Tensor, nn

PAGE = Path(__file__).resolve().parents[1] / "docs" / "sockets_timm.md"
DEEP = ("inception", "csatv2")      # their last map has one position at 96 pixels
LIST = Path(__file__).with_name("timm_families.txt")


def families() -> dict[str, str]:
    """Model -> its file in timm."""
    lines = [line.split() for line in LIST.read_text(encoding="utf-8").splitlines()]
    return {name: file for file, _, name in lines}


def host(name: str) -> tuple[nn.Module, Tensor]:
    """A model of timm in eval mode, awake, and two pictures: of 96 pixels where it takes them, otherwise of its own size."""
    torch.manual_seed(0)
    net = timm.create_model(name, pretrained=False).eval()
    own = net.default_cfg.get("input_size", (3, 224, 224))
    for size in (own,) if name.startswith(DEEP) else ((own[0], 96, 96), own):
        pictures = torch.randn(2, *size, generator=torch.Generator().manual_seed(1))
        with suppress(Exception):      # a grid of windows or of positions that is made for one size
            tool.wake(net, pictures)
            return net, pictures
    raise RuntimeError(f"{name} takes no picture of {own}")


def row(name: str) -> list[str]:
    """One line of the table; a model that cannot be tried at all says so."""
    try:
        return tool.row_of(name, *host(name))
    except (RuntimeError, ValueError, NotImplementedError) as error:
        told = " ".join(f"{type(error).__name__}: {error}".split()).replace("|", "/")[:200]
        return [name, told, *["-"] * (len(tool.HEAD) - 2)]


def versions() -> str:
    return f"timm {timm.__version__}, {tool.versions()}"


def page(rows: dict[str, dict[str, str]]) -> str:
    """The whole text."""
    tried = {name: row for name, row in rows.items() if row["parameters"] != "-"}
    files = len({families()[name] for name in rows})
    text = f"""# Every socket on every convolutional family of timm

The smallest model of each of {len(rows)} families in {files} of timm's files.
{tool.finding(tried)}

{tool.CELLS}

"""
    made = [list(rows[n].values()) for n in families() if n in rows]
    return text + tool.lines_of(tool.HEAD, ["---"] * len(tool.HEAD), *made) + \
        tool.made_by("python tools/make_timm_table.py").replace("Made with ", f"Made with timm {timm.__version__}, ")


def main(again: list[str]) -> None:
    tool.fill(PAGE, list(families()), row, page, again, versions())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("again", nargs="*", help="models whose rows are made again; the others are kept")
    main(parser.parse_args().again)
