"""The trainer: it learns, it can be stopped, it says what went wrong, and one seed gives one result."""

import itertools

import pytest
import torch
from torch import nn

from course_utils import train
from course_utils.hosts import SmallHost
from course_utils.sockets import plug_in
from course_utils.tasks import Batch, Stream, make
from course_utils.train import History, evaluate, fit, predict


@pytest.fixture(autouse=True)
def no_rehearsal(monkeypatch):
    monkeypatch.delenv("COURSE_REHEARSE", raising=False)


def batch(n=16, seed=0):
    """Three classes that anyone can tell apart: which colour is bright."""
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(3, (n,), generator=g)
    x = 0.3 * torch.rand(n, 3, 6, 7, generator=g)
    x[torch.arange(n), y] += 0.7
    return Batch(x, y, torch.ones(n, 6, 7, dtype=torch.bool))


def batches(steps, n=16):
    return [batch(n, seed) for seed in range(steps)]


def small_net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))


def weights(net):
    return [p.detach().clone() for p in net.parameters()]


def equal(a, b):
    return all(torch.equal(p, q) for p, q in zip(a, b, strict=True))


class Stopped:
    """Batches of which one raises instead of coming."""

    def __init__(self, at, steps=20, error=KeyboardInterrupt):
        self.at, self.steps, self.error = at, steps, error

    def __len__(self):
        return self.steps

    def __iter__(self):
        for step in range(self.steps):
            if step == self.at:
                raise self.error
            yield batch(seed=step)


# ---- learning

def test_a_separable_problem_is_learned():
    net = small_net()
    history = fit(net, batches(80), progress=False)
    assert sum(history.loss[-10:]) < 0.2 * sum(history.loss[:10])
    assert evaluate(net, batch(300, seed=1000)) > 0.97
    assert not history.interrupted and history.seconds > 0


@pytest.mark.parametrize("steps", [1, 2, 9, 10, 11, 51])
def test_any_number_of_steps_gives_as_many_entries(steps):
    net = small_net()
    before = weights(net)
    history = fit(net, batches(steps), progress=False)
    assert len(history.loss) == len(history.accuracy) == steps
    assert not any(torch.equal(p, q) for p, q in zip(before, weights(net), strict=True)), "a parameter did not move"


def test_history_is_that_of_the_batch_before_its_step():
    """At the first step nothing has been learned yet: loss and accuracy are those of the network as it came."""
    net, first = small_net(), batch()
    with torch.no_grad():
        logits = small_net().train()(first.x)
    history = fit(net, [first, first], progress=False)
    assert history.loss[0] == pytest.approx(nn.functional.cross_entropy(logits, first.y).item(), rel=1e-5)
    assert history.accuracy[0] == pytest.approx((logits.argmax(1) == first.y).float().mean().item())
    assert history.loss[1] != history.loss[0]
    assert all(type(value) is float for value in history.loss + history.accuracy)


def test_gradients_do_not_add_up_over_steps():
    """Two equal batches at a rate of almost zero must give two equal gradients, not a sum."""
    net, seen = small_net(), []
    net[0].weight.register_hook(lambda grad: seen.append(grad.clone()))
    fit(net, [batch(), batch()], lr=1e-12, progress=False)
    torch.testing.assert_close(net[0].weight.grad, seen[1])


def test_the_learning_rate_rises_and_falls_to_almost_nothing(monkeypatch):
    rates, step = [], torch.optim.AdamW.step
    monkeypatch.setattr(torch.optim.AdamW, "step",
                        lambda self, *args: rates.append(self.param_groups[0]["lr"]) or step(self, *args))
    fit(small_net(), batches(40), lr=3e-3, progress=False)
    peak = rates.index(max(rates))
    assert len(rates) == 40 and max(rates) == pytest.approx(3e-3, rel=0.05)
    assert rates[0] < 0.1 * max(rates) and rates[-1] < 0.01 * max(rates)
    assert rates == sorted(rates[:peak]) + sorted(rates[peak:], reverse=True)


def test_no_batch_is_taken_that_is_not_used():
    """One batch drawn too many would shift what a generator gives to the next lesson cell."""
    taken = []

    class Counted(Stopped):
        def __iter__(self):
            return (taken.append(1) or batch(seed=step) for step in itertools.count())

    assert len(fit(small_net(), Counted(at=None, steps=5), progress=False).loss) == 5
    assert len(taken) == 5


