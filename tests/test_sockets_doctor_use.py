"""The doctor's second half: gates, norms, freezing, cost and seeds, on pictures with labels. Each fault alone is named alone."""

import copy

import pytest
import timm.layers
import torch
import torch.nn.functional as F
from sockets_host import host, picture, stir
from torch import nn

from course_utils import attention, stats
from course_utils.sockets import doctor, plug_in
from course_utils.sockets.gates import as_frozen, held, worked_out
from course_utils.sockets.memory import weighed
from course_utils.sockets.probe import Example
from course_utils.sockets.trials import Subject, groups_of, right

SIZE = (3, 12, 14)
N = 48


def pictures(n=N):
    """Of very different brightness, so that a summary of a picture says something."""
    x = picture(n)
    return x * torch.linspace(0.2, 3, n)[:, None, None, None] + torch.linspace(-2, 2, n)[:, None, None, None]


def plugged(at="post", what="se", net=None, seed=1, strength=0.7, **options):
    """A network whose attention has strong weights of its own, and pictures of which it is right by definition."""
    net = host() if net is None else net
    options |= {"reduction": 1} if what == "se" else {}      # a hidden layer of one unit may be dead: a fault of its own
    receipt = plug_in(net, what, at, input_size=SIZE, **{"start": "as_made"} | options)
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in receipt.modules(net):
            for p in module.parameters():
                p.add_(strength * torch.randn(p.shape, generator=g))
    return settle(net)


def settle(net):
    """The norms hold the statistics of the pictures, as after training."""
    for module in (norms := [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]):
        module.train().momentum = None
        module.reset_running_stats()
    with torch.no_grad():
        net(pictures())
    for module in norms:
        module.momentum = 0.1
    return net.eval()


def asked(net, x=None, **options):
    """The doctor, with the network's own answers as what is right."""
    x = pictures() if x is None else x
    with torch.no_grad():
        y = net(x).argmax(1)
    return doctor(net, x, y, **options)


# ---- healthy ones are not accused

class Plain(nn.Module):
    """Any module that knows nothing of the course."""

    def __init__(self, channels):
        super().__init__()
        self.mix = nn.Linear(channels, channels)

    def forward(self, x):
        return x * torch.sigmoid(self.mix(x.mean((2, 3))))[..., None, None]


class Adds(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        return x + 2 * self.mix(x.mean((2, 3), keepdim=True))


HEALTHY = {
    "se": lambda: plugged(), "eca before": lambda: plugged("pre", "eca"), "cbam": lambda: plugged("post", "cbam"),
    "spatial": lambda: plugged("after_add", "spatial_gate", strength=0.1), "non-local": lambda: plugged("after_add", "non_local"),
    "head": lambda: plugged("head", "attention_pool"), "instead": lambda: plugged("instead", "condconv", kernels=2),
    "aff": lambda: plugged("fuse", "aff"), "simam": lambda: plugged("post", "simam", start="identity", seed=2),
    "any gate": lambda: plugged("post", Plain), "any addition": lambda: plugged("post", Adds),
    "timm's se": lambda: plugged("post", timm.layers.SEModule),
    "timm's cbam": lambda: plugged("post", timm.layers.cbam.CbamModule, strength=0.1),
    "eased": lambda: plugged("post", Plain, start="identity"),
}


QUICK = ("se", "non-local", "head", "instead", "any gate", "any addition")      # a case of each kind of reading


@pytest.mark.parametrize("case", [c if c in QUICK else pytest.param(c, marks=pytest.mark.full) for c in HEALTHY])
def test_a_healthy_network_is_not_accused(case):
    """Whether it is used depends on the weights that were drawn, so that alone may be said."""
    checkup = asked(HEALTHY[case]())
    assert set(checkup.named) <= {"not used"}, checkup
    assert checkup.pictures == N and checkup.scored and checkup.lost.whole == 1.0 and checkup.cost is not None
    assert all(f.reading.kind != "-" for f in checkup.findings)


def test_without_labels_an_untrained_network_is_not_accused():
    """As right after plug_in. Catches a start that is taken for a fault where nobody has trained."""
    net = host()
    plug_in(net, "se", "post", input_size=SIZE)
    checkup = doctor(net, pictures())
    assert checkup and checkup.pictures == N and not checkup.scored
    assert "3 of 3 still have the weights that they were plugged in with" in str(checkup)


def test_few_pictures_are_asked_the_first_questions_only():
    checkup = doctor(plugged(), pictures(7))
    assert checkup.pictures == 0 and checkup.findings[0].reading is None and "question" not in str(checkup)


# ---- each fault is named, and nothing besides

def scaled(net, factor):
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, attention.SE):
                for p in module.parameters():
                    p.mul_(factor)
    return net


