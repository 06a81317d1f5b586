"""A small residual network for the tests of sockets, and what must be importable by another process."""

from __future__ import annotations

import copy
import functools
import pickle

import torch
import torch.nn.functional as F
from torch import Tensor, distributed, nn

from course_utils.sockets import Receipt, plug_in, unplug

# What sits at each socket in tests of the surgery itself: gates, a kernel and a pool that share no code.
USUAL = {"input": "pixel_gate", "pre": "eca", "inner": "coordinate", "post": "se", "after_add": "gc", "identity": "cbam",
         "between": "bam", "instead": "condconv", "head": "attention_pool", "fuse": "aff", "both": "spatial_gate"}
SEPARATE = tuple(at for at in USUAL if at != "both")      # all of them fit into one network


class Block(nn.Module):
    """conv, norm, ReLU, conv, norm, plus the skip, ReLU: as torchvision's, with a ReLU that is used twice."""

    def __init__(self, channels: int, out: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)      # a bias: what replaces the kernel must keep it
        self.bn2 = nn.BatchNorm2d(out)
        self.shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride), nn.BatchNorm2d(out)) if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += x if self.shortcut is None else self.shortcut(x)
        return self.relu(y)


class Host(nn.Module):
    """Two stages, three blocks, every socket; widths 8 and 16."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.blocks = nn.Sequential(Block(8, 8), Block(8, 16, stride=2), Block(16, 16))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classify = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.blocks(F.relu(self.norm(self.conv(x))))
        return self.classify(torch.flatten(self.pool(y), 1))


def picture(n: int = 2, side: int = 12, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(n, 3, side, side + 2, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def stir(net: nn.Module, seed: int = 0) -> nn.Module:
    """Every parameter and running statistic moved away from its start, so that nothing is right by chance."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.2 * torch.randn(p.shape, generator=g).to(p))
        for key, buffer in net.named_buffers():
            if key.endswith("running_mean"):
                buffer.add_(0.3 * torch.randn(buffer.shape, generator=g).to(buffer))
            if key.endswith("running_var"):
                buffer.mul_(0.5 + torch.rand(buffer.shape, generator=g).to(buffer))
    return net


def host(seed: int = 0) -> Host:
    """In evaluation mode, none of its tensors at its start."""
    torch.manual_seed(seed)
    return stir(Host(), seed).eval()


def small() -> Host:
    """Two blocks are enough for every socket."""
    torch.manual_seed(0)
    net = Host()
    net.blocks, net.classify = nn.Sequential(Block(8, 8), Block(8, 8, stride=2)), nn.Linear(8, 5)
    return stir(net).eval()


def outputs(net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """In evaluation and in training, without leaving anything in the network."""
    return tuple(copy.deepcopy(net).train(mode)(x) for mode in (False, True))


def plug(net: nn.Module, at: str, **options) -> Receipt:
    """The usual attention of a socket; at `instead` two experts, so that it is small."""
    options = {"kernels": 2} | options if at == "instead" else options
    return plug_in(net, USUAL[at], at=at, input_size=(3, 12, 14), **options)


@functools.cache
def once(sockets: tuple[str, ...]) -> tuple[nn.Module, list[Receipt]]:
    net = host()
    receipts = [plug(net, at) for at in sockets]
    return stir(net, seed=1), receipts


def plugged(*sockets: str) -> tuple[nn.Module, list[Receipt]]:
    """A copy of the host with attention at these sockets, none of it at its start any more, and the receipts."""
    net, receipts = once(sockets)
    return copy.deepcopy(net), receipts


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """The same names, and the same numbers to the bit."""
    return one.keys() == other.keys() and all(torch.equal(value, other[key]) for key, value in one.items())


def loss(net: nn.Module, x: Tensor) -> Tensor:
    """Each picture of a batch is of another class."""
    return F.cross_entropy(net(x), torch.arange(len(x)) % 5)


def learn(net: nn.Module, steps: int = 1, lr: float = 0.1, x: Tensor | None = None) -> nn.Module:
    """A few steps on the same batch."""
    x = picture(4) if x is None else x
    optimiser = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=lr)
    for _ in range(steps):
        optimiser.zero_grad()
        loss(net, x).backward()
        optimiser.step()
    return net


def answer(stored: bytes, numbers: list) -> tuple[list, int]:
    """In another process: the outputs of a stored network, and how many modules unplug took out of it."""
    net = pickle.loads(stored)
    torch.set_num_threads(1)
    return net(torch.tensor(numbers)).tolist(), unplug(net)


def gradients(net: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Of one backward pass, by the names of the parameters."""
    loss(net, x).backward()
    return {key: p.grad.clone() for key, p in net.named_parameters()}


def train_on_two(rank: int, folder: str) -> None:
    """In each of two processes: two steps on one half of the batch; stores the first gradients, and the weights at the end."""
    torch.set_num_threads(1)
    net, x = torch.load(f"{folder}/net.pt", weights_only=False)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    try:
        wrapped = nn.parallel.DistributedDataParallel(net, find_unused_parameters=False)
        first = gradients(wrapped, x.chunk(2)[rank])
        learn(wrapped, steps=2, x=x.chunk(2)[rank])      # a parameter that no step uses would stop the second one
        weights = {key: p.detach() for key, p in net.named_parameters()}
        torch.save(({key.removeprefix("module."): g for key, g in first.items()}, weights), f"{folder}/rank{rank}.pt")
    finally:
        distributed.destroy_process_group()
