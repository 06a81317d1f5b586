"""Photographs with boxes or pixels: what the files hold, in the square that they are stretched to. The files are our own, in the
form of the official ones."""

import numpy as np
import pytest
import torch
from folders import no_mirror  # noqa: F401  (a fixture)
from PIL import Image

from course_utils import hosts, tasks
from course_utils.tasks import REAL_SCENES, Steps, load_scenes
from course_utils.train import fit

OBJECT = ("<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>"
          "</bndbox></object>")
# Two pictures of 40x20 (width, height) and of 30x60: class, difficult, the box as VOC has it, from 1 on, the last pixel inside.
OBJECTS = {"000001": ((40, 20), [("dog", 0, 1, 1, 10, 20), ("person", 0, 21, 11, 40, 20)]),
           "000002": ((30, 60), [("cat", 1, 1, 1, 30, 60), ("bird", 0, 11, 31, 20, 60)])}


def voc(root):
    folder = root / "VOCdevkit" / "VOC2007"
    for part in ("ImageSets/Main", "ImageSets/Segmentation", "JPEGImages", "Annotations", "SegmentationClass"):
        (folder / part).mkdir(parents=True)
    for name, ((width, height), found) in OBJECTS.items():
        a, classes = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8)
        for _, _, x1, y1, x2, y2 in found:
            a[y1 - 1:y2, x1 - 1:x2], classes[y1 - 1:y2, x1 - 1:x2] = 255, 7
        classes[0, 0] = 255
        Image.fromarray(a).save(folder / "JPEGImages" / f"{name}.jpg", quality=100)
        Image.fromarray(classes).save(folder / "SegmentationClass" / f"{name}.png")
        (folder / "Annotations" / f"{name}.xml").write_text(
            f"<annotation>{''.join(OBJECT.format(*one) for one in found)}</annotation>")
    for split in ("trainval", "test"):
        for kind in ("Main", "Segmentation"):
            (folder / "ImageSets" / kind / f"{split}.txt").write_text("000001\n000002\n" if split == "trainval" else "000002\n")
    return folder


def pets(root):
    folder = root / "oxford-iiit-pet"
    for part in ("images", "annotations/trimaps"):
        (folder / part).mkdir(parents=True)
    trimap = np.full((20, 40), 2, np.uint8)
    trimap[:, :20], trimap[:, 20:22] = 1, 3
    Image.fromarray(np.uint8(trimap[..., None].repeat(3, 2) == 1) * 255).save(folder / "images" / "Birman_1.jpg", quality=100)
    Image.fromarray(trimap).save(folder / "annotations" / "trimaps" / "Birman_1.png")
    for split in ("trainval", "test"):
        (folder / "annotations" / f"{split}.txt").write_text("Birman_1 1 1 1\n")
    return folder


def test_boxes_of_voc_lie_where_their_objects_are(tmp_path, no_mirror):  # noqa: F811
    voc(tmp_path)
    data = load_scenes("voc", root=tmp_path, size=80)
    assert data.x.shape == (2, 3, 80, 80) and data.x.dtype == torch.uint8 and data.classes[11] == "dog"
    wanted = torch.tensor([[[11, 0, 0, 20, 80], [14, 40, 40, 80, 80]], [[2, 80 / 3, 40, 160 / 3, 80], [-1, 0, 0, 0, 0]]])
    torch.testing.assert_close(data.y, wanted)
    x, _, mask = next(iter(Steps(data, 1, 2, augment=False)))
    assert x.dtype == torch.float32 and mask.shape == (2, 80, 80)
    for picture, boxes in zip(data.x.float() / 255, data.y.tolist(), strict=True):
        for _, x1, y1, x2, y2 in [b for b in boxes if b[0] >= 0]:
            assert picture[:, int(y1) + 3:int(y2) - 3, int(x1) + 3:int(x2) - 3].min() > 0.9
    assert load_scenes("voc", "test", root=tmp_path).y.shape == (1, 1, 5) and not no_mirror


@pytest.mark.parametrize("name, classes", [("voc_pixels", {0, 7}), ("pets_pixels", {0, 1})])
def test_classes_of_pixels_are_never_mixed_and_lie_under_the_object(name, classes, tmp_path):
    (voc if name == "voc_pixels" else pets)(tmp_path)
    data = load_scenes(name, root=tmp_path, size=48)
    assert data.y.shape == (len(data.x), 48, 48) and data.y.dtype == torch.int64 and set(data.y.unique().tolist()) == classes
    assert max(classes) < len(data.classes) == REAL_SCENES[name].classes
    bright = data.x[:, 0] > 250
    assert (data.y[bright] > 0).float().mean() > 0.98
    assert (data.y[0] > 0).float().mean() == pytest.approx({"voc_pixels": 0.5, "pets_pixels": 22 / 40}[name], abs=0.03)


def test_the_hosts_train_on_them(tmp_path):
    voc(tmp_path)
    for name, net, loss in (("voc", hosts.Detector(20), hosts.detection_loss), ("voc_pixels", hosts.UNet(21), hosts.pixel_loss)):
        data = load_scenes(name, root=tmp_path, size=32)
        assert len(fit(net, Steps(data, 2, 2, augment=False), progress=False, loss=loss).loss) == 2
        with pytest.raises(ValueError, match="say augment=False"):
            Steps(data, 2, 2)


@pytest.mark.parametrize("name", REAL_SCENES)
def test_missing_files_say_where_they_were_looked_for_and_how_to_get_them(name, tmp_path, no_mirror):  # noqa: F811
    with pytest.raises(FileNotFoundError) as caught:
        load_scenes(name, root=tmp_path / "nowhere")
    assert all(str(tmp_path / "nowhere" / place) in str(caught.value) for place in REAL_SCENES[name].places)
    assert f"tasks.load_scenes({name!r}, download=True)" in str(caught.value) and not no_mirror
    assert f'"{name}"' in load_scenes.__doc__


def test_a_damaged_picture_is_named_and_not_left_out(tmp_path):
    file = voc(tmp_path) / "JPEGImages" / "000002.jpg"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match="picture 2 of its list.*Delete the folder"):
        load_scenes("voc", root=tmp_path)


@pytest.mark.parametrize("options, words", [({"name": "vok"}, "unknown data set of scenes 'vok'. Did you mean 'voc'"),
                                            ({"split": "val"}, "split must be"), ({"size": 0}, "size.*at least 1")])
def test_arguments_that_are_not_known_are_refused(options, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        tasks.load_scenes(**{"name": "voc", "root": tmp_path, **options})
