"""Tensors that are left on the processor, found without a GPU.

torch's FakeTensorMode has tensors with a shape, a device that they claim to be on, and no numbers; mixing devices is refused
as on a real GPU. A module is made on the processor, as a reader makes it, and then copied: `moved` puts its parameters and
buffers on the stand-in and nothing else, which is what net.to("cuda") does. (Made under torch.device("cuda") it would not
show a constant that its constructor keeps; net.to("cuda") itself cannot replace real tensors by stand-ins.) plug_in runs
before, on the processor: it looks at the network on a stand-in of its own.

Some mixtures a GPU allows: an index on the processor, a constant that is made there and then moved. They make it wait, so
`NothingOnTheProcessor` refuses every tensor that a network makes on the processor, whatever becomes of it.

What these tensors cannot do is a backward pass: autograd asks for the GPU's stream. It runs on the "meta" device, where
tensors have no numbers either, and which every torch has.
"""

import copy
from contextlib import AbstractContextManager, nullcontext
from itertools import chain

import pytest
import torch
import torchvision
from properties import OPTIONS, each_start
from sockets_host import USUAL
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from course_utils import attention, scores, tasks, train
from course_utils.attention import Mechanism
from course_utils.sockets import SOCKETS, doctor, list_sockets, plug_in
from course_utils.studies import HOSTS

CUDA, META = torch.device("cuda"), torch.device("meta")
GPUS = {"new": ((9, 0), torch.bfloat16), "old": ((7, 5), torch.float16)}      # capability, and what train.autocast makes of it


def has_cuda() -> bool:
    """Can this torch index a stand-in on CUDA? Builds without CUDA, and version 2.6, ask for the real device there."""
    try:
        with FakeTensorMode(), torch.no_grad():
            return torch.zeros(2, 2, device=CUDA)[0].contiguous().device.type == "cuda"
    except RuntimeError:
        return False


HAS_CUDA = has_cuda()
NETS = {"small_host": HOSTS["small_host"], "small_resnet": HOSTS["small_resnet"],
        "resnet18": lambda classes: torchvision.models.resnet18(num_classes=classes)}
MORE = [("post", "simam"), ("post", "stn"), ("post", "double"), ("inner", "non_local"), ("pre", "gct"), ("input", "stn"),
        ("instead", "dynamic_conv"), ("instead", "sk"), ("instead", "split"), ("instead", "bot")]


class NothingOnTheProcessor(TorchDispatchMode):
    """Raises where an operation makes a tensor on the processor."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if any(isinstance(t, torch.Tensor) and t.device.type == "cpu" for t in tree_leaves(out)):
            raise AssertionError(f"{func} makes a tensor on the processor: wanted the same device as its input's")
        return out


def moved(net: nn.Module, device: torch.device, mode: AbstractContextManager) -> nn.Module:
    """A copy whose parameters and buffers are stand-ins on `device`; whatever else it keeps stays where it is."""
    memo = {}
    with mode:
        for tensor in chain(net.parameters(), net.buffers()):
            twin = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=device)
            memo[id(tensor)] = nn.Parameter(twin, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else twin
    return copy.deepcopy(net, memo)


def batch(shape: tuple[int, ...], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(shape, device=device), torch.zeros(shape[0], dtype=torch.int64, device=device)


def loss_of(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """As train.fit computes it; of a mechanism's map, the mean over positions stands for the logits."""
    with train.autocast(x.device):
        out = net(train.layout(x, x.device))
    return nn.functional.cross_entropy((out.mean((2, 3)) if out.ndim == 4 else out).float(), y)


def runs_without_a_gpu(net: nn.Module, shape: tuple[int, ...], monkeypatch, gpus: tuple[str, ...] = ("new",)) -> None:
    """On a stand-in for CUDA, if this torch has one, and on meta; the network itself stays as it is."""
    state = {key: value.clone() for key, value in net.state_dict().items()}
    if HAS_CUDA:
        runs_on_cuda(net, shape, monkeypatch, gpus)
    runs_on_meta(net, shape)
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())


def runs_on_cuda(net: nn.Module, shape: tuple[int, ...], monkeypatch, gpus: tuple[str, ...] = ("new",)) -> None:
    """Training and evaluation as fit and predict do them, in half precision; reading in single precision."""
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)      # or autocast is off
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *args: True)
    twin = moved(net, CUDA, mode := FakeTensorMode())
    with mode, NothingOnTheProcessor(), torch.no_grad():
        (x, y), square = batch(shape, CUDA), torch.zeros(2, 2, device=CUDA)
        assert all(isinstance(t, FakeTensor) and t.device.type == "cuda" for t in twin.state_dict().values())
        for capability, half in (GPUS[gpu] for gpu in gpus):
            monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *args, now=capability: now)
            with train.autocast(CUDA):
                assert torch.mm(square, square).dtype == half, "autocast is off, and nothing was tried"
            loss = loss_of(twin.train(), x, y)
            assert loss.device.type == "cuda" and loss.dtype == torch.float32
        assert train.predict(twin, x).device.type == "cuda"
        if any(isinstance(m, Mechanism) for m in twin.modules()):
            with attention.read(twin.eval()) as seen:
                assert twin(x).device.type == "cuda"
            assert all(t.device.type == "cuda" for notes in seen.values() for t in notes.values())