class OfNothing(attention.SE):
    """Its summary is zero for each picture."""

    def gate(self, x):
        return super().gate(x - x.mean((2, 3), keepdim=True))


class OverTheBatch(attention.ECA):
    def squash(self, logits):
        return torch.softmax(logits, 0) * len(logits)


class Mirror(nn.Module):
    """Turns the map of the bright pictures over, and leaves the others: what it sees misleads."""

    def forward(self, x):
        bright = (x.mean((1, 2, 3), keepdim=True) > x.mean()).float() if not self.training else 0
        return x * (1 - 1.99 * bright)


def with_other_statistics():
    net = plugged()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.mul_(30)
    return net


FAULTS = {
    "saturated": lambda: scaled(plugged(), 1000),
    "constant": lambda: plugged("post", OfNothing),
    "mixes pictures": lambda: plugged("post", OverTheBatch),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("labels", [True, False])
def test_a_gate_that_is_broken_is_named_with_or_without_labels(fault, labels):
    net = FAULTS[fault]()
    checkup = asked(net) if labels else doctor(net, pictures())
    assert checkup.named == (fault,), checkup
    assert len(checkup.complaints) <= 3 and not checkup


def test_one_constant_gate_among_others_is_told_and_not_blamed():
    """Trained networks often have one. Catches a complaint about each."""
    makers = iter([OfNothing, Plain, Plain])
    net = plugged("post", lambda channels: next(makers)(channels))
    checkup = asked(net)
    assert "constant" not in checkup.named and checkup.findings[0].same and not checkup.findings[1].same
    assert "The same for each picture: blocks.0.bn2.attention_post" in str(checkup)
    assert "1 the same for each picture" in str(checkup)


def test_weights_that_were_never_trained_are_named():
    """The commonest of all: the optimiser was made before plug_in."""
    net = host()
    optimiser = torch.optim.SGD(net.parameters(), 0.1)
    plug_in(net, "se", "post", start="as_made", input_size=SIZE)
    x = pictures()
    F.cross_entropy(net(x), torch.arange(N) % 5).backward()
    optimiser.step()
    checkup = asked(net)
    assert checkup.named == ("untrained",) and "The optimiser was made before plug_in" in str(checkup)
    stir(net)
    assert "untrained" not in asked(net).named


def test_a_network_that_has_not_left_its_identity_start_is_named():
    net = host()
    plug_in(net, "se", "post", input_size=SIZE)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, attention.SE):
                module.excite.bias.add_(0.02)      # a gate of 1.01
    checkup = asked(net)
    assert checkup.named == ("untrained",) and "hardly left its identity start" in str(checkup)


def test_what_was_frozen_on_purpose_is_not_called_untrained():
    net = host()
    plug_in(net, "se", "post", start="as_made", input_size=SIZE)
    for key, p in net.named_parameters():
        p.requires_grad_("attention" not in key)
    assert "untrained" not in asked(net).named


def test_stale_norms_are_named_by_what_their_settling_gives_back():
    x = pictures()
    with torch.no_grad():
        y = plugged()(x).argmax(1)      # right: what the network says with the statistics of these pictures
    net = with_other_statistics()
    checkup = doctor(net, x, y)
    assert checkup.named == ("stale norms",), checkup
    assert checkup.norms.settled.left == 1.0 > checkup.norms.settled.whole
    assert "without labels and without learning" in str(checkup)
    assert checkup.lost.whole == 1.0      # asked once they have settled: before, it would be noise that is frozen


def test_a_fresh_gate_in_a_trained_network_is_untrained_and_its_norms_are_stale():
    """Both are so, and both have their remedy: a gate as made makes what the norms have met smaller."""
    class Small(Plain):
        def forward(self, x):
            return 0.05 * super().forward(x)
    x, net = pictures(), settle(host())
    with torch.no_grad():
        net.classify.bias.sub_(net(x).mean(0))      # so that all answers occur
        y = net(x).argmax(1)
    plug_in(net, Small, "pre", start="as_made", unit="conv", input_size=SIZE)
    checkup = doctor(net, x, y)
    assert checkup.named == ("untrained", "stale norms"), checkup


