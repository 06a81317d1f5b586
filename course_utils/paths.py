"""Where the files that ship with the course lie, and where those go that a reader makes.

In the repository they lie in data/, beside the package; an editable install and Colab use them there. A wheel has no
repository around it: it carries the same files inside the package.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
INSTALLED = (PACKAGE / "data").is_dir()      # from a wheel
DATA = PACKAGE / "data" if INSTALLED else PACKAGE.parent / "data"
RESULTS = DATA / "results"


def own_folder() -> Path:
    """Where a reader's own files go: the course's folder, or the current one where the package came from a wheel."""
    return Path.cwd() if INSTALLED else PACKAGE.parent


def get_back(path: Path, command: str = "") -> str:
    """What to do about a file that is missing or damaged; `command` makes it anew, in the course's folder."""
    name = path.relative_to(DATA).as_posix() if path.is_relative_to(DATA) else path.name
    anew = f",  or make it anew with:  {command}" if command else ""
    return (f"Get it back with:  git checkout -- data/{name}   (in the course's folder){anew}. "
            "If you installed the course with pip, install it again with --force-reinstall.")


def shipped(path: Path) -> Path:
    """The path of a file that ships with the course.

    Raises:
        FileNotFoundError: it is not there; the message says how to get it back.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing. {get_back(path)}")
    return path
