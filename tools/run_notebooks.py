"""Run lessons from top to bottom in the quick profile and store their outputs, as they are committed.

    python tools/run_notebooks.py                                all lessons, one after the other
    python tools/run_notebooks.py notebooks/02_channel.ipynb     this one
    python tools/run_notebooks.py --check                        run them and store nothing

A lesson whose cell fails or takes too long stays as it was; the others go on, and the command ends with status 1.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

# Before a kernel starts: it inherits these. One thread, as in the tests: a sum over one is the same on every run.
os.environ.update({"COURSE_PROFILE": "quick", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})
os.environ.pop("COURSE_REHEARSE", None)      # a rehearsal measures nothing

import nbformat  # noqa: E402  (the environment comes first)
from nbclient import NotebookClient  # noqa: E402
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 180      # seconds for one cell


def tidy(nb: nbformat.NotebookNode) -> None:
    """Take out what belongs to this run and to no reader: states of widgets, times, progress bars that are gone.

    What was printed before and after a bar is one text then.
    """
    nb.metadata.pop("widgets", None)
    for cell in nb.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            kept = []
            for out in cell.outputs:
                if kept and out.get("name") == "stdout" == kept[-1].get("name"):
                    kept[-1].text += out.text
                elif out.get("name") != "stderr" and not bar(out):
                    kept.append(out)
            cell.outputs = kept


def warned(nb: nbformat.NotebookNode) -> list[str]:
    """What a reader would see in red and the stored lesson does not show, cell by cell; progress bars are no warning."""
    said = []
    for number, cell in enumerate(nb.cells):
        text = "".join(out.text for out in cell.get("outputs", []) if out.get("name") == "stderr")
        lines = [line for line in text.replace("\r", "\n").splitlines() if line.strip() and "it/s]" not in line
                 and "s/it]" not in line and "?it" not in line]
        said += [f"cell {number} warns: {lines[0].strip()}"] if lines else []
    return said


def bar(output: nbformat.NotebookNode) -> bool:
    """Is this a widget without a picture: a progress bar, empty once it has closed?"""
    data = output.get("data", {})
    return "application/vnd.jupyter.widget-view+json" in data and "image/png" not in data


def run(path: Path, store: bool) -> str:
    """Execute one lesson; what is to be said about it.

    Raises:
        nbclient's errors: a cell failed, took longer than LIMIT, or its kernel died. The file is as it was.
    """
    nb, began = nbformat.read(path, 4), time.perf_counter()
    NotebookClient(nb, timeout=LIMIT, kernel_name="python3", record_timing=False, store_widget_state=False,
                   resources={"metadata": {"path": str(path.parent)}}).execute()
    red = warned(nb)
    tidy(nb)
    if store:
        nbformat.validate(nb)
        draft = path.with_suffix(".draft")
        nbformat.write(nb, draft)
        os.replace(draft, path)      # never half a notebook
    return "\n  ".join([f"{time.perf_counter() - began:.0f} s{', stored' if store else ''}", *red])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all lessons")
    parser.add_argument("--check", action="store_true", help="store nothing")
    args = parser.parse_args(argv)
    failed = []
    for path in args.notebooks or sorted((ROOT / "notebooks").glob("*.ipynb")):
        if path.suffix != ".ipynb" or not path.is_file():
            parser.error(f"{path} is no notebook. Wanted: files that end in .ipynb.")
        try:
            told = run(path, not args.check)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            failed.append(path.name)
            told = f"FAILED, not stored\n{error}"
        print(f"{path.name}: {told}", flush=True)
    if failed:
        print(f"{len(failed)} failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