@pytest.mark.parametrize("at", ["head", "instead"])
def test_what_cannot_be_frozen_is_not_called_useless(at):
    """A stranger there hands no gate out, and its output is no map times a gate. Catches "it loses nothing", said untried."""
    class Pool(nn.Module):
        def __init__(self, channels, out_channels=None, stride=1):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(channels))
            self.conv = nn.Conv2d(channels, out_channels or channels, 3, stride, 1)

        def forward(self, x):
            y = x * torch.sigmoid(self.weight * x.mean((2, 3)))[..., None, None]
            return y.mean((2, 3)) if at == "head" else self.conv(y)
    net = host()
    plug_in(net, Pool, at, start="as_made", layers=None if at == "head" else "blocks.1", input_size=SIZE)
    stir(net)
    checkup = asked(settle(net))
    assert checkup.named == () and checkup.losses == () and "could not be asked" in checkup.use


def test_stale_norms_are_named_without_labels_by_their_variance():
    net = plugged()
    assert "stale norms" not in doctor(net, pictures()).named
    net.norm.running_var.mul_(30)
    checkup = doctor(net, pictures())
    assert "stale norms" in checkup.named and checkup.norms.worst == "norm"
    assert checkup.norms.ratio == pytest.approx(1 / 30, rel=0.01)


