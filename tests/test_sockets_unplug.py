"""Several sockets in one network: in which order they run, how they stack, and that unplug undoes each by itself."""

import io
import itertools
import random

import pytest
import torch
from sockets_host import SEPARATE, USUAL, Host, host, learn, picture, plug, plugged, same, stir
from torch import nn

from course_utils import attention
from course_utils.sockets import plug_in, unplug

each_socket = pytest.mark.parametrize("at", USUAL)
SIZE = (3, 12, 14)


def stored(net: nn.Module) -> bytes:
    """A network down to the last byte: classes, attributes and their order, weights."""
    buffer = io.BytesIO()
    torch.save(net, buffer)
    return buffer.getvalue()


def order_of_calls(net: nn.Module, x: torch.Tensor) -> list[str]:
    """The names of attention modules, without those of the modules that they joined, as they were called."""
    seen: list[str] = []
    new = {name: module for name, module in net.named_modules() if name.rpartition(".")[2].startswith("attention_")}
    handles = [module.register_forward_hook(lambda m, args, out, name=name: seen.append(name)) for name, module in new.items()]
    net(x)
    for handle in handles:
        handle.remove()
    return seen


class Own(Host):
    """Pools in its forward, so that attention at the head joins the last block."""

    def forward(self, x):
        return self.classify(self.blocks(torch.relu(self.norm(self.conv(x)))).mean((2, 3)))


# ---- where several meet

def test_sockets_at_one_module_run_in_the_order_of_the_network_whatever_was_plugged_first():
    """The order is documented in surgery.py: before a module the input, then pre; after it by how far out the place is."""
    net = stir(Own()).eval()
    last = {"layers": "blocks.2", "input_size": SIZE}
    plug_in(net, "attention_pool", at="head", input_size=SIZE)
    plug_in(net, "se", at="after_add", **last)
    plug_in(net, "se", at="post", unit="conv", layers="blocks.1.shortcut.1", input_size=SIZE)
    plug_in(net, "se", at="identity", layers="blocks.1", input_size=SIZE)
    plug_in(net, "se", at="post", unit="conv", layers="blocks.1.conv1", input_size=SIZE)
    plug_in(net, "se", at="inner", layers="blocks.1", input_size=SIZE)
    plug_in(net, "se", at="pre", unit="conv", layers="conv", input_size=SIZE)
    plug_in(net, "se", at="input", input_size=SIZE)
    plug_in(net, "se", at="between", input_size=SIZE)
    plug_in(net, "se", at="after_add", layers="blocks.0", input_size=SIZE)
    called = order_of_calls(net, picture())
    assert called == [
        "conv.attention_input", "conv.attention_pre", "blocks.0.attention_after_add", "blocks.0.attention_between",
        "blocks.1.bn1.attention_inner", "blocks.1.bn1.attention_post", "blocks.1.shortcut.1.attention_post",
        "blocks.1.shortcut.1.attention_identity", "blocks.2.attention_after_add", "blocks.2.attention_head.attention_head",
        "blocks.2.attention_head"]


@pytest.mark.parametrize("at, calls", [
    ("pre", ["blocks.0.conv1.attention_pre", "blocks.0.conv1.attention_pre_2", "blocks.0.conv1.attention_pre_3"]),
    ("post", ["blocks.0.bn2.attention_post", "blocks.0.bn2.attention_post_2", "blocks.0.bn2.attention_post_3"]),
    ("identity", ["blocks.0.attention_identity", "blocks.0.attention_identity_2", "blocks.0.attention_identity_3"]),
])
def test_stacked_attention_runs_in_the_order_of_plugging(at, calls):
    net = host()
    for name in ("se", "eca", "spatial_gate"):
        receipt = plug_in(net, name, at=at, layers="blocks.0", stack=True, input_size=SIZE)
        assert receipt.names == (calls[("se", "eca", "spatial_gate").index(name)],)
    assert order_of_calls(net, picture()) == calls
    assert [type(net.get_submodule(name)).__name__ for name in calls] == ["SE", "ECA", "SpatialGate"]


