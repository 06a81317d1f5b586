"""Lessons in a real JupyterLab and in Notebook 7, in a real browser: every cell runs, and a slider changes its figure.

Only a browser sees the faults of widgets: nbval has no front end. Skipped where there is no Chromium. The lessons are
rehearsed here (two training steps); nbval runs them in full.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]
EVERY_CELL_HAS_A_NUMBER = r"""() => {
    const cells = [...document.querySelectorAll('.jp-CodeCell')];
    return cells.length > 0 && cells.every(c => /\[\d+\]/.test(c.querySelector('.jp-InputPrompt').innerText));
}"""
FAULTS = ('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"], '
          '.jp-RenderedText[data-mime-type="application/vnd.jupyter.stderr"]')
WIDGET_PICTURE = ".jupyter-widgets img, img.jupyter-widgets"

# Notebook 7.6 raises this by itself, on an empty notebook too, before any cell has run.
ITS_OWN = {"jupyterlab": (), "notebook": ("Cannot read properties of undefined (reading 'schema')",)}
PATHS = {"jupyterlab": "lab/tree", "notebook": "notebooks"}
SETTINGS = {
    # Without this, a question about news covers the notebook.
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # Otherwise only the cells on the screen are in the page.
    "notebook-extension/tracker": {"windowingMode": "none"},
}

pytestmark = pytest.mark.browser


@contextlib.contextmanager
def server_of(app: str, folder: Path, scratch: Path):
    """JupyterLab or Notebook 7 on loopback with settings of its own; gives its address, its token and a way to ask it."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    for name, values in SETTINGS.items():
        file = scratch / "settings/@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(values))
    places = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
              "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces"}
    env = {**os.environ, **{name: str(scratch / place) for name, place in places.items()}, "COURSE_REHEARSE": "1"}
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", app, "--no-browser", "--ip=127.0.0.1", f"--port={port}", "--allow-root",
               "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}",
               "--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True"]
    with open(scratch / "server.log", "w") as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT)

    def ask(path: str):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}?token={token}", timeout=5) as answer:
            return json.load(answer)

    try:
        assert wait_for(lambda: ask("/api/status"), 90), (scratch / "server.log").read_text()[-2000:]
        yield f"http://127.0.0.1:{port}", token, ask
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:      # it waits for a kernel that is still at work
            server.kill()


def wait_for(question, seconds: float):
    """Ask until the answer is true; False after that many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if question():
                return True
        time.sleep(0.25)
    return False


@pytest.fixture(scope="module")
def chromium():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[test]'")
    installed = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=installed, headless=True, args=QUIET)
        except sync_api.Error as error:
            pytest.skip(f"no Chromium to start: {str(error).splitlines()[0]}")
        yield browser
        browser.close()


def open_and_run(page, base: str, token: str, ask, name: str, app: str) -> None:
    """Open a notebook and run all of its cells."""
    page.goto(f"{base}/{PATHS[app]}/{name}?token={token}" + ("&reset" if app == "jupyterlab" else ""))
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)

    def ready():      # the toolbar says idle before the kernel is connected; the server knows
        sessions = ask("/api/sessions")
        return sessions and sessions[0]["kernel"]["execution_state"] == "idle" and sessions[0]["kernel"]["connections"]

    assert wait_for(ready, 90), "the kernel did not start"
    page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]')
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }")
    page.wait_for_function(EVERY_CELL_HAS_A_NUMBER, timeout=120_000)
    page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]', timeout=60_000)


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
    with server_of(app, tmp_path / "course" / "notebooks", tmp_path) as (base, token, ask):
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        errors, outside = [], []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith((base, base.replace("http", "ws"), "data:", "blob:"))
                or "colab" in r.url else outside.append(r.url))
        open_and_run(page, base, token, ask, name, app)
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
