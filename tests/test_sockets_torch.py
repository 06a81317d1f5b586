"""After plug_in everything of torch keeps working: compile, export, fx, several processes, autocast, channels_last."""

import copy
import pickle
import shutil
import sys

import pytest
import torch
import torch.multiprocessing
from sockets_host import SEPARATE, USUAL, Host, gradients, host, picture, plug, plugged, stir, train_on_two
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from course_utils import attention
from course_utils.sockets import plug_in, unplug

each_socket = pytest.mark.parametrize("at", USUAL)
LAST = torch.channels_last


# ---- compile, export, fx

@pytest.fixture
def fresh():
    """Code that was compiled for another test, and the count of recompilations, are forgotten."""
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def test_compile_makes_one_graph_of_the_network_and_trains_it(fresh):
    """With attention before, after and instead of a module, at the head, and on a skip that is rewritten."""
    net, _ = plugged("pre", "post", "identity", "instead", "head")
    twin, x = copy.deepcopy(net.train()), picture(4)
    y, expected = torch.compile(twin, backend="aot_eager", fullgraph=True)(x), net(x)
    torch.testing.assert_close(y, expected)
    y.sum().backward()
    expected.sum().backward()
    for (name, p), q in zip(net.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(q.grad, p.grad, rtol=1e-3, atol=1e-3, msg=name)


def test_compiled_code_is_that_of_the_network_as_it_is_now(fresh):
    """The classes that plug_in makes are shared between networks: code must not be."""
    x = picture()
    for sockets in (["post"], ["pre", "post"], ["identity"]):
        net, _ = plugged(*sockets)
        torch.testing.assert_close(torch.compile(net, backend="eager")(x), net(x))
    unplug(net)
    torch.testing.assert_close(torch.compile(net, backend="eager")(x), net(x))


@pytest.mark.parametrize("at", ["after_add", "identity"])
def test_a_compiled_part_does_not_keep_a_network_from_being_copied_and_stored(fresh, at):
    """Of a module that has no attention torch leaves the compiled code behind, too."""
    net, _ = plugged(at)
    y = net(picture())
    net.blocks[0].compile(backend="eager")
    torch.testing.assert_close(net(picture()), y)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(other(picture()), y)
        assert other.blocks[0]._compiled_call_impl is None


@pytest.mark.full
@pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++", "c++"))), reason="inductor needs a C++ compiler")
@pytest.mark.skipif(sys.platform == "win32", reason="inductor needs a set-up of its own there")
def test_inductor_makes_the_same_network(fresh):
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).eval(), picture()
    plug_in(net, "se", at="post", input_size=(3, 12, 14))
    plain = net(x)
    stir(net)
    with torch.no_grad():
        y = torch.compile(net, fullgraph=True)(x)
    torch.testing.assert_close(y, net(x), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(y, plain)


@pytest.mark.parametrize("at", ["post", "identity", "head", "instead"])
def test_export_has_the_attention_in_it(at):
    net, _ = plugged(at)
    x = picture()
    program = torch.export.export(net, (x,), strict=False)
    torch.testing.assert_close(program.module()(x), net(x))
    assert program.state_dict.keys() == net.state_dict().keys()
    unplug(net)
    assert not torch.allclose(program.module()(x), net(x))


@pytest.mark.parametrize("at", ["pre", "inner", "post"])
def test_fx_goes_on_seeing_the_layers_of_torch(at):
    """A plugged layer of torch is a leaf, or fx would look into the attention and find the checks of its input."""
    net, (receipt,) = plugged(at)
    traced = torch.fx.symbolic_trace(net)
    joined = {place.module for place in receipt.places}
    assert joined <= {str(node.target) for node in traced.graph.nodes if node.op == "call_module"}
    assert torch.equal(traced(picture()), net(picture()))
    assert traced.state_dict().keys() == net.state_dict().keys()


def test_the_feature_extractor_of_torchvision_reads_behind_the_attention():
    net, _ = plugged("post", "inner")
    assert get_graph_node_names(net) == get_graph_node_names(host())
    seen = {}
    with net.blocks[1].bn2.register_forward_hook(lambda module, args, out: seen.update(norm=out.clone())):
        net(picture())
    read = create_feature_extractor(net, {"blocks.1.bn2": "norm"})(picture())
    assert torch.equal(read["norm"], seen["norm"])
    last = create_feature_extractor(net, {"blocks.2.relu_1": "last"})(picture())["last"]
    torch.testing.assert_close(net.classify(last.mean((2, 3))), net(picture()))


# ---- several processes

@pytest.mark.full
def test_two_processes_train_the_attention_as_one(tmp_path):
    """Gradients are the mean of those that each half of the batch gives by itself; every parameter is used."""
    net = host()
    for at in SEPARATE:
        plug(net, at)
    net.train()
    x = picture(8)
    expected = [gradients(copy.deepcopy(net), half) for half in x.chunk(2)]
    torch.save((net, x), tmp_path / "net.pt")
    torch.multiprocessing.spawn(train_on_two, (str(tmp_path),), nprocs=2)
    (one, weights), (two, others) = (torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))
    assert one.keys() == two.keys() == expected[0].keys() and any("attention" in key for key in one)
    for key in one:
        assert torch.equal(one[key], two[key]) and torch.equal(weights[key], others[key])
        torch.testing.assert_close(one[key], (expected[0][key] + expected[1][key]) / 2, rtol=1e-4, atol=1e-6)
    assert any(not torch.equal(weights[key], p) for key, p in net.named_parameters() if "attention" in key)


