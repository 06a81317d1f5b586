"""Write the questions below `quiz.ask("NN")` at a lesson's end as the quiz bank has them now, without running the lesson.

    python tools/make_recall.py            all lessons
    python tools/make_recall.py --check    write nothing; status 1 if one of them is out of date
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from course_utils import quiz  # noqa: E402  (the course of this folder, installed or not)

CALL = re.compile(r'\bquiz\.ask\("(\d\d)"\)$')


def renewed(nb: nbformat.NotebookNode) -> bool:
    """Give each cell that ends with the call its questions; has anything changed?"""
    changed = False
    for cell in nb.cells:
        if cell.cell_type == "code" and (call := CALL.search(cell.source)):
            fresh = [nbformat.v4.new_output("display_data", quiz.shown(call[1]))]
            changed |= cell.outputs != fresh
            cell.outputs = fresh
    return changed


def main() -> int:
    parser = argparse.ArgumentParser(description="Renew the questions from earlier lessons at each lesson's end.")
    parser.add_argument("--check", action="store_true", help="change nothing; status 1 where a lesson is out of date")
    args = parser.parse_args()
    changed = []
    for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        nb = nbformat.read(path, 4)
        if renewed(nb):
            changed.append(path)
            if not args.check:
                nbformat.write(nb, path)
    print("\n".join(map(str, changed)) or "all as the quiz bank has them")
    return int(args.check and bool(changed))


if __name__ == "__main__":
    sys.exit(main())
