"""Trials, studies and their results: what is measured, how it is run, and what the lessons have recorded.

    runs = studies.find("02_channel").runs()        arm -> seed -> accuracy
    stats.difference(runs["ECA"], runs["plain"])    paired by seed, with its interval

`trial` is one training run, `study` a set of them as data, `run` runs them, `catalogue` lists those of the lessons.
"""

from .catalogue import CATALOGUE, find
from .run import accuracies, describe, read, run_study
from .study import Study
from .trial import HOSTS, TEST_SEED, Result, Trial, network, run_trial

__all__ = ["CATALOGUE", "HOSTS", "TEST_SEED", "Result", "Study", "Trial", "accuracies", "describe", "find", "network", "read",
           "run_study", "run_trial"]
