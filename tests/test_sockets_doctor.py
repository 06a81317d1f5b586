"""doctor: is what was plugged in still there, does it run, does it learn? Findings P2 and P15."""

import types

import pytest
import torch
import torch.nn.functional as F
from sockets_host import Host, host, learn, picture, stir
from test_sockets_placement import alive
from torch import nn
from torch.ao.quantization import get_default_qat_qconfig, prepare_qat

from course_utils.sockets import doctor, plug_in, unplug

SIZE = (3, 12, 14)


def plugged(at: str = "post", attention="se", **options):
    net = host()
    plug_in(net, attention, at, input_size=SIZE, **options)
    return net


def names(checkup) -> set[str]:
    """Of the modules that are complained of."""
    return {f.name for f in checkup.findings if f.complaints}


# ---- healthy ones are not accused

HEALTHY = {
    "identity start": lambda: plugged(),
    "as made": lambda: plugged(start="as_made"),
    "trained": lambda: learn(plugged().train(), 3, 0.01).eval(),
    "in training mode": lambda: plugged().train(),
    "both": lambda: plugged("both"),
    "instead": lambda: plugged("instead", "dynamic_conv", kernels=2),
    "head": lambda: plugged("head", "attention_pool"),
    "fuse": lambda: plugged("fuse", "aff"),
    "eased": lambda: plugged("post", "simam"),
    "skip": lambda: plugged("identity"),
    "without weights": lambda: plugged("post", "simam", start="as_made"),
    "a shared module": lambda: shared(),
    "in double precision": lambda: plugged().double(),
    "frozen host": lambda: freeze(plugged()),
    "its own forward": lambda: own_forward(plugged()),
}


def freeze(net):
    for name, p in net.named_parameters():
        p.requires_grad_("attention" in name)
    return net


def own_forward(net):
    """A forward on the object itself, as a fusing library sets it; it does not hide the attention."""
    bn = net.blocks[0].bn2
    def fused(self, x):
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias)
    bn.forward = types.MethodType(fused, bn)
    return net


