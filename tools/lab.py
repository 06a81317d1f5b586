"""JupyterLab or Notebook 7 on loopback, and a real browser that opens a lesson there and runs all of its cells."""

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

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]
EVERY_CELL_HAS_A_NUMBER = r"""() => {
    const cells = [...document.querySelectorAll('.jp-CodeCell')];
    return cells.length > 0 && cells.every(c => /\[\d+\]/.test(c.querySelector('.jp-InputPrompt').innerText));
}"""
PATHS = {"jupyterlab": "lab/tree", "notebook": "notebooks"}
SETTINGS = {
    # Without this, a question about news covers the notebook.
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # Otherwise only the cells on the screen are in the page.
    "notebook-extension/tracker": {"windowingMode": "none"},
}


@contextlib.contextmanager
def server_of(app: str, folder: Path, scratch: Path, **more: str):
    """JupyterLab or Notebook 7 on loopback with settings of its own; gives its address, its token and a way to ask it.

    `more` goes into the environment of its kernels.
    """
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    for name, values in SETTINGS.items():
        file = scratch / "settings/@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(values))
    places = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
              "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces"}
    env = {**os.environ, **{name: str(scratch / place) for name, place in places.items()}, **more}
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


def chromium(playwright):
    """A Chromium without a window: the one that is installed, or playwright's own.

    Raises:
        playwright.sync_api.Error: there is none.
    """
    installed = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    return playwright.chromium.launch(executable_path=installed, headless=True, args=QUIET)


def open_and_run(page, base: str, token: str, ask, name: str, app: str, seconds: int = 300) -> None:
    """Open a notebook and run all of its cells, which may take so many seconds."""
    page.goto(f"{base}/{PATHS[app]}/{name}?token={token}" + ("&reset" if app == "jupyterlab" else ""))
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)

    def ready():      # the toolbar says idle before the kernel is connected; the server knows
        sessions = ask("/api/sessions")
        return sessions and sessions[0]["kernel"]["execution_state"] == "idle" and sessions[0]["kernel"]["connections"]

    assert wait_for(ready, 90), "the kernel did not start"
    page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]')
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }")
    page.wait_for_function(EVERY_CELL_HAS_A_NUMBER, timeout=1000 * seconds)
    page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]', timeout=60_000)