def test_the_same_seed_gives_the_same_weights_to_the_bit():
    def run(seed):
        torch.manual_seed(seed)
        net = SmallHost(widths=(8, 8, 8, 8))
        plug_in(net, "se", at="post", input_size=56)
        history = fit(net, Stream("what", steps=4, batch_size=8, seed=seed), progress=False)
        return history.loss, weights(net)

    (loss, first), (loss_again, again), (_, other) = run(3), run(3), run(4)
    assert loss == loss_again and equal(first, again)
    assert not equal(first, other)


# ---- stopping

def test_interrupt_keeps_what_was_learned(capsys):
    net, reference = small_net(), small_net()
    history = fit(net, Stopped(at=7), progress=False)
    assert history.interrupted and len(history.loss) == len(history.accuracy) == 7 and history.seconds > 0
    assert not equal(weights(net), weights(small_net()))
    fit(reference, Stopped(at=None, steps=20), progress=False)
    assert "7 of 20" in capsys.readouterr().out
    assert all(torch.isfinite(p).all() for p in net.parameters())
    assert not equal(weights(net), weights(reference))


def test_interrupt_before_the_first_batch():
    net = small_net()
    history = fit(net, Stopped(at=0), progress=False)
    assert history.interrupted and history.loss == history.accuracy == []
    assert equal(weights(net), weights(small_net()))


@pytest.mark.parametrize("at", [0, 3])
def test_interrupt_between_loss_and_accuracy_of_a_step(at, monkeypatch):
    """The key may be pressed at any moment, also in the first step when there is a loss and no accuracy yet."""
    calls, argmax = itertools.count(), torch.Tensor.argmax

    def pressed(self, *args):
        if next(calls) == at:
            raise KeyboardInterrupt
        return argmax(self, *args)

    monkeypatch.setattr(torch.Tensor, "argmax", pressed)
    history = fit(small_net(), batches(20), progress=False)
    assert history.interrupted and len(history.loss) == len(history.accuracy) == at


def test_other_errors_are_not_swallowed():
    with pytest.raises(RuntimeError, match="disk"):
        fit(small_net(), Stopped(at=3, error=RuntimeError("disk")), progress=False)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("at, steps", [(0, 5), (7, 60), (50, 60), (51, 110), (59, 60), (100, 101)])
def test_a_loss_that_is_no_number_names_the_step_and_what_to_try(at, steps, bad):
    data = batches(steps, n=4)
    data[at].x[0, 0, 2, 2] = bad
    with pytest.raises(ValueError, match=rf"became (nan|inf) at step {at}\. .*lr=0\.001 instead of 0\.01.*isfinite"):
        fit(small_net(), data, progress=False)


def test_no_batches_are_refused_before_anything_is_changed():
    net = small_net().eval()
    with pytest.raises(ValueError, match="no batches"):
        fit(net, [], progress=False)
    with pytest.raises(ValueError, match="no batches"):
        fit(net, Stream("what", steps=0), progress=False)
    assert not net.training and equal(weights(net), weights(small_net()))


def test_a_rehearsal_takes_two_steps(monkeypatch):
    monkeypatch.setenv("COURSE_REHEARSE", "1")
    net = small_net()
    assert len(fit(net, batches(30), progress=False).loss) == 2
    assert not equal(weights(net), weights(small_net()))
    assert len(fit(net, batches(1), progress=False).loss) == 1
    monkeypatch.setenv("COURSE_REHEARSE", "0")
    assert len(fit(net, batches(5), progress=False).loss) == 5


def test_the_bar_is_shown_when_asked_for_and_only_then(capsys):
    fit(small_net(), batches(3), progress=True, label="my host")
    assert "my host" in capsys.readouterr().err
    fit(small_net(), batches(3), progress=False)
    assert capsys.readouterr() == ("", "")


# ---- measuring

def test_accuracy_is_the_share_of_right_answers():
    net, data = small_net().eval(), batch(37, seed=5)
    right = sum(int(net(data.x[i:i + 1]).argmax()) == int(data.y[i]) for i in range(37))
    assert 0 < right < 37 and evaluate(net, data) == pytest.approx(right / 37)


@pytest.mark.parametrize("training", [True, False])
def test_measuring_restores_the_mode_and_leaves_the_network_alone(training):
    net = small_net().train(training)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    evaluate(net, batch(20))
    assert all(module.training == training for module in net.modules())
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items()), "running statistics moved"
    with pytest.raises(RuntimeError):
        predict(net, torch.zeros(2, 5, 6, 7))
    assert all(module.training == training for module in net.modules()), "not after an error"


def test_measuring_leaves_frozen_parts_frozen():
    """A batch norm that is kept in eval mode while the rest learns, as in fine-tuning."""
    net = small_net().train()
    net[1].eval()
    evaluate(net, batch(20))
    assert net[0].training and not net[1].training


