"""What a check does around an answer: it ends, it leaves no trace, it says what happened, and Stop still stops."""

import functools
import os
import random
import signal
import threading
import time

import numpy as np
import pytest
import torch
from torch import nn
from torch.overrides import _get_current_function_mode_stack

from course_utils import check
from course_utils.check import guard
from course_utils.check.core import Mistake, Report, alike, exercise, plain_number
from course_utils.check.guard import TimeIsUp, asked_to_stop, is_placeholder, limited, shown, told
from course_utils.check.report import close_number, compare, numbers


@exercise("Doubles", [
    Mistake("that is the square.", lambda x: x * x),
    Mistake("that is the sum of the number and itself to the third power.", lambda x: x + x ** 3),
])
def doubles(report: Report, answer) -> None:
    for x in (torch.tensor([2.0, 0.0]), torch.tensor([1.0, -1.0, 3.0])):
        compare(report, answer, (x,), 2 * x, f"{len(x)} numbers")


def said(check_, answer, capsys):
    verdict = check_(answer)
    return verdict, capsys.readouterr().out


# ---- causes

def test_a_cause_is_named_that_fits_all_cases(capsys):
    assert "that is the square" in said(doubles, lambda x: x ** 2, capsys)[1]


def test_a_mistake_that_fits_one_case_of_several_is_not_the_cause(capsys):
    """In the first case both are right; in the second this gives squares, but not of the third number."""
    verdict, text = said(doubles, lambda x: torch.where(x > 2, 5.0, x * x), capsys)
    assert verdict is False and "WRONG" in text and "cause" not in text


def test_an_error_says_what_was_got_and_wanted(capsys):
    assert "got 1.0000 where -2.0000 was expected" in said(doubles, lambda x: x * x, capsys)[1]


# ---- forgotten returns and placeholders

def forgets(x):
    x * 2      # noqa: B018 that is the mistake


def dots(x):
    ...


def explained(x):
    """To be written."""
    pass


class Empty(nn.Module):
    def forward(self, x):
        ...


@pytest.mark.parametrize("function", [dots, explained, lambda x: None, lambda *x: ..., Empty()])
def test_what_says_nothing_is_a_placeholder(function):
    assert is_placeholder(function)


@pytest.mark.parametrize("function", [forgets, lambda x: x, len, functools.partial(dots), nn.ReLU(), 3])
def test_what_does_something_is_none(function):
    assert not is_placeholder(function)


def test_a_forgotten_return_is_told_as_such(capsys):
    verdict, text = said(doubles, forgets, capsys)
    assert verdict is False and "returned None" in text and "return" in text and "not attempted" not in text
    assert "not attempted" in said(doubles, dots, capsys)[1]


def test_torch_cannot_do_it_is_not_the_same_as_not_written_yet(capsys):
    def not_on_this(x):
        raise NotImplementedError("Could not run 'aten::mul'")
    assert "stopped with NotImplementedError: Could not run" in said(doubles, not_on_this, capsys)[1]


# ---- in place, again, gradients, kinds of tensors

@pytest.mark.parametrize("answer, message", [
    (lambda x: x.add_(x), "changed what it was given"),
    (lambda x: (x.zero_(), 2 * x)[1], "changed what it was given"),
    (lambda x: (x.add_(0), 2 * x)[1], "changed what it was given"),
    (lambda x: 2 * x.detach(), "no gradient reaches x"),
    (lambda x: torch.tensor((2 * x).tolist()), "no gradient reaches x"),
    (torch.no_grad()(lambda x: 2 * x), "cut off: detach"),
    (lambda x: (2 * x).to("meta"), "is on the device 'meta'"),
    (lambda x: (2 * x).to_sparse(), "ordinary, dense tensor, got torch.sparse_coo"),
    (lambda x: torch.complex(2 * x, x), "should hold real numbers, got torch.complex64"),
    (lambda x: (2 * x)[None], "should have shape (2,), got (1, 2)"),
])
def test_what_is_wrong_besides_the_numbers(answer, message, capsys):
    verdict, text = said(doubles, answer, capsys)
    assert verdict is False and message in text


def test_what_is_kept_from_call_to_call_is_found(capsys):
    calls = []

    def every_other(x):
        calls.append(x)
        return 2 * x if len(calls) % 2 else 3 * x
    assert "a second call for 2 numbers gives something else" in said(doubles, every_other, capsys)[1]


def test_double_precision_is_right_with_a_word(capsys):
    verdict, text = said(doubles, lambda x: 2 * x.double(), capsys)
    assert verdict is True and "in float64" in text


# ---- numbers

@pytest.mark.parametrize("value, wanted", [
    (3, 3), (0.5, 0.5), (np.int64(3), 3), (np.float32(0.5), 0.5), (torch.tensor(3), 3), (torch.tensor(0.5), 0.5),
    (np.array(2.0), 2.0), (10 ** 400, 10 ** 400), (True, None), (np.bool_(True), None), (torch.tensor(True), None), ("3", None),
    (1j, None), ([3], None), (torch.ones(1), None), (None, None)])
def test_numbers_of_every_kind(value, wanted):
    got = plain_number(value)
    assert got == wanted and type(got) is type(wanted)


def test_an_integer_is_whole_and_not_only_looks_so():
    assert plain_number(7.0, integer=True) is None and plain_number(np.int32(7), integer=True) == 7


