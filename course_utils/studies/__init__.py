"""Trials, studies and their results: what is measured, how it is run, and what the lessons have recorded.

    runs = studies.find("02_channel").runs()        arm -> seed -> accuracy
    stats.difference(runs["ECA"], runs["plain"])    paired by seed, with its interval

`trial` is one training run, `study` a set of them as data, `run` runs them, here or in the `executors`, into a file of
`results`; `catalogue` lists the studies of the lessons, `verdict`, `overview` and `decide` say what came out; `claims` are those
of others.
"""

from . import decide, verdict
from .catalogue import CATALOGUE, find
from .claims import claims
from .executors import Processes, dask
from .overview import crossing, gains, overview
from .price import priced
from .results import read
from .run import accuracies, describe, run_study
from .study import Study
from .trial import HOSTS, TEST_SEED, Result, Trial, network, run_trial

__all__ = ["CATALOGUE", "HOSTS", "TEST_SEED", "Processes", "Result", "Study", "Trial", "accuracies", "claims", "crossing",
           "dask", "decide", "describe", "find", "gains", "network", "overview", "priced",
           "read", "run_study", "run_trial", "verdict"]
