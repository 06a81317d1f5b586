"""Mixing, branches, kernels and the two ends of a network: parity with code that is not ours, read and unread, in float64."""

import oracles_mixing as loops
import pytest
import timm.layers
import torch
import torch.nn.functional as F
import torchvision
from timm.layers.bottleneck_attn import BottleneckAttn
from timm.layers.halo_attn import HaloAttn
from torch import nn
from torch.overrides import TorchFunctionMode

from course_utils import attention
from course_utils.attention.deform import looked_up

evaluation_and_training = pytest.mark.parametrize("training", [False, True])


def options(*sets):
    return pytest.mark.parametrize("given", sets, ids=lambda given: " ".join(f"{k}={v}" for k, v in given.items()) or "default")


def picture(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def moved(name, channels, seed=0, by=0.5, **given):
    """A mechanism in evaluation mode whose parameters and running statistics are all away from their start."""
    torch.manual_seed(seed)      # for the start itself
    module, g = attention.build(name, channels, **given).double(), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(by * torch.randn(p.shape, dtype=p.dtype, generator=g))
        for mean, variance in statistics(module):
            mean.add_(0.5 * torch.randn(mean.shape, dtype=mean.dtype, generator=g))
            variance.mul_(0.5 + torch.rand(mean.shape, dtype=mean.dtype, generator=g))
    return module.eval()


def statistics(module):
    return [(m.running_mean, m.running_var) for m in module.modules() if isinstance(m, nn.BatchNorm2d)]


def close(got, expected):
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)


def read(module, x):
    """The output of a pass that is read, and what was read."""
    with attention.read(module) as seen:
        y = module(x)
    return y, seen[type(module).__name__]


def assert_same(module, x, expected, weights, key="map"):
    """Without a reader and with one: the same numbers; and what was read are the reference's weights."""
    close(module(x), expected)
    y, seen = read(module, x)
    close(y, expected)
    close(seen[key], weights)


class Calls(TorchFunctionMode):
    """Every torch function that runs inside, with its result: the weights of code that does not hand them out."""

    def __init__(self):
        super().__init__()
        self.made = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.made.append((func.__name__, result))
        return result

    def of(self, *names):
        return [result for name, result in self.made if name in names]


def hand_over(theirs, ours, layers):
    """Copy all parameters and statistics; `layers` maps their names to ours. Nothing may be left over on either side."""
    state, theirs = ours.state_dict(), theirs.double().eval()
    pairs = {key: next(key.replace(a, b, 1) for a, b in layers.items() if key.startswith(a)) for key in theirs.state_dict()}
    assert sorted(pairs.values()) == sorted(state)
    theirs.load_state_dict({key: state[pairs[key]].reshape(value.shape) for key, value in theirs.state_dict().items()})
    return theirs


def assert_same_as_timm(ours, theirs, x, key="map"):
    for training in (False, True):
        ours.train(training)
        theirs.train(training)
        theirs(x)      # ours runs twice, and in training each pass moves the running statistics
        with Calls() as calls:
            expected = theirs(x)
        [weights] = calls.of("softmax", "sigmoid")
        y, seen = read(ours, x)
        close(ours(x), expected)
        close(y, expected)
        close(seen[key], weights.reshape(seen[key].shape))
    assert len(statistics(ours)) == len(statistics(theirs))
    for mine, other in zip(statistics(ours), statistics(theirs), strict=True):
        close(mine[0], other[0])
        close(mine[1], other[1])


# ---- non-local

@pytest.mark.parametrize("channels, hidden, shape", [(6, 4, (5, 9)), (16, 3, (7, 3)), (5, 1, (1, 4))])
@pytest.mark.parametrize("scaled", [True, False])
def test_non_local_equals_timm(channels, hidden, shape, scaled):
    ours = moved("non_local", channels, hidden=hidden, scale=channels ** -0.5 if scaled else None)
    theirs = timm.layers.NonLocalAttn(channels, use_scale=scaled, rd_channels=hidden)
    hand_over(theirs, ours, {"t.": "query.", "p.": "key.", "g.": "value.", "z.": "out.", "norm.": "norm."})
    assert_same_as_timm(ours, theirs, picture(2, channels, *shape))


@evaluation_and_training
@options({}, {"hidden": 3}, {"subsample": True}, {"norm": False}, {"norm": False, "subsample": True, "scale": 0.3},
         {"form": "dot"}, {"form": "dot", "subsample": True}, {"form": "dot", "norm": False, "scale": 0.3})
def test_non_local_equals_nested_loops(given, training):
    module, x = moved("non_local", 4, **given).train(training), picture(2, 4, 3, 5)
    rest = {key: value for key, value in given.items() if key != "hidden"}
    assert_same(module, x, *loops.non_local(x, loops.numbers(module), training=training, **rest))


# ---- local attention with a halo

@options({"heads": 2, "block": 3, "halo": 1}, {"heads": 1, "block": 2, "halo": 2}, {"heads": 4, "block": 3, "halo": 0},
         {"heads": 2, "block": 3, "halo": 1, "scale_position": False}, {"block": 8, "halo": 3})
