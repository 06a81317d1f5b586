"""After plug_in a network is still a network of torch: its weights keep their names, it can be copied, stored and sent,
and unplug gives it back.
"""

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import pytest
import torch
from sockets_host import SEPARATE, USUAL, Host, answer, host, learn, picture, plug, plugged, same, stir
from torch import nn

from course_utils.sockets import plug_in, unplug

each_socket = pytest.mark.parametrize("at", USUAL)


def tensors(net: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in net.state_dict().items()}


def set_aside(at: str, receipt) -> set[str]:
    """Keys of the host that a plugged network does not have: only kernels that were replaced."""
    return {f"{place.module}.weight" for place in receipt.places} if at == "instead" else set()


def new_keys(net: nn.Module, receipt) -> set[str]:
    return {f"{name}.{key}" for name, module in zip(receipt.names, receipt.modules(net), strict=True)
            for key in module.state_dict()}


def rebuilt(weights: dict) -> nn.Module:
    """A plain host with these weights, strictly."""
    net = Host().to(next(iter(weights.values())).dtype).eval()
    net.load_state_dict(weights)
    return net


# ---- names of weights

@each_socket
def test_weights_of_the_host_are_not_renamed_and_the_receipt_names_the_new_ones(at):
    before = list(host().state_dict())
    net, (receipt,) = plugged(at)
    after, gone = list(net.state_dict()), set_aside(at, receipt)
    assert [key for key in after if key in before] == [key for key in before if key not in gone]
    assert set(after) - set(before) == new_keys(net, receipt) != set()
    assert gone <= set(before) and not gone & set(after)
    assert {key for key, _ in net.named_parameters()} >= {key for key, _ in host().named_parameters()} - gone


@each_socket
def test_weights_of_the_plain_host_can_be_loaded(at):
    """Nothing is unexpected and only the attention is missing; `instead` has no place for the kernels it replaced.

    A batch norm of torch does not miss its counter of batches.
    """
    net, (receipt,) = plugged(at)
    weights, trained = host(seed=3).state_dict(), tensors(net)
    missing, unexpected = net.load_state_dict(weights, strict=False)
    assert set(unexpected) == set_aside(at, receipt)
    assert set(missing) == {key for key in new_keys(net, receipt) if not key.endswith("num_batches_tracked")}
    assert same(net.state_dict(), {key: weights[key] if key in weights else value for key, value in trained.items()})


@pytest.mark.parametrize("at", [at for at in USUAL if at != "instead"])
def test_loaded_weights_reach_the_steps_of_the_network(at):
    """Not a twin of the module that nobody calls: a fresh identity start then answers as the host does."""
    net, x = host(), picture()
    plug(net, at)
    net.load_state_dict(host(seed=3).state_dict(), strict=False)
    torch.testing.assert_close(net(x), host(seed=3)(x), rtol=0, atol=0 if at != "head" else 1e-5)


# ---- copies

@each_socket
def test_a_copy_shares_nothing_with_the_original(at):
    """Not even the kernel that is set aside."""
    net = host()
    receipt = plug(net, at)
    stir(net, seed=1)
    x, before = picture(), tensors(net)
    y = net(x)
    twin = copy.deepcopy(net)
    assert torch.equal(twin(x), y) and list(twin.state_dict()) == list(net.state_dict())
    assert unplug(copy.deepcopy(net)) == len(receipt)
    unplug(twin)
    assert not torch.equal(twin(x), y) and torch.equal(twin(x), rebuilt(tensors(twin))(x))
    weights = tensors(twin)
    stir(twin, seed=9)
    assert torch.equal(net(x), y) and same(tensors(net), before)
    assert unplug(net) == len(receipt) and same(tensors(net), weights)


@each_socket
def test_a_copy_can_be_trained_by_itself(at):
    net, _ = plugged(at)
    y, twin = net(picture()), copy.deepcopy(net)
    stir(twin, seed=9)
    assert not torch.equal(twin(picture()), y) and torch.equal(net(picture()), y)


@each_socket
def test_stored_weights_give_the_same_outputs_in_a_freshly_plugged_network(at, tmp_path):
    net, _ = plugged(at)
    torch.save(net.state_dict(), tmp_path / "weights.pt")
    other = host(seed=5)
    plug(other, at, start="as_made" if at == "instead" else "identity")
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(other(picture()), net(picture()))


@each_socket
def test_a_whole_network_can_be_stored(at, tmp_path):
    net, (receipt,) = plugged(at)
    torch.save(net, tmp_path / "net.pt")
    other, x = torch.load(tmp_path / "net.pt", weights_only=False), picture()
    assert torch.equal(other(x), net(x)) and same(tensors(other), tensors(net))
    assert unplug(other) == len(receipt)
    unplug(net)
    assert torch.equal(other(x), net(x)) and same(tensors(other), tensors(net))


