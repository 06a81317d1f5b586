"""The studies that the lessons show, recorded in data/results/, and the command that makes each of them anew.

    python -m course_utils.recorded                     what there is
    python -m course_utils.recorded 00_what             run what the file does not hold yet
    python -m course_utils.recorded 00_what --seeds 300-304 --out mine.jsonl --workers 2
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from .digits import DATA
from .study import Result, Trial, read, run_study

RESULTS = DATA / "results"
SEEDS = range(200, 205)      # none of them was used while tasks and budgets were chosen


def what_input(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 00: the plain host against one ECA of three weights on the picture, before the first convolution."""
    return [Trial("what", mechanism=name, socket="input", options=options, seed=s)
            for s in seeds for name, options in ((None, ()), ("eca", {"kernel_size": 3}))]


def ceilings(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 01: the plain host on every task."""
    steps = {"what": 800, "where": 800, "relate": 400, "twins": 400}
    return [Trial(task, steps=n, seed=s) for s in seeds for task, n in steps.items()]


# The name in the figure of lesson 02, and what the trials of this arm have in common.
CHANNEL_ARMS: dict[str, dict] = {
    "plain": {"mechanism": None},
    "SE, r=1": {"mechanism": "se", "start": "paper", "options": (("reduction", 1),)},
    "SE, r=4": {"mechanism": "se", "start": "paper", "options": (("reduction", 4),)},
    "SE, r=4, identity": {"mechanism": "se", "start": "identity", "options": (("reduction", 4),)},
    "ECA": {"mechanism": "eca", "start": "paper"},
    "ECA, identity": {"mechanism": "eca", "start": "identity"},
    "GCT": {"mechanism": "gct", "socket": "post"},
    "GCT, pre": {"mechanism": "gct", "socket": "pre"},
}


def channel_arms(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 02: the channel mechanisms after every convolution, both starts, and SE with two reductions."""
    return [Trial("what", seed=s, **arm) for s in seeds for arm in CHANNEL_ARMS.values()]


def twice_as_long(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 02: SE with twice the steps: are the seeds that lag late, or do they fail?"""
    return [Trial("what", seed=s, steps=1600, **CHANNEL_ARMS["SE, r=4"]) for s in seeds]


def confirmation(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 02: the arms that solved the task with every seed, once more on other seeds (each plus 100)."""
    return [Trial("what", seed=s + 100, **CHANNEL_ARMS[arm]) for s in seeds for arm in ("ECA", "GCT", "GCT, pre")]


STUDIES = {"00_what": what_input, "01_ceilings": ceilings, "02_channel": channel_arms, "02_longer": twice_as_long,
           "02_confirmed": confirmation}


def find(name: str) -> Path:
    """The file of a recorded study.

    Raises:
        ValueError: no study of that name.
    """
    if name not in STUDIES:
        raise ValueError(f"unknown study {name!r}. Known: {', '.join(STUDIES)}")
    return RESULTS / f"{name}.jsonl"


def load(name: str) -> list[Result]:
    """The recorded results of a study, and one printed line that says what they were made on."""
    results = [r for r in read(find(name)) if r.error is None]
    made = sorted({f"{r.device}, torch {r.torch}, {r.date}" for r in results})
    print(f"{len(results)} recorded trials ({'; '.join(made)}). "
          f"To make them anew: python -m course_utils.recorded {name}")
    return results


def parse_seeds(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def one_thread() -> None:
    torch.set_num_threads(1)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m course_utils.recorded", description=__doc__.split("\n")[0])
    parser.add_argument("name", nargs="?", choices=STUDIES, help="which study; without it, the list of them")
    parser.add_argument("--seeds", type=parse_seeds, default=SEEDS, metavar="FIRST-LAST", help="default: 200-204")
    parser.add_argument("--out", type=Path, help="results file; default: data/results/NAME.jsonl")
    parser.add_argument("--workers", type=int, default=1, help="processes; default: 1")
    args = parser.parse_args(argv)
    if args.name is None:
        for name, trials in STUDIES.items():
            print(f"{name:12s} {len(trials(SEEDS)):3d} trials   {trials.__doc__}")
        return
    out = args.out or find(args.name)
    pool = ProcessPoolExecutor(args.workers, multiprocessing.get_context("spawn"), one_thread) if args.workers > 1 else None
    run_study(STUDIES[args.name](args.seeds), out, pool)


if __name__ == "__main__":
    main()