class Whole(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(x.mean((1, 2, 3), keepdim=True))


def with_one_factor():
    """For all of the last map: which answer is the largest does not hang on it."""
    net = host()
    nn.init.zeros_(net.classify.bias)
    plug_in(net, lambda channels: Whole(), "after_add", start="as_made", layers="blocks.2", input_size=SIZE)
    return net


def test_attention_that_is_not_used_is_named():
    """One factor for all of the last map, that differs between pictures: which answer is the largest does not hang on it."""
    net = with_one_factor()
    checkup = asked(settle(net))
    assert checkup.named == ("not used",) and checkup.lost.high < 0.01


def test_attention_that_misleads_is_named():
    x, net = pictures(), settle(host())
    with torch.no_grad():
        y = net(x).argmax(1)
    plug_in(net, lambda channels: Mirror(), "after_add", start="as_made", layers="blocks.2", input_size=SIZE)
    checkup = doctor(net, x, y)
    assert checkup.lost.whole < checkup.lost.left and checkup.named == ("misleads",), checkup


# ---- what is measured

@pytest.mark.parametrize("what", ["se", "spatial_gate", "cbam"])
def test_a_gate_is_worked_out_from_what_goes_in_and_comes_out(what):
    """The same as the mechanism hands out itself, where its input is not zero. Catches a gate of the wrong shape."""
    module, x = attention.build(what, 6).eval(), picture(5).repeat(1, 2, 1, 1)
    x[:, 2] = 0
    with torch.no_grad(), attention.read(module) as seen:
        kind, gate = worked_out(x, module(x))
    known = ~gate.isnan()
    wanted = next(iter(seen.values()))["gate"].expand(gate.shape)
    assert kind == "gate" and torch.allclose(gate[known], wanted[known], atol=1e-4)
    assert bool(gate.isnan().any()) is (what != "spatial_gate")


def test_what_does_not_multiply_is_an_addition():
    x = picture(4)
    assert worked_out(x, x + 3 * x.mean((2, 3), keepdim=True))[0] == "addition"
    assert worked_out(x.abs() + 0.1, x.abs() - 0.9)[0] == "addition"      # as a ratio below 1, and below 0
    assert worked_out(x, x[:, :2]) == ("-", None)


@pytest.mark.parametrize("what", ["se", "spatial_gate"])
def test_a_stranger_is_frozen_as_a_mechanism_of_the_course_is(what):
    module, x = attention.build(what, 3).eval(), picture(6)
    with torch.no_grad():
        y = module(x)
        with attention.frozen(module):
            wanted = module(x)
    assert torch.allclose(as_frozen(x, y), wanted, atol=1e-5) and not torch.allclose(y, wanted, atol=1e-3)


def test_one_place_is_frozen_and_the_others_are_not():
    net = plugged("post", Plain)
    names = [name for name, m in net.named_modules() if isinstance(m, Plain)]
    x = pictures()
    found = {f.name: f.reading for f in asked(net).findings}
    seen = []
    hooks = [net.get_submodule(n).register_forward_hook(lambda m, a, y, n=n: seen.append((n, worked_out(a[0], y)[1])))
             for n in names]
    with torch.no_grad(), held(net, names[:1], found):
        net(x)
    after = {n: g for n, g in seen}
    assert not after[names[0]].std(0).isnan().all() and len(seen) == 3 and all(h.remove() is None for h in hooks)
    assert after[names[1]].std(0).mean() > 1e-3


def test_weights_without_numbers_leave_no_print():
    """On torch's "meta" device, where large networks are plugged into without memory."""
    assert weighed(nn.Linear(2, 2, device="meta")) is None and len(weighed(nn.Linear(2, 2))) == 4


def test_settled_norms_hold_the_statistics_of_the_pictures_and_then_their_own_again():
    net, x = with_other_statistics(), pictures()
    stored = copy.deepcopy(net.state_dict())
    first = F.conv2d(x, net.conv.weight, padding=1)
    with Subject(net, Example((x,)), None, None).settled():
        assert torch.allclose(net.norm.running_mean, first.mean((0, 2, 3)), atol=1e-4)
        assert torch.allclose(net.norm.running_var, first.var((0, 2, 3)), rtol=1e-3)
        assert not net.norm.training
    assert all(torch.equal(value, stored[key]) for key, value in net.state_dict().items())


def test_a_norm_that_is_passed_by_is_not_asked():
    """As one that was fused: nothing comes to it. Catches a statistic of nothing, which is off by any factor."""
    net = plugged()
    net.spare = nn.BatchNorm2d(3).eval()
    net.spare.running_var.fill_(700.0)
    net.spare.num_batches_tracked.fill_(1)
    with Subject(net, Example((pictures(),)), None, None).settled() as norms:
        assert norms.worst != "spare" and net.spare.running_var.eq(700).all()


def test_looking_changes_nothing():
    net = plugged()
    net.train()
    before = {k: (v._version, v.data_ptr()) for k, v in net.state_dict().items()}
    doctor(net, pictures(), torch.zeros(N, dtype=torch.long))
    assert net.training and all(p.grad is None and p.requires_grad for p in net.parameters())
    assert before == {k: (v._version, v.data_ptr()) for k, v in net.state_dict().items()}
    assert not any(m._forward_hooks for m in net.modules())


def test_a_network_that_draws_numbers_is_compared_with_itself_and_the_program_s_own_stay():
    """As with dropout that stays on, to have an interval. Catches answers that change by the draw alone."""
    class Draws(nn.Module):
        def forward(self, x):
            return F.dropout(x, 0.5, training=True)
    net, x = host(), pictures()
    net.classify = nn.Sequential(Draws(), net.classify)
    plug_in(net, "se", "post", input_size=SIZE)
    state = torch.random.get_rng_state()
    checkup = doctor(net, x)
    assert torch.equal(torch.random.get_rng_state(), state) and torch.is_grad_enabled()
    assert checkup.losses and all(loss.mean == 0 for loss in checkup.losses)


def test_the_loss_is_counted_over_pictures_in_pairs():
    """Against accuracies by hand."""
    net, x = plugged(), pictures()
    with torch.no_grad():
        y = net(x).argmax(1)
        with attention.frozen(net):
            lost = (net(x).argmax(1) != y).float()
        with attention.frozen(net, at="blocks.0.*"):
            first = (net(x).argmax(1) != y).float()
    assert not torch.equal(first, lost)
    checkup = doctor(net, x, y)
    assert checkup.losses[0].mean == pytest.approx(first.mean().item())
    mean, low, high = stats.t_interval(lost.tolist())
    assert (checkup.lost.mean, checkup.lost.low, checkup.lost.high) == pytest.approx((mean, low, high))
    assert [loss.name for loss in checkup.losses] == [*(f.name for f in checkup.findings), "all"]
    no_labels = doctor(net, x)
    assert no_labels.lost.mean == pytest.approx(mean) and "of the answers become others" in str(no_labels)


def test_the_seeds_are_those_of_the_statistics():
    """A loss that is clear names itself; one that is not asks for one point."""
    checkup = asked(plugged(), spread=0.02)
    assert checkup.lost.low > 0
    wanted = stats.seeds_needed(checkup.lost.mean, 0.02)
    assert f"{wanted} pairs of runs" in checkup.seeds and "found by freezing" in checkup.seeds
    assert f"{stats.seeds_needed(0.01, 0.02)} pairs of runs" in doctor(plugged(), pictures(), spread=0.02).seeds


def test_many_places_are_frozen_by_parts_of_the_network():
    names = [f"layer{i}.{j}.bn.attention_post" for i in (1, 2) for j in range(5)]
    assert groups_of(names) == {"layer1.*": names[:5], "layer2.*": names[5:]}
    assert groups_of(names[:3]) == {name: [name] for name in names[:3]} and groups_of(names[:1]) == {}


@pytest.mark.parametrize("count", [8, 9, 65, 129])
def test_no_picture_is_left_by_itself(count):
    """A batch norm in training, and a gate that is frozen at its mean, refuse a single one."""
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(8), nn.Linear(8, 5))
    plug_in(net, "se", "post", input_size=SIZE)
    net[4].num_batches_tracked += 1      # as after training
    checkup = doctor(net, pictures(count), torch.arange(count) % 2 == 0)
    assert checkup.pictures == count and len(checkup.losses) == 1 and checkup.guess == pytest.approx((count + 1) // 2 / count)
    subject = Subject(net, Example((pictures(count),)), None, None)
    seen = [list(range(count))[piece] for piece, _ in subject.parts(8)]
    assert sum(seen, []) == list(range(count)) and all(8 <= len(piece) <= 9 for piece in seen[:-1]) and len(seen[-1]) > 1


def test_dense_labels_and_a_score_of_ones_own():
    logits, labels = torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4, dtype=torch.long)
    labels[1, :2] = 1
    assert right(logits, labels).tolist() == [1.0, 0.5] and right({"out": logits}, labels).tolist() == [1.0, 0.5]
    net, x = plugged(), pictures()
    checkup = doctor(net, x, torch.zeros(N), score=lambda out, y: -(out[:, 0] - y).abs())
    assert checkup.scored and checkup.lost.whole < 0


