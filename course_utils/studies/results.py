"""The file of results: one JSON line a finished trial, and one that says which study they belong to.

Nothing in it is ever changed; lines are only added, under a lock, and are on the disk before anything else happens. So a run
that is killed loses at most the line that it was writing, and two runs may write to one file.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from filelock import FileLock

from .. import names
from .trial import Result, Trial

VERSION = 2      # of the lines; 1 had no line for the study
ENTRIES, SETTINGS = ([f.name for f in fields(kind)] for kind in (Result, Trial))
STUDY = "study"      # the line with this key is not that of a trial


def lock(path: Path) -> FileLock:
    """One for all who write to the file. The system gives it back when its owner is killed."""
    return FileLock(f"{path}.lock")


def append(line: dict[str, Any], path: Path) -> None:
    """One line more, on the disk when this returns; the caller holds the lock.

    Raises:
        OSError: the disk is full, or the like; the file is as it was before.
    """
    text = json.dumps(line, sort_keys=True).encode() + b"\n"
    with open(path, "ab+", buffering=0) as file:
        # A run that was killed may have left half a line: begin a new one, so that only that half is lost.
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            text = text if file.read(1) == b"\n" else b"\n" + text
        try:
            written = file.write(text)
            if written != len(text):
                raise OSError(f"{written} of {len(text)} bytes could be written")
            os.fsync(file.fileno())
        except OSError as error:
            file.truncate(end)
            raise OSError(error.errno, f"{path}: a result could not be written ({error}). Make room on the disk and run again: "
                          f"what had finished before is in the file. The line that is lost: {text.decode().strip()}") from error


def write(result: Result, path: Path) -> None:
    """Append the result of a trial."""
    with lock(path):
        append(asdict(result), path)


class Reader:
    """Reads a file, and later what others have added to it since."""

    def __init__(self, path: str | Path):
        self.path, self.place, self.number, self.good, self.study = Path(path), 0, 0, 0, None
        self.tail = b""      # what stood behind the last line end when somebody looked

    def new(self) -> list[Result]:
        """The results that were added since the last call. A line that is cut off is left out, with a warning.

        Raises:
            FileNotFoundError: no such file.
            ValueError: the file is not one of results, or of a newer version, or holds a setting that is not known.
        """
        with open(self.path, "rb") as file:
            file.seek(self.place)
            text = file.read()
        # Somebody may be writing the last line at this moment: unless it is whole, it is read the next time.
        lines, results = text.split(b"\n"), []
        for line in lines[:-1]:
            if self.tail and line == self.tail:      # it has been read, or reported as cut off
                self.tail = b""
                continue
            self.number += 1
            results += self.parse(line)
        self.place += len(text) - len(lines[-1])
        return results

    def rest(self) -> list[Result]:
        """What stands behind the last line end: a result without one, or what a killed run left."""
        with open(self.path, "rb") as file:
            file.seek(self.place)
            self.tail = file.read()
        self.number += bool(self.tail)
        return self.parse(self.tail)

    def parse(self, line: bytes) -> Iterator[Result]:
        if not line.strip():
            return
        try:
            entry = json.loads(line)
        except ValueError:
            if not self.good and line[:1] != b"{":
                raise self.wrong(f"it begins with {line[:40]!r}, and lines of results begin with {{") from None
            warnings.warn(f"{self.path}, line {self.number} is cut off and was left out; its trial counts as not run. This "
                          "happens when a run is killed while it writes.", stacklevel=4)
            return
        if not isinstance(entry, dict) or not entry.keys() & {"trial", STUDY}:
            raise self.wrong("it says nothing of a trial")
        self.good += 1
        if STUDY in entry:
            if entry.get("version", 1) > VERSION:
                raise self.wrong(f"it is of version {entry['version']}, and this course reads up to {VERSION}: update the course",
                                 "is newer than this course")
            self.study = self.study or entry
            return
        yield self.result(entry)

    def result(self, entry: dict[str, Any]) -> Result:
        settings = entry["trial"]
        if not isinstance(settings, dict):
            raise self.wrong(f"its trial is {settings!r}")
        for kind, given, known in (("entry of a result", entry, ENTRIES), ("setting of a trial", settings, SETTINGS)):
            if unknown := sorted(given.keys() - set(known)):
                raise self.wrong(str(names.unknown(kind, unknown[0], known)))
        try:
            settings["options"] = [tuple(pair) for pair in settings.get("options", ())]
            return Result(**{**entry, "trial": Trial(**settings), "curve": tuple(entry.get("curve", ()))})
        except (TypeError, ValueError) as error:
            raise self.wrong(str(error)) from error

    def wrong(self, why: str, what: str = "cannot be read as results of trials") -> ValueError:
        return ValueError(f"{self.path}, line {self.number} {what}: {why}. Nothing was read or changed. Give the name of another "
                          "file, or put this one right.")


def read(path: str | Path) -> list[Result]:
    """The results in a file, in order; a line that is cut off is left out, with a warning that names it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is not one of results, or of a newer version, or holds a setting that is not known.
    """
    reader = Reader(path)
    return reader.new() + list(reader.rest())


def finished(results: list[Result]) -> dict[Trial, Result]:
    """Trial -> its result, those that failed left out."""
    return {r.trial: r for r in results if r.error is None}
