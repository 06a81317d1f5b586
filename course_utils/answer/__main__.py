"""Which attention, where, and does it pay on these pictures? The answer on one page, in the minutes that you give.

    python -m course_utils.answer my_pictures                           a folder with one sub-folder a class
    python -m course_utils.answer fashion_mnist --minutes 10            a data set
    python -m course_utils.answer my_pictures --host resnet18 --pretrained
    python -m course_utils.answer my_pictures --host my_nets:tiny --size 96 --out report_tiny

Stopped or killed, the same command goes on. Nothing is fetched without --download.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import shlex
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

from .. import names, runtime
from ..pipes import ends_with_its_reader
from ..studies import Processes, dask
from ..studies.hosting import check_host
from ..tasks import DATA_SETS
from .looking import fingerprint, look
from .page import write_page
from .plan import Plan
from .prepare import make_plan
from .running import PLAN, RESULTS, carry_out
from .say import Answer
from .survey import Survey

LOOKING = 0.15      # the share of the minutes that may go into opening pictures


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m course_utils.answer", description=__doc__.split("\n")[0])
    p.add_argument("source", metavar="FOLDER_OR_DATASET", help="a folder with one sub-folder a class (or train/ and test/ with "
                   f"those), or {', '.join(DATA_SETS)}")
    p.add_argument("--host", default="small_resnet", help="small_resnet (the default) or another host of the course, a "
                   "classifier of torchvision (resnet18, convnext_tiny), timm:NAME, or module:factory, a function classes -> "
                   "network")
    p.add_argument("--minutes", type=float, default=30, help="in which it ends, within a quarter; default: 30")
    p.add_argument("--pretrained", action="store_true", help="fine-tune weights of ImageNet, which must be there or be fetched")
    p.add_argument("--out", type=Path, default=Path("report"), help="folder for page, plan and results; default: report")
    p.add_argument("--download", action="store_true", help="fetch a data set or weights that are not there; nothing else does")
    p.add_argument("--root", type=Path, help="the folder that holds the data set, instead of COURSE_DATA")
    p.add_argument("--size", type=int, help="side of the pictures in pixels, instead of the one that is chosen")
    p.add_argument("--lr", type=float, help="peak learning rate, instead of the one that is chosen for the host")
    p.add_argument("--seed", type=int, default=0, help="the first; another one makes the study anew, to confirm what came out")
    p.add_argument("--workers", type=int, default=1, help="processes of this machine; default: 1")
    p.add_argument("--dask", metavar="ADDRESS", help="the scheduler of a Dask cluster, whose workers see the same paths")
    return p


def check_source(source: str) -> None:
    """Refuse what is neither a data set nor a folder.

    Raises:
        ValueError, FileNotFoundError: it is not there.
    """
    if source not in DATA_SETS and not Path(source.removeprefix("folder:")).expanduser().exists():
        raise FileNotFoundError(f"{source!r} is no folder here (looked for {Path(source).absolute()}) and no data set."
                                f"{names.hint(source, DATA_SETS)} Data sets: {', '.join(DATA_SETS)}. Of pictures of your own: a "
                                "folder with one sub-folder a class, and the pictures of that class in it.")


def check_out(out: Path, source: str) -> None:
    """Can something be written there? Asked before anything is run.

    Raises:
        OSError: it cannot. ValueError: it lies among the pictures.
    """
    top = Path(source.removeprefix("folder:")).expanduser().resolve()
    if source not in DATA_SETS and (top == out.resolve() or top in out.resolve().parents):
        raise ValueError(f"{out} lies inside {source}, where each folder is a class of pictures. Give another --out, such as "
                         f"{Path('..') / out.name}.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / ".draft").write_text("")
        (out / ".draft").unlink()
    except OSError as error:
        raise OSError(f"nothing can be written to {out.absolute()} ({error.strerror}). Nothing was run. Give another folder: "
                      "--out FOLDER") from error


def seen(args: argparse.Namespace) -> Survey:
    """What `look` finds.

    Raises:
        FileNotFoundError: a data set that is not there; the message says how this command gets it.
    """
    try:
        return look(args.source, args.root, args.download, LOOKING * 60 * args.minutes)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error} To this command say --download, or --root FOLDER.") from error


def known(out: Path, args: argparse.Namespace) -> tuple[Plan, float | None] | None:
    """The plan of this folder, if it was begun with the same question, and the seconds that it took if it is finished.

    Raises:
        ValueError: the folder holds another question, or the pictures have changed since.
    """
    if not (out / PLAN).exists():
        if (out / RESULTS).exists():
            raise ValueError(f"{out} holds {RESULTS} and no {PLAN}: results without their plan. Give another --out.")
        return None
    plan, more = Plan.read(out / PLAN)
    now = asked(args)
    if differ := [f"{k} was {plan.asked[k]!r} and now is {now[k]!r}" for k in now if plan.asked.get(k) != now[k]]:
        raise ValueError(f"{out} was begun with another question: {'; '.join(differ)}. Say the same as before to go on, or give "
                         "another --out; what is there stays as it is.")
    if plan.survey.task.startswith("folder:") and fingerprint(plan.survey.source) != plan.survey.print:
        raise ValueError(f"the pictures in {plan.survey.source} have changed since {out} was begun, and old and new runs "
                         "cannot be compared. Give another --out; what is there stays as it is.")
    return plan, more.get("used")


def asked(args: argparse.Namespace) -> dict:
    source = args.source if args.source in DATA_SETS else str(Path(args.source.removeprefix("folder:")).expanduser())
    return {"source": source, **{k: getattr(args, k) for k in ("host", "minutes", "pretrained", "size", "lr", "seed")}}


def say(text: str) -> None:
    print(text, flush=True)


def answer(args: argparse.Namespace, began: float) -> Path:
    """All of it, from `began` on, a time.monotonic(); returns the page."""
    check_host(args.host)
    check_source(args.source)
    check_out(args.out, args.source)
    if args.root:
        runtime.use_data_folder(args.root.absolute())
    before = known(args.out, args)
    root = str(args.root.absolute()) if args.root else None
    finished = before and before[1] is not None
    executor = None if finished else dask(args.dask) if args.dask else Processes(args.workers) if args.workers > 1 else None
    with executor or contextlib.nullcontext(), warnings.catch_warnings():
        # Looking names the pictures that cannot be read; each run would again.
        warnings.filterwarnings("ignore", r"\d+ of \d+ pictures cannot be read", UserWarning)
        if before:
            plan = before[0]
            say(f"{args.out} holds this question already: " + ("it is finished, and the page is made anew." if finished else
                                                               "it goes on."))
        else:
            say(f"Looking at {args.source} ...")
            survey = seen(args)
            say(f"{survey}\nMeasuring how long a step takes ...")
            plan = make_plan(survey, args.host, args.minutes, args.pretrained, args.size, args.lr, args.seed, args.download,
                             root, executor, began, say)
            say(str(plan))
        results = carry_out(plan, args.out, executor, root, say)
    result = Answer(plan, tuple(results))
    page, png = write_page(result, args.out, Plan.read(args.out / PLAN)[1].get("used"))
    say(f"\n{result}\n\n{page.absolute()}\n{png.absolute()}")
    return page


@ends_with_its_reader
def main(argv: Sequence[str] | None = None, began: float | None = None) -> None:
    began = time.monotonic() if began is None else began
    p = parser()
    args = p.parse_args(argv)
    if not 0 < args.minutes < math.inf:
        p.error(f"--minutes must be above 0, and finite, got {args.minutes:g}")
    for name in ("size", "lr", "workers"):
        if (value := getattr(args, name)) is not None and not value > 0:
            p.error(f"--{name} must be above 0, got {value:g}")
    try:
        answer(args, began)
    except KeyboardInterrupt:
        sys.exit(f"\nStopped by you. What has finished is in {args.out}; to go on:  python -m course_utils.answer "
                 f"{shlex.join(argv if argv is not None else sys.argv[1:])}")
    except BrokenPipeError:      # whose pipe it is, the decorator finds out
        raise
    except (ValueError, TypeError, OSError, ImportError) as error:
        # What a person can put right is said in one line, without the way through the code.
        sys.exit(f"{p.prog}: {error}")


if __name__ == "__main__":
    if os.getcwd() not in sys.path:      # where a module of your own lies that makes the host
        sys.path.insert(0, os.getcwd())
    # The imports were done before this line, and a person counts them: they are the processor time until now.
    main(began=time.monotonic() - time.process_time())
