"""Build the book, a site of all lessons and pages, and check it: python tools/make_book.py [OUT]

    pip install -e ".[book]"            what it needs
    python tools/make_book.py           into build/book; open build/book/index.html
    python tools/make_book.py site/     into another folder

Nothing is executed and nothing is fetched: the notebooks' outputs are committed. A warning of Sphinx's, a link that leads
nowhere, a picture without an alternative text, or anything that a page would load from elsewhere ends it with status 1, and the
folder stays as it was.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
for folder in (ROOT, ROOT / "tools"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from book import built, pages  # noqa: E402  (the paths come first)


class Mistake(Exception):
    """Something that the user can put right."""


def build(root: Path, out: Path) -> built.Site:
    """Build the book of the course in `root` into `out`, which is an earlier book, empty, or not there.

    Raises:
        Mistake: Sphinx is not installed, `out` holds something else, or the book has faults, which it lists.
    """
    try:
        from sphinx.cmd.build import build_main
    except ImportError as error:
        raise Mistake(f'the book needs Sphinx: {error}. Do: pip install -e ".[book]"') from error
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or (out / "searchindex.js").exists())):
        raise Mistake(f"{out} holds something that is no book. Name an empty folder, or one that is not there.")
    with tempfile.TemporaryDirectory() as scratch:
        source, doctrees, html = (Path(scratch) / name for name in ("source", "doctrees", "html"))
        source.mkdir()
        pages.stage(root, source)
        conf = root / "tools" / "book"
        if build_main(["-q", "-W", "--keep-going", "-b", "html", "-c", str(conf), "-d", str(doctrees), str(source), str(html)]):
            raise Mistake("Sphinx ended with warnings, above")
        if faults := built.faults(built.read(html)):
            raise Mistake("\n".join([f"{len(faults)} faults:", *faults]))
        if out.exists():
            shutil.rmtree(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(html, out)
    return built.read(out)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", nargs="?", type=Path, default=ROOT / "build" / "book", metavar="OUT", help="default: build/book")
    args, began = parser.parse_args(argv), time.perf_counter()
    try:
        found = build(ROOT, args.out)
    except Mistake as mistake:
        print(f"make_book: {mistake}", file=sys.stderr)
        return 1
    print(f"{args.out}: {found.told()}, {time.perf_counter() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