def test_a_stack_computes_one_after_the_other():
    """Against the same network wired by hand."""
    net = host()
    for name in ("se", "gc"):
        plug_in(net, name, at="post", layers="blocks.0", stack=True, start="as_made", input_size=SIZE)
    stir(net)
    by_hand, bn2 = host(), net.blocks[0].bn2
    by_hand.load_state_dict({key: value for key, value in net.state_dict().items() if "attention" not in key})
    by_hand.blocks[0].bn2 = nn.Sequential(by_hand.blocks[0].bn2, bn2.attention_post, bn2.attention_post_2)
    assert torch.equal(net(picture()), by_hand(picture()))


def test_a_stack_on_a_skip_computes_one_after_the_other():
    """Catches a second one that is called with what the first was given, or whose result is dropped."""
    net, x = host(), torch.randn(2, 8, 12, 14, generator=torch.Generator().manual_seed(0))
    for name in ("se", "gc"):
        plug_in(net, name, at="identity", layers="blocks.0", stack=True, start="as_made", input_size=SIZE)
    stir(net)
    b = net.blocks[0]
    y = b.bn2(b.conv2(torch.relu(b.bn1(b.conv1(x)))))
    torch.testing.assert_close(b(x), torch.relu(y + b.attention_identity_2(b.attention_identity(x))))


def test_a_second_one_is_refused_unless_it_is_to_be_stacked():
    net, _ = plugged("post")
    before = stored(net)
    with pytest.raises(ValueError, match="has SE at 'post' already.* unplug.* or say stack=True"):
        plug(net, "post")
    assert stored(net) == before


def test_a_part_of_the_host_with_the_name_of_a_socket_is_not_overwritten():
    net = host()
    net.blocks[0].bn2.attention_post = nn.Linear(2, 2)
    receipt = plug_in(net, "se", at="post", layers="blocks.0", input_size=SIZE)
    assert receipt.names == ("blocks.0.bn2.attention_post_2",)
    assert unplug(net) == 1 and isinstance(net.blocks[0].bn2.attention_post, nn.Linear)


def test_a_skip_is_found_beside_attention_that_looks_along_a_line():
    """ECA has a convolution of one dimension; the skip is told from the branch by the windows in them."""
    net, expected = host(), host()(picture())
    for at in ("pre", "identity"):
        plug_in(net, "eca", at=at, layers="blocks.0", input_size=SIZE)
    assert torch.equal(net(picture()), expected)
    assert order_of_calls(net, picture()) == ["blocks.0.conv1.attention_pre", "blocks.0.attention_identity"]


# ---- unplug

@each_socket
def test_unplug_gives_the_network_back_byte_for_byte(at):
    net = host()
    before, parts = stored(net), dict(net.named_modules())
    tensors = {key: id(value) for key, value in [*net.named_parameters(), *net.named_buffers()]}
    receipt = plug(net, at)
    assert stored(net) != before
    assert unplug(net) == len(receipt)
    assert stored(net) == before
    assert all(module is parts[name] for name, module in net.named_modules(remove_duplicate=False))
    assert tensors == {key: id(value) for key, value in [*net.named_parameters(), *net.named_buffers()]}


@pytest.mark.parametrize("seed", range(2))
def test_any_sockets_in_any_order_can_be_undone_in_any_order(seed):
    shuffled, net = random.Random(seed), host()
    before = stored(net)
    sockets = shuffled.sample(SEPARATE, 6)
    counts = {at: len(plug(net, at)) for at in sockets}
    for at in shuffled.sample(sockets, 6):
        assert unplug(net, at) == counts[at]
    assert stored(net) == before and unplug(net) == 0


@each_socket
def test_one_socket_of_several_can_be_unplugged(at):
    """What is left answers as if the other had never been there."""
    following = 2 * [other for other in SEPARATE if at != "both" or other not in ("pre", "post")]
    begin = following.index(at) + 1 if at in following else 0
    others = following[begin:begin + 2]
    net, receipts = plugged(at, *others)
    assert unplug(net, at) == len(receipts[0])
    never, _ = plugged(*others)
    assert list(never.state_dict()) == list(net.state_dict())
    never.load_state_dict(net.state_dict())
    assert torch.equal(never(picture()), net(picture()))


