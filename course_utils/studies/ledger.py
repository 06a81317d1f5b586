"""Who has done what, and who is at what: several runs share the work of one file of results."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..runtime import rehearsing
from .results import STUDY, VERSION, Reader, append, lock
from .trial import Result, Trial


class Ledger:
    """What is done and who does what: the file of results, and a lock for each trial that somebody is running."""

    def __init__(self, path: Path, retry: bool):
        self.path, self.retry, self.held = path, retry, {}
        self.reader, self.done, self.failed_before = Reader(path), {}, set()
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            with lock(path):
                self.look()
                self.note(self.reader.rest())
        if retry:
            self.failed_before = {t for t, r in self.done.items() if r.error is not None}

    def sign(self, definition: Mapping[str, Any]) -> None:
        """Write into the file which study it belongs to, or compare with what is written there.

        Raises:
            ValueError: the study is not what it was when the file was begun.
        """
        if rehearsing():
            return
        with lock(self.path):
            self.look()
            was = self.reader.study
            if was is None:
                append({"version": VERSION, **definition}, self.path)
                self.look()
                return
        if changed := [part for part in definition if was.get(part) != definition[part]]:
            part = changed[0]
            got, now = was.get(part), definition[part]
            if part == "arms":
                arms = sorted(arm for arm in {*got, *now} if got.get(arm) != now.get(arm))
                got, now = ({arm: side.get(arm) for arm in arms} for side in (got, now))
            raise ValueError(f"study {definition[STUDY]!r} has changed since its first run: {part} in {self.path} {got}, now "
                             f"{now}. What was measured belongs to the study that was written down before; give the new one a "
                             "name of its own.")

    def look(self) -> None:
        """Read what was added since."""
        if self.path.exists():
            self.note(self.reader.new())

    def note(self, results: Iterable[Result]) -> None:
        for r in results:
            self.failed_before.discard(r.trial)      # somebody has tried it again
            if r.error is None or r.trial not in self.done or self.done[r.trial].error is not None:
                self.done[r.trial] = r

    def settled(self, trial: Trial) -> bool:
        """It has a result; one that failed has one too, unless it is to be tried again."""
        return trial in self.done and trial not in self.failed_before

    def take(self, trial: Trial) -> bool:
        """Reserve a trial. False while another run, of this machine or of one that shares the folder, is at it."""
        folder = Path(f"{self.path}.running")
        folder.mkdir(exist_ok=True)
        mine = FileLock(folder / hashlib.sha256(trial.key.encode()).hexdigest()[:16])
        try:
            mine.acquire(timeout=0)
        except Timeout:
            return False
        self.held[trial] = mine
        with lock(self.path):
            self.look()
        if self.settled(trial):      # the other one has just finished it
            self.give(trial)
            return False
        return True

    def give(self, trial: Trial) -> None:
        """No longer at it."""
        if mine := self.held.pop(trial, None):
            mine.release()

    def record(self, result: Result) -> None:
        """Into the file, unless somebody else was quicker; never twice."""
        with lock(self.path):
            self.look()
            self.failed_before.discard(result.trial)
            if rehearsing():
                self.done[result.trial] = result
            elif result.trial not in self.done or self.done[result.trial].error is not None:
                append(asdict(result), self.path)
                self.look()
        self.give(result.trial)

    def close(self) -> None:
        """Leave no reservation behind; those of other runs stay."""
        for trial in list(self.held):
            self.give(trial)
        folder, files = Path(f"{self.path}.running"), []
        with contextlib.suppress(OSError):      # another run may be taking it away at this moment
            files = list(folder.iterdir())
        for file in files:
            with contextlib.suppress(Timeout, OSError), FileLock(file).acquire(timeout=0):      # held: of another run
                file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            folder.rmdir()
