"""A folder of small drawn pictures for lesson 16: four textures, some of them with the faults that folders of pictures have.

    python -m course_utils.tasks.textures FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 32
CLASSES = ("checks", "dots", "stripes", "waves")


def texture(kind: str, rng: np.random.Generator) -> np.ndarray:
    """One picture (SIDE, SIDE, 3) of bytes: the texture in a disc somewhere, in two random colours, under noise and strokes."""
    y, x = np.mgrid[:SIDE, :SIDE] + rng.uniform(0, 8, (2, 1, 1))
    turn, period = rng.uniform(0, np.pi), rng.uniform(4, 5.5)
    u, v = (np.cos(turn) * x + np.sin(turn) * y) / period, (np.cos(turn) * y - np.sin(turn) * x) / period
    wave = {"stripes": np.sin(2 * np.pi * u), "waves": np.sin(2 * np.pi * (u + 0.35 * np.sin(np.pi * v))),
            "checks": np.sin(np.pi * u) * np.sin(np.pi * v) * 2,
            "dots": np.cos(2 * np.pi * u) + np.cos(2 * np.pi * v) - 1.0}[kind]
    ink = 1 / (1 + np.exp(-4 * wave))
    centre = rng.uniform(10, SIDE - 10, 2)
    inside = np.hypot(*(np.mgrid[:SIDE, :SIDE] - centre[:, None, None])) < rng.uniform(9, 12)
    one, ground = rng.uniform(30, 226, (2, 3))
    other = 255 - one      # opposite colours, so that the texture can be seen
    picture = np.where(inside[..., None], ink[..., None] * one + (1 - ink[..., None]) * other, ground)
    for _ in range(3):      # strokes across it
        at, along = rng.integers(0, SIDE), rng.integers(0, 2)
        start, long = rng.integers(0, SIDE - 8), rng.integers(4, 9)
        part = (at, slice(start, start + long)) if along else (slice(start, start + long), at)
        picture[part] = rng.uniform(0, 255, 3)
    return np.clip(picture + rng.normal(0, 12, picture.shape), 0, 255).astype(np.uint8)


def draw(folder: str | Path, each: int = 60, seed: int = 0, faults: bool = True) -> Path:
    """Write folder/checks/00.png, ... and return the folder; the same seed draws the same pictures.

    Args:
        each: pictures a class.
        faults: among them one file that breaks off, one picture of grey tones, and one that lies in two classes.
    """
    folder, rng = Path(folder), np.random.default_rng(seed)
    for kind in CLASSES:
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            Image.fromarray(texture(kind, rng)).save(folder / kind / f"{number:02d}.png")
    if faults:
        whole = (folder / "dots" / "00.png").read_bytes()
        (folder / "dots" / "00.png").write_bytes(whole[:len(whole) // 2])
        Image.open(folder / "stripes" / "01.png").convert("L").save(folder / "stripes" / "01.png")
        (folder / "waves" / "02.png").write_bytes((folder / "checks" / "02.png").read_bytes())
    return folder


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m course_utils.tasks.textures FOLDER")
    print(draw(sys.argv[1]))
