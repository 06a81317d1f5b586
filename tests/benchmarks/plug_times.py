"""Processor time of list_sockets and plug_in on the models of tools/timm_families.txt: median and largest.

usage: python tests/benchmarks/plug_times.py [every]      every 4th model, if not said

One thread, without weights of anybody. To compare two versions, run it with each on the path: PYTHONPATH=FOLDER python ...
"""

from __future__ import annotations

import statistics
import sys
import time
import warnings
from pathlib import Path

import timm
import torch

from course_utils.sockets import list_sockets, plug_in

LIST = Path(__file__).resolve().parents[2] / "tools" / "timm_families.txt"


def seconds(call) -> float:
    begin = time.process_time()
    call()
    return time.process_time() - begin


def main(every: int) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    names = [line.split()[2] for line in LIST.read_text(encoding="utf-8").splitlines()][::every]
    listed, plugged, refused = {}, {}, []
    for name in names:
        net = timm.create_model(name, pretrained=False).eval()
        try:
            listed[name] = seconds(lambda net=net: list_sockets(net))
            plugged[name] = seconds(lambda net=net: plug_in(net, "eca", "post"))
        except ValueError:
            refused.append(name)
    for what, times in (("list_sockets", listed), ("plug_in at post", plugged)):
        most = max(times, key=times.get)
        print(f"{what}: median {statistics.median(times.values()):.2f} s, largest {times[most]:.2f} s ({most}), "
              f"{len(times)} models")
    print("refused:", ", ".join(refused) or "none")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4)
