"""The command that runs the recorded studies, goes on where a run was stopped, and says what came out.

    python -m course_utils.studies list                         what there is
    python -m course_utils.studies status                       how much of it has been run, and what is left
    python -m course_utils.studies run 00_what                  run what its file does not hold yet
    python -m course_utils.studies run --all --background       all that is outstanding, at low priority
    python -m course_utils.studies run 00_what --seeds 300-304 --out mine.jsonl --workers 2
    python -m course_utils.studies run 00_what --dask tcp://127.0.0.1:8786
    python -m course_utils.studies table 00_what                its arms and contrasts
    python -m course_utils.studies plot 00_what --out what.png  every seed
    python -m course_utils.studies answer                       the answer of the course, in one table
    python -m course_utils.studies claims                       what others have published about places
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import torch

from .. import tables
from ..paths import INSTALLED
from ..pipes import ends_with_its_reader
from . import decide, verdict
from .catalogue import CATALOGUE, find, outstanding_first
from .claims import claims
from .claims import show as show_claims
from .executors import Processes, dask
from .results import finished, read
from .run import spoken
from .study import Study
from .trial import Result


def parse_seeds(text: str) -> tuple[int, ...]:
    """"300-304", or one number."""
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    seeds = range(int(found[1]), int(found[2] or found[1]) + 1) if found else ()
    if not seeds:
        raise argparse.ArgumentTypeError(f"seeds are FIRST-LAST, as in 300-304, or a single one; got {text!r}")
    return tuple(seeds)


def results_of(study: Study) -> list[Result]:
    """Its results, those that failed too; none where there is no file."""
    wanted = set(study.trials())
    return [r for r in read(study.path) if r.trial in wanted] if study.path.exists() else []


def good_results(study: Study, path: Path | None) -> tuple[Study, list[Result]]:
    """Its results that have no error, of the recorded file or of another one.

    Where the other one holds no seed of the study, as after `run --seeds`, it is the study on the seeds that are there.

    Raises:
        FileNotFoundError: the other file is not there. ValueError: it holds no trial of the study.
    """
    if path is None:
        return study, [r for r in results_of(study) if r.error is None]
    arms = {study.trial(arm, 0) for arm in study.arms}
    results = [r for r in read(path) if r.error is None and r.trial.arm in arms]
    if not results:
        raise ValueError(f"{path} holds no finished trial of {study.name}")
    if not (seeds := {r.trial.seed for r in results}) & set(study.seeds):
        study = replace(study, seeds=tuple(sorted(seeds)))
    return study, [r for r in results if r.trial.seed in study.seeds]


def show() -> None:
    for name, study in CATALOGUE.items():
        print(f"{name:17s} {len(finished(results_of(study))):3d} of {len(study.trials()):3d} trials   {study.about}")


def status(chosen: list[Study]) -> None:
    """How much has been run, what failed, and how long the rest takes, from the times of what has been run."""
    rows, seconds = [], 0.0
    for study in chosen:
        results = results_of(study)
        done = finished(results)
        failures = {r.trial for r in results} - done.keys()
        left = len(study.trials()) - len(done)
        rest = left * fmean(r.seconds for r in done.values()) if done else 0.0
        seconds += rest
        complete = sum(all(t in done for t in study.trials([seed])) for seed in study.seeds)
        rows.append([study.name, f"{len(done)} of {len(study.trials())}", f"{complete} of {len(study.seeds)}", str(len(failures)),
                     "" if not left else spoken(rest) if done else "not known"])
    print(tables.as_text(["study", "trials", "whole seeds", "failed", "left, one core"], rows))
    print(f"Left in all: {spoken(seconds)}, where it is known." if seconds else "Nothing is left that a time is known of.")


def table(study: Study, path: Path | None = None) -> None:
    study, results = good_results(study, path)
    print(f"{study.name}: {study.about}")
    if not results:
        return print(f"No trial of it has a result yet: python -m course_utils.studies run {study.name}")
    print(tables.as_text(*verdict.arm_rows(study, results)))
    print(verdict.sentences(study, results))


def plot(study: Study, out: Path, path: Path | None = None) -> None:
    from .. import plots
    study, results = good_results(study, path)
    runs = {arm: seeds for arm, seeds in study.runs(results).items() if seeds}
    if not runs:
        raise SystemExit(f"{study.name} has no results yet: python -m course_utils.studies run {study.name}")
    fig = plots.dots(runs, ylabel=f"{study.outcomes[0]} on unseen pictures", title=study.about)
    fig.savefig(out, dpi=150, bbox_inches="tight")
    print(f"{out.resolve()}")


def run(args: argparse.Namespace, chosen: list[Study]) -> None:
    if args.background:
        os.nice(19)
        torch.set_num_threads(1)
    if args.dask:
        executor = dask(args.dask)
    else:
        executor = Processes(args.workers) if args.workers > 1 else None
    with executor or contextlib.nullcontext():
        for study in chosen:
            # What was installed is only read: a reader's own results belong into the reader's own folder.
            out = args.out or (Path(f"{study.name}.jsonl") if INSTALLED else study.path)
            print(f"{study.name}. Results go to {out.resolve()}.")
            study.run(out, executor, args.seeds, retry=args.retry)


@ends_with_its_reader
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m course_utils.studies", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the studies, and how much of each has been run")
    commands.add_parser("claims", help="published claims about the place of attention")
    commands.add_parser("answer", help="the answer of the course, from the files of results")
    for name, about in (("run", "run what is not in the files of results yet"), ("status", "what is done and what is left"),
                        ("table", "arms and contrasts"), ("plot", "every seed as a picture")):
        one = commands.add_parser(name, help=about)
        one.add_argument("names", nargs="*", metavar="NAME", help="which studies")
        one.add_argument("--all", action="store_true", help="every study of the catalogue, the most important first")
        if name in ("table", "plot"):
            one.add_argument("--results", type=Path, help="another file of results than the recorded one")
        if name in ("run", "plot"):
            one.add_argument("--out", type=Path, help="the file to write, for a single study; default for results: "
                             "data/results/NAME.jsonl, or NAME.jsonl in the current folder where the course was installed from a "
                             "wheel; for a picture: NAME.png")
        if name == "run":
            one.add_argument("--seeds", type=parse_seeds, metavar="FIRST-LAST", help="default: those of the study")
            one.add_argument("--workers", type=int, default=1, help="processes of this machine; default: 1")
            one.add_argument("--dask", metavar="ADDRESS", help="the scheduler of a Dask cluster, such as tcp://127.0.0.1:8786")
            one.add_argument("--retry", action="store_true", help="also what has failed before")
            one.add_argument("--background", action="store_true", help="at low priority, one thread")
    args = parser.parse_args(argv)
    if args.command == "list":
        return show()
    if args.command in ("answer", "claims"):
        return print(decide.show() if args.command == "answer" else show_claims(claims()))
    choose = commands.choices[args.command]
    try:
        chosen = outstanding_first() if args.all or args.command == "status" and not args.names else list(map(find, args.names))
    except ValueError as error:
        choose.error(str(error))
    if not chosen:
        choose.error("name a study, or say --all. Known: " + ", ".join(CATALOGUE))
    if len(chosen) > 1 and (getattr(args, "out", None) or getattr(args, "results", None)):
        choose.error("--out and --results are for one study; without them, each has its own")
    try:
        if args.command == "run":
            run(args, chosen)
        elif args.command == "status":
            status(chosen)
        else:
            for study in chosen:
                table(study, args.results) if args.command == "table" else plot(
                    study, args.out or Path(f"{study.name}.png"), args.results)
    except BrokenPipeError:      # whose pipe it is, the decorator finds out
        raise
    except (ValueError, OSError, ImportError) as error:
        # What a person can put right is said in one line, without the way through the code.
        sys.exit(f"{choose.prog}: {error}")


if __name__ == "__main__":
    main()
