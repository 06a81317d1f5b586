"""Write docs/field_guide.md and its drawings, docs/places/*.png: a card for every mechanism.

usage: python tools/make_field_guide.py      a few minutes: each mechanism is plugged into a ResNet-18 and counted

What a card says comes from the registry, the docstring, the built module and the recorded results; nothing is typed in here.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import torch
import torchvision

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from course_utils import attention, cost, plots, stats  # noqa: E402  (the path comes first)
from course_utils.sockets import plug_in  # noqa: E402
from course_utils.studies import CATALOGUE, Trial, read  # noqa: E402
from course_utils.studies.overview import plain  # noqa: E402
from course_utils.studies.results import finished  # noqa: E402

PAGE, PLACES = ROOT / "docs" / "field_guide.md", ROOT / "docs" / "places"
FAMILIES = {"channel": "What: channel gates", "spatial": "Where: spatial gates", "combined": "What and where",
            "mixing": "From place to place: mixing", "kernel": "Which convolution: attention over kernels",
            "input": "On the picture", "head": "In place of the average"}
PAPER, PAPERS = re.compile(r"(?<=arXiv )\d{4}\.\d{5}"), "https://arxiv.org/abs/"
SIDE, CHANNELS = 64, 64      # of the picture and of the module that are counted
HEAD = """# Field guide

A card for each mechanism of the course, in the order of the lessons. What it is for, the place where its authors put it (lit in
the drawing), the formula, the price, what this course has measured of it, and what to know about public code.

- **Price:** parameters of one module for {channels} channels; then what it adds to torchvision's ResNet-18 on a picture of
  {side}x{side}, at every place of its home.
- **Measured:** gains over the plain network of the same seed, with the 95 % interval of the mean over n seeds. Where runs either
  solve a task or guess, how many took off, with attention and without; a mean of both kinds describes neither. Only arms with
  attention at all places of a socket, or at a named part of a detector; single places are in lessons 09 and 10. A mechanism
  without such a line was not measured here: nothing is said about what it is worth.
- The tasks are those of the lessons: `what` and `nearest` ask for a channel and for a place (02, 03), `relate` for a
  comparison (05), `where` and `crowd` for one thing among many (09), `alike` for a detail (10), `find` and `paint` for boxes and
  pixels (15).