@pytest.mark.parametrize("one, other, same", [
    (torch.ones(2), torch.ones(2) + 1e-7, True), (torch.ones(2), torch.ones(1, 2), False), (float("nan"), float("nan"), True),
    ([1, torch.ones(1)], [1.0, torch.ones(1)], True), ("a", "a", True), ("a", "b", False), (1, "1", False), ([1], [1, 2], False)])
def test_what_is_alike(one, other, same):
    assert alike(one, other) is same


@exercise("Half", [Mistake("that is the whole.", 1.0)])
def half(report: Report, answer) -> None:
    close_number(report, answer, 0.5, "share")


def test_a_number_beyond_all_measure_is_only_wrong(capsys):
    for value in (10 ** 400, -(10 ** 400), float("inf"), float("nan")):
        assert said(half, value, capsys)[0] is False


# ---- time, state, stop

def forever(x):
    while True:
        try:
            while True:
                pass
        except:      # noqa: E722 the worst of answers
            pass


@pytest.mark.parametrize("answer", [lambda x: time.sleep(60), lambda x: sum(1 for _ in iter(int, 1))])
def test_an_endless_answer_is_stopped(answer, capsys, monkeypatch):
    monkeypatch.setattr(guard, "LIMIT", 0.3)
    begin = time.monotonic()
    verdict, text = said(doubles, answer, capsys)
    assert verdict is False and "ran for 0.3 seconds and was stopped" in text and time.monotonic() - begin < 30


def test_without_an_alarm_a_timer_stops_it(capsys, monkeypatch):
    """As on Windows, and in threads."""
    monkeypatch.setattr(guard, "LIMIT", 0.3)
    verdicts = []
    thread = threading.Thread(target=lambda: verdicts.append(doubles(lambda x: sum(1 for _ in iter(int, 1)))))
    thread.start()
    thread.join(60)
    assert verdicts == [False] and "was stopped" in capsys.readouterr().out


def test_time_is_asked_for_only_inside():
    with limited(0.05):
        pass
    with asked_to_stop(0.05):
        pass
    time.sleep(0.2)
    with pytest.raises(TimeIsUp), limited(0.05):
        time.sleep(5)


def test_stop_goes_through_and_an_own_interrupt_does_not(capsys):
    def pressed(x):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    def raised(x):
        raise KeyboardInterrupt
    assert said(doubles, raised, capsys)[0] is False
    with pytest.raises(KeyboardInterrupt):
        doubles(pressed)
    assert signal.getsignal(signal.SIGINT) is not None and doubles(lambda x: 2 * x)


def test_the_notebook_is_as_it_was(capsys):
    def spoils(x):
        torch.manual_seed(1)
        np.random.seed(1)
        random.seed(1)
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        return 3 * x
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    before = torch.rand(1), np.random.rand(), random.random()
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    doubles(spoils)
    assert (torch.rand(1), np.random.rand(), random.random()) == before
    assert torch.is_grad_enabled() and torch.get_default_dtype() == torch.float32


def test_a_right_answer_is_right_whatever_the_default_device_is(capsys):
    """A learner on Colab may have said set_default_device("cuda"). "meta" is a device that every machine has."""
    def moves(x):
        torch.set_default_device("meta")
        return 2 * x
    try:
        torch.set_default_device("meta")
        assert doubles(lambda x: 2 * x) is True and torch.get_default_device().type == "meta"
        doubles(moves)
        assert torch.get_default_device().type == "meta"
        torch.set_default_device(None)
        doubles(moves)
        assert torch.get_default_device().type == "cpu" and not _get_current_function_mode_stack()
        with torch.device("meta"):
            assert doubles(lambda x: 2 * x) is True and torch.get_default_device().type == "meta"
        assert torch.get_default_device().type == "cpu"
    finally:
        torch.set_default_device(None)
    # A mode that stays behind slows every operator from then on, and calls a method twice that a test has put in its place.
    assert not _get_current_function_mode_stack()


@pytest.mark.parametrize("block", [torch.no_grad, torch.inference_mode])
def test_a_right_answer_is_right_where_gradients_are_off(block, capsys):
    with block():
        assert doubles(lambda x: 2 * x) is True
    assert check.se(check.lesson_02.SE) is True


def test_what_was_right_before_an_error_stays_on_the_page(capsys):
    def only_two(x):
        if len(x) > 2:
            raise ValueError("three")
        return 2 * x
    text = said(doubles, only_two, capsys)[1]
    assert "right  values for 2 numbers" in text and "stopped with ValueError: three" in text


class Mute:
    def __repr__(self):
        raise ValueError

    __str__ = __repr__


def test_everything_can_be_shown():
    assert "whose repr stops with ValueError" in shown(Mute()) and len(shown("x" * 1000)) == 80
    assert told(type("Odd", (Exception,), {"__str__": Mute.__repr__})()) == "Odd"
    assert told(ValueError("\udcff")) == "ValueError: ?"


def test_numbers_are_the_same_everywhere():
    assert torch.equal(numbers(3, seed=1), numbers(3, seed=1)) and not torch.equal(numbers(3), numbers(3, seed=1))


def test_a_gate_without_a_bias_is_told_what_its_start_lacks(capsys):
    """The cause is read off the last layer, which need not have a bias."""
    class Half(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.squeeze, self.excite = nn.Linear(channels, channels), nn.Linear(channels, channels, bias=False)
            nn.init.zeros_(self.excite.weight)

        def forward(self, x):
            return x * torch.sigmoid(self.excite(torch.relu(self.squeeze(x.mean((2, 3))))))[:, :, None, None]
    assert check.identity_start(Half) is False
    assert "multiply it by 2" in capsys.readouterr().out