@pytest.mark.parametrize("whole", ["after_add", "identity"])
@pytest.mark.parametrize("part", ["post", "instead"])
@pytest.mark.parametrize("whole_first, whole_leaves_first", list(itertools.product([True, False], repeat=2)))
def test_a_block_and_its_parts_can_be_plugged_and_unplugged_in_either_order(whole, part, whole_first, whole_leaves_first):
    net = host()
    before = stored(net)
    for at in (whole, part) if whole_first else (part, whole):
        plug(net, at)
    stir(net, seed=1)
    other, _ = plugged(part, whole)
    other.load_state_dict(net.state_dict())
    assert torch.equal(net(picture()), other(picture())), "the order of plugging is not seen in the outputs"
    for at in (whole, part) if whole_leaves_first else (part, whole):
        assert unplug(net, at) == 3
    plain = host()
    plain.load_state_dict(net.state_dict())
    assert torch.equal(net(picture()), plain(picture())) and len(stored(net)) == len(before)


def test_unplug_keeps_what_was_learnt_and_changed_in_the_meantime():
    net = host()
    for at in SEPARATE:
        plug(net, at)
    kernels = [block.conv2._plugged_original[0].weight.clone() for block in net.blocks]
    learn(net.train(), steps=2)
    net.blocks[0].bn2.momentum = 0.3                           # an attribute of a plugged module
    net.blocks[0].conv1 = nn.Conv2d(8, 8, 1)                   # a plugged part of a plugged block is exchanged
    net.blocks[1].bn1.weight = nn.Parameter(torch.full((16,), 2.0))
    net.classify = nn.Linear(16, 3)
    weights = {key: value.clone() for key, value in net.state_dict().items() if "attention" not in key}
    unplug(net)
    assert all(module.training for module in net.modules())
    assert net.blocks[0].bn2.momentum == 0.3 and net.blocks[0].conv1.kernel_size == (1, 1) and net.classify.out_features == 3
    after = net.state_dict()
    assert same({key: after[key] for key in weights}, weights)
    assert same({key: after[key] for key in after.keys() - weights.keys()},
                {f"blocks.{i}.conv2.weight": kernel for i, kernel in enumerate(kernels)})
    assert not torch.equal(weights["blocks.0.bn2.weight"], host().state_dict()["blocks.0.bn2.weight"])


def test_what_was_taken_away_in_the_meantime_does_not_come_back():
    net = host()
    net.blocks[0].extra, net.blocks[0].flag = nn.Identity(), 1
    plug(net, "after_add")
    del net.blocks[0].extra, net.blocks[0].flag
    net.blocks[0].register_buffer("count", torch.ones(1))
    unplug(net)
    assert "blocks.0.count" in net.state_dict()
    assert not hasattr(net.blocks[0], "flag") and not hasattr(net.blocks[0], "extra")


def test_instead_gives_back_the_old_kernel_and_the_trained_bias():
    net = host()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    plug(net, "instead")
    learn(net, steps=2)
    bias = net.blocks[0].conv2.bias.clone()
    unplug(net)
    conv = net.blocks[0].conv2
    assert type(conv) is nn.Conv2d and torch.equal(conv.weight, before["blocks.0.conv2.weight"])
    assert torch.equal(conv.bias, bias) and not torch.equal(bias, before["blocks.0.conv2.bias"])


def test_a_bias_that_was_loaded_as_another_one_stays_when_the_convolution_comes_back():
    net = host()
    plug(net, "instead")
    loaded = {key: torch.full_like(value, 3) for key, value in net.state_dict().items()}
    net.load_state_dict(loaded, assign=True)
    bias = net.blocks[0].conv2.bias
    unplug(net)
    assert net.blocks[0].conv2.bias is bias and bias.eq(3).all()


def test_attention_that_the_host_was_built_with_is_left_alone():
    net = host()
    net.blocks[0].bn2 = nn.Sequential(net.blocks[0].bn2, attention.build("se", 8))
    plug(net, "post")
    assert unplug(net) == 3
    assert isinstance(net.blocks[0].bn2[1], attention.SE)
