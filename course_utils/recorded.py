"""The studies that the lessons show, recorded in data/results/, and the command that makes each of them anew.

    python -m course_utils.recorded                     what there is
    python -m course_utils.recorded 00_what             run what the file does not hold yet
    python -m course_utils.recorded 00_what --seeds 300-304 --out mine.jsonl --workers 2
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from .digits import DATA
from .study import Result, Trial, read, run_study

RESULTS = DATA / "results"
SEEDS = range(200, 205)      # none of them was used while tasks and budgets were chosen


def what_input(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 00: the plain host against one ECA of three weights on the picture, before the first convolution."""
    return [Trial("what", mechanism=name, socket="input", options=options, seed=s)
            for s in seeds for name, options in ((None, ()), ("eca", {"kernel_size": 3}))]


def ceilings(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 01: the plain host on every task."""
    steps = {"what": 800, "where": 800, "relate": 400, "twins": 400}
    return [Trial(task, steps=n, seed=s) for s in seeds for task, n in steps.items()]


# The name in the figure of lesson 02, and what the trials of this arm have in common.
CHANNEL_ARMS: dict[str, dict] = {
    "plain": {"mechanism": None},
    "SE, r=1": {"mechanism": "se", "start": "paper", "options": (("reduction", 1),)},
    "SE, r=4": {"mechanism": "se", "start": "paper", "options": (("reduction", 4),)},
    "SE, r=4, identity": {"mechanism": "se", "start": "identity", "options": (("reduction", 4),)},
    "ECA": {"mechanism": "eca", "start": "paper"},
    "ECA, identity": {"mechanism": "eca", "start": "identity"},
    "GCT": {"mechanism": "gct", "socket": "post"},
    "GCT, pre": {"mechanism": "gct", "socket": "pre"},
}


def channel_arms(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 02: the channel mechanisms after every convolution, both starts, and SE with two reductions."""
    return [Trial("what", seed=s, **arm) for s in seeds for arm in CHANNEL_ARMS.values()]


def twice_as_long(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 02: SE with twice the steps: are the seeds that lag late, or do they fail?"""
    return [Trial("what", seed=s, steps=1600, **CHANNEL_ARMS["SE, r=4"]) for s in seeds]


def confirmation(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 02: the arms that solved the task with every seed, once more on other seeds (each plus 100)."""
    return [Trial("what", seed=s + 100, **CHANNEL_ARMS[arm]) for s in seeds for arm in ("ECA", "GCT", "GCT, pre")]


# Each arm is what the trials of one name in a figure have in common, as for CHANNEL_ARMS.
SPATIAL_ARMS: dict[str, dict] = {
    "plain": {"mechanism": None},
    "ECA (channel)": {"mechanism": "eca"},
    "sSE": {"mechanism": "sse"},
    "spatial gate, 7x7": {"mechanism": "spatial_gate", "options": ()},
    "spatial gate, 15x15": {"mechanism": "spatial_gate", "options": (("kernel_size", 15),)},
}


def spatial_arms(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 03: spatial gates after every convolution on `nearest`, and a channel gate beside them."""
    return [Trial("nearest", steps=600, seed=s, **arm) for s in seeds for arm in SPATIAL_ARMS.values()]


def spatial_confirmed(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 03: the gate that solved the task with every seed, once more on other seeds (each plus 100)."""
    return [Trial("nearest", steps=600, seed=s + 100, **SPATIAL_ARMS["spatial gate, 15x15"]) for s in seeds]


# On `what` and on `nearest`; the plain host, ECA and, on nearest, the spatial gate are in 02_channel and 03_spatial.
COMBINED_ARMS: dict[str, dict] = {
    "plain": {"mechanism": None},
    "ECA (channel)": {"mechanism": "eca"},
    "spatial gate": {"mechanism": "spatial_gate", "options": (("kernel_size", 15),)},
    "CBAM": {"mechanism": "cbam", "options": (("kernel_size", 15), ("reduction", 4))},
    "coordinate": {"mechanism": "coordinate"},
}


def combined_arms(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 04: channel, spatial and combined gates after every convolution, on a task for each."""
    steps = {"what": 800, "nearest": 600}
    return [Trial(task, steps=n, seed=s, **arm) for s in seeds for task, n in steps.items() for arm in COMBINED_ARMS.values()]


# Layer 3 is the third of four convolutions, layer 4 the last: after it come a norm, this socket, a ReLU and the average.
MIXING_ARMS: dict[str, dict] = {
    "plain": {"mechanism": None},
    "non-local, layer 3": {"mechanism": "non_local", "layers": (3,)},
    "non-local, layer 4": {"mechanism": "non_local", "layers": (4,)},
    "GC, layer 3": {"mechanism": "gc", "layers": (3,)},
    "GC, layer 4": {"mechanism": "gc", "layers": (4,)},
    "linear, layer 3": {"mechanism": "efficient", "layers": (3,)},
    "SE (channel), layer 3": {"mechanism": "se", "options": (("reduction", 4),), "layers": (3,)},
}


def mixing_arms(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 05: one mixing block on `relate`, after the third convolution or after the last; SE as a control."""
    return [Trial("relate", steps=400, seed=s, **arm) for s in seeds for arm in MIXING_ARMS.values()]


def mixing_position(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 05: a non-local block, which knows no positions, on `nearest`."""
    return [Trial("nearest", steps=600, seed=s, mechanism="non_local", layers=(3,)) for s in seeds]


KERNEL_ARMS: dict[str, dict] = {
    "plain": {"mechanism": None},
    "split attention": {"mechanism": "split", "socket": "instead"},
    "dynamic convolution": {"mechanism": "dynamic_conv", "socket": "instead"},
}


def kernel_arms(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 06: attention over kernels in place of the second and third convolution, on `what`."""
    return [Trial("what", seed=s, **arm) for s in seeds for arm in KERNEL_ARMS.values()]


LARGE_ARMS = {"whole picture": "whole", "copy, half the size": "copy_2", "copy, a quarter": "copy_4",
              "whole, a quarter of the widths": "narrow_4", "patch selection": "zoom"}


def large_hosts(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 07: what a multiply-add buys on a large picture: the whole, a copy, a narrow network, a chosen patch."""
    return [Trial("search", steps=400, host=host, seed=s) for s in seeds for host in LARGE_ARMS.values()]


def large_confirmed(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 07: patch selection and its nearest rival of about the same cost, once more on other seeds (each plus 100)."""
    return [Trial("search", steps=400, host=host, seed=s + 100) for s in seeds for host in ("narrow_4", "zoom")]


def two_places(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 07: patch selection on `relate`, where two places must be compared."""
    return [Trial("relate", host="zoom", steps=400, seed=s) for s in seeds]


def pools(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 07: three ways to pool on `where`: the mean, the largest value, attention."""
    return [trial for s in seeds for trial in (
        Trial("where", seed=s), Trial("where", host="max_pooled", seed=s),
        Trial("where", mechanism="attention_pool", socket="head", seed=s))]


# Plugged into the same finished host, identity start: before training all arms of a seed compute the same.
PRE_ARMS: dict[str, dict] = {
    "plain": {},
    "wider host": {"host": "wide_host"},
    "pixel gate, input": {"mechanism": "pixel_gate", "socket": "input"},
    "spatial gate, pre": {"mechanism": "spatial_gate", "socket": "pre"},
    "spatial gate, post": {"mechanism": "spatial_gate", "socket": "post"},
    "attention pooling, head": {"mechanism": "attention_pool", "socket": "head"},
}
PRE_AGAIN = ("plain", "spatial gate, pre", "spatial gate, post", "attention pooling, head")


def plugged(task: str, steps: int, seed: int, arm: dict, **more) -> Trial:
    """A trial of an arm whose mechanism, if it has one, is plugged into the finished host with the identity start."""
    how = {"plugged": True, "start": "identity"} if "mechanism" in arm else {}
    return Trial(task, steps=steps, seed=seed, **{**how, **more, **arm})


def pre_arms(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 09: before the convolution, after it, at the two ends, where one of many objects matters."""
    return [plugged("where", 800, s, arm) for s in seeds for arm in PRE_ARMS.values()]


def pre_again(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 09: four of the arms once more, on other seeds (each plus 100)."""
    return [plugged("where", 800, s + 100, PRE_ARMS[arm]) for s in seeds for arm in PRE_AGAIN]


# SE with r = 4 at every block of a small residual network, in the places of SENet's own comparison.
POST_ARMS: dict[str, dict] = {
    "plain": {},
    "wider host": {"host": "wide_resnet"},
    **{f"SE, {at}": {"mechanism": "se", "socket": at, "options": (("reduction", 4),)}
       for at in ("pre", "inner", "post", "after_add", "identity")},
}


def post_arms(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 10: SE in five places of a residual network, on near-identical objects."""
    return [plugged("alike", 400, s, arm, host=arm.get("host", "small_resnet")) for s in seeds for arm in POST_ARMS.values()]


def post_clothes(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 10: the same on Fashion-MNIST (the files must be there: see images.fashion_mnist)."""
    return [plugged("fashion_mnist", 400, s, arm, host=arm.get("host", "small_resnet"), batch_size=64, test_size=10_000)
            for s in seeds for arm in POST_ARMS.values()]


def clothes_again(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 10: the plain host, SE at post and after the addition on Fashion-MNIST, on other seeds (each plus 100)."""
    trials = post_clothes([s + 100 for s in seeds])
    return [t for t in trials if t.host == "small_resnet" and t.socket in ("none", "post", "after_add")]


# Where to plug in: before, after, both; and twice in one place, which has about the parameters of both.
BOTH_ARMS: dict[str, dict] = {
    "plain": {},
    "pre": {"socket": "pre"},
    "post": {"socket": "post"},
    "both": {"socket": "both"},
    "pre, twice": {"socket": "pre", "times": 2},
    "post, twice": {"socket": "post", "times": 2},
}
# Two tasks with a mechanism that can do something there: task -> (host, steps).
BOTH_TASKS: dict[str, tuple[str, int]] = {"what": ("small_host", 800), "alike": ("small_resnet", 400)}
R4 = {"mechanism": "se", "options": (("reduction", 4),)}


def both_arms(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 11: SE before, after, both, or twice in one place, on two tasks."""
    return [plugged(task, steps, s, {**R4, **arm} if arm else {}, host=host)
            for task, (host, steps) in BOTH_TASKS.items() for s in seeds for arm in BOTH_ARMS.values()]


def both_again(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 11: the arms on `what` once more, on other seeds (each plus 100)."""
    return [t for t in both_arms([s + 100 for s in seeds]) if t.task == "what"]


def both_stages(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 11: pre and post in one stage of three, and in all, on near-identical objects."""
    return [plugged("alike", 400, s, {**R4, "socket": "both", "layers": layers}, host="small_resnet")
            for s in seeds for layers in ((1,), (2,), (3,), ())]


def on_other_seeds(study: Callable[[Iterable[int]], list[Trial]]) -> Callable[[Iterable[int]], list[Trial]]:
    """The same study once more, each seed plus 100."""
    def again(seeds: Iterable[int]) -> list[Trial]:
        return study([s + 100 for s in seeds])
    again.__doc__ = f"{study.__doc__} On other seeds (each plus 100)."
    return again


# A trained host (400 steps), what is plugged into it, and what it had before. Measured at once and after 100 more steps.
SWAP_ARMS: dict[str, dict] = {
    "nothing": {},
    "SE, identity": {"mechanism": "se", "start": "identity"},
    "SE, paper": {"mechanism": "se", "start": "paper"},
    "CBAM, identity": {"mechanism": "cbam", "start": "identity"},
    "CBAM, paper": {"mechanism": "cbam", "start": "paper"},
    "SE kept": {"had": "se"},
    "SE to ECA, identity": {"had": "se", "mechanism": "eca", "start": "identity"},
    "SE to ECA, paper": {"had": "se", "mechanism": "eca", "start": "paper"},
}


def swaps(seeds: Iterable[int]) -> list[Trial]:
    """Lesson 13: attention for a trained host, and one mechanism for another, at once and after 100 steps."""
    return [Trial("twins", seed=s, before=400, steps=steps, lr=2e-3, socket="post", plugged=True, **arm)
            for s in seeds for arm in SWAP_ARMS.values() for steps in (0, 100)]


STUDIES = {"00_what": what_input, "01_ceilings": ceilings, "02_channel": channel_arms, "02_longer": twice_as_long,
           "02_confirmed": confirmation, "03_spatial": spatial_arms, "03_confirmed": spatial_confirmed,
           "04_combined": combined_arms, "05_mixing": mixing_arms,
           "05_position": mixing_position, "06_kernel": kernel_arms, "07_large": large_hosts,
           "07_confirmed": large_confirmed,
           "07_two_places": two_places, "07_pools": pools,
           "09_pre": pre_arms, "09_again": pre_again,
           "10_alike": post_arms, "10_alike_again": on_other_seeds(post_arms),
           "10_fashion": post_clothes, "10_fashion_again": clothes_again,
           "11_both": both_arms, "11_again": both_again, "11_stages": both_stages,
           "13_swap": swaps, "13_again": on_other_seeds(swaps)}


def find(name: str) -> Path:
    """The file of a recorded study.

    Raises:
        ValueError: no study of that name.
    """
    if name not in STUDIES:
        raise ValueError(f"unknown study {name!r}. Known: {', '.join(STUDIES)}")
    return RESULTS / f"{name}.jsonl"


def load(name: str) -> list[Result]:
    """The recorded results of a study, and one printed line that says what they were made on."""
    results = [r for r in read(find(name)) if r.error is None]
    made = sorted({f"{r.device}, torch {r.torch}, {r.date}" for r in results})
    print(f"{len(results)} recorded trials ({'; '.join(made)}). "
          f"To make them anew: python -m course_utils.recorded {name}")
    return results


def parse_seeds(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def one_thread() -> None:
    torch.set_num_threads(1)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m course_utils.recorded", description=__doc__.split("\n")[0])
    parser.add_argument("name", nargs="?", choices=STUDIES, help="which study; without it, the list of them")
    parser.add_argument("--seeds", type=parse_seeds, default=SEEDS, metavar="FIRST-LAST", help="default: 200-204")
    parser.add_argument("--out", type=Path, help="results file; default: data/results/NAME.jsonl")
    parser.add_argument("--workers", type=int, default=1, help="processes; default: 1")
    args = parser.parse_args(argv)
    if args.name is None:
        for name, trials in STUDIES.items():
            print(f"{name:12s} {len(trials(SEEDS)):3d} trials   {trials.__doc__}")
        return
    out = args.out or find(args.name)
    pool = ProcessPoolExecutor(args.workers, multiprocessing.get_context("spawn"), one_thread) if args.workers > 1 else None
    with pool or contextlib.nullcontext():
        run_study(STUDIES[args.name](args.seeds), out, pool)


if __name__ == "__main__":
    main()