# ---- autocast and layout

@each_socket
def test_identity_start_is_seen_by_nobody_under_autocast(at):
    net = host()
    with torch.autocast("cpu", torch.bfloat16):
        expected = net(picture())
        plug(net, at)
        y = net(picture())
    exact = at not in ("instead", "head")
    torch.testing.assert_close(y, expected, rtol=0 if exact else 0.02, atol=0 if exact else 0.02 * expected.abs().max().item())


def test_gradients_are_finite_under_autocast():
    net, _ = plugged(*SEPARATE)
    with torch.autocast("cpu", torch.bfloat16):
        loss = net.train()(picture(4)).float().square().mean()
    loss.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


def layouts(net: nn.Module, x: torch.Tensor) -> dict[str, bool]:
    """Of each block and norm of the host: does it give its map in channels_last?"""
    seen, handles = {}, []
    for name, module in net.named_modules():
        if name in ("blocks.0", "blocks.2") or isinstance(module, nn.BatchNorm2d) and "attention" not in name:
            handles.append(module.register_forward_hook(
                lambda m, args, out, name=name: seen.update({name: out.is_contiguous(memory_format=LAST)})))
    net(x)
    for handle in handles:
        handle.remove()
    return seen


@each_socket
def test_channels_last_stays_channels_last(at):
    net, _ = plugged(at)
    x = picture(4)
    y = net(x)
    net, plain, x = net.to(memory_format=LAST), host().to(memory_format=LAST), x.contiguous(memory_format=LAST)
    torch.testing.assert_close(net(x), y, rtol=1e-4, atol=1e-4)
    assert all(layouts(plain, x).values()) and layouts(net, x) == layouts(plain, x)


JOIN = [name for name, cls in attention.REGISTRY.items() if cls.kind in ("gate", "mixing") and name != "attention_gate"]
REPLACE = ["sk", "split", "condconv", "dynamic_conv", "bot"]


@pytest.mark.parametrize("name, at", [*((name, "post") for name in JOIN), *((name, "instead") for name in REPLACE)])
def test_a_mechanism_keeps_the_layout_of_the_map_that_it_joins(name, at):
    net = Host().eval().to(memory_format=LAST)
    plug_in(net, name, at=at, layers="blocks.0", start="as_made" if at == "instead" else "identity", input_size=(3, 12, 14))
    assert all(layouts(net, picture(4).contiguous(memory_format=LAST)).values())
