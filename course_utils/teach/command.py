"""The command: python -m course_utils.teach solution | grading | student | list | plan | figures | quiz"""

import argparse
import json
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import nbformat

from .. import quiz, tables
from ..pipes import ends_with_its_reader
from . import figures, lessons, plan, versions

MAKE = {"solution": versions.solution_version, "grading": versions.grading_version, "student": versions.student_version}
PROG = "python -m course_utils.teach"


def parser_for(name: str, about: str) -> argparse.ArgumentParser:
    """The parser of a command, which may be told where the lessons are."""
    parser = argparse.ArgumentParser(prog=f"{PROG} {name}", description=about)
    parser.add_argument("--notebooks", type=Path, metavar="FOLDER", help="default: notebooks/, in the course's folder")
    return parser


def list_main(argv: list[str]) -> None:
    """Every lesson that is there, with its exercises."""
    parser = parser_for("list", "The lessons that are there, their minutes, and their exercises.")
    parser.add_argument("--json", action="store_true", help="for a program")
    args = parser.parse_args(argv)
    try:
        found = lessons.gather(args.notebooks)
    except ValueError as error:
        sys.exit(str(error))
    print(json.dumps([asdict(lesson) for lesson in found.values()], indent=1, default=str, ensure_ascii=False) if args.json
          else tables.as_text(lessons.HEAD, lessons.rows(found.values())))


def plan_main(argv: list[str]) -> None:
    """A named plan, or one for so many minutes."""
    parser = parser_for("plan", "A plan that adds up: which lessons and parts, in which order, with breaks, and what is cut.")
    parser.add_argument("name", nargs="?", metavar="PLAN", help=f"one of: {', '.join(plan.named())}")
    parser.add_argument("--minutes", type=int, metavar="N", help="one session of so many minutes, breaks included")
    parser.add_argument("--lessons", nargs="+", metavar="NN",
                        help="with --minutes: these; exercises go home before one of them is left out")
    parser.add_argument("--markdown", action="store_true", help="for a page")
    args = parser.parse_args(argv)
    if (args.name is None) == (args.minutes is None) or args.lessons and args.name:
        parser.error(f"wanted either a plan ({', '.join(plan.named())}), or --minutes N with or without --lessons NN NN.")
    try:
        wanted = plan.find(args.name) if args.name else plan.of_minutes(args.minutes, args.lessons)
        made = plan.make_plan(wanted, lessons.gather(args.notebooks))
    except ValueError as error:
        sys.exit(str(error))
    print(made.as_markdown() if args.markdown else made)


OTHERS = {"list": list_main, "plan": plan_main, "figures": figures.main,      # commands that make no version of a lesson:
          "quiz": quiz.main}                                                  # name -> main(argv)


@ends_with_its_reader
def main(argv: list[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] and argv[0] in OTHERS:
        return OTHERS[argv[0]](argv[1:])
    parser = argparse.ArgumentParser(
        prog=PROG, description="Solution, grading and student versions of a lesson, all made from the lesson itself.",
        epilog=f"Other commands, each with a --help of its own: {', '.join(OTHERS)}.")
    parser.add_argument("version", choices=MAKE)
    parser.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK")
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="names stay as they are")
    parser.add_argument("--force", action="store_true", help="replace what an earlier run wrote")
    args = parser.parse_args(argv)
    targets, built = [args.out / path.name for path in args.notebooks], []
    for path, target in zip(args.notebooks, targets, strict=True):
        if path.suffix != ".ipynb" or not path.is_file():
            parser.error(f"{path} is no notebook. Wanted: files that end in .ipynb.")
        if targets.count(target) > 1:
            parser.error(f"two notebooks would become {target}. Write each to its own --out.")
        if target.exists() and (not args.force or target.samefile(path)):
            parser.error(f"{target} exists. Choose another folder; --force replaces only versions.")
    try:
        for path in args.notebooks:  # all are made before the first is written
            nbformat.validate(nb := nbformat.read(path, 4))
            built.append(MAKE[args.version](nb))
        args.out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=args.out) as drafts:
            for path, target, nb in zip(args.notebooks, targets, built, strict=True):
                nbformat.write(nb, draft := Path(drafts, target.name))
                os.replace(draft, target)
                print(f"{args.version} version of {path}: {target}")
    except Exception as error:  # nbgrader raises plain RuntimeError and the like
        sys.exit(f"{path}: no {args.version} version made. {error}")