def test_a_rule_without_parameters_is_scored_too():
    """The control that nothing is learned in: which colour is the frame?"""
    class Frame(nn.Module):
        def forward(self, x):
            return x[:, :, 0, 0]
    x, _, mask = make("what", 20)
    assert evaluate(Frame(), Batch(x, x[:, :, 0, 0].argmax(1), mask)) == 1


def test_predictions_do_not_depend_on_their_company():
    """In training mode a batch norm would mix the pictures of a chunk; a chunk that is lost would shorten the result."""
    net, x = small_net(), batch(23).x
    fit(net, batches(5), progress=False)
    whole = predict(net, x)
    assert whole.shape == (23, 3) and whole.dtype == torch.float32 and not whole.requires_grad
    for chunk in (1, 5, 22, 23, 100):
        torch.testing.assert_close(predict(net, x, chunk), whole)
    torch.testing.assert_close(predict(net, x.flip(0)).flip(0), whole)


def test_a_task_is_measured_on_its_own_pictures():
    net, data = SmallHost(widths=(4, 4, 4, 4)), make("what", 60, "test")
    assert evaluate(net, data) == (predict(net, data.x, 7).argmax(1) == data.y).float().mean().item()


# ---- the curve

def test_smooth_gives_means_of_whole_stretches():
    history = History(loss=[1.0, 3.0, 5.0, 7.0, 9.0], accuracy=[0.0, 1.0, 1.0, 1.0, 0.0])
    assert history.smooth("loss", width=2) == ([2, 4], [2.0, 6.0])
    assert history.smooth("loss", width=5) == ([5], [5.0])
    assert history.smooth(width=1) == ([1, 2, 3, 4, 5], [0.0, 1.0, 1.0, 1.0, 0.0])
    assert history.smooth("loss", width=6) == ([5], [5.0])      # fewer steps than one stretch: one mean of all
    assert History().smooth() == ([], [])


def test_default_stretch_of_smooth_is_shorter_than_a_lesson():
    steps, means = History(accuracy=[float(i >= 50) for i in range(100)]).smooth()
    assert steps == [25, 50, 75, 100] and means == [0.0, 0.0, 1.0, 1.0]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_learns_the_same_problem_from_data_on_either_side():
    net = small_net().cuda()
    history = fit(net, batches(80), progress=False)
    assert sum(history.loss[-10:]) < 0.3 * sum(history.loss[:10]) and len(history.accuracy) == 80
    data = batch(300, seed=1000)
    assert evaluate(net, data) > 0.95
    assert evaluate(net, Batch(*(part.cuda() for part in data))) == evaluate(net, data)
    assert predict(net, data.x).dtype == torch.float32 and train.device_of(net).type == "cuda"


# ---- another loss, another metric

def test_another_loss_is_the_one_that_is_made_smaller():
    """Labels that cross-entropy could not use: the share of each colour, learned by the mean square."""
    data = [b._replace(y=b.x.mean((2, 3))) for b in batches(60)]
    net, measured = small_net(), []
    history = fit(net, data, progress=False, loss=lambda out, y: (out - y).square().mean(), unseen=data[0],
                  metric=lambda out, y: measured.append((out.shape, y.shape)) or (out - y).abs().max())
    assert sum(history.loss[-10:]) < 0.2 * sum(history.loss[:10]) and len(history.loss) == 60
    assert history.accuracy == [] and len(history.unseen) == 1 and type(history.unseen[0]) is float
    assert measured == [((16, 3), (16, 3))]
    assert evaluate(net, data[1], lambda out, y: (out - y).abs().mean()) < 0.2


def test_cross_entropy_given_by_hand_is_the_same_training():
    one, other = small_net(), small_net()
    plain = fit(one, batches(6), progress=False)
    given = fit(other, batches(6), progress=False, loss=nn.functional.cross_entropy)
    assert plain.loss == given.loss and equal(weights(one), weights(other))


def test_a_class_for_every_pixel_needs_no_loss_of_its_own():
    net = nn.Conv2d(3, 3, 1)
    data = [b._replace(y=b.x.argmax(1)) for b in batches(60)]
    history = fit(net, data, lr=0.1, progress=False)
    assert history.accuracy[-1] > 0.9 and evaluate(net, data[0]) > 0.9


def test_an_interrupt_keeps_the_losses_of_another_loss():
    history = fit(small_net(), Stopped(at=7), progress=False, loss=lambda out, y: out.square().mean())
    assert history.interrupted and len(history.loss) == 7 and history.accuracy == []
