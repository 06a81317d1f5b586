"""The doctor's table of faults: what was planted, and what it named; and whom it accused among the healthy. -> docs/doctor.md

    python tools/make_doctor_table.py            trains what runs/doctor.json does not hold yet (about 40 minutes on one core)
    python tools/make_doctor_table.py 3          with the first three seeds only

Thresholds were set on other seeds (900 and above) than those of the table; what was changed after its first seed, the page says.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path

import timm.layers
import torch
from torch import nn

from course_utils import clinic, hosts, tables, tasks
from course_utils.sockets import doctor, plug_in
from course_utils.studies.trial import Trial, material, network
from course_utils.train import evaluate, fit

ROOT = Path(__file__).resolve().parent.parent
CACHE, PAGE = ROOT / "runs" / "doctor.json", ROOT / "docs" / "doctor.md"
SEEDS = range(1400, 1405)
AS_MADE = {"start": "as_made"}
WELL = 0.8      # accuracy: a network that has not taken off does not use its attention, and is no healthy one
HEALTHY = {
    "ECA": Trial("what", mechanism="eca", **AS_MADE),
    "SE, r = 4": Trial("what", mechanism="se", options={"reduction": 4}, **AS_MADE),
    "spatial gate 15x15": Trial("nearest", mechanism="spatial_gate", options={"kernel_size": 15}, steps=600, **AS_MADE),
    "non-local": Trial("relate", mechanism="non_local", layers="layer3.*", steps=400, **AS_MADE),
    "GC": Trial("relate", mechanism="gc", layers="layer4.*", steps=400, **AS_MADE),
    "linear attention": Trial("relate", mechanism="efficient", layers="layer3.*", steps=400, **AS_MADE),
    "attention pooling": Trial("where", mechanism="attention_pool", at="head", steps=400, **AS_MADE),
    "timm's EcaModule": Trial("what"),
    "timm's SEModule": Trial("what"),
}


# Asked in public, in other words: who asks, and which cell or command answers.
QUESTIONS = [
    ("Accuracy drops after CBAM was added to a trained detector: must it be pretrained again?", "ultralytics/ultralytics#22856",
     "No: `start=\"identity\"` leaves the outputs as they are (lesson 13, \"What was lost\"). If it was added as made: "
     "`doctor(net, pictures, labels)` names *stale norms* and *untrained*; whether it then pays, `python -m "
     "course_utils.answer`"),
    ("I tried many places in YOLOv8 and accuracy decreases everywhere: where does it belong?", "ultralytics/ultralytics#10758",
     "`list_sockets(net)` shows the places; what decides, early or late, is the table of the README (`python -m "
     "course_utils.studies answer`, lesson 12); how many runs such a comparison takes, lesson 14, \"Nothing is broken\""),
    ("Where, to look at small objects more?", "ultralytics/ultralytics#10259",
     "where the gate still sees them apart: the map sizes of `list_sockets(net)`, lesson 09 (reach); `fuse` in the neck, "
     "`docs/recipes.md`"),
    ("The attention maps look right, and no metric improves: why?", "ultralytics/ultralytics#21297",
     "a map does not say whether it is used: lesson 14, \"The clinic\", freezes it at its mean; `doctor`: *not used*"),
    ("CBAM does worse than a plain ResNet-50 on CUB-200 and VOC: what do I do wrong?", "Jongchan/attention-module#24",
     "perhaps nothing: `python -m course_utils.answer FOLDER --host resnet50 --pretrained` compares in pairs of seeds, with a "
     "wider host as control; lesson 13 for the start"),
    ("Coordinate attention made my network worse: where should it be?", "houqb/CoordAttention#26",
     "its authors put it on the widened channels: `plug_in(net, \"coordinate\", at=\"inner\")`; what it cannot "
     "do is in lesson 04"),
    ("scSE in the decoder of a U-Net is worse and learns more slowly: why?", "qubvel-org/segmentation_models.pytorch#109",
     "`doctor(unet, pictures, masks)` takes dense labels; early speed and the end are two outcomes: lessons 10 and 11"),
    ("SE adds less than one percent of computation, and a third of the time: is that normal?",
     "WongKinYiu/PartialResidualNetworks#1", "yes: lesson 14, first half; `cost.traffic(net, x)` counts the bytes, "
     "`cost.compare` measures"),
]


def healthy(name: str, seed: int) -> tuple[nn.Module, tasks.Batch]:
    """A trained network with attention that works; timm's modules are plugged in as any callable is."""
    trial = replace(HEALTHY[name], seed=seed)
    stream, test = material(trial, torch.device("cpu"))
    if name.startswith("timm"):
        torch.manual_seed(seed)
        net = hosts.SmallHost(tasks.find("what").classes)
        make = getattr(timm.layers, name.split()[1])
        plug_in(net, lambda channels: make(channels), at="post", start="as_made", input_size=tasks.find("what").size)
    else:
        net = network(trial)
    fit(net, stream, lr=trial.lr, progress=False)
    return net.eval(), tasks.Batch(*(part[:clinic.PICTURES] for part in test))