def test_another_process_can_be_given_a_plugged_network():
    """A process that starts afresh has never seen the classes that plug_in makes."""
    net, _ = plugged(*SEPARATE)
    x = picture()
    expected = net(x).tolist()
    plain = unplug(copy.deepcopy(net))
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        outputs, taken = pool.submit(answer, pickle.dumps(net), x.tolist()).result()
    assert outputs == expected and taken == plain


# ---- number format, device, mode, frozen weights

@each_socket
def test_new_modules_have_the_number_format_of_the_host(at):
    net = host().to(torch.bfloat16)
    plug(net, at)
    assert {p.dtype for p in net.parameters()} == {torch.bfloat16}
    assert net(picture(dtype=torch.bfloat16)).dtype == torch.bfloat16


@each_socket
def test_a_plugged_network_can_change_its_number_format(at):
    net, _ = plugged(at)
    before = tensors(net)
    net.double()
    assert {p.dtype for p in net.parameters()} == {torch.float64}
    assert net(picture(dtype=torch.float64)).dtype == torch.float64
    unplug(net)
    assert {p.dtype for p in net.parameters()} == {torch.float64}, "also what had been set aside"
    assert all(torch.equal(value, before[key].double()) for key, value in net.named_parameters() if key in before)


@each_socket
def test_new_modules_are_on_the_device_of_the_host(at):
    """The meta device stands for any that is not the processor."""
    net = Host().to("meta")
    plug(net, at)
    assert {t.device.type for t in [*net.parameters(), *net.buffers()]} == {"meta"}
    assert net(torch.empty(2, 3, 12, 14, device="meta")).shape == (2, 5)


@each_socket
def test_a_plugged_network_can_move(at):
    net, _ = plugged(at)
    net.to("meta")
    assert {t.device.type for t in [*net.parameters(), *net.buffers()]} == {"meta"}
    unplug(net)
    assert {t.device.type for t in [*net.parameters(), *net.buffers()]} == {"meta"}, "also what had been set aside"


@each_socket
@pytest.mark.parametrize("mode", [True, False])
def test_new_modules_are_in_the_mode_of_the_host_and_follow_it(at, mode):
    net = host().train(mode)
    plug(net, at)
    assert {m.training for m in net.modules()} == {mode}
    net.train(not mode)
    assert {m.training for m in net.modules()} == {not mode}
    unplug(net)
    assert {m.training for m in net.modules()} == {not mode}, "the originals come back in the mode of today"


@each_socket
def test_a_frozen_host_stays_frozen_and_its_attention_learns(at):
    net = host().requires_grad_(False)
    before = tensors(net)
    receipt = plug(net, at)
    new = new_keys(net, receipt) & dict(net.named_parameters()).keys()
    assert {key for key, p in net.named_parameters() if p.requires_grad} == new
    start = {key: value.clone() for key, value in net.named_parameters() if key in new}
    learn(net.eval(), steps=2)
    assert any(not torch.equal(value, dict(net.named_parameters())[key]) for key, value in start.items())
    unplug(net)
    assert same(tensors(net), before) and not any(p.requires_grad for p in net.parameters())


def test_hooks_of_the_host_are_called_and_can_be_removed():
    net, seen = host(), []
    handle = net.blocks[0].bn2.register_forward_hook(lambda module, args, out: seen.append(out))
    plug(net, "post")
    stir(net)(picture())
    attention = net.blocks[0].bn2.attention_post
    bare = nn.BatchNorm2d.forward(net.blocks[0].bn2, torch.ones(1, 8, 3, 3))
    assert len(seen) == 1 and not torch.equal(attention(bare), bare)
    handle.remove()
    net(picture())
    unplug(net)
    net(picture())
    assert len(seen) == 1


def test_an_instance_that_was_plugged_is_still_of_its_class():
    net = plugged("post", "after_add", "pre")[0]
    assert isinstance(net.blocks[0].bn2, nn.BatchNorm2d) and isinstance(net.blocks[0].conv1, nn.Conv2d)
    assert type(net.blocks[0]).__name__ == "PluggedBlock" and isinstance(net.blocks[0], type(host().blocks[0]))
    assert net.blocks[0].bn2.num_features == 8 and "attention_post" in repr(net)


def test_plug_in_takes_one_module_for_each_place():
    made = []

    def gate(channels):
        made.append(nn.Conv2d(channels, channels, 1))
        return made[-1]

    net = host()
    receipt = plug_in(net, gate, at="post", start="as_made", input_size=(3, 12, 14))
    assert len(made) == len(receipt) == len(set(map(id, receipt.modules(net)))) == 3
    assert receipt.modules(net) == made
