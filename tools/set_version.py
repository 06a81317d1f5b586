"""Give the course a new version, everywhere that names one:

    python tools/set_version.py 1.2.0                      as of today
    python tools/set_version.py 1.2.0 --date 2027-03-01

Writes pyproject.toml, course_utils/__init__.py and CITATION.cff; what stands under "Unreleased" in CHANGELOG.md gets the number.
"""

from __future__ import annotations

import argparse
import datetime
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UNRELEASED = "## [Unreleased]\n"
# File -> what names a version there, and what is written in its place.
NAMED = {
    "pyproject.toml": [(r'^version = "[^"]*"$', 'version = "{version}"')],
    "course_utils/__init__.py": [(r'^__version__ = "[^"]*"$', '__version__ = "{version}"')],
    "CITATION.cff": [(r"^version: .*$", "version: {version}"), (r'^date-released: .*$', 'date-released: "{date}"')],
}


class Mistake(Exception):
    """Something in the input or in the files that the user can put right."""


def numbers(version: str) -> tuple[int, ...]:
    if not re.fullmatch(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", version):
        raise Mistake(f"{version!r} is not a version of three numbers, for example 1.2.0")
    return tuple(map(int, version.split(".")))


def current(root: Path = ROOT) -> str:
    found = re.search(r'^version = "([^"]*)"$', (root / "pyproject.toml").read_text(encoding="utf-8"), re.M)
    if not found:
        raise Mistake('pyproject.toml has no line: version = "..."')
    return found[1]


def released(text: str, version: str, date: str) -> str:
    """The changelog with what was unreleased under the new number."""
    before, mark, rest = text.partition(UNRELEASED)
    if not mark or not rest.partition("\n## ")[0].strip():
        raise Mistake(f"CHANGELOG.md has nothing under {UNRELEASED.strip()!r}: write there what has changed")
    return f"{before}{mark}\n## [{version}] - {date}\n{rest}"


def texts(root: Path, version: str, date: str) -> dict[Path, str]:
    """All files anew; nothing is written yet."""
    if numbers(version) <= numbers(current(root)):
        raise Mistake(f"{version} is not above {current(root)}, the version that is there")
    try:
        datetime.date.fromisoformat(date)
    except ValueError as error:
        raise Mistake(f"{date!r} is not a date, for example 2027-03-01") from error
    found = {}
    for name, places in NAMED.items():
        text = (root / name).read_text(encoding="utf-8")
        for pattern, form in places:
            text, count = re.subn(pattern, form.format(version=version, date=date), text, flags=re.M)
            if count != 1:
                raise Mistake(f"{name}: wanted one line like {pattern}, found {count}")
        found[root / name] = text
    log = root / "CHANGELOG.md"
    return {**found, log: released(log.read_text(encoding="utf-8"), version, date)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("version")
    parser.add_argument("--date", default=datetime.date.today().isoformat())
    asked = parser.parse_args()
    try:
        for path, text in texts(ROOT, asked.version, asked.date).items():
            path.write_text(text, encoding="utf-8")
            print(path.relative_to(ROOT))
    except Mistake as mistake:
        print(f"set_version: {mistake}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