def row(kind: str, name: str, seed: int) -> dict:
    """What the doctor names for one network."""
    if kind == "healthy":
        net, batch = healthy(name, seed)
    else:
        net, batch = clinic.trained(name, seed), clinic.unseen(name)
        clinic.CASES[name].after(net)
    checkup = doctor(net, batch.x, batch.y)
    gates = [f.reading for f in checkup.findings if f.reading is not None]
    try:
        right = round(evaluate(net, batch), 4)
    except ValueError:
        right = None
    return {"named": list(checkup.named), "right": right, "lost": checkup.lost and round(checkup.lost.mean, 4),
            "room": [r.room and round(r.room, 4) for r in gates], "between": [r.between and round(r.between, 5) for r in gates]}


def page(rows: dict[str, dict], seeds: int) -> str:
    """The table in Markdown."""
    cases, well = [], []
    for name, case in clinic.CASES.items():
        found = [rows[key] for s in SEEDS[:seeds] if (key := f"fault/{name}/{s}") in rows]
        named = Counter(", ".join(r["named"]) or "nothing" for r in found)
        hit = sum(r["named"] == [case.fault] for r in found)
        told = "; ".join(f"{words} ({n})" for words, n in named.most_common())
        cases.append([name, case.fault, told, f"{hit} of {len(found)}"])
    accused = count = 0
    for name, trial in HEALTHY.items():
        found = [rows[key] for s in SEEDS[:seeds] if (key := f"healthy/{name}/{s}") in rows]
        there = [r for r in found if r["right"] >= WELL]
        blamed = [r for r in there if r["named"]]
        accused, count = accused + len(blamed), count + len(there)
        told = Counter(", ".join(r["named"]) for r in blamed)
        well.append([f"{name} on {trial.task}", f"{len(there)} of {len(found)}", str(len(blamed)),
                     "; ".join(f"{words} ({n})" for words, n in told.items())])
    hits = sum(int(r[3].split()[0]) for r in cases)
    total = sum(int(r[3].split()[2]) for r in cases)
    return "\n".join([
        "# What the doctor finds", "",
        f"Made by `python tools/make_doctor_table.py` (torch {torch.__version__}, processor, {date.today()}), seeds "
        f"{SEEDS[0]} to {SEEDS[:seeds][-1]}. The thresholds were set on other seeds; after seed {SEEDS[0]} had shown three wrong "
        "accusations, these rules were changed: one constant gate among others is told without blame, a map that looks at one "
        "place is no fault, and norms are not called stale where the gate before them is broken. The seeds after it are fresh.",
        "",
        "Networks of `course_utils.clinic`, trained and broken in one way each; the doctor gets 500 pictures that they have not "
        f"seen, and the labels. Named exactly, and nothing besides: **{hits} of {total}**.", "",
        tables.as_markdown(["planted", "to be named", "named (networks)", "exactly"], cases), "",
        f"Networks that use their attention, right with {WELL:.0%} of the pictures or more (one that has not taken off is no "
        f"healthy one): accused **{accused} of {count}**.", "",
        tables.as_markdown(["healthy", "taken off", "accused", "of"], well), "",
        "## What people ask, and what answers it", "",
        tables.as_markdown(["question", "asked in", "answered by"], [
            [q, f"[{at}](https://github.com/{at.replace('#', '/issues/')})", how] for q, at, how in QUESTIONS]), ""])


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else len(SEEDS)
    rows = json.loads(CACHE.read_text("utf-8")) if CACHE.exists() else {}
    torch.set_num_threads(1)
    for seed in SEEDS[:seeds]:
        for kind, name in [("fault", n) for n in clinic.CASES] + [("healthy", n) for n in HEALTHY]:
            key = f"{kind}/{name}/{seed}"
            if key not in rows:
                rows[key] = row(kind, name, seed)
                print(key, rows[key], flush=True)
                CACHE.parent.mkdir(exist_ok=True)
                CACHE.with_suffix(".draft").write_text(json.dumps(rows, indent=1), "utf-8")
                os.replace(CACHE.with_suffix(".draft"), CACHE)
    PAGE.write_text(page(rows, seeds), "utf-8")


if __name__ == "__main__":
    main()
