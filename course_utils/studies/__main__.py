"""The command that runs the recorded studies, and goes on where a run was stopped.

    python -m course_utils.studies list                         what there is, and how much of it has been run
    python -m course_utils.studies run 00_what                  run what its file does not hold yet
    python -m course_utils.studies run --all --background       all that is outstanding, at low priority
    python -m course_utils.studies run 00_what --seeds 300-304 --out mine.jsonl --workers 2
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import re
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from ..paths import INSTALLED
from .catalogue import CATALOGUE, find
from .run import read, run_study
from .study import Study


def parse_seeds(text: str) -> tuple[int, ...]:
    """"300-304", or one number."""
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    seeds = range(int(found[1]), int(found[2] or found[1]) + 1) if found else ()
    if not seeds:
        raise argparse.ArgumentTypeError(f"seeds are FIRST-LAST, as in 300-304, or a single one; got {text!r}")
    return tuple(seeds)


def one_thread() -> None:
    torch.set_num_threads(1)


def finished(study: Study) -> int:
    """How many of its trials have a result."""
    done = {r.trial for r in read(study.path) if r.error is None} if study.path.exists() else set()
    return len(done & set(study.trials()))


def show() -> None:
    for name, study in CATALOGUE.items():
        print(f"{name:17s} {finished(study):3d} of {len(study.trials()):3d} trials   {study.about}")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m course_utils.studies", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the studies, and how much of each has been run")
    run = commands.add_parser("run", help="run what is not in the files of results yet")
    run.add_argument("names", nargs="*", metavar="NAME", help="which studies")
    run.add_argument("--all", action="store_true", help="every study of the catalogue")
    run.add_argument("--seeds", type=parse_seeds, metavar="FIRST-LAST", help="default: those of the study")
    run.add_argument("--out", type=Path, help="results file of a single study; default: data/results/NAME.jsonl, or "
                     "NAME.jsonl in the current folder where the course was installed from a wheel")
    run.add_argument("--workers", type=int, default=1, help="processes; default: 1")
    run.add_argument("--background", action="store_true", help="at low priority, one thread")
    args = parser.parse_args(argv)
    if args.command == "list":
        return show()
    chosen = list(CATALOGUE) if args.all else args.names
    try:
        chosen = [find(name) for name in chosen]
    except ValueError as error:
        run.error(str(error))
    if not chosen:
        run.error("name a study, or say --all. Known: " + ", ".join(CATALOGUE))
    if args.out and len(chosen) > 1:
        run.error("--out is the file of one study; without it, each has its own")
    if args.background:
        os.nice(19)
        one_thread()
    pool = ProcessPoolExecutor(args.workers, multiprocessing.get_context("spawn"), one_thread) if args.workers > 1 else None
    with pool or contextlib.nullcontext():
        for study in chosen:
            # What was installed is only read: a reader's own results belong into the reader's own folder.
            out = args.out or (Path(f"{study.name}.jsonl") if INSTALLED else study.path)
            print(f"{study.name}. Results go to {out.resolve()}.")
            run_study(study.trials(args.seeds), out, pool)


if __name__ == "__main__":
    main()
