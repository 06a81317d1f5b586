"""What a training step of some studies costs with memory kept from step to step, and as the C library has it, in turns.

usage: python tests/benchmarks/memory.py [--rounds 3] [--steps 20] [STUDY ...]

Each time in a process of its own: whether glibc gives memory back depends on what the process has freed before.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from time import process_time

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch  # noqa: E402  (the path comes first)
import torch.nn.functional as F  # noqa: E402

from course_utils import studies  # noqa: E402
from course_utils.runtime import keep_memory  # noqa: E402
from course_utils.studies.trial import material  # noqa: E402
from course_utils.train import layout  # noqa: E402

STUDIES = ("11_both_long", "10_subtle", "09_clutter", "03_reach")


def step_of(name: str, keep: bool, steps: int) -> tuple[float, float]:
    """Milliseconds (median) and new pages (mean) of a step of the study's first trial with attention."""
    torch.set_num_threads(1)
    if keep and not keep_memory():
        raise SystemExit("this C library is not glibc: there is nothing to compare")
    trial = next(t for t in studies.find(name).trials() if t.mechanism)
    net = studies.network(trial, torch.device("cpu")).to(memory_format=torch.channels_last)
    optimiser, times = torch.optim.AdamW(net.parameters()), []
    for number, (x, y, _) in zip(range(steps + 3), material(trial, torch.device("cpu"))[0], strict=False):
        if number == 3:      # the first steps lay memory out
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        began = process_time()
        optimiser.zero_grad()
        F.cross_entropy(net(layout(x, torch.device("cpu"))), y).backward()
        optimiser.step()
        times.append(process_time() - began)
    return 1000 * median(times[3:]), (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="STUDY", default=STUDIES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    args = parser.parse_args()
    print("| study | ms as it is | ms kept | kept / as it is | pages a step as it is | pages kept |\n" + "| --- " * 6 + "|")
    for name in args.names:
        for _ in range(args.rounds):
            found = []
            for keep in (False, True):
                with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                    found += process.submit(step_of, name, keep, args.steps).result()
            print(f"| {name} | {found[0]:.1f} | {found[2]:.1f} | {found[2] / found[0]:.2f} | {found[1]:.0f} | {found[3]:.0f} |",
                  flush=True)


if __name__ == "__main__":
    main()
