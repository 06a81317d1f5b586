"""Lessons in a real JupyterLab and in Notebook 7, in a real browser: every cell runs, and a slider changes its figure.

Only a browser sees the faults of widgets: nbval has no front end. Skipped where there is no Chromium. The lessons are
rehearsed here (two training steps); nbval runs them in full.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import lab  # of tools/
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
FAULTS = ('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"], '
          '.jp-RenderedText[data-mime-type="application/vnd.jupyter.stderr"]')
WIDGET_PICTURE = ".jupyter-widgets img, img.jupyter-widgets"

# Notebook 7.6 raises this by itself, on an empty notebook too, before any cell has run.
ITS_OWN = {"jupyterlab": (), "notebook": ("Cannot read properties of undefined (reading 'schema')",)}
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def chromium():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[test]'")
    with sync_api.sync_playwright() as playwright:
        try:
            browser = lab.chromium(playwright)
        except sync_api.Error as error:
            pytest.skip(f"no Chromium to start: {str(error).splitlines()[0]}")
        yield browser
        browser.close()


def pictures(path: Path) -> int:
    """How many the lesson has as it is committed, that of a widget among them, which a browser shows in another way."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return sum("image/png" in output.get("data", {}) for cell in cells for output in cell.get("outputs", ()))


@pytest.mark.full
@pytest.mark.parametrize("app, name, sliders", [
    ("jupyterlab", "00_start_here.ipynb", 0), ("jupyterlab", "05_mixing.ipynb", 2), ("jupyterlab", "08_sockets.ipynb", 1),
    ("jupyterlab", "12_experiment.ipynb", 1), ("jupyterlab", "15_detectors_and_unets.ipynb", 0),
    ("notebook", "00_start_here.ipynb", 0)], ids=lambda value: str(value)[:10])
def test_lesson_runs_in_the_browser(app, name, sliders, chromium, tmp_path):
    pytest.importorskip(app, reason=f"{app} is not installed: pip install -e '.[test]'")
    if not (ROOT / "notebooks" / name).exists():
        pytest.skip(f"this copy of the course has no {name}")
    shutil.copytree(ROOT, tmp_path / "course", ignore=shutil.ignore_patterns(".git", ".venv", "build", "tests", "*.egg-info"))
    with lab.server_of(app, tmp_path / "course" / "notebooks", tmp_path, COURSE_REHEARSE="1") as (base, token, ask):
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        errors, outside = [], []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith((base, base.replace("http", "ws"), "data:", "blob:"))
                or "colab" in r.url else outside.append(r.url))
        lab.open_and_run(page, base, token, ask, name, app)
        assert page.locator(FAULTS).count() == 0, page.locator(FAULTS).first.inner_text()
        assert page.locator(".jp-RenderedImage img").count() >= pictures(ROOT / "notebooks" / name) - (sliders > 0) > 0
        assert page.locator(".widget-slider .noUi-handle").count() == sliders
        if sliders:
            picture = page.locator(WIDGET_PICTURE).last
            picture.wait_for(timeout=30_000)
            before = picture.get_attribute("src")
            page.locator(".widget-slider .noUi-handle").first.focus()
            for _ in range(4):
                page.keyboard.press("ArrowLeft")
            page.wait_for_function("""b => { const i = [...document.querySelectorAll('%s')].pop();
                                             return i && i.src !== b }""" % WIDGET_PICTURE, arg=before, timeout=30_000)
        assert not outside and [error for error in errors if error not in ITS_OWN[app]] == []
        page.close()


@pytest.mark.full
def test_the_picture_of_the_readme_can_be_made_anew(chromium, tmp_path):
    """Catches a tool that no longer finds its way through JupyterLab; what it shows is looked at by whoever runs it."""
    pytest.importorskip("jupyterlab", reason="jupyterlab is not installed: pip install -e '.[test]'")
    first = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))[0].name
    command = [sys.executable, ROOT / "tools/make_screenshot.py", "--lesson", first, "--out", tmp_path / "a.png"]
    subprocess.run(command, check=True, env={**os.environ, "COURSE_REHEARSE": "1"})
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (2 * 1180, 2 * 760) and len(picture.convert("RGB").getcolors(10 ** 7)) > 100