def shared():
    block = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3))
    net = alive(nn.Sequential(block, nn.ReLU(), block, nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    plug_in(net, "eca", "post", input_size=SIZE)
    return net


@pytest.mark.parametrize("case", HEALTHY)
@pytest.mark.parametrize("pictures", [None, "batch"])
def test_a_healthy_network_is_not_accused(case, pictures):
    net = HEALTHY[case]()
    dtype = next(net.parameters()).dtype
    checkup = doctor(net, None if pictures is None else picture(2, dtype=dtype))
    assert checkup and not checkup.complaints and len(checkup.findings) > 0, checkup
    assert f"all {len(checkup.findings)} modules run" in str(checkup)


def test_looking_changes_nothing():
    net = plugged().train()
    before = {k: (v._version, v.data_ptr()) for k, v in net.state_dict().items()}
    doctor(net, picture())
    assert net.training and all(p.grad is None for p in net.parameters()) and not net.blocks[0].bn2._forward_hooks
    assert before == {k: (v._version, v.data_ptr()) for k, v in net.state_dict().items()}


# ---- each fault is found, at the modules that have it, and at no others

def test_what_an_exchange_of_modules_has_lost_is_missed():
    """As re-parameterising, merging adapters and building anew do. Catches a doctor that asks only those who are there."""
    net = plugged()
    net.blocks[0].bn2 = nn.Identity()
    checkup = doctor(net, picture())
    assert names(checkup) == {"blocks.0.bn2.attention_post"} and not checkup
    assert "gone: the network has no such module any more" in str(checkup) and "Plug in afterwards" in str(checkup)


def test_a_whole_block_that_is_gone_is_missed_too():
    net = plugged()
    net.blocks[1] = nn.Conv2d(8, 16, 3, 2, 1)
    assert names(doctor(net, picture())) == {"blocks.1.bn2.attention_post"}


def test_what_does_not_run_is_found():
    """It is there, has all its keys, and the network goes another way."""
    net = plugged()
    block = net.blocks[2]
    net.blocks[2].forward = types.MethodType(lambda self, x: F.relu(self.conv2(F.relu(self.conv1(x))) + x), block)
    checkup = doctor(net, picture())
    assert names(checkup) == {"blocks.2.bn2.attention_post"} and "does not run" in str(checkup)


class Again(Host):
    def forward(self, x):
        return super().forward(x) + 0 * self.blocks[0](F.relu(self.norm(self.conv(x)))).mean()


def test_what_runs_more_often_than_it_did_is_found():
    net = plugged("after_add")
    net.__class__ = Again
    checkup = doctor(net, picture())
    assert names(checkup) == {"blocks.0.attention_after_add"} and "runs 2 times for one picture, and 1 times" in str(checkup)


def test_what_is_not_finite_is_found_where_it_begins():
    net = plugged(start="as_made")
    with torch.no_grad():
        net.blocks[2].bn2.attention_post.excite.bias.fill_(float("nan"))
    checkup = doctor(net, picture())
    assert "blocks.2.bn2.attention_post" in names(checkup) and "not finite" in str(checkup)
    assert checkup.findings[0].finite and checkup.findings[1].finite and not checkup.findings[2].finite


def test_where_no_gradient_comes_is_found():
    class Cut(nn.Module):
        def forward(self, x):
            return x.detach()
    net = plugged()
    net.blocks.insert(1, Cut())
    checkup = doctor(net, picture())
    assert {n for n in names(checkup) if "blocks.0" in n} and "no gradient reaches it" in str(checkup)


def test_weights_that_were_set_anew_after_plugging_in_are_told():
    """`net.apply(init)` destroys the identity start: no fault that can be told from training, so it is said and not accused."""
    net = plugged()

    def init(module):
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, std=0.1)
    assert "identity start" not in str(doctor(net, picture()))
    net.apply(init)
    assert "have left their identity start: by training, or because net.apply(init)" in str(doctor(net, picture()))


@pytest.mark.filterwarnings("ignore")
def test_a_convolution_that_stays_in_float_while_the_others_are_prepared_is_found():
    """P15: quantisation-aware training exchanges modules by their exact class, and leaves a plugged one as it is."""
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
    plug_in(net, "se", "post", layers="2", input_size=SIZE)
    net.train().qconfig = get_default_qat_qconfig("x86")
    prepare_qat(net, inplace=True)
    checkup = doctor(net, picture())
    assert names(checkup) == {"2.attention_post"} and "stays in float" in str(checkup)


def test_an_adapter_around_what_it_joined_is_told_and_not_taken_for_a_loss():
    """The attention runs, and what the adapter adds does not see it. Catches 'gone' for what has moved."""
    class Adapter(nn.Module):
        def __init__(self, base):
            super().__init__()
            self.base_layer, self.low = base, nn.Conv2d(base.in_channels, base.out_channels, 1)

        def forward(self, x):
            return self.base_layer(x) + self.low(x)
    net = plugged("pre", layers="blocks.0")
    net.blocks[0].conv1 = Adapter(net.blocks[0].conv1)
    checkup = doctor(net, picture())
    assert names(checkup) == {"blocks.0.conv1.base_layer.attention_pre"} and "sees the map without this attention" in str(checkup)


def test_what_was_plugged_into_a_wrapper_is_missed_in_what_it_held():
    """As merging adapters gives back the network inside. Catches a note that only the wrapper has."""
    class Wrapper(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, x):
            return self.model(x)
    whole = Wrapper(host())
    plug_in(whole, "se", "post", input_size=SIZE)
    inside = whole.model
    inside.blocks[0].bn2 = nn.BatchNorm2d(8)
    assert names(doctor(inside, picture())) == {"blocks.0.bn2.attention_post"}


@pytest.mark.parametrize("silent", [True, False])
def test_a_branch_that_starts_at_zero_is_told_and_not_accused(silent):
    """As with zero_init_residual: no gradient reaches a gate whose map is zero, and it will once the norm has moved."""
    net = host()
    for block in net.blocks:
        if silent:
            nn.init.zeros_(block.bn2.weight)
            nn.init.zeros_(block.bn2.bias)
    plug_in(net, "se", "post", start="as_made", input_size=SIZE)
    checkup = doctor(net, picture())
    assert checkup and ("3 of 3 get a map of nothing but zeros" in str(checkup)) is silent


@pytest.mark.parametrize("at", ["pre", "inner"])
def test_what_stands_before_a_norm_that_starts_at_zero_is_told_and_not_accused(at):
    """Its map is no zero, and no gradient comes all the same; one that is cut off as well is accused."""
    net = host()
    for block in net.blocks:
        nn.init.zeros_(block.bn2.weight)
    plug_in(net, "se", at, input_size=SIZE)
    before = {name: p.clone() for name, p in net.named_parameters()}
    checkup = doctor(net, picture())
    told = "of 3 get no gradient yet, for weights of the host begin at zero, such as blocks.0.bn2.weight"
    assert checkup and f"3 {told}" in str(checkup) and "a gradient reaches none of them" in str(checkup)
    assert all(torch.equal(p, before[name]) for name, p in net.named_parameters())
    net.blocks[0].conv2.register_forward_hook(lambda module, args, y: y.detach())
    assert names(doctor(net, picture())) == {checkup.findings[0].name}


@pytest.mark.parametrize("last", [lambda y: y.argmax(1), lambda y: y[:0], lambda y: y.detach()], ids=["labels", "none", "cut"])
def test_outputs_without_a_gradient_are_told_and_nobody_is_accused(last):
    """As a detector that has found nothing."""
    class Net(Host):
        def forward(self, x):
            return last(super().forward(x))
    net = stir(Net()).eval()
    plug_in(net, "se", "post", input_size=SIZE)
    checkup = doctor(net, picture())
    assert checkup and "No gradient was asked for: the outputs carry none" in str(checkup)


def test_a_gradient_of_1e_24_is_one():
    """Catches a norm whose squares are too small for single precision."""
    net = plugged()

    class Faint(nn.Module):
        def forward(self, x):
            return x * 1e-24 + x.detach() * (1 - 1e-24)
    net.blocks.append(Faint())
    assert doctor(net, picture())


@pytest.mark.filterwarnings("ignore")
def test_a_convolution_that_was_prepared_before_is_not_accused():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
    net.train().qconfig = get_default_qat_qconfig("x86")
    prepare_qat(net, inplace=True)
    plug_in(net, "se", "post", layers="2", start="as_made", input_size=SIZE)
    assert doctor(net, picture())


def test_a_size_that_fails_half_way_leaves_no_finding():
    """Without pictures usual sizes are tried. Catches numbers of a run that did not come to its end."""
    class Picky(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8 * 32 * 32, 5)

        def forward(self, x):
            x = x * float("nan") if x.shape[2] != 32 else x
            return self.fc(self.conv(x).flatten(1))
    net = Picky().eval()
    plug_in(net, "se", "post", start="as_made", input_size=32)
    assert doctor(net)


# ---- what it is asked

def test_a_network_without_attention_is_told_so():
    assert "nothing is plugged in" in str(doctor(host())) and doctor(host())
    net = plugged()
    unplug(net)
    assert "nothing is plugged in" in str(doctor(net, picture()))
    net = plugged("both")
    unplug(net, "pre")
    assert {f.name.rpartition("_")[2] for f in doctor(net, picture()).findings} == {"post"}


def test_a_part_that_was_plugged_is_known_in_the_whole_and_in_a_copy():
    import copy
    import pickle
    net = nn.ModuleDict({"body": host()})
    plug_in(net["body"], "se", "post", input_size=SIZE)

    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = net["body"]

        def forward(self, x):
            return self.body(x)
    whole = Whole()
    for twin in (whole, copy.deepcopy(whole)):
        assert [f.wanted for f in doctor(twin, picture()).findings] == [1, 1, 1]
    body = pickle.loads(pickle.dumps(whole.body))
    body.blocks[0].bn2 = nn.Identity()
    assert names(doctor(body, picture())) == {"blocks.0.bn2.attention_post"}


def test_a_wrapped_or_compiled_network_is_asked_inside():
    net = plugged()
    assert doctor(nn.DataParallel(net), picture()) and doctor(torch.compile(net, backend="eager"), picture())
    torch.compiler.reset()


@pytest.mark.parametrize("call, error, told", [
    (lambda: doctor("net"), TypeError, "must be a torch.nn.Module, got str"),
    (lambda: doctor(plugged(), torch.zeros(2, 5, 12, 14)), ValueError, "could not be run: RuntimeError.*doctor.model, pictures"),
    (lambda: doctor(plugged(), torch.zeros(4, 3, 12, 14), [0, 1, 0, 1]), ValueError, r"8 pictures or more, got labels \(4,\)"),
    (lambda: doctor(plugged(), "cat.png"), ValueError, "inputs must hold a picture.*got str"),
    (lambda: doctor(plugged(), torch.zeros(2, 3, 12, 14, dtype=torch.uint8)), ValueError, r"torch.uint8.*x\.float\(\) / 255"),
])
def test_a_wrong_call_says_what_to_do(call, error, told):
    with pytest.raises(error, match=told):
        call()


def test_a_notebook_gets_a_table():
    page = doctor(stir(plugged()), picture())._repr_html_()
    assert page.count("<tr>") == 4 and "changes its map by" in page
