"""What a trial learns by and is measured with: one class a picture, boxes, or the class of every pixel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from .. import hosts, scores, tasks
from ..train import Measure
from .hosting import TIMM


@dataclass(frozen=True)
class Scoring:
    """For one form of the answers: the loss and the metric of `train.fit`, and all that is told of the trained network."""

    host: str      # that answers so, and `wide_` before it
    loss: Measure | None = None
    metric: Measure | None = None
    all: Callable[[Tensor, Tensor], dict[str, float]] | None = None

    @property
    def fit(self) -> Mapping[str, Measure]:
        """The arguments of `fit`; none for a classifier."""
        return {"loss": self.loss, "metric": self.metric} if self.loss and self.metric else {}


SCORING = {"class": Scoring("small_host"),
           "boxes": Scoring("detector", hosts.detection_loss, scores.precision, scores.detection),
           "pixels": Scoring("unet", hosts.pixel_loss, scores.mean_iou, scores.segmentation)}
# What `Result.scores` may hold and a study may ask for; of the classes of pixels each has its own besides.
NAMES = ("AP", "AP50", "AP75", *(f"AP_{size}" for size in scores.SIZES), "IoU")


def asked(task: str) -> str:
    """What is asked about the pictures of a task or data set: "class", "boxes" or "pixels"."""
    return tasks.find(task).asks if task in tasks.DRAWN else "class"


def scoring(task: str) -> Scoring:
    """How a task is learned and measured."""
    return SCORING[asked(task)]


def check_answers(task: str, host: str) -> None:
    """Refuse a host that answers something else. One that is made by a function of your own is taken at its word.

    Raises:
        ValueError: the message names a host that fits.
    """
    wanted = scoring(task)
    gives = next((s for s in SCORING.values() if host in hosts.OTHERS and s.host == host.removeprefix("wide_")), SCORING["class"])
    if wanted is not gives and (":" not in host or host.startswith(TIMM)):
        said = {form.host: name for name, form in SCORING.items()}
        raise ValueError(f"task {task!r} asks for {said[wanted.host]}, and host {host!r} answers with {said[gives.host]}: use "
                         f"host={wanted.host!r}, or another task")