@pytest.mark.parametrize("labels, options, told", [
    (torch.zeros(N), {}, "float32, do not fit outputs .48, 5.*score="),
    (torch.zeros(N, 3, 3, dtype=torch.long), {}, "do not fit outputs .48, 5"),
    (torch.zeros(5, dtype=torch.long), {}, "one for each picture.*got labels .5,. and 48 pictures"),
    (torch.zeros(N, dtype=torch.long), {"score": lambda out, y: 0.5}, "one number a picture, .48,., got float"),
    (torch.zeros(N, dtype=torch.long), {"spread": 0}, "spread must be above zero, got 0"),
    (torch.full((N,), 5), {}, "labels must lie between 0 and 4, one for each of the 5 outputs, got 5 to 5"),
])
def test_labels_that_do_not_fit_say_what_is_wanted(labels, options, told):
    with pytest.raises(ValueError, match=told):
        doctor(plugged(), pictures(), labels, **options)


@pytest.mark.parametrize("given", [None, [torch.zeros(3, 12, 14)] * 8, torch.zeros(3, 12, 14)])
def test_labels_need_a_batch_of_pictures(given):
    with pytest.raises(ValueError, match=r"labels need a batch of pictures, a tensor \(N, C, H, W\), got"):
        doctor(plugged(), given, torch.zeros(8, dtype=torch.long))


def test_pixels_of_no_class_do_not_count():
    """As 255 in VOC. Catches a division by all pixels."""
    logits, labels = torch.zeros(1, 3, 2, 2), torch.tensor([[[0, 255], [255, 1]]])
    assert right(logits, labels).tolist() == [0.5]


def test_a_network_that_guesses_is_told_so_and_not_that_its_attention_is_of_no_use():
    """Nothing can be lost where nothing is known. Catches "not used" for an untrained host."""
    net = with_one_factor()
    checkup = doctor(settle(net), pictures(), torch.arange(N) % 5)
    assert checkup.named == ("guesses",) and checkup.guess == pytest.approx(10 / N)


def test_an_eased_module_goes_by_its_own_name():
    assert {f.module for f in doctor(plugged("post", Plain, start="identity"), pictures(2)).findings} == {"Plain"}


def test_who_has_nothing_plugged_in_is_told_what_is_looked_at():
    checkup = doctor(host(), pictures())
    assert "What plug_in has put in is looked at, and nothing else" in str(checkup)
    with pytest.raises(ValueError, match="nothing to draw: Host: nothing is plugged in"):
        checkup.figure()


# ---- what is shown

def test_the_questions_come_in_order_and_the_page_holds_the_same():
    checkup = asked(FAULTS["saturated"]())
    text, page = str(checkup), checkup._repr_html_()
    places = [text.index(q) for q, _ in checkup.answers]
    assert places == sorted(places) and len(places) == 7 and all(q.split("'")[0] in page for q, _ in checkup.answers)
    assert "3 saturated" in text and "Lower the learning rate" in text


def test_the_figure_says_in_words_what_it_shows():
    checkup = asked(plugged())
    fig = checkup.figure()
    assert len(fig.axes) == 3 and fig.alt.startswith("The doctor has nothing to complain of.")
    assert f"all {100 * checkup.lost.mean:.1f} %" in fig.alt and "blocks.0.bn2 post" in fig.alt
    assert "saturated" in asked(FAULTS["saturated"]()).figure().alt
    with pytest.raises(ValueError, match="nothing to draw: give the doctor pictures, eight or more"):
        doctor(plugged(), pictures(3)).figure()