def runs_on_meta(net: nn.Module, shape: tuple[int, ...]) -> None:
    """Evaluation, then a training step down to the gradients."""
    twin, (x, y) = moved(net, META, nullcontext()), batch(shape, META)
    with NothingOnTheProcessor():
        assert twin.eval()(x).is_meta
        loss_of(twin.train(), x.requires_grad_(), y).backward()
    assert x.grad.is_meta and all(p.grad is None or p.grad.is_meta for p in twin.parameters())


@each_start
def test_every_mechanism_with_every_start(case, start, monkeypatch):
    """Behind a convolution, so that under autocast it gets a map in half precision, as inside a network."""
    shape = case.shape(2, 8, 8, 8)
    runs_without_a_gpu(nn.Sequential(nn.Conv2d(3, shape[1], 1), case.build(shape, start)), (2, 3, 8, 8), monkeypatch)


@pytest.mark.parametrize("name", HOSTS)
def test_every_host(name, monkeypatch):
    runs_without_a_gpu(HOSTS[name](10), (2, 3, 112, 112), monkeypatch, tuple(GPUS))


# A socket that USUAL lacks is named by a test of its own; here it would stop all the others.
PLUGGED = [*((net, at, USUAL[at]) for net in NETS for at in SOCKETS if at in USUAL),
           *(("small_resnet", at, name) for at, name in MORE)]


@pytest.mark.parametrize("net, at, name", [
    pytest.param(*case, id="-".join(case), marks=pytest.mark.full if case[0] == "resnet18" else ()) for case in PLUGGED])
def test_every_socket(net, at, name, monkeypatch):
    host = NETS[net](10)
    if at in list_sockets(host).missing:
        with pytest.raises(ValueError, match="has no socket"):
            plug_in(host, name, at=at)
        return
    few = {"kernels": 2} if "kernels" in attention.REGISTRY[name].__init__.__code__.co_varnames else {}
    start = "as_made" if name in ("sk", "split", "bot") else "identity"
    assert plug_in(host, name, at=at, start=start, **OPTIONS.get(name, {}), **few)
    runs_without_a_gpu(host, (2, 3, 56, 56), monkeypatch)


@pytest.mark.skipif(not HAS_CUDA, reason="no stand-in for CUDA, see below")
def test_cutting_and_mirroring_pictures():
    with FakeTensorMode():
        x, y = torch.zeros(4, 1, 28, 28, dtype=torch.uint8, device=CUDA), torch.zeros(4, dtype=torch.int64, device=CUDA)
        made = tasks.to_batch(tasks.crop_and_flip(x, torch.Generator().manual_seed(0)), y)
        assert all(t.device.type == "cuda" for t in made)


# ---- Apple's GPU

class Apple(TorchFunctionMode):
    """Every tensor lies on a GPU without float64, but for what .cpu() has fetched and what is made of that."""

    def __init__(self):
        super().__init__()
        self.fetched = {}      # id -> the tensor itself: the id of one that is gone would be given to another

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name, here = getattr(func, "__name__", ""), any(id(t) in self.fetched for t in tree_leaves((args, kwargs)))
        if name == "double" and not here:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64")
        out = func(*args, **(kwargs or {}))
        if here or name == "cpu":
            self.fetched.update({id(t): t for t in tree_leaves(out) if isinstance(t, torch.Tensor)})
        return out


def test_nothing_asks_an_apple_gpu_for_double_precision():
    net, x = HOSTS["small_resnet"](classes=4).eval(), torch.rand(16, 3, 28, 28)
    found = torch.tensor([[[0, 1, 1, 5, 5, 0.9]]])
    with Apple():
        with pytest.raises(TypeError, match="float64"):
            x.double()
        receipt = plug_in(net, "se", at="post")
        assert not receipt.unproved and doctor(net, x, torch.arange(16) % 4).norms
        assert scores.average_precision(found, found[..., :5])["AP"] == pytest.approx(1)


# ---- it finds what it is for

class Left(nn.Module):
    """Leaves one tensor on the processor: a constant of its constructor, one that each forward makes, or only an index."""

    def __init__(self, where: str):
        super().__init__()
        self.where, self.constant = where, torch.ones(8, 1, 1)
        self.register_buffer("registered", torch.ones(8, 1, 1))
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        made = {"kept": lambda: self.constant, "made": lambda: torch.ones(8, 1, 1),
                "index": lambda: self.registered[torch.arange(8)],
                "moved": lambda: torch.ones(8, 1, 1).to(x),
                "evaluation": lambda: torch.ones(8, 1, 1) if not self.training else self.registered,
                "nothing": lambda: self.registered}[self.where]()
        return self.scale * x * made


@pytest.mark.parametrize("where", ["kept", "made", "index", "moved", "evaluation"])
def test_a_tensor_left_on_the_processor_is_found(where, monkeypatch):
    runs_without_a_gpu(Left("nothing"), (2, 8, 4, 4), monkeypatch)
    trials = [lambda net: runs_on_meta(net, (2, 8, 4, 4))]
    if HAS_CUDA:
        trials.append(lambda net: runs_on_cuda(net, (2, 8, 4, 4), monkeypatch))
    for trial in trials:
        with pytest.raises((RuntimeError, AssertionError),
                           match="(?i)same device|different devices|expected device|convert all Tensors|processor"):
            trial(Left(where))


@pytest.mark.skipif(not HAS_CUDA, reason=f"torch {torch.__version__} asks for a real GPU when a stand-in on CUDA is indexed: the "
                    "tests above ran on the meta device only")
def test_this_torch_has_a_stand_in_for_cuda():
    """So that a report shows where half of this file was left out."""
