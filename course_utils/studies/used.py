"""Does a trained network use its gates? Each is frozen, alone and with others, and scored again. Lessons 02, 03, 05, 11, 15.

    python -m course_utils.studies.used          trains what data/used.json does not hold yet
    studies.used.runs("ECA after every convolution")      what was changed -> seed -> accuracy

The networks are arms of the studies of these lessons, on seeds of their own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import date

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import names
from ..attention import REGISTRY, frozen, shuffled, swapped
from ..attention.interventions import changing, others
from ..paths import DATA, shipped
from ..runtime import best_device
from ..tasks import Batch
from ..train import fit, predict
from .dense import BACKBONE, HEAD, SPATIAL
from .scoring import asked, scoring
from .trial import Trial, material, network

PATH = DATA / "used.json"
PICTURES = 1000
NETWORKS = {
    "ECA after every convolution": Trial("what", mechanism="eca", start="as_made"),
    "ECA before and after every convolution": Trial("what", mechanism="eca", at="both", start="as_made"),
    "15x15 after every convolution": Trial("nearest", mechanism="spatial_gate", options={"kernel_size": 15}, start="as_made",
                                           steps=600),
    "non-local after layer 3": Trial("relate", mechanism="non_local", layers="layer3.*", start="as_made", steps=400),
    "spatial gate at the head of a detector": Trial("find", "detector", **SPATIAL, **HEAD, steps=400, test_size=500),
    "spatial gates in the backbone of a detector": Trial("find", "detector", **SPATIAL, **BACKBONE, steps=400, test_size=500),
}
SEEDS = {name: tuple(range(700, 705 if trial.task == "relate" or trial.at == "both" else 703))
         for name, trial in NETWORKS.items()}


def cue(task: str, batch: Batch) -> Tensor:
    """What the picture asks for, (N,): the colour of the frame (0 to 2), or the corner of the dot (0 to 3)."""
    if task == "what":
        return batch.x[:, :, 0, 0].argmax(1)
    at = batch.mask.flatten(1).float().argmax(1)      # the first pixel of the digit that is asked for
    size = batch.mask.shape[-1]
    return 2 * (at // size >= size // 2).long() + (at % size >= size // 2).long()


def changes(net: nn.Module, labels: Tensor, layers: Sequence[int]) -> Iterator[tuple[str, AbstractContextManager]]:
    """What is changed, in words, and the change."""
    yield "as trained", nullcontext()
    for layer in layers:
        yield f"layer {layer} frozen", frozen(net, f"layer{layer}.*")
    if len(layers) == 4:
        yield "1 and 4 frozen", frozen(net, ["layer1.*", "layer4.*"])
        yield "2 to 4 frozen", frozen(net, [f"layer{layer}.*" for layer in (2, 3, 4)])
    yield "all frozen", frozen(net)
    yield "all swapped", swapped(net, labels)      # each picture has the gates of one that asks for something else


def changes_of_both(net: nn.Module, layers: Sequence[int]) -> Iterator[tuple[str, AbstractContextManager]]:
    """The same where gates stand before and after every convolution: each alone, and neighbours together."""
    yield "as trained", nullcontext()
    for layer in layers:
        for socket in ("pre", "post"):
            yield f"{socket} {layer} frozen", frozen(net, f"layer{layer}.*_{socket}")
    for layer in layers[1:]:
        yield f"post {layer - 1} and pre {layer} frozen", frozen(net, [f"layer{layer - 1}.*_post", f"layer{layer}.*_pre"])


def changes_of_all(net: nn.Module) -> Iterator[tuple[str, AbstractContextManager]]:
    """The same for a detector, in whose pictures many things are asked for at once."""
    yield "as trained", nullcontext()
    yield "frozen", frozen(net)
    yield "of another picture", shuffled(net)


def changes_of_maps(net: nn.Module) -> Iterator[tuple[str, AbstractContextManager]]:
    """The same for mixing, whose maps are (N, heads, places that ask, places that give)."""
    yield "as trained", nullcontext()
    yield "frozen", frozen(net)
    yield "of another picture", shuffled(net)
    yield "one map for all that ask", changing(net, None, lambda a: a.mean(2, True).expand_as(a))
    # The mean of maps may be one that the network has never met; the map of another place is one that it knows.
    yield "map of another that asks", changing(net, None, lambda a: a[:, :, others(a.shape[2], 0).to(a.device)])


def scores(net: nn.Module, batch: Batch, labels: Tensor | None, layers: Sequence[int] = (1, 2, 3, 4),
           both: bool = False) -> dict[str, float]:
    """What is changed -> accuracy on the batch, all of it in one pass: a mean gate is that of the pictures that run together.

    `labels`: what each picture asks for (N,); None: the network mixes, and its maps are changed. `both`: it has gates at `both`.
    """
    found = {}
    ways = changes_of_maps(net) if labels is None else changes_of_both(net, layers) if both else changes(net, labels, layers)
    for words, change in ways:
        with change:
            right = predict(net, batch.x, chunk=len(batch.x)).argmax(1).cpu() == batch.y.cpu()
        found[words] = round(right.float().mean().item(), 4)
    return found


def scores_of_boxes(net: nn.Module, batch: Batch) -> dict[str, float]:
    """What is changed -> AP on the batch, all of it in one pass."""
    found = {}
    for words, change in changes_of_all(net):
        with change:
            found[words] = round(scoring("find").metric(predict(net, batch.x, chunk=len(batch.x)), batch.y), 4)
    return found


def named(means: Tensor, labels: Tensor) -> float:
    """Means (N, C) -> share of right labels that a linear rule gives on the last three tenths of N, fitted on the others."""
    fit_on, a = len(means) * 7 // 10, torch.cat([means, torch.ones(len(means), 1)], 1)
    rule = torch.linalg.lstsq(a[:fit_on], F.one_hot(labels[:fit_on]).float()).solution
    return ((a[fit_on:] @ rule).argmax(1) == labels[fit_on:]).float().mean().item()


def measured(name: str, seed: int) -> dict[str, float | str]:
    """Train the network of that name with that seed; what it scores on unseen pictures, with each change; where it was made."""
    trial, device = replace(NETWORKS[name], seed=seed), best_device()
    stream, test = material(trial, device)
    net = network(trial, device).to(device)
    fit(net, stream, lr=trial.lr, progress=False, **scoring(trial.task).fit)
    few = Batch(*(part[:PICTURES] for part in test))
    made = f"{device.type}, torch {torch.__version__}, {date.today()}"
    if asked(trial.task) == "boxes":
        return scores_of_boxes(net, few) | {"made": made}
    labels = None if REGISTRY[trial.mechanism].kind == "mixing" else cue(trial.task, few)
    return scores(net, few, labels, both=trial.at == "both") | {"made": made}


def runs(name: str) -> dict[str, dict[int, float]]:
    """What was changed -> seed -> accuracy (of a detector AP) of the recorded networks of that name."""
    recorded = json.loads(shipped(PATH).read_text("utf-8"))
    seeds = names.find("network", name, recorded)
    return {words: {int(seed): found[words] for seed, found in seeds.items()}
            for words in next(iter(seeds.values())) if words != "made"}


def lost(name: str) -> dict[str, dict[int, float]]:
    """What was changed -> seed -> how much more was scored than as trained."""
    found = runs(name)
    return {words: {seed: value - found["as trained"][seed] for seed, value in seeds.items()}
            for words, seeds in found.items() if words != "as trained"}


def main() -> None:
    recorded = json.loads(PATH.read_text("utf-8")) if PATH.exists() else {}
    for name in NETWORKS:
        for seed in SEEDS[name]:
            of_name = recorded.setdefault(name, {})
            if str(seed) not in of_name:
                of_name[str(seed)] = measured(name, seed)
                draft = PATH.with_suffix(".draft")
                draft.write_text(json.dumps(recorded, indent=1) + "\n", "utf-8")
                os.replace(draft, PATH)      # never half a file
                print(name, seed, of_name[str(seed)], flush=True)


if __name__ == "__main__":
    main()
