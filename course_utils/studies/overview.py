"""All recorded studies as one map, what a mechanism gained by task and socket; and the course's picture of early and late."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import nan
from statistics import fmean

from .answer import nearest, what
from .catalogue import CATALOGUE
from .results import finished, read
from .study import Study
from .trial import PLAIN, Trial

FEWEST = 3      # pairs behind a number of the map: one run is luck
SOCKETS = ("input", "pre", "inner", "post", "after_add", "identity", "both", "instead", "head")


def plain(trial: Trial) -> Trial:
    """The same trial without attention: host, pictures, budget and seed stay."""
    return replace(trial, mechanism=None, at="none", **PLAIN)


def said(trial: Trial) -> str:
    """The mechanism, with the size of its window where it has one, "spatial_gate 7x7", and how many in a row."""
    options = dict(trial.options)
    window = options.get("kernel_size") if trial.mechanism == "spatial_gate" else None
    size = f" {window}x{window}" if window else ""
    apart = f", every {options['dilation']}" if options.get("dilation", 1) > 1 else ""
    return trial.mechanism + size + apart + (f", {trial.times} in a row" if trial.times > 1 else "")


def pairs(studies: Iterable[Study] | None = None) -> Iterator[tuple[Trial, float]]:
    """Every recorded trial that has its plain one beside it, and what it gained.

    Only trials from the beginning, with attention at all places of the socket: single places have figures of their own.
    """
    done: dict[Trial, float] = {}
    for study in CATALOGUE.values() if studies is None else studies:
        if study.path.exists():
            done |= {t: r.accuracy for t, r in finished(read(study.path)).items()}
    for trial, accuracy in done.items():
        if trial.mechanism and not (trial.layers or trial.stages or trial.before) and plain(trial) in done:
            yield trial, accuracy - done[plain(trial)]


def gains(studies: Iterable[Study] | None = None) -> dict[tuple[str, str, str], list[float]]:
    """(task, mechanism, socket) -> accuracy minus that of the plain host, one for each of `pairs`; the mechanism as `said`."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for trial, gain in pairs(studies):
        found.setdefault((trial.task, said(trial), trial.at), []).append(gain)
    return found


def overview(studies: Iterable[Study] | None = None) -> tuple[list[list[float]], list[str], list[str]]:
    """Mean gains as a table with its rows ("what: se") and columns (sockets); NaN where there are no FEWEST pairs."""
    found = {place: values for place, values in gains(studies).items() if len(values) >= FEWEST}
    rows = sorted({(task, mechanism) for task, mechanism, _ in found})
    columns = [socket for socket in SOCKETS if any(at == socket for _, _, at in found)]
    table = [[fmean(found[task, mechanism, at]) if (task, mechanism, at) in found else nan for at in columns]
             for task, mechanism in rows]
    return table, [f"{task}: {mechanism}" for task, mechanism in rows], columns


def crossing() -> dict[str, dict[str, dict[int, float]]]:
    """Two mechanisms, each alone at one place of the small host: label -> place -> seed -> accuracy, for `plots.depth`.

    A channel gate on the task that asks which channel to read, a spatial gate on the one that asks which place.

    Raises:
        FileNotFoundError: a file of results is not there; the message says how to get it back.
    """
    lines = {}
    for label, study, mechanism in (("ECA on what", what, "ECA"), ("spatial gate on nearest", nearest, "15x15")):
        runs = study.runs(read(study.path), of=f"{mechanism}, ")
        lines[label] = {place: seeds for place, seeds in runs.items() if seeds and "every" not in place}
    return lines
