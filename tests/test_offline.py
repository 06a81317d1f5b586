"""The lessons run with the network off: the guard in `no_network/` is in place, and it refuses."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = ("192.0.2.1", 80)  # reserved for documentation (RFC 5737): nobody answers there
REFUSED = "the tests run with the network off"

needs_guard = pytest.mark.skipif(
    os.environ.get("COURSE_TEST_NETWORK") == "1", reason="COURSE_TEST_NETWORK=1 switches the guard off"
)

# What a lesson would do by mistake, and what JupyterLab and its kernels do all the time.
TRY_BOTH = f"""
import json, pathlib, socket
try:
    socket.create_connection({OUTSIDE}, timeout=2)
    outside = "reached"
except OSError as error:
    outside = str(error)
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname(), timeout=5).close()
pathlib.Path("seen.json").write_text(json.dumps({{"outside": outside, "loopback": "reached"}}))
"""


def notebook(*cells):
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    nb.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nb


@needs_guard
@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.connect(OUTSIDE),
        lambda s: s.connect_ex(OUTSIDE),
        lambda s: s.sendto(b"x", OUTSIDE),
        lambda s: s.sendto(b"x", 0, OUTSIDE),
        lambda s: s.connect(("example.org", 80)),
    ],
    ids=["connect", "connect_ex", "sendto", "sendto with flags", "by name"],
)
def test_every_way_out_is_refused(call):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s, pytest.raises(OSError, match=REFUSED):
        call(s)


@needs_guard
@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_ipv6_is_refused_too():
    with socket.socket(socket.AF_INET6) as s, pytest.raises(OSError, match=REFUSED):
        s.connect(("2001:db8::1", 80))


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
def test_unix_sockets_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a short name: the path of a socket has a length limit
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind("s")
        server.listen()
        client.connect("s")


@needs_guard
def test_a_notebook_kernel_is_refused_and_loopback_works(tmp_path):
    client = NotebookClient(notebook(TRY_BOTH), resources={"metadata": {"path": str(tmp_path)}}, timeout=60)
    client.execute()
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert REFUSED in seen["outside"] and seen["loopback"] == "reached"


@pytest.mark.full
@needs_guard
def test_plain_pytest_runs_the_lessons_under_the_guard(tmp_path):
    """A copy of the settings with one small lesson, and `pytest` as a reader types it, from a clean shell."""
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "tests" / "no_network", tmp_path / "tests" / "no_network")
    (tmp_path / "notebooks").mkdir()
    nbformat.write(notebook(TRY_BOTH), tmp_path / "notebooks" / "lesson.ipynb")

    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH" and not k.startswith("PYTEST_")}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
        cwd=tmp_path, env=clean, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert run.returncode == 0 and "1 passed" in run.stdout, run.stdout + run.stderr
    seen = json.loads((tmp_path / "notebooks" / "seen.json").read_text())
    assert REFUSED in seen["outside"]


@pytest.mark.parametrize("setting, guarded", [("", True), ("1", False)])
def test_the_guard_can_be_switched_off(setting, guarded):
    env = {**os.environ, "PYTHONPATH": str(ROOT / "tests" / "no_network"), "COURSE_TEST_NETWORK": setting}
    code = "import socket; print(hasattr(socket.socket.connect, 'unguarded'))"
    shown = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == str(guarded)
