"""The README's picture of a lesson in JupyterLab, `docs/screenshot.png`: a real one, of a lesson that has just been run.

    python tools/make_screenshot.py                                  a minute or two; needs a Chromium
    python tools/make_screenshot.py --lesson 08_sockets.ipynb --out other.png
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import lab

ROOT = Path(__file__).resolve().parents[1]
SIZE = {"width": 1180, "height": 760}      # of the window, in pixels; the picture has twice as many for sharp letters


def screenshot(lesson: str, out: Path, **environment: str) -> None:
    """Run a lesson of the course in JupyterLab and store what the window shows around its last widget, or around its end.

    Raises:
        FileNotFoundError: no such lesson; playwright.sync_api.Error: there is no browser, or a cell took too long.
    """
    from playwright.sync_api import sync_playwright

    if not (ROOT / "notebooks" / lesson).is_file():
        raise FileNotFoundError(f"notebooks/{lesson} is not there. Wanted: the name of a lesson's file.")
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        # In a copy: JupyterLab saves what it runs.
        course = Path(scratch) / "course"
        shutil.copytree(ROOT, course, ignore=shutil.ignore_patterns(".git", ".venv", "build", "tests", "*.egg-info"))
        browser = lab.chromium(playwright)
        with lab.server_of("jupyterlab", course / "notebooks", Path(scratch), **environment) as (base, token, ask):
            page = browser.new_page(viewport=SIZE, device_scale_factor=2)
            lab.open_and_run(page, base, token, ask, lesson, "jupyterlab", seconds=400)
            page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
            page.evaluate("""() => {
                const found = [...document.querySelectorAll('.jp-CodeCell')];
                const cell = found.filter(c => c.querySelector('.widget-slider')).pop() || found.pop();
                cell.querySelector('.jp-OutputArea').scrollIntoView({block: 'end'});
            }""")
            page.wait_for_timeout(1500)      # until JupyterLab has stopped moving
            page.screenshot(path=out)
        browser.close()


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the README's picture of a lesson in JupyterLab.")
    parser.add_argument("--lesson", default="05_mixing.ipynb")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "screenshot.png")
    args = parser.parse_args()
    try:
        screenshot(args.lesson, args.out)
    except FileNotFoundError as error:
        parser.error(str(error))
    print(f"{args.out}: {args.out.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
