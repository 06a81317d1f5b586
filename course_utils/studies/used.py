"""Does a trained network use its gates? Each is frozen, alone and with others, and the network is scored again. Lessons 02, 03.

    python -m course_utils.studies.used          trains what data/used.json does not hold yet
    studies.used.runs("ECA after every convolution")      what was changed -> seed -> accuracy

The networks are arms of the studies of these lessons, on seeds of their own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor, nn

from .. import names
from ..attention import frozen, swapped
from ..paths import DATA, shipped
from ..runtime import best_device
from ..tasks import Batch, Stream
from ..train import fit, predict
from .trial import Trial, material, network

PATH = DATA / "used.json"
SEEDS = tuple(range(700, 703))
PICTURES = 1000      # in one pass: the mean gate is that of the pictures that run together
NETWORKS = {
    "ECA after every convolution": Trial("what", mechanism="eca", start="as_made"),
    "15x15 after every convolution": Trial("nearest", mechanism="spatial_gate", options={"kernel_size": 15}, start="as_made",
                                           steps=600),
    "ECA, a colour for each place": Trial("nearest", mechanism="eca", start="as_made", steps=600),
    "plain, a colour for each place": Trial("nearest", steps=600),
    "GCT before every convolution": Trial("what", mechanism="gct", at="pre", start="as_made"),
}
TINTS = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]])      # top left, top right, bottom left, bottom right


def painted(batch: Batch) -> Batch:
    """The four quarters of `nearest` in four colours, the dot as it was: a place has become a channel."""
    x, size = batch.x.clone(), batch.x.shape[-1]
    half, rim = size // 2, 5      # the dot lies within the rim
    inner = torch.zeros(size, size, dtype=torch.bool, device=x.device)
    inner[rim:-rim, rim:-rim] = True
    for place, tint in enumerate(TINTS.to(x.device)):
        rows, columns = (slice(half * k, half * (k + 1)) for k in (place // 2, place % 2))
        quarter = x[:, :, rows, columns]
        x[:, :, rows, columns] = torch.where(inner[rows, columns], quarter * tint[:, None, None], quarter)
    return batch._replace(x=x)


class Painted(Stream):
    """The same batches, painted."""

    def __iter__(self) -> Iterator[Batch]:
        return map(painted, super().__iter__())


def cue(task: str, batch: Batch) -> Tensor:
    """What the picture asks for, (N,): the colour of the frame (0 to 2), or the corner of the dot (0 to 3)."""
    if task == "what":
        return batch.x[:, :, 0, 0].argmax(1)
    at = batch.mask.flatten(1).float().argmax(1)      # the first pixel of the digit that is asked for
    size = batch.mask.shape[-1]
    return 2 * (at // size >= size // 2).long() + (at % size >= size // 2).long()


def changes(net: nn.Module, labels: Tensor) -> Iterator[tuple[str, Callable[[], AbstractContextManager]]]:
    """What is changed, in words, and how."""
    yield "nothing", nullcontext
    for layer in (1, 2, 3, 4):
        yield f"layer {layer} frozen", lambda at=f"layer{layer}.*": frozen(net, at)
    yield "1 and 4 frozen", lambda: frozen(net, ["layer1.*", "layer4.*"])
    yield "2 to 4 frozen", lambda: frozen(net, [f"layer{layer}.*" for layer in (2, 3, 4)])
    yield "all frozen", lambda: frozen(net)
    yield "all of another cue", lambda: swapped(net, labels)


def measured(name: str, seed: int) -> dict[str, float]:
    """Train the network of that name with that seed; accuracy on unseen pictures, with each change."""
    trial, device = NETWORKS[name], best_device()
    trial = replace(trial, seed=seed)
    stream, test = material(trial, device)
    if "a colour for each place" in name:
        stream, test = Painted(trial.task, trial.steps, trial.batch_size, seed=seed, device=device), painted(test)
    net = network(trial, device).to(device)
    fit(net, stream, lr=trial.lr, progress=False)
    x, y = test.x[:PICTURES], test.y[:PICTURES].cpu()
    labels, found = cue(trial.task, test)[:PICTURES], {}
    for words, change in changes(net, labels) if trial.mechanism else [("nothing", nullcontext)]:
        with change():
            found[words] = round((predict(net, x, chunk=len(x)).argmax(1).cpu() == y).float().mean().item(), 4)
    return found


def runs(name: str) -> dict[str, dict[int, float]]:
    """What was changed -> seed -> accuracy of the recorded networks of that name."""
    recorded = json.loads(shipped(PATH).read_text("utf-8"))
    seeds = names.find("network", name, recorded)
    return {words: {int(seed): found[words] for seed, found in seeds.items()} for words in next(iter(seeds.values()))}


def main() -> None:
    recorded = json.loads(PATH.read_text("utf-8")) if PATH.exists() else {}
    for name in NETWORKS:
        for seed in SEEDS:
            of_name = recorded.setdefault(name, {})
            if str(seed) not in of_name:
                of_name[str(seed)] = measured(name, seed)
                draft = PATH.with_suffix(".draft")
                draft.write_text(json.dumps(recorded, indent=1) + "\n", "utf-8")
                os.replace(draft, PATH)      # never half a file
                print(name, seed, of_name[str(seed)], flush=True)


if __name__ == "__main__":
    main()
