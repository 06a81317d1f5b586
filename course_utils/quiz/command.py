"""The command: python -m course_utils.teach quiz --lesson 02 --format moodle -o quiz.xml"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import bank, exchange, pages

FORMATS = {"moodle": exchange.moodle_xml, "gift": exchange.gift, "markdown": pages.markdown}


def main(argv: list[str] | None = None) -> None:
    """Writes the questions of some lessons, or of all, to a file that is not there yet."""
    parser = argparse.ArgumentParser(prog="python -m course_utils.teach quiz",
                                     description="The questions on the lessons, for Moodle, another platform, or a page.")
    parser.add_argument("--lesson", action="append", metavar="NN", help="such as 02; may be given several times; all without it")
    parser.add_argument("--format", required=True, choices=FORMATS,
                        help="moodle: its XML; gift: read by Moodle and many others; markdown: the answers in folds")
    parser.add_argument("-o", "--out", required=True, type=Path, metavar="FILE")
    parser.add_argument("--force", action="store_true", help="replace the file")
    args = parser.parse_args(argv)
    if args.out.exists() and not args.force:
        parser.error(f"{args.out} exists. Choose another file; --force replaces it.")
    try:
        numbers = list(dict.fromkeys(args.lesson or bank.lessons()))
        made = [bank.read(number) for number in numbers]
        text = FORMATS[args.format](numbers)
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text, encoding="utf-8")
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"no questions written. {error}")
    print(f"{sum(len(lesson.questions) for lesson in made)} questions of {len(made)} lesson{'s' * (len(made) != 1)}: {args.out}")