This page is made by `python tools/make_field_guide.py`.
"""


# ---- from the docstring

def parts(name: str) -> dict[str, str]:
    """What a docstring says: `what`, `paper`, `lesson`, `formula`, `parameters`, `notes`."""
    doc = inspect.cleandoc(attention.REGISTRY[name].__doc__)
    what, _, rest = doc.partition("\n\n")
    formula = re.search(r"(?m)^(?: {4}.*(?:\n|$))+", rest)
    tail = rest[rest.index("Parameters:"):]
    first, _, notes = tail.partition("socket: ")
    place, _, notes = re.sub(r"^`(\w+)`[,;]? ?", "", notes).partition(".")
    return {"what": " ".join(what.split()), "lesson": re.search(r"in lesson (\d\d)", rest)[1],
            "paper": " ".join(rest[:rest.index(" in lesson")].split()).rsplit(". ", 1)[0].strip() + ".",
            "formula": inspect.cleandoc(formula[0]), "parameters": " ".join(first.split()).removeprefix("Parameters: ").
            rsplit(".", 1)[0].strip(), "place": " ".join(place.split()), "notes": " ".join(notes.split())}


# ---- counted

def built(name: str):
    """One module for CHANNELS channels; those for whole pictures for three."""
    options = {"size": (8, 8)} if name == "bot" else {}
    return attention.build(name, 3 if attention.REGISTRY[name].family == "input" else CHANNELS, **options)


def added(name: str) -> str:
    """What it adds to ResNet-18 at its home, or why it cannot stand there."""
    net = torchvision.models.resnet18(num_classes=10).eval()
    x = torch.zeros(1, 3, SIDE, SIDE)
    before = cost.parameters(net), cost.multiply_adds(net, x)
    home = attention.REGISTRY[name].home
    # By name the attention gate wants two maps; on a skip by itself it is asked by the map that it gates.
    maker = attention.AttentionGate if name == "attention_gate" else name
    try:
        receipt = plug_in(net, maker, at=home, start="as_made", input_size=SIDE)
    except ValueError as refused:
        return f"not at `{home}` of a ResNet-18: {str(refused).splitlines()[0]}"
    more, work = cost.parameters(net) - before[0], cost.multiply_adds(net, x) / before[1] - 1
    count = len(receipt.names)
    return f"ResNet-18, {count} place{'s' * (count > 1)}: {more:+,} parameters, {work:+.1%} multiply-adds".replace("%", " %")


# ---- measured

def ceilings() -> dict[str, float]:
    """Task -> the accuracy that it allows, where some study says so."""
    return {study.base["task"]: study.ceiling for study in CATALOGUE.values() if study.ceiling and "task" in study.base}


def recorded() -> dict[Trial, dict[int, tuple[float, float]]]:
    """Arm -> seed -> accuracy with attention, and of the plain network of that seed."""
    done = {}
    for study in CATALOGUE.values():
        if study.path.exists():
            done |= {trial: result.accuracy for trial, result in finished(read(study.path)).items()}
    arms: dict[Trial, dict[int, tuple[float, float]]] = {}
    for trial, accuracy in done.items():
        whole = not (trial.stages or trial.layers or trial.before) or trial.task in ("find", "paint")
        if trial.mechanism in attention.REGISTRY and whole and plain(trial) in done:
            arms.setdefault(trial.arm, {})[trial.seed] = accuracy, done[plain(trial)]
    return arms


def place(arm: Trial) -> str:
    """Where the attention stood, as lesson 15 names the parts of its networks."""
    part = {"neck.lateral*": "the laterals", "head*": "the head", "neck*": "the neck", "join*": "the skips"}
    where = part.get(arm.layers[0], arm.layers[0]) if arm.layers else ""
    how = [f"{key.replace('_', ' ')} {value}" for key, value in arm.options]
    how += ["two in a row"] * (arm.times == 2) + ["identity start"] * (arm.start == "identity")
    return f"`{arm.at}`" + (f", {where}" if where else "") + (f" ({', '.join(how)})" if how else "")


def measured(name: str, arms: dict[Trial, dict[int, tuple[float, float]]], most: dict[str, float]) -> list[str]:
    """A line for each arm of that mechanism."""
    lines = []
    for arm, seeds in arms.items():
        if arm.mechanism != name or len(seeds) < 3:
            continue
        ours, control = zip(*seeds.values(), strict=True)
        what = f"`{arm.task}`, {place(arm)}"
        what += "" if arm.host == "small_host" else f", {arm.host}"
        mean, low, high = stats.t_interval([a - b for a, b in seeds.values()])
        level = 0.9 * most.get(arm.task, float("inf"))
        solved = sum(a >= level for a in ours), sum(b >= level for b in control)
        if level < 1 and 0 < sum(solved) < 2 * len(seeds):
            lines.append(f"{what}: {solved[0]} of {len(seeds)} took off, {solved[1]} without ({arm.steps} steps)")
        else:
            lines.append(f"{what}: {100 * mean:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}), n = {len(seeds)}, "
                         f"{arm.steps} steps")
    return lines


# ---- the page

def card(name: str, lessons: dict[str, str], price: str, lines: Iterable[str]) -> str:
    """The card of one mechanism, in Markdown."""
    cls, doc, lines = attention.REGISTRY[name], parts(name), list(lines)
    module = built(name)
    number = doc["lesson"]
    lesson = f"[lesson {number}](../notebooks/{lessons[number]})" if number in lessons else f"lesson {number}"
    shown = "\n".join(f"- {line}" for line in lines) or "Not measured in this course."
    size = 3 if cls.family == "input" else CHANNELS
    source = PAPER.sub(lambda m: f"[{m[0]}]({PAPERS}{m[0]})", doc["paper"])
    return f"""<div style="break-inside: avoid">

### `{name}` · {cls.__name__}

{doc["what"]}

![The host with the socket {cls.home} lit.](places/{cls.home}.png)

```
{doc["formula"]}
```

| | |
| --- | --- |
| source | {source} In {lesson}. |
| home | `{cls.home}`{", " * bool(doc["place"])}{doc["place"]} |
| kind, starts | {cls.kind}; {", ".join(cls.starts)} |
| parameters | {doc["parameters"]}; {cost.parameters(module):,} for {size} channels |
| price | {price} |

**Measured**

{shown}

**To know** {doc["notes"]}

</div>
"""


def page() -> str:
    """The whole page; the drawings are made by `main`."""
    lessons = {path.name[:2]: path.name for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))}
    arms, most = recorded(), ceilings()
    text = [HEAD.format(side=SIDE, channels=CHANNELS)]
    for family, title in FAMILIES.items():
        text.append(f"## {title}\n")
        text += [card(name, lessons, added(name), measured(name, arms, most))
                 for name, cls in attention.REGISTRY.items() if cls.family == family]
    return "\n".join(text)


def main() -> None:
    PLACES.mkdir(exist_ok=True)
    for home in sorted({cls.home for cls in attention.REGISTRY.values()}):
        (PLACES / f"{home}.png").write_bytes(plots.to_png(plots.emblem(home, labels=False)))
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE}: {len(attention.REGISTRY)} cards, {PAGE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