def test_halo_equals_nested_loops(given):
    """Sides that the block does not divide, and one that is smaller than it."""
    module, x = moved("halo", 8, **given), picture(2, 8, 5, 7)
    assert_same(module, x, *loops.halo(x, loops.numbers(module), module.heads, module.block, module.halo, module.scale_position))


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("block, halo, heads", [(3, 2, 2), (4, 4, 1), (2, 1, 4)])
def test_halo_equals_timm_where_the_window_lies_inside(block, halo, heads, scaled):
    """timm's tables have 2 halo rows more, which its shift never reaches; its zeros beyond the border are not masked."""
    ours = moved("halo", 32, block=block, halo=halo, heads=heads, scale_position=scaled)
    theirs = HaloAttn(32, num_heads=heads, block_size=block, halo_size=halo, scale_pos_embed=scaled).double()
    unused = torch.full((2 * halo, 32 // heads), 1e6, dtype=torch.float64)
    q, kv = ours.qkv.weight.split([32, 64])
    d, parts = 32 // heads, kv.unflatten(0, (2, heads, -1))
    theirs.load_state_dict({"q.weight": q, "kv.weight": parts.transpose(0, 1).flatten(0, 2),      # timm: head by head, k then v
                            "pos_embed.height_rel": torch.cat([unused, ours.rows]),
                            "pos_embed.width_rel": torch.cat([unused, ours.columns])})
    assert parts.shape == (2, heads, d, 32, 1, 1)
    x = picture(2, 32, 3 * block, 5 * block)
    middle = (..., slice(block, 2 * block), slice(block, 4 * block))
    close(ours(x)[middle], theirs(x)[middle])
    assert (ours(x) - theirs(x)).abs().max() > 1e-3      # at the border


def test_halo_keeps_a_constant_map_and_timm_does_not():
    """What a softmax that counts the zeros outside does: values shrink at the border."""
    ours, x = moved("halo", 32, block=4, halo=2), picture(1, 32, 1, 1).expand(1, 32, 10, 14)
    close(ours(x), ours(x)[..., :1, :1].expand_as(x))
    y = HaloAttn(32, block_size=4, halo_size=2).double()(picture(1, 32, 1, 1).expand(1, 32, 12, 16))
    share = (y / y[..., 5:6, 5:6]).squeeze()
    assert share[:, 5, 5].min() > 0.999 and 0.2 < share[:, 0, 0].min() and share[:, 0, 0].max() < 0.95


# ---- global context

@pytest.mark.parametrize("channels, reduction, shape", [(48, 16, (5, 9)), (20, 4, (7, 3)), (9, 2, (1, 4))])
def test_global_context_equals_timm(channels, reduction, shape):
    ours = moved("gc", channels, reduction=reduction)
    theirs = timm.layers.GlobalContext(channels, fuse_add=True, fuse_scale=False, rd_channels=channels // reduction)
    theirs.mlp_add.norm.eps = 1e-5      # the authors' value
    hand_over(theirs, ours, {"conv_attn.": "attend.", "mlp_add.fc1.": "squeeze.", "mlp_add.norm.": "norm.",
                             "mlp_add.fc2.": "excite."})
    assert_same_as_timm(ours, theirs, picture(2, channels, *shape))


def test_global_context_has_the_width_of_the_paper():
    """timm by its ratio of 1/16, not by a width that the test gives to both."""
    ours = moved("gc", 50)
    theirs = timm.layers.GlobalContext(50, fuse_add=True, fuse_scale=False, rd_ratio=1 / 16)
    assert theirs.mlp_add.fc1.weight.shape == ours.squeeze.weight.shape


@options({"reduction": 1}, {"reduction": 2})
def test_global_context_equals_nested_loops(given):
    module, x = moved("gc", 6, **given), picture(2, 6, 3, 5)
    assert_same(module, x, *loops.gc(x, loops.numbers(module)))


# ---- self-attention in a bottleneck

@pytest.mark.parametrize("scale_position", [True, False])
@pytest.mark.parametrize("channels, heads, size", [(12, 3, (5, 4)), (16, 4, (3, 7)), (5, 1, (4, 1))])
def test_bot_equals_timm(channels, heads, size, scale_position):
    """timm's tables are indexed as ours: entry p of a table of 2 L - 1 is for a key p - L + 1 rows or columns further on."""
    ours = moved("bot", channels, size=size, heads=heads, scale_position=scale_position)
    theirs = BottleneckAttn(channels, feat_size=size, num_heads=heads, dim_head=channels // heads, scale_pos_embed=scale_position)
    hand_over(theirs, ours, {"qkv.": "qkv.", "pos_embed.height_rel": "rows", "pos_embed.width_rel": "columns"})
    assert_same_as_timm(ours, theirs, picture(2, channels, *size))


@pytest.mark.parametrize("scale_position", [True, False])
@pytest.mark.parametrize("size", [(3, 5), (4, 2), None])
@pytest.mark.parametrize("heads", [1, 2])
def test_bot_equals_nested_loops(size, heads, scale_position):
    module = moved("bot", 4, size=size, heads=heads, scale_position=scale_position)
    x = picture(2, 4, *(size or (3, 5)))
    assert_same(module, x, *loops.bot(x, loops.numbers(module), heads, scale_position, position=size is not None))


def test_bot_moves_its_position_with_the_query():
    """Where q and k are the same everywhere, what is left depends on how far apart two places are, not on where they are."""
    h, w = 4, 3
    module = moved("bot", 4, size=(h, w), heads=2)
    _, seen = read(module, picture(1, 4, 1, 1).expand(1, 4, h, w).contiguous())
    logits = seen["map"].log().view(2, h, w, h, w)
    seen_at = {}
    for i, j, k, m in [(i, j, k, m) for i in range(h) for j in range(w) for k in range(h) for m in range(w)]:
        seen_at.setdefault((k - i, m - j), []).append(logits[:, i, j, k, m] - logits[:, i, j, i, j])
    assert len(seen_at) == (2 * h - 1) * (2 * w - 1)
    for values in seen_at.values():
        close(torch.stack(values), values[0].expand(len(values), 2))
    apart = torch.stack([values[0] for values in seen_at.values()])
    assert len(apart[:, 0].unique()) == len(seen_at)                  # and every distance has a number of its own


# ---- mixing that costs less

@options({}, {"hidden": 3}, {"start": "identity"})
def test_efficient_attention_equals_nested_loops(given):
    module, x = moved("efficient", 4, **given), picture(2, 4, 3, 5)
    assert_same(module, x, *loops.efficient(x, loops.numbers(module)))


@options({}, {"features": 3, "bags": 2}, {"features": 2, "bags": 5}, {"features": 3, "bags": 3, "start": "identity"})
def test_double_attention_equals_nested_loops(given):
    module, x = moved("double", 4, **given), picture(2, 4, 3, 5)
    assert_same(module, x, *loops.double(x, loops.numbers(module)))


@options({"passes": 1}, {"passes": 2}, {"passes": 2, "reduction": 2}, {"passes": 3, "reduction": 1})
def test_criss_cross_equals_nested_loops(given):
    module, x = moved("criss_cross", 4, **given), picture(2, 4, 3, 5)
    assert_same(module, x, *loops.criss_cross(x, loops.numbers(module), given["passes"]))


def test_criss_cross_has_the_two_passes_of_the_paper():
    once, twice = (moved("criss_cross", 4, **given) for given in ({"passes": 1}, {}))
    x = picture(2, 4, 3, 5)
    close(twice(x), once(once(x)))


@pytest.mark.parametrize("h, w", [(3, 5), (6, 2), (1, 4), (5, 1)])
def test_criss_cross_counts_the_pixel_itself_once(h, w):
    """Queries and keys of zero: the H + W - 1 places of the cross get the same weight, the one in the middle too."""
    module, x = moved("criss_cross", 4, passes=1), picture(2, 4, h, w)
    for layer in (module.query, module.key):
        for p in layer.parameters():
            nn.init.zeros_(p)
    y, seen = read(module, x)
    rows, columns = torch.arange(h * w) // w, torch.arange(h * w) % w
    cross = (rows[:, None] == rows) | (columns[:, None] == columns)
    close(seen["map"], (cross.double() / (h + w - 1)).expand(2, 1, -1, -1))
    v = module.value(x)
    close(y, x + module.gamma * (v.sum(2, keepdim=True) + v.sum(3, keepdim=True) - v) / (h + w - 1))
    close(module(x), y)


# ---- defaults

@pytest.mark.parametrize("name, channels, given, numbers, expected", [
    ("non_local", 9, {}, lambda m: (m.query.out_channels, m.key.out_channels, m.value.out_channels, m.scale), (4, 4, 4, 1)),
    ("bot", 16, {}, lambda m: m.heads, 4), ("bot", 9, {}, lambda m: m.heads, 3),
    ("efficient", 9, {}, lambda m: (m.query.out_channels, m.key.out_channels), (4, 4)),
    ("double", 9, {}, lambda m: (m.features.out_channels, m.gather.out_channels, m.distribute.out_channels), (2, 2, 2)),
    ("criss_cross", 33, {}, lambda m: (m.query.out_channels, m.key.out_channels), (4, 4)),
    ("sk", 640, {"groups": 640}, lambda m: (m.squeeze[0].out_channels, len(m.branches)), (40, 2)),
    ("condconv", 4, {}, lambda m: (m.count, m.router.out_features), (8, 8)),
    ("dynamic_conv", 12, {}, lambda m: (m.temperature, m.count, m.squeeze.out_features), (30, 4, 3)),
    ("attention_pool", 9, {}, lambda m: m.look.out_channels, 2)])
def test_defaults_are_the_numbers_of_the_docstring(name, channels, given, numbers, expected):
    assert numbers(attention.build(name, channels, **given)) == expected


# ---- what mixing has in common

MIXING = {"non_local": {}, "gc": {"reduction": 2}, "bot": {}, "efficient": {}, "criss_cross": {},
          "double": {"features": 2, "bags": 3}}


def shuffled(x, seed=3):
    places = torch.randperm(x.shape[2] * x.shape[3], generator=torch.Generator().manual_seed(seed))
    return x.flatten(2)[..., places].view_as(x)


@pytest.mark.parametrize("name, given, follows", [
    ("non_local", {}, True), ("non_local", {"form": "dot"}, True), ("gc", {"reduction": 2}, True), ("efficient", {}, True),
    ("double", {"features": 2, "bags": 3}, True), ("bot", {}, True), ("bot", {"size": (5, 7)}, False),
    ("non_local", {"subsample": True}, False), ("criss_cross", {}, False)])
def test_only_mixing_without_position_follows_a_shuffle(name, given, follows):
    module, x = moved(name, 4, **given), picture(2, 4, 5, 7)
    error = (module(shuffled(x)) - shuffled(module(x))).abs().max()
    assert error < 1e-12 if follows else error > 1e-2


@pytest.mark.parametrize("name, given", [*MIXING.items(), ("non_local", {"form": "dot"}), ("non_local", {"subsample": True}),
                                         ("bot", {"size": (5, 7)})])
def test_a_constant_map_stays_constant(name, given):
    """Weights over positions that do not sum to one, or a border that is not masked, would show. Size must not matter either."""
    module, x = moved(name, 4, **given), picture(2, 4, 1, 1)
    y = module(x.expand(2, 4, 5, 7).contiguous())
    close(y, y[..., :1, :1].expand_as(y))
    assert (y - x).abs().min() > 1e-6
    if "size" not in given:
        close(module(x.contiguous()), y[..., :1, :1])


@pytest.mark.parametrize("name", MIXING)
def test_rows_of_a_map_sum_to_one(name):
    _, seen = read(moved(name, 4, **MIXING[name]), picture(2, 4, 5, 7))
    close(seen["map"].sum(-1), torch.ones(seen["map"].shape[:-1], dtype=torch.float64))
    assert (seen["map"] >= 0).all() and seen["map"].shape[-1] == 35


@pytest.mark.parametrize("name, given, fused", [
    ("non_local", {}, True), ("non_local", {"subsample": True}, True), ("non_local", {"form": "dot"}, False), ("bot", {}, True),
    ("efficient", {}, False), ("double", {"features": 2, "bags": 3}, False)])
def test_no_map_is_made_unless_it_is_read(name, given, fused):
    """Else the two halves of every parity test here would run the same code, and large maps would not fit."""
    module, x = moved(name, 4, **given), picture(2, 4, 5, 7)
    pairs = 35 * (12 if "subsample" in given else 35)
    with Calls() as unread:
        module(x)
    with Calls() as in_the_open:
        read(module, x)

    def maps(calls):
        return [result for name, result in calls.made if isinstance(result, torch.Tensor) and result.shape[-2:].numel() == pairs]
    assert bool(unread.of("scaled_dot_product_attention")) == fused and not in_the_open.of("scaled_dot_product_attention")
    assert maps(in_the_open) and not maps(unread)


@pytest.mark.parametrize("name, given", [*MIXING.items(), ("non_local", {"form": "dot"}), ("bot", {"size": (3, 5)})])
def test_reading_does_not_change_the_gradient(name, given):
    module, x = moved(name, 4, **given), picture(2, 4, 3, 5).requires_grad_()
    inputs = [x, *module.parameters()]
    unread = torch.autograd.grad(module(x).pow(3).sum(), inputs)
    seen = torch.autograd.grad(read(module, x)[0].pow(3).sum(), inputs)
    for a, b in zip(seen, unread, strict=True):
        close(a, b)


# ---- selective kernels

@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("given, d", [
    ({}, 32), ({"out_channels": 12, "reduction": 2, "smallest": 1}, 6), ({"branches": 3, "smallest": 5}, 5)])
def test_selective_kernel_equals_timm(given, d, groups, stride):
    ours = moved("sk", 8, stride=stride, groups=groups, **given)
    branches = given.get("branches", 2)
    theirs = timm.layers.SelectiveKernel(8, given.get("out_channels"), kernel_size=[3, 5, 7][:branches], stride=stride,
                                         groups=groups, split_input=False, rd_channels=d)
    hand_over(theirs, ours, {
        **{f"paths.{i}.{a}.": f"branches.{i}.{b}." for i in range(branches) for a, b in (("conv", 0), ("bn", 1))},
        "attn.fc_reduce.": "squeeze.0.", "attn.bn.": "squeeze.1.", "attn.fc_select.": "select."})
    assert_same_as_timm(ours, theirs, picture(2, 8, 5, 9), "weights")


def test_selective_kernel_does_not_care_which_branch_is_first():
    """Branches and their rows of the last layer change places together."""
    module, x = moved("sk", 4), picture(2, 4, 5, 7)
    y, seen = read(module, x)
    module.branches = nn.ModuleList(reversed(module.branches))
    with torch.no_grad():
        module.select.weight.copy_(module.select.weight.unflatten(0, (2, 4)).flip(0).flatten(0, 1))
    assert_same(module, x, y, seen["weights"].flip(1), "weights")


# ---- split attention

@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("given, d", [
    ({}, 32), ({"radix": 2}, 32), ({"radix": 1}, 32), ({"radix": 4}, 32), ({"out_channels": 12, "reduction": 1, "radix": 4}, 32),
    ({"groups": 2}, 32), ({"radix": 1, "groups": 4}, 32)])
def test_split_attention_equals_timm(given, d, stride):
    check_split_with_timm(8, given, d, stride)


def test_split_attention_has_the_width_of_the_paper():
    """d = C R / reduction of the channels that come in, once that is more than 32."""
    check_split_with_timm(72, {"out_channels": 6, "radix": 2}, 36, 1)


def check_split_with_timm(channels, given, d, stride):
    ours, radix = moved("split", channels, stride=stride, **given), given.get("radix", 2)
    theirs = timm.layers.SplitAttn(channels, given.get("out_channels"), stride=stride, groups=given.get("groups", 1), radix=radix,
                                   rd_channels=d // radix, norm_layer=nn.BatchNorm2d)
    hand_over(theirs, ours, {"conv.": "conv.", "bn0.": "norm.", "fc1.": "squeeze.0.", "bn1.": "squeeze.1.", "fc2.": "select."})
    assert_same_as_timm(ours, theirs, picture(2, channels, 5, 7), "weights")


@evaluation_and_training
@options({"groups": 1, "radix": 2}, {"groups": 2, "radix": 2}, {"groups": 2, "radix": 1}, {"groups": 3, "radix": 2, "stride": 2},
         {"groups": 2, "radix": 3, "out_channels": 4})
def test_split_attention_with_groups_equals_nested_loops(given, training):
    module, x = moved("split", 12, **given).train(training), picture(2, 12, 3, 5)
    rest = {key: value for key, value in given.items() if key != "out_channels"}
    assert_same(module, x, *loops.split(x, loops.numbers(module), training=training, **rest), "weights")
    assert module.select.in_channels == 32 + -32 % given["groups"]      # as the paper; every group gets the same share


@pytest.mark.parametrize("name, given", [
    ("sk", {}), ("sk", {"branches": 3, "groups": 2}), ("split", {}), ("split", {"groups": 2}), ("split", {"radix": 4}),
    ("dynamic_conv", {}), ("dynamic_conv", {"temperature": 1.0, "kernels": 7})])
def test_weights_over_branches_sum_to_one(name, given):
    _, seen = read(moved(name, 8, **given), picture(3, 8, 5, 7))
    close(seen["weights"].sum(1), torch.ones_like(seen["weights"][:, 0]))
    assert seen["weights"].std(1).min() > 0


# ---- one kernel per picture

KERNELS = [{}, {"stride": 2}, {"groups": 2}, {"out_channels": 6, "groups": 2, "stride": 2}, {"kernels": 3, "kernel_size": 5},
           {"kernel_size": 1, "stride": 3}]


@options(*KERNELS)
def test_condconv_equals_timm(given):
    ours, x = moved("condconv", 4, **given), picture(2, 4, 5, 9)
    k, kernels = given.get("kernel_size", 3), given.get("kernels", 8)
    theirs = timm.layers.CondConv2d(4, given.get("out_channels", 4), k, given.get("stride", 1), k // 2,
                                    groups=given.get("groups", 1), num_experts=kernels).double()
    theirs.load_state_dict({"weight": ours.kernels.reshape(ours.count, -1)})
    routing = torch.sigmoid(F.linear(F.adaptive_avg_pool2d(x, 1).flatten(1), ours.router.weight, ours.router.bias))
    assert_same(ours, x, theirs(x, routing), routing, "weights")


@options({}, {"stride": 2, "groups": 2}, {"out_channels": 2, "kernels": 3, "kernel_size": 1})
def test_condconv_equals_nested_loops(given):
    module, x = moved("condconv", 4, **given), picture(2, 4, 3, 5)
    rest = {key: given[key] for key in ("stride", "groups") if key in given}
    assert_same(module, x, *loops.condconv(x, loops.numbers(module), **rest), "weights")


def test_condconv_routes_by_independent_sigmoids():
    """Raising one expert leaves the weights of the others alone; under a softmax they would fall."""
    module, x = moved("condconv", 4), picture(2, 4, 3, 5)
    before = read(module, x)[1]["weights"]
    with torch.no_grad():
        module.router.bias[2] += 1
    after = read(module, x)[1]["weights"]
    others = [0, 1, 3, 4, 5, 6, 7]
    assert torch.equal(before[:, others], after[:, others])
    close(torch.logit(after[:, 2]) - torch.logit(before[:, 2]), torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("temperature", [30.0, 1.0])
@options(*KERNELS, {"reduction": 1}, {"start": "identity"})
def test_dynamic_convolution_equals_nested_loops(given, temperature):
    module, x = moved("dynamic_conv", 4, temperature=temperature, **given), picture(2, 4, 3, 5)
    rest = {key: given[key] for key in ("stride", "groups") if key in given}
    assert_same(module, x, *loops.dynamic_conv(x, loops.numbers(module), temperature, **rest), "weights")


def test_the_temperature_may_be_lowered_during_training():
    module, x = moved("dynamic_conv", 4, temperature=30.0), picture(2, 4, 3, 5)
    module.temperature = 1.0
    assert_same(module, x, *loops.dynamic_conv(x, loops.numbers(module), 1.0), "weights")


@pytest.mark.parametrize("chosen", range(4))
def test_dynamic_convolution_with_all_weight_on_one_kernel_is_that_kernel(chosen):
    module, x = moved("dynamic_conv", 4, stride=2, groups=2, temperature=1.0), picture(2, 4, 5, 7)
    with torch.no_grad():
        module.router.bias.zero_()[chosen] = 1e4
    one_hot = F.one_hot(torch.tensor([chosen, chosen]), 4).double()
    assert_same(module, x, F.conv2d(x, module.kernels.chunk(module.count)[chosen], None, 2, 1, groups=2), one_hot, "weights")


@options({}, {"stride": 2, "groups": 2, "out_channels": 6}, {"kernel_size": 5})
def test_dynamic_convolution_with_one_kernel_is_a_plain_convolution(given):
    module, x = moved("dynamic_conv", 4, kernels=1, **given), picture(2, 4, 5, 7)
    k = given.get("kernel_size", 3)
    plain = nn.Conv2d(4, module.out_channels, k, module.stride, k // 2, groups=module.groups, bias=False).double()
    plain.weight = nn.Parameter(module.kernels)
    assert_same(module, x, plain(x), torch.ones(2, 1, dtype=torch.float64), "weights")


# ---- places instead of branches

DEFORMED = [{}, {"stride": 2}, {"groups": 2}, {"out_channels": 6, "groups": 2, "stride": 2}, {"kernel_size": 5},
            {"kernel_size": 1}, {"start": "identity"}]


@options(*DEFORMED)
def test_deformable_convolution_equals_torchvision(given):
    """Offsets of several pixels, many beyond the border; gradients too."""
    ours, x = moved("deform_conv", 4, **given), picture(2, 4, 5, 9).requires_grad_()
    k, stride = ours.kernel_size, ours.stride
    told = ours.look(x)
    expected = torchvision.ops.deform_conv2d(x, told[:, :2 * k * k], ours.kernel, stride=stride, padding=k // 2,
                                             mask=told[:, 2 * k * k:].sigmoid())
    assert told[:, :2 * k * k].abs().max() > 2
    close(ours(x), expected)
    goal = picture(*expected.shape, seed=3)
    gradients = [torch.autograd.grad((y * goal).sum(), [x, *ours.parameters()]) for y in (ours(x), expected)]
    for got, wanted in zip(*gradients, strict=True):
        close(got, wanted)


@options({}, {"stride": 2, "groups": 2}, {"out_channels": 2, "kernel_size": 1})
def test_deformable_convolution_equals_nested_loops(given):
    module, x = moved("deform_conv", 4, **given), picture(2, 4, 3, 5)
    rest = {key: given[key] for key in ("stride", "groups") if key in given}
    expected, weights, offsets = loops.deform_conv(x, loops.numbers(module) | {"kernel": module.kernel.tolist(),
                                                   "look.weight": module.look.weight.tolist()}, module.kernel_size, **rest)
    assert_same(module, x, expected, weights, "weights")
    close(read(module, x)[1]["offsets"], offsets)


@options({}, {"stride": 2, "groups": 2, "out_channels": 6}, {"kernel_size": 5})
def test_deformable_convolution_as_made_is_half_the_convolution(given):
    torch.manual_seed(0)
    module, x = attention.build("deform_conv", 4, **given).double(), picture(2, 4, 5, 7)
    plain = F.conv2d(x, module.kernel, None, module.stride, module.kernel_size // 2, groups=module.groups)
    close(module(x), plain / 2)
    kernel = picture(*module.kernel.shape, seed=1)
    module.adopt(kernel)
    close(module(x), F.conv2d(x, kernel, None, module.stride, module.kernel_size // 2, groups=module.groups))


def test_whole_pixels_are_looked_up_to_the_bit():
    x = picture(1, 2, 4, 6, seed=3).float()
    rows, columns = torch.meshgrid(torch.arange(-2.0, 6), torch.arange(-1.0, 8), indexing="ij")
    assert torch.equal(looked_up(x, rows[None, None], columns[None, None])[:, :, 0], F.pad(x, (1, 2, 2, 2)))


# ---- spatial transformer

def steered(theta):
    """A transformer that does the same to every picture."""
    module = moved("stn", 3)
    with torch.no_grad():
        module.last.weight.zero_()
        module.last.bias.copy_(torch.tensor(theta, dtype=torch.float64).flatten())
    return module


@pytest.mark.parametrize("down, across", [(0, 0), (1, 0), (0, 2), (-2, 3), (4, -6)])
def test_the_spatial_transformer_shifts_by_whole_pixels(down, across):
    h, w, x = 5, 7, picture(2, 3, 5, 7)
    theta = [[1.0, 0.0, 2 * across / w], [0.0, 1.0, 2 * down / h]]
    expected = torch.zeros_like(x)
    for i in range(h):
        for j in range(w):
            if 0 <= i + down < h and 0 <= j + across < w:
                expected[:, :, i, j] = x[:, :, i + down, j + across]
    assert_same(steered(theta), x, expected, torch.tensor([theta, theta], dtype=torch.float64), "theta")


def test_the_spatial_transformer_turns_as_rot90_and_flips_as_flip():
    square, wide = picture(2, 3, 5, 5), picture(2, 3, 4, 7)
    close(steered([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])(square), square.rot90(1, (2, 3)))
    close(steered([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])(square), square.rot90(-1, (2, 3)))
    close(steered([[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])(wide), wide.flip(3))
    close(steered([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])(wide), wide.flip(2))
    close(steered([[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])(wide), wide.rot90(2, (2, 3)))


@pytest.mark.parametrize("channels, hidden, shape", [(3, 2, (5, 7)), (1, 3, (13, 18)), (2, 4, (2, 9))])
def test_the_spatial_transformer_equals_nested_loops(channels, hidden, shape):
    """The localisation network too: theta differs from picture to picture and reaches beyond the border."""
    module, x = moved("stn", channels, hidden=hidden, by=0.15), 3 * picture(2, channels, *shape)
    expected, theta = loops.stn(x, loops.numbers(module))
    assert_same(module, x, expected, theta, "theta")
    assert (theta[0] - theta[1]).abs().max() > 1e-3 and (expected == 0).any() and (expected != 0).any()


# ---- patch selection

class Answer(nn.Module):
    """Reads a patch: three numbers."""

    def __init__(self, channels, side):
        super().__init__()
        self.layer = nn.Linear(channels * side * side, 3)

    def forward(self, patch):
        return torch.tanh(self.layer(patch.flatten(1)))


@pytest.mark.parametrize("with_reader", [False, True])
@options({"size": 6, "factor": 4, "patches": 3, "hidden": 2},
         {"size": 5, "factor": 3, "patches": 4, "patches_eval": 2, "hidden": 3},
         {"size": 11, "factor": 2, "patches": 1, "patches_eval": 9, "hidden": 3},
         {"size": 3, "factor": 1, "patches": 2, "hidden": 2})
def test_patch_selection_equals_nested_loops(given, with_reader):
    module = moved("patches", 2, read=Answer(2, given["size"]) if with_reader else None, **given)
    x = picture(2, 2, 13, 18, seed=1)
    k = given.get("patches_eval", given["patches"])
    expected, p, corners = loops.patches(x, loops.numbers(module), given["size"], given["factor"], k,
                                         module.read if with_reader else None)
    assert torch.equal(read(module, x)[1]["corners"], corners.long())
    assert_same(module, x, expected, p)


def test_patches_at_the_border_are_moved_inside():
    """All places chosen: the first patch sits in one corner of the picture, the last in the opposite one."""
    module = moved("patches", 1, size=6, factor=3, patches=20, hidden=1)
    _, seen = read(module, picture(1, 1, 13, 16))
    corners = [tuple(c) for c in seen["corners"][0].tolist()]
    assert sorted(corners) == sorted(loops.corner((i, j), 3, 6, 13, 16) for i in range(4) for j in range(5))
    assert (0, 0) in corners and (7, 10) in corners and len(set(corners)) == 20


def drawing(k, factor=3, side=3, reader=None):
    """In training mode, with a patch of its own for every place."""
    return moved("patches", 2, read=reader, size=side, factor=factor, patches=k, hidden=2).train()


def test_with_all_places_chosen_training_gives_the_expectation_and_its_gradient():
    module, x = drawing(12, reader=Answer(2, 3)), picture(2, 2, 9, 12, seed=1)
    p = module.scorer(F.avg_pool2d(x, 3)).flatten(1).softmax(1)
    said = torch.stack([module.read(x[:, :, i:i + 3, j:j + 3]) for i in range(0, 9, 3) for j in range(0, 12, 3)], 1)
    expected = (p[..., None] * said).sum(1)
    gradients = torch.autograd.grad(expected.pow(2).sum(), list(module.parameters()))
    for seed in (0, 1):      # the order of the draw differs, the result does not
        torch.manual_seed(seed)
        y = module(x)
        close(y, expected)
        for got, want in zip(torch.autograd.grad(y.pow(2).sum(), list(module.parameters())), gradients, strict=True):
            close(got, want)
    assert gradients[0].abs().max() > 1e-6      # it reaches the first layer of the scorer


def test_training_draws_from_the_map_without_repeating():
    """Frequencies of the first of 4000 draws stay within five standard errors of the map."""
    torch.manual_seed(0)
    x, n = picture(1, 2, 6, 9), 4000
    _, seen = read(drawing(1), x.expand(n, -1, -1, -1))
    p = seen["map"][0].flatten().double()
    places = (seen["corners"] // 3) @ torch.tensor([3, 1])
    frequency = torch.bincount(places.flatten(), minlength=6) / n
    assert ((frequency - p).abs() < 5 * (p * (1 - p) / n).sqrt()).all()
    _, seen = read(drawing(4), x.expand(200, -1, -1, -1))
    places = (seen["corners"] // 3) @ torch.tensor([3, 1])
    assert all(len(row.unique()) == 4 for row in places) and len(places.sort(1).values.unique(dim=0)) > 3


def test_weights_of_the_chosen_sum_to_one_in_training():
    """Recomputed from the places that were drawn and from the map."""
    torch.manual_seed(0)
    module, x = drawing(3), picture(2, 2, 9, 12)
    y, seen = read(module, x)
    for n in range(2):
        corners = seen["corners"][n].tolist()
        p = [seen["map"][n, 0, i // 3, j // 3] for i, j in corners]
        close(y[n], sum(w / sum(p) * x[n, :, i:i + 3, j:j + 3] for w, (i, j) in zip(p, corners, strict=True)))


def test_a_single_patch_carries_no_gradient_to_the_scorer():
    """As the docstring warns: its weight is one whatever the scorer says. Two patches carry some."""
    for k, carried in ((1, False), (2, True)):
        torch.manual_seed(0)
        module = drawing(k)
        module(picture(2, 2, 9, 12)).pow(2).sum().backward()
        assert (module.scorer[0].weight.grad.abs().max() > 1e-10) == carried


# ---- attention pooling

@options({}, {"hidden": 3}, {"start": "identity"})
def test_attention_pooling_equals_nested_loops(given):
    module, x = moved("attention_pool", 5, **given), picture(2, 5, 3, 5)
    assert_same(module, x, *loops.attention_pool(x, loops.numbers(module)))


def test_attention_pooling_starts_as_the_mean():
    x = picture(2, 5, 3, 7)
    module = attention.build("attention_pool", 5, start="identity").double()
    assert_same(module, x, x.mean((2, 3)), torch.full((2, 1, 21), 1 / 21, dtype=torch.float64))


def test_attention_pooling_does_not_care_where_things_are():
    module, x = moved("attention_pool", 5), picture(2, 5, 3, 7)
    close(module(shuffled(x)), module(x))
    assert (module(x) - x.mean((2, 3))).abs().min() > 1e-3      # and chooses, so that this says something



def bytes_kept(module, x):
    """What a forward pass keeps for the backward pass."""
    kept = {}
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.setdefault(t.data_ptr(), t.nbytes) and t, lambda t: t):
        module(x)
    return sum(kept.values())


@pytest.mark.parametrize("name", ["non_local", "bot", "gc", "efficient", "double"])
def test_memory_grows_like_the_map_and_not_like_its_square(name):
    """A row order that torch's fused kernel does not take gives the right numbers, and keeps the whole matrix."""
    module = attention.build(name, 16)
    small, large = (bytes_kept(module, torch.randn(1, 16, side, side)) for side in (16, 48))
    assert large < 1.3 * 9 * small      # nine times the places; the matrix would be 81 times as large


PARITY = {
    "halo": (test_halo_equals_nested_loops, test_halo_equals_timm_where_the_window_lies_inside),
    "deform_conv": (test_deformable_convolution_equals_torchvision, test_deformable_convolution_equals_nested_loops),
    "non_local": (test_non_local_equals_timm, test_non_local_equals_nested_loops),
    "gc": (test_global_context_equals_timm, test_global_context_equals_nested_loops),
    "bot": (test_bot_equals_timm, test_bot_equals_nested_loops),
    "efficient": (test_efficient_attention_equals_nested_loops,),
    "criss_cross": (test_criss_cross_equals_nested_loops, test_criss_cross_counts_the_pixel_itself_once),
    "double": (test_double_attention_equals_nested_loops,),
    "sk": (test_selective_kernel_equals_timm,),
    "split": (test_split_attention_equals_timm, test_split_attention_with_groups_equals_nested_loops),
    "condconv": (test_condconv_equals_timm, test_condconv_equals_nested_loops),
    "dynamic_conv": (test_dynamic_convolution_equals_nested_loops,
                     test_dynamic_convolution_with_all_weight_on_one_kernel_is_that_kernel,
                     test_dynamic_convolution_with_one_kernel_is_a_plain_convolution),
    "stn": (test_the_spatial_transformer_shifts_by_whole_pixels, test_the_spatial_transformer_turns_as_rot90_and_flips_as_flip,
            test_the_spatial_transformer_equals_nested_loops),
    "patches": (test_patch_selection_equals_nested_loops,
                test_with_all_places_chosen_training_gives_the_expectation_and_its_gradient),
    "attention_pool": (test_attention_pooling_equals_nested_loops, test_attention_pooling_starts_as_the_mean),
}
