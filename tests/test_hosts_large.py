"""The hosts for large pictures read what they say they read, and the counter of multiply-adds counts right."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils import studies
from course_utils.attention import PatchSelection
from course_utils.cost import multiply_adds
from course_utils.hosts import HOSTS, CopyHost, MaxPool, SmallHost, ZoomHost
from course_utils.tasks import make


def zoom(classes=10, size=32, factor=4):
    return ZoomHost(classes, select=partial(PatchSelection, size=size, factor=factor, hidden=8))


def moved(net, seed=0):
    """Eval mode, running statistics away from their start."""
    g = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(generator=g)
            module.running_var.uniform_(0.5, 1.5, generator=g)
    return net.eval()


@pytest.fixture
def x():
    return make("search", 3, seed=1).x


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_a_copy_host_is_the_host_on_the_mean_of_the_pixels(factor, x):
    net = moved(CopyHost(factor=factor))
    copy = x.unfold(2, factor, factor).unfold(3, factor, factor).mean((4, 5))
    torch.testing.assert_close(net(x), net.read(copy))


def test_a_narrow_host_has_a_quarter_of_the_widths():
    assert [layer.conv.out_channels for layer in CopyHost(divide=4).read.layers] == [4, 12, 16, 16]


def test_max_pooling_keeps_the_largest_value_of_each_channel():
    z = torch.randn(2, 5, 3, 4)
    assert torch.equal(MaxPool()(z), z.flatten(2).max(2).values)
    host = HOSTS["max_pooled"]().eval()
    x = torch.randn(2, 3, 21, 30)
    assert isinstance(host.pool, MaxPool)
    assert torch.equal(host(x), host.classify(host.norm(host.features(x).amax((2, 3)))))


def test_zoom_reads_in_training_the_expectation_over_all_places(x):
    """Training mode of the host, but norms that do not change: by a loop over the places."""
    net = moved(zoom())
    p = net.select.scores(x).flatten(1).softmax(1).view(3, 32, 32)
    features = net.features(x)
    expected = sum(p[:, i, j, None] * features[:, :, i, j] for i in range(32) for j in range(32))
    net.training = True
    torch.testing.assert_close(net(x), net.classify(net.norm(expected)), rtol=1e-4, atol=1e-5)


def test_zoom_reads_afterwards_only_the_patch_around_the_most_likely_place(x):
    net = moved(zoom())
    p = net.select.scores(x).flatten(1).softmax(1).view(3, 32, 32)
    wanted, elsewhere = [], x.clone().zero_()
    for k in range(3):
        row, column = divmod(int(p[k].argmax()), 32)
        row, column = min(max(row - 4, 0), 24), min(max(column - 4, 0), 24)
        inside = p[k, row:row + 8, column:column + 8]
        patch = x[k:k + 1, :, 4 * row:4 * row + 32, 4 * column:4 * column + 32]
        elsewhere[k, :, 4 * row:4 * row + 32, 4 * column:4 * column + 32] = patch[0]
        wanted.append((net.features(patch) * inside / inside.sum()).sum((2, 3)))
    torch.testing.assert_close(net(x), net.classify(net.norm(torch.cat(wanted))), rtol=1e-4, atol=1e-5)
    # Other pixels can matter through the scores only: with these kept, blacking them out changes nothing.
    kept = net.places(x)
    net.places = lambda _: kept
    torch.testing.assert_close(net(elsewhere), net.classify(net.norm(torch.cat(wanted))), rtol=1e-4, atol=1e-5)


def test_the_place_gets_a_gradient_from_the_answer(x):
    net = zoom()
    F.cross_entropy(net(x), torch.tensor([1, 2, 3])).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.select.scorer.parameters())


@pytest.mark.parametrize("name", ["whole", "copy_2", "copy_4", "narrow_4", "max_pooled", "zoom"])
def test_hosts_of_large_pictures_are_known_to_studies(name, x):
    assert studies.HOSTS[name](7)(x).shape == (3, 7)
    assert studies.network(studies.Trial("search", host=name)).eval()(x).shape == (3, 10)


def test_what_a_zoom_host_reads_with_is_given_to_it():
    asked = []

    def select(channels):
        asked.append(channels)
        return PatchSelection(channels, size=16, factor=4, hidden=2)
    assert ZoomHost(3, select=select).select.size == 16 and asked == [3]
    with pytest.raises(TypeError, match="select"):
        ZoomHost()


def test_every_place_is_read_after_training_as_in_it(x):
    net = ZoomHost(select=partial(PatchSelection, size=32, factor=4, hidden=8), every=True).eval()
    wanted = net.classify(net.norm((net.places(x) * net.features(x)).sum((2, 3))))
    torch.testing.assert_close(net(x), wanted)
    net.every = False
    assert not torch.allclose(net(x), wanted, atol=1e-4), "one patch only"


def test_a_second_layer_stands_in_the_classifier_and_nowhere_else():
    one, two = zoom(), ZoomHost(select=partial(PatchSelection, size=32, factor=4, hidden=8), hidden=64)
    added = sum(p.numel() for p in two.parameters()) - sum(p.numel() for p in one.parameters())
    assert added == (64 * 64 + 64) + (64 * 10 + 10) - (64 * 10 + 10)


@pytest.mark.parametrize("call, message", [
    (lambda: CopyHost(factor=0), "factor and divide must be at least 1"),
    (lambda: CopyHost(divide=0), "factor and divide must be at least 1"),
    (lambda: zoom(size=30), "size must be a multiple of 4, and factor 4, got 30 and 4"),
    (lambda: zoom(size=0), "size must be"),
    (lambda: zoom(size=32, factor=2), "size must be a multiple of 4, and factor 4, got 32 and 2"),
    (lambda: zoom(classes=0), "classes and blocks must be at least 1"),
])
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_picture_smaller_than_the_patch_is_refused():
    with pytest.raises(ValueError, match=r"32x32 does not fit a picture of \(28, 40\).*smaller size"):
        zoom().eval()(torch.randn(1, 3, 28, 40))


def test_double_precision_is_not_cut_when_places_are_chosen(x):
    net = moved(zoom()).double()
    p = net.select.scores(x.double()).flatten(1).softmax(1)
    torch.testing.assert_close(net.places(x.double()).flatten(1), p, rtol=1e-12, atol=0)


def test_multiply_adds_are_those_of_the_formula():
    """Kernel area times channels in, channels out and positions, layer by layer; by hand for the small host."""
    x = torch.randn(2, 3, 56, 56)
    by_hand = 9 * 3 * 16 * 28**2 + 9 * 16 * 48 * 14**2 + 9 * 48 * 64 * 14**2 + 64 * 64 * 14**2 + 64 * 10
    assert multiply_adds(SmallHost(), x) == by_hand


def test_counting_leaves_the_network_as_it_was():
    net = SmallHost().train()
    net.layers[0].eval()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    multiply_adds(net, torch.randn(2, 3, 16, 16))
    assert net.training and not net.layers[0].training and net.layers[1].training
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_zoom_counts_the_patch_and_the_look_at_the_copy():
    x = make("search", 2).x
    scorer = (9 * 3 * 8 + 9 * 8 * 8 + 9 * 8) * 32**2
    patch = multiply_adds(SmallHost(), torch.randn(1, 3, 32, 32))
    assert multiply_adds(zoom(), x) == scorer + patch
