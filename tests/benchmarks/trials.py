"""Trials per minute: PyTorch's tutorial loop, Lightning and this course's `fit`, in turns, on the same network and pictures.

usage: python tests/benchmarks/trials.py [--device cpu|cuda] [--rounds 3] [--epochs 1] [--pictures 5120] [--out FILE]

Fashion-MNIST must be there (COURSE_DATA). One thread; the clock counts processor seconds of this process on a CPU, where other
work may run beside it, and seconds on a GPU. It runs from opening the files to the test accuracy. The optimiser (AdamW,
one-cycle), the augmentation (a shift by up to 2 pixels, every second picture mirrored) and the batches of 128 are the same.
Each way has a process of its own: `fit` asks the C library to keep memory, which the others would get for nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import logging
import multiprocessing
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch  # noqa: E402  (the path comes first)
import torch.nn.functional as F  # noqa: E402
from torch.utils.data import DataLoader, Dataset, Subset  # noqa: E402
from torchvision import transforms  # noqa: E402
from torchvision.datasets import FashionMNIST  # noqa: E402

from course_utils import hosts, tasks  # noqa: E402
from course_utils.runtime import data_folder  # noqa: E402
from course_utils.train import evaluate, fit  # noqa: E402

LR, BATCH, TEST = 1e-2, 128, 2000
AUGMENT = transforms.Compose([transforms.RandomCrop(28, padding=2), transforms.RandomHorizontalFlip(), transforms.ToTensor()])


def network(seed: int, device: str) -> torch.nn.Module:
    torch.manual_seed(seed)
    return hosts.SmallResNet(10).to(device)


class ThreeChannels(Dataset):
    """Grey pictures repeated to the three channels that the network takes."""

    def __init__(self, data: Dataset):
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, i: int):
        x, y = self.data[i]
        return x.expand(3, -1, -1), y


def loaders(pictures: int) -> tuple[DataLoader, DataLoader]:
    sets = (FashionMNIST(data_folder(), train=True, transform=AUGMENT),
            FashionMNIST(data_folder(), train=False, transform=transforms.ToTensor()))
    train, test = (ThreeChannels(Subset(data, range(n))) for data, n in zip(sets, (pictures, TEST), strict=True))
    return DataLoader(train, BATCH, shuffle=True, drop_last=True), DataLoader(test, BATCH)


def tutorial(seed: int, epochs: int, pictures: int, device: str) -> float:
    """The loop of PyTorch's "Optimizing Model Parameters", with this course's optimiser."""
    train, test = loaders(pictures)
    net = network(seed, device)
    optimiser = torch.optim.AdamW(net.parameters(), lr=LR)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LR, total_steps=epochs * len(train))
    for _ in range(epochs):
        net.train()
        for x, y in train:
            loss = F.cross_entropy(net(x.to(device)), y.to(device))
            loss.backward()
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
    net.eval()
    right = 0
    with torch.no_grad():
        for x, y in test:
            right += (net(x.to(device)).argmax(1) == y.to(device)).sum().item()
    return right / TEST


def lightning(seed: int, epochs: int, pictures: int, device: str) -> float:
    L = importlib.import_module("lightning")      # compared with where it is installed, and no dependency

    class Classifier(L.LightningModule):
        def __init__(self, net):
            super().__init__()
            self.net, self.right = net, 0

        def training_step(self, batch, _):
            return F.cross_entropy(self.net(batch[0]), batch[1])

        def test_step(self, batch, _):
            self.right += (self.net(batch[0]).argmax(1) == batch[1]).sum().item()

        def configure_optimizers(self):
            optimiser = torch.optim.AdamW(self.parameters(), lr=LR)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LR, total_steps=epochs * (pictures // BATCH))
            return [optimiser], [{"scheduler": schedule, "interval": "step"}]

    train, test = loaders(pictures)
    model = Classifier(network(seed, device))
    trainer = L.Trainer(max_epochs=epochs, accelerator="gpu" if device == "cuda" else "cpu", devices=1, logger=False,
                        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
    trainer.fit(model, train)
    trainer.test(model, test, verbose=False)
    return model.right / TEST


def ours(seed: int, epochs: int, pictures: int, device: str) -> float:
    x, y, classes = tasks.fashion_mnist("train", device=device)
    data = tasks.Images(x[:pictures], y[:pictures], classes)
    net = network(seed, device)
    fit(net, tasks.Epochs(data, epochs, BATCH, seed), lr=LR, progress=False)
    x, y, _ = tasks.fashion_mnist("test", device=device)
    return evaluate(net, tasks.to_batch(x[:TEST], y[:TEST]))


WAYS = {"tutorial loop": tutorial, "Lightning": lightning, "course": ours}


def timed(way: str, seed: int, epochs: int, pictures: int, device: str) -> tuple[float, float]:
    """Seconds and accuracy of one trial, in the process of its way."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    clock = process_time if device == "cpu" else perf_counter
    began = clock()
    accuracy = WAYS[way](seed, epochs, pictures, device)
    return clock() - began, accuracy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--pictures", type=int, default=5120)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    ways = [way for way in WAYS if way != "Lightning" or importlib.util.find_spec("lightning")]
    found, own = {way: [] for way in ways}, multiprocessing.get_context("spawn")
    with contextlib.ExitStack() as stack:
        processes = {way: stack.enter_context(ProcessPoolExecutor(1, own)) for way in ways}
        for number in range(args.rounds + 1):
            for way in ways:
                one = processes[way].submit(timed, way, number, args.epochs, args.pictures, args.device).result()
                if number:      # the first round warms up
                    found[way].append(one)
    name = torch.cuda.get_device_name() if args.device == "cuda" else "CPU, one thread"
    print(f"{name}, torch {torch.__version__}, {date.today()}: {args.epochs} x {args.pictures} pictures, {args.rounds} rounds")
    print("| way | seconds | trials a minute | times as fast as the loop of the round, lowest to highest | accuracy |\n"
          + "| --- " * 5 + "|")
    base = [s for s, _ in found["tutorial loop"]]
    for way, runs in found.items():
        seconds = median(s for s, _ in runs)
        ratios = [loop / s for loop, (s, _) in zip(base, runs, strict=True)]      # a slow minute of the machine meets both alike
        accuracies = " ".join(f"{a:.3f}" for _, a in runs)
        print(f"| {way} | {seconds:.2f} | {60 / seconds:.1f} | {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) | "
              f"{accuracies} |")
    if args.out:
        with open(args.out, "a", encoding="utf-8") as file:
            file.write(json.dumps({"device": name, "torch": torch.__version__, "date": str(date.today()), "runs": found}) + "\n")


if __name__ == "__main__":
    main()
