"""Running a learner's code so that whatever it does, it comes to an end, and the notebook is as it was before."""

from __future__ import annotations

import dis
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

LIMIT = 20.0      # seconds for a whole check; the slowest takes half of one


class TimeIsUp(BaseException):
    """No `except Exception` of an answer may catch it."""


class Stopped(BaseException):
    """The learner has pressed Stop: that goes through, unlike a KeyboardInterrupt that an answer raises."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """End what is inside after so many seconds, by TimeIsUp; again each second, for answers with a bare `except:`.

    By an alarm in the main thread of Unix, which also ends a `sleep`. Elsewhere there is none, and a timer asks the thread to
    raise when it comes back to Python.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGALRM"):
        with asked_to_stop(seconds):
            yield
        return

    def ring(*_):
        raise TimeIsUp

    def interrupt(*_):
        raise Stopped
    before = signal.signal(signal.SIGALRM, ring), signal.signal(signal.SIGINT, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before[0])
        signal.signal(signal.SIGINT, before[1])


@contextmanager
def asked_to_stop(seconds: float) -> Iterator[None]:
    from ctypes import c_ulong, py_object, pythonapi

    done, thread = threading.Event(), c_ulong(threading.get_ident())

    def watch():
        wait = seconds
        while not done.wait(wait):
            pythonapi.PyThreadState_SetAsyncExc(thread, py_object(TimeIsUp))
            wait = 1.0
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        pythonapi.PyThreadState_SetAsyncExc(thread, None)      # what was asked for too late


@contextmanager
def undisturbed() -> Iterator[None]:
    """Random numbers, gradient mode, default type and device are afterwards what they were.

    Inside, gradients are on, and the device is the processor, where the checks have their numbers. Of the graphics cards those
    are asked for their numbers that are in use already: to ask the others would start them.
    """
    cards = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    python, numpy, dtype = random.getstate(), np.random.get_state(), torch.get_default_dtype()
    with ExitStack() as stack:
        stack.callback(back_to, device := torch.get_default_device())
        if device.type != "cpu":      # torch brings back what it finds here when an answer sets another: so nothing without need
            stack.enter_context(torch.device("cpu"))
        stack.enter_context(torch.random.fork_rng(devices=cards))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        torch.set_default_dtype(torch.float32)
        torch.default_generator.manual_seed(0)      # torch.manual_seed would seed every card there is
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
            torch.set_default_dtype(dtype)


def back_to(device: torch.device) -> None:
    """The default device again, unless it still is."""
    if torch.get_default_device() != device:
        torch.set_default_device(None if device.type == "cpu" else device)


def shown(value: Any, most: int = 80) -> str:
    """repr, cut off, of anything: also of what cannot be shown."""
    try:
        text = repr(value)
    except Exception as error:
        text = f"<{type(value).__name__}, whose repr stops with {type(error).__name__}>"
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= most else f"{text[:most - 3]}..."


def told(error: BaseException) -> str:
    """What an error says, in one line; also one that cannot say it."""
    try:
        text = str(error)
    except Exception:
        text = ""
    text = " ".join(text.encode("utf-8", "replace").decode().split())
    return type(error).__name__ + (f": {text[:300]}" if text else "")


SILENT = {"RESUME", "NOP", "CACHE", "POP_TOP", "COPY_FREE_VARS", "LOAD_CONST", "LOAD_SMALL_INT", "RETURN_CONST", "RETURN_VALUE"}


def is_placeholder(function: Any) -> bool:
    """Does its body say nothing but `...`, `pass` or `return None`? So "not written yet" is told from a forgotten return."""
    if isinstance(function, nn.Module):
        function = type(function).forward
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return code is not None and {step.opname for step in dis.get_instructions(code)} <= SILENT
