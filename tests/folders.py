"""What the tests of real pictures share: small pictures, folders of them, and a network that is not there."""

from urllib.error import URLError

import pytest
from PIL import Image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def plain(colour, mode="RGB", size=(8, 8)):
    return Image.new(mode, size, colour)


def put(picture, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **options)


def numbered(root, **counts):
    """Picture k of all is grey k, so that a picture tells which one it is."""
    k = 0
    for name, count in counts.items():
        for i in range(count):
            put(plain((k, k, k)), root / name / f"{i}.png")
            k += 1
    return root


def values(data):
    return data.x[:, 0, 0, 0].tolist()


@pytest.fixture
def no_mirror(monkeypatch):
    """Whoever asks for the network is told that there is none, and is remembered."""
    asked = []

    def refuse(url, *args, **kwargs):
        asked.append(url)
        raise URLError("no network here")
    for module in ("mnist", "cifar", "oxford_iiit_pet"):
        monkeypatch.setattr(f"torchvision.datasets.{module}.download_and_extract_archive", refuse)
    return asked
