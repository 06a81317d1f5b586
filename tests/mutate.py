"""Does a test notice when a mechanism or a socket is wrong? Plants one-line mistakes in their files and runs their tests.

usage: python tests/mutate.py [PATTERN] [--shard I/N] [--planted-only]

    PATTERN            only the mutants whose name contains it
    --shard I/N        only the I-th of N parts of the list, for N machines or cores
    --planted-only     do not first run the tests without a mistake

Prints, for each mutant, the first test that failed and the seconds it took; at the end the share of mutants caught. Exit
status 1 if one was not caught. A mutant whose text is not found in the file is an error: the list has to follow the code.
A mutant in the dictionary EQUIVALENT computes the same as the code; it is printed, with the reason, and not counted.

The lists are in mutants.py, mutants_later.py and mutants_sockets.py. For each file only those tests run that can notice: its
mechanisms' parity with other code, then their properties; of a sockets file, those named beside its mutants. They must pass
without a mistake, or every mutant would seem to be caught.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mutants import BASE, EQUIVALENT, EXPORT, INTERVENTIONS, REGISTRY
from mutants import MUTANTS as MUTANTS_ATTENTION
from mutants_later import MUTANTS_LATER
from mutants_sockets import MUTANTS_SOCKETS, NOTICE

ROOT = Path(__file__).resolve().parents[1]
MUTANTS = MUTANTS_ATTENTION + MUTANTS_LATER + MUTANTS_SOCKETS
PARITY = ["tests/test_parity_gates.py", "tests/test_parity_mixing.py"]
PROPERTIES = ["tests/test_attention_gates.py", "tests/test_attention_contract.py", "tests/test_reading.py",
              "tests/test_attention_space.py", "tests/test_attention_input.py", "tests/test_attention.py",
              "tests/test_attention_half.py", "tests/test_attention_export.py"]


def names_in(file: str) -> list[str]:
    """The registered mechanisms that a file can change: those whose class, or one it derives from, is defined there."""
    sys.path.insert(0, str(ROOT))
    from course_utils import attention
    module = file.removesuffix(".py").replace("/", ".")
    return [name for name, cls in attention.REGISTRY.items() if any(part.__module__ == module for part in cls.__mro__)]


def choice(file: str) -> list[str]:
    """Arguments for pytest: the test files, parity first, and which of their tests."""
    if file in NOTICE:
        return [f"tests/test_sockets_{name}.py" for name in NOTICE[file]]
    if file == EXPORT:      # its own tests first: what a graph keeps is seen nowhere else
        return [PROPERTIES[-1], *PARITY]
    if file == INTERVENTIONS:
        return ["tests/test_interventions.py"]
    if file in (BASE, REGISTRY):
        return [*PARITY, *PROPERTIES]
    names = names_in(file)
    parity = [test for test in PARITY if any(f'"{name}": (' in (ROOT / test).read_text(encoding="utf-8") for name in names)]
    # A test of one mechanism has its name first in the brackets; parity and reading run whole.
    words = [*(Path(test).stem for test in parity), "test_reading", *(f"[{name}{end}" for name in names for end in "]-")]
    return [*parity, *PROPERTIES, "-k", " or ".join(words)]


def first_failure(folder: Path, file: str) -> str | None:
    """Run the tests of a file in a copy of the project; the name of the first that fails, or None."""
    # Without the plugins for notebooks and workers: most of a mutant's time is the start of pytest.
    bare = ["-o", "addopts=", *(word for plugin in ("cacheprovider", "nbval", "xdist") for word in ("-p", f"no:{plugin}"))]
    run = subprocess.run([sys.executable, "-m", "pytest", "-x", "-q", "--no-header", *bare, *choice(file)],
                         cwd=folder, capture_output=True, text=True)
    if run.returncode == 0:
        return None
    found = re.search(r"^(?:FAILED|ERROR) \S+?::([^\n]+?)(?: - |$)|^ERROR (\S+)", run.stdout, re.M)
    return (found.group(1) or found.group(2)) if found else f"pytest ended with {run.returncode}"


def part(mutants: list[tuple[str, ...]], shard: str) -> list[tuple[str, ...]]:
    """The I-th of N parts, "I/N", of a list; neighbours stay together, so that few files have to be tried without a mistake."""
    match = re.fullmatch(r"(\d+)/(\d+)", shard)
    i, n = map(int, match.groups()) if match else (0, 0)
    if not 1 <= i <= n:
        raise SystemExit(f"--shard wants I/N with I from 1 to N, as 2/4; got {shard!r}")
    return mutants[len(mutants) * (i - 1) // n:len(mutants) * i // n]


def planted(source: str, name: str, file: str, line: str, mistake: str) -> str:
    if source.count(line) != 1:
        raise SystemExit(f"mutant {name!r}: its line stands {source.count(line)} times in {file}; wanted once")
    return source.replace(line, mistake)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Plant one-line mistakes in attention and sockets and run their tests.")
    parser.add_argument("pattern", nargs="?", default="")
    parser.add_argument("--shard", default="1/1", metavar="I/N")
    parser.add_argument("--planted-only", action="store_true")
    wanted = parser.parse_args(arguments)
    chosen = part([m for m in MUTANTS if wanted.pattern.lower() in m[0].lower()], wanted.shard)
    counted, survivors, tried = 0, [], set()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "project"
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".git", ".venv", "notebooks", "build", "__pycache__"))
        for name, file, line, mistake in chosen:
            source = (ROOT / file).read_text(encoding="utf-8")
            wrong = planted(source, name, file, line, mistake)
            if name in EQUIVALENT:
                print(f"{name:50s} not counted: {EQUIVALENT[name]}", flush=True)
                continue
            if not wanted.planted_only and file not in tried:
                tried.add(file)
                if failed := first_failure(folder, file):
                    raise SystemExit(f"{file}: {failed} fails without any mistake; nothing can be learned until it passes")
            (folder / file).write_text(wrong, encoding="utf-8")
            began = time.perf_counter()
            caught = first_failure(folder, file)
            (folder / file).write_text(source, encoding="utf-8")
            print(f"{name:50s} {time.perf_counter() - began:5.1f} s  {caught or 'NOT CAUGHT'}", flush=True)
            counted += 1
            survivors += [] if caught else [name]
    print(f"{counted - len(survivors)} of {counted} mutants caught"
          + (f"; not caught: {', '.join(survivors)}" if survivors else ""))
    return 1 if survivors or not counted else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
