"""The figures of lessons for slides: PNG from the stored outputs, on request drawn again as SVG, and their alternative texts.

    python -m course_utils.teach figures notebooks/05*.ipynb --out slides
    python -m course_utils.teach figures notebooks/05*.ipynb --out slides --svg      runs the lesson, which takes a minute

A file is called by its lesson, the heading that it stands under, and which one it is there: 05_mixing_what_it_costs_2.png. So
a figure that is added elsewhere changes no name. NAME_OF_THE_LESSON.txt has for each file lesson, heading and words.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import nbformat

from .. import progress, runtime
from .lessons import cells_by_section, pictures

# Runs in the lesson's kernel, behind its first cell: whatever is saved as PNG and shown is shown as SVG too.
HOOK = '''
def _with_svg():
    import io, matplotlib
    from IPython import get_ipython
    from matplotlib.figure import Figure
    screen, save, drawn = get_ipython().display_pub, Figure.savefig, []
    publish = screen.publish

    def savefig(self, target, **options):
        save(self, target, **options)
        if options.get("format") == "png":
            words, svg = getattr(self, "alt", "") or None, io.StringIO()
            with matplotlib.rc_context({"svg.hashsalt": "course"}):
                save(self, svg, format="svg", metadata={"Date": None, "Creator": None, "Description": words})
            drawn[:] = [svg.getvalue()]

    def publish_both(data, *rest, **options):
        if "image/png" in data and drawn:
            data = {**data, "image/svg+xml": drawn.pop()}
        return publish(data, *rest, **options)

    Figure.savefig, screen.publish = savefig, publish_both
_with_svg()
del _with_svg
'''
LIMIT = 600      # seconds for one cell


@dataclass(frozen=True)
class Figure:
    """One figure of a lesson; `name` is that of its file, without ending; `svg` is empty where it was not drawn again."""
    name: str
    lesson: str
    heading: str
    alt: str
    png: bytes
    svg: str = ""


def slug(text: str) -> str:
    return re.sub(r"\W+", "_", text.lower()).strip("_")[:50].rstrip("_") or "figure"


def figures(nb: dict, stem: str) -> list[Figure]:
    """The figures of a notebook, in order: those of plots.show, and the first picture of each widget."""
    texts = [progress.text(cell, "source") for cell in nb["cells"] if cell["cell_type"] == "markdown"]
    title = progress.TITLE.search("\n\n".join(texts))
    count, found = Counter(), []
    for heading, _, cell in cells_by_section(nb["cells"]):
        for png, alt, i in pictures(cell):
            count[slug(heading)] += 1
            name = f"{stem}_{slug(heading)}_{count[slug(heading)]}"
            svg = progress.text(progress.part(cell["outputs"][i], "data", dict), "image/svg+xml")
            found.append(Figure(name, title[0].lstrip("# ") if title else stem, heading, alt, base64.b64decode(png), svg))
    return found


def drawn_again(nb, path: Path):
    """The notebook run from top to bottom, its figures as SVG too.

    Raises:
        ImportError: nbclient is not installed.
        nbclient's errors: a cell failed, took longer than LIMIT, or its kernel died.
    """
    try:
        from nbclient import NotebookClient
    except ImportError as error:
        raise ImportError('SVG needs nbclient. Do: pip install -e ".[teach]"') from error
    code = [i for i, cell in enumerate(nb.cells) if cell.cell_type == "code"]
    for i in code:
        nb.cells[i].outputs = []      # an empty cell is not run, and would keep them
    nb.cells.insert(code[0] + 1 if code else 0, nbformat.v4.new_code_cell(HOOK))
    client = NotebookClient(nb, timeout=LIMIT, kernel_name="python3", store_widget_state=False,
                            resources={"metadata": {"path": str(path.resolve().parent)}})
    client.execute(env=runtime.kernel_environment())
    return nb


def words(found: list[Figure], endings: dict[str, list[str]]) -> str:
    """The text file beside the figures."""
    blocks = [[", ".join(f"{f.name}.{e}" for e in endings[f.name]), f"lesson: {f.lesson}", f"heading: {f.heading}",
               f"alt: {f.alt}"] for f in found]
    return "\n\n".join(map("\n".join, blocks)) + "\n"


def export(path: Path, out: Path, svg: bool = False) -> list[Path]:
    """Write the figures of one lesson into a folder; the files.

    Raises:
        ValueError: the notebook shows no figure, or run again it shows others than it has stored.
    """
    nb = nbformat.read(path, 4)
    found = figures(nb, path.stem)
    if not found:
        raise ValueError("it has no figures in its outputs. Run it first: python tools/run_notebooks.py")
    again = {f.name: f.svg for f in figures(drawn_again(nb, path), path.stem)} if svg else {}
    if svg and again.keys() != {f.name for f in found}:
        raise ValueError("run again, it shows other figures than it has stored. Run it first: python tools/run_notebooks.py")
    files, endings = {}, {}
    for f in found:
        files[f"{f.name}.png"], endings[f.name] = f.png, ["png"]
        if again.get(f.name):
            files[f"{f.name}.svg"], endings[f.name] = again[f.name].encode(), ["png", "svg"]
    files[f"{path.stem}.txt"] = words(found, endings).encode()
    for name, content in files.items():
        (out / name).write_bytes(content)
    return [out / name for name in files]


def main(argv: list[str] | None = None) -> None:
    """The command; a folder that is there already is refused without --force."""
    parser = argparse.ArgumentParser(prog="python -m course_utils.teach figures",
                                     description="The figures of lessons for slides, with their alternative texts.")
    parser.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK")
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--svg", action="store_true", help="SVG beside PNG: runs each lesson, about a minute")
    parser.add_argument("--force", action="store_true", help="write into a folder that is there already")
    args = parser.parse_args(argv)
    for path in args.notebooks:
        if path.suffix != ".ipynb" or not path.is_file():
            parser.error(f"{path} is no notebook. Wanted: files that end in .ipynb.")
        if [other.stem for other in args.notebooks].count(path.stem) > 1:
            parser.error(f"the figures of two notebooks {path.name} would have the same names. Write each to its own --out.")
    if args.out.exists() and not (args.force and args.out.is_dir()):
        parser.error(f"{args.out} exists. Choose another folder; --force writes into it.")
    done = []
    try:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=args.out.parent) as draft:      # all are made before the first is written
            for path in args.notebooks:
                done.append((path, export(path, Path(draft), args.svg)))
            args.out.mkdir(exist_ok=True)
            for path, files in done:
                for file in files:
                    os.replace(file, args.out / file.name)
                print(f"{path}: {len(files) - 1} files and {files[-1].name}, in {args.out}")
    except Exception as error:  # of nbformat, of a cell that fails, of the disk
        sys.exit(f"{path}: no figures written. {error or type(error).__name__}")
