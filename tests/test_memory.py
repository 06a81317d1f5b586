"""What a step frees is kept for the next one: in training, and where costs are measured."""

import os
import subprocess
import sys

import pytest

from course_utils import runtime

# glibc decides by what was freed before whether it gives memory back; here it always does, unless it is told otherwise.
ALWAYS = {"MALLOC_TRIM_THRESHOLD_": "131072", "MALLOC_MMAP_THRESHOLD_": "131072"}
BEGIN = """
import resource, sys, torch
from torch import nn
from course_utils import cost, runtime, train
torch.manual_seed(0)
x, y, steps = torch.randn(32, 3, 64, 64), torch.randint(2, (32,)), []

class Net(nn.Sequential):
    def forward(self, x):
        steps.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
        return super().forward(x)

net = Net(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 2))
"""
WAYS = {
    "fit": "train.fit(net, [train.Batch(x, y, None)] * 12, progress=False)",
    "latency": "cost.latency(net, x, repeats=10, warm_up=2)",
    "neither": "[net(x).sum().backward() for _ in range(12)]",
}
END = "\nprint(sorted(after - before for before, after in zip(steps[3:], steps[4:]))[len(steps[4:]) // 2])"


@pytest.mark.full
@pytest.mark.skipif(not runtime.keep_memory(), reason="this C library is not glibc")
@pytest.mark.parametrize("way", WAYS)
def test_memory_is_given_back_and_fetched_anew_in_every_step(way):
    """Pages a step, the median: the maps of this network are 17 MB. Which of two nets pays for it was an accident."""
    done = subprocess.run([sys.executable, "-c", BEGIN + WAYS[way] + END], check=True, env={**os.environ, **ALWAYS},
                          capture_output=True, text=True)
    pages = int(done.stdout)
    assert pages > 1000 if way == "neither" else pages < 100


@pytest.mark.parametrize("library", [object(), None], ids=["no such function", "no library"])
def test_where_the_c_library_has_no_such_function_nothing_happens(library, monkeypatch):
    """Catches a lesson that stops on macOS or Windows."""
    def load(name):
        if library is None:
            raise TypeError("Windows wants a name")
        return library
    monkeypatch.setattr(runtime.ctypes, "CDLL", load)
    assert runtime.keep_memory.__wrapped__() is False
