"""Ours and timm's, timed in turns (A B A B ...) in one process: what else the machine does meets both alike.

usage: python tests/benchmarks/compare.py [--device cpu|cuda] [--rounds 15] [--threads 2] [--only NAME ...] [--out FILE]

Prints a Markdown table of training steps (forward and backward) and a summary. The ratio of a case is the median, over the
rounds, of ours / timm's in the same round; its spread is the interquartile range of these ratios. On CUDA also under
autocast to bfloat16. --out appends one line of JSON per case, as soon as it is measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import pairs  # noqa: E402  (the path comes first)
import timm  # noqa: E402
import torch  # noqa: E402

from course_utils.runtime import keep_memory  # noqa: E402

LONG_ENOUGH = 0.05      # seconds for one timing, so that the clock and one call's bad luck do not matter
TOO_SLOW = 1.10
HEADER = "| mechanism | size | precision | ours ms | timm ms | ratio ours/timm | spread |\n" + "| --- " * 7 + "|"


def seconds(step: Callable[[], None], count: int, device: str) -> float:
    """For one step, from `count` of them."""
    pairs.wait(device)
    start = perf_counter()
    for _ in range(count):
        step()
    pairs.wait(device)
    return (perf_counter() - start) / count


def in_turns(ours: Callable[[], None], theirs: Callable[[], None], rounds: int, device: str) -> list[tuple[float, float]]:
    """Seconds of (ours, theirs), once per round, after a warm-up."""
    steps = ours, theirs
    for step in steps:
        seconds(step, 3, device)
    count = max(1, round(LONG_ENOUGH / max(seconds(step, 1, device) for step in steps)))
    return [tuple(seconds(step, count, device) for step in steps) for _ in range(rounds)]


def summarise(times: list[tuple[float, float]]) -> dict[str, float]:
    """Medians of both in milliseconds; median and interquartile range of the ratios within the rounds."""
    ratios = [ours / theirs for ours, theirs in times]
    low, _, high = quantiles(ratios, method="inclusive")
    return {"ours_ms": 1e3 * median(t[0] for t in times), "timm_ms": 1e3 * median(t[1] for t in times),
            "ratio": median(ratios), "spread": high - low}


def row(case: dict) -> str:
    return (f"| {case['mechanism']} | {case['size']} | {case['precision']} | {case['ours_ms']:.3f} | {case['timm_ms']:.3f} "
            f"| {case['ratio']:.3f} | {case['spread']:.3f} |")


def verdict(cases: list[dict]) -> str:
    """For each precision the median over mechanisms (each the median of its sizes); then the cases that are too slow."""
    lines = []
    for precision in dict.fromkeys(case["precision"] for case in cases):
        of = {}
        for case in cases:
            if case["precision"] == precision:
                of.setdefault(case["mechanism"], []).append(case["ratio"])
        lines.append(f"Median ratio over {len(of)} mechanisms, {precision}: {median(map(median, of.values())):.3f}")
    slow = [f"{c['mechanism']} {c['size']} {c['precision']} ({c['ratio']:.2f}, spread {c['spread']:.2f})"
            for c in sorted(cases, key=lambda c: -c["ratio"]) if c["ratio"] > TOO_SLOW]
    lines.append(f"More than {TOO_SLOW - 1:.0%} slower than timm: {'; '.join(slow) or 'none'}")
    return "\n".join(lines)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--rounds", type=int, default=15, help="at least 2")
    parser.add_argument("--threads", type=int, default=2, help="of torch, on the processor")
    parser.add_argument("--only", nargs="+", choices=list(pairs.PAIRS), metavar="NAME", help=", ".join(pairs.PAIRS))
    parser.add_argument("--out", type=Path, metavar="FILE", help="append one line of JSON per case")
    args = parser.parse_args(argv)
    if args.rounds < 2:
        parser.error(f"--rounds must be at least 2, for a spread; got {args.rounds}")
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch finds no CUDA device here; use --device cpu")
    return args


def main(argv: list[str] | None = None) -> list[dict]:
    args = arguments(argv)
    torch.set_num_threads(args.threads)
    kept = keep_memory()
    name = torch.cuda.get_device_name() if args.device == "cuda" else "cpu"
    about = {"device": name, "threads": args.threads, "rounds": args.rounds, "memory kept": kept, "torch": torch.__version__,
             "timm": timm.__version__, "date": date.today().isoformat()}
    print(", ".join(f"{key} {value}" for key, value in about.items()), HEADER, sep="\n\n", flush=True)
    cases = []
    for mechanism in args.only or pairs.PAIRS:
        for shape in pairs.SIZES:
            pair = pairs.make(mechanism, shape, args.device)
            for half in [half for device, half in pairs.PLACES.values() if device == args.device]:
                steps = [pairs.training_step(pair[side], shape, args.device, half) for side in ("ours", "timm")]
                case = {"mechanism": mechanism, "size": pairs.label(shape), "precision": "bfloat16" if half else "float32",
                        **summarise(in_turns(*steps, args.rounds, args.device)), **about}
                cases.append(case)
                print(row(case), flush=True)
                if args.out:
                    with args.out.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(case) + "\n")
    print("", verdict(cases), sep="\n")
    return cases


if __name__ == "__main__":
    main()
