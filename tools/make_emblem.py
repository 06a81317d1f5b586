"""Draw docs/emblem.png, the picture of the README, with the same function that the lessons use.

usage: python tools/make_emblem.py
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from course_utils import plots  # noqa: E402  (the path comes first)

if __name__ == "__main__":
    target = ROOT / "docs" / "emblem.png"
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(plots.to_png(plots.emblem("both")))
    print(f"{target}: {target.stat().st_size} bytes")
