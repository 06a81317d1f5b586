"""Make data/digits.npz from scikit-learn's copy of the UCI handwritten digits. Needs scikit-learn; no network.

usage: python tools/make_digits.py [FILE]
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

TEST_SHARE = 0.2


def main(path: Path) -> None:
    source = load_digits()
    images, labels = source.images.astype(np.uint8), source.target.astype(np.uint8)
    # A fifth of every class is for testing, drawn once and stored, so that no later version of NumPy can change it.
    rng = np.random.default_rng(0)
    test = np.zeros(len(labels), dtype=bool)
    for digit in range(10):
        members = np.flatnonzero(labels == digit)
        test[rng.permutation(members)[: round(TEST_SHARE * len(members))]] = True
    np.savez_compressed(path, images=images, labels=labels, test=test)
    print(f"{path}: {len(labels)} scans, {test.sum()} of them for testing, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1] / "data" / "digits.npz")
