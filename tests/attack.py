"""Answers that nobody writes by hand for each exercise: right ones in other styles, wrong ones of every kind, odd objects.

usage: python tests/attack.py [checks]      prints what each makes of all of them, with the counts; default: all checks
"""

from __future__ import annotations

import contextlib
import copy
import functools
import io
import itertools
import math
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import torch
from test_check import CHECKS, RIGHT
from torch import nn

from course_utils.check import guard

NO_SLOPE = {"hit_share", "inside_outside", "confusion", "look_at"}      # scores and settings: no gradient is wanted of them


GET_NUMBERS = {"look_at", "matched_width", "squeeze_width", "seen_pixels", "gate_bytes"}      # nothing that could be written to


def kind(name: str) -> str:
    answer = RIGHT[name][0]
    return "class" if isinstance(answer, type) else "function" if callable(answer) else \
        "number" if isinstance(answer, int | float) else "data" if name == "comparison" else "choice"


# ---- right, in other styles

class Called:
    """An object that is called as a function."""

    def __init__(self, function):
        self.function = function

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)

    def method(self, *args):
        return self.function(*args)


def strided(value):
    """The same numbers in another order of memory."""
    if isinstance(value, torch.Tensor) and value.ndim > 1:
        return value.transpose(0, -1).contiguous().transpose(0, -1)
    return value


def styles(name: str) -> dict[str, object]:
    answers = RIGHT[name]
    found = {f"own {i}": a for i, a in enumerate(answers)}
    first = answers[0]
    if kind(name) == "number":
        return found | {"numpy": np.float64(first), "numpy, single": np.float32(first), "fraction": Fraction(first),
                        "decimal": Decimal(repr(first)), "tensor": torch.tensor(first), "array": np.array(first)}
    if kind(name) == "function":
        found |= {"partial": functools.partial(first), "object": Called(first), "method": Called(first).method,
                  "strided": lambda *args: strided(first(*args)), "with kept": functools.wraps(first)(lambda *a: first(*a))}
    if kind(name) == "class":
        class Inherited(first):
            pass

        class Wrapped(nn.Module):
            def __init__(self, *args):
                super().__init__()
                self.inner = first(*args)

            def forward(self, x):
                return self.inner(x)

        class Strided(first):
            def forward(self, x):
                return strided(super().forward(x))
        class Noted(first):
            def __init__(self, *args):
                super().__init__(*args)
                self.register_buffer("kept_aside", torch.zeros(1))
        mixed = type("Mixed", (type("Extra", (), {"about": "nothing"}), first), {})
        found |= {"inherited": Inherited, "strided": Strided, "with a buffer": Noted, "mixed": mixed}
        if not name.startswith("mended"):      # there the parts keep the names that they had
            found["wrapped"] = Wrapped
    if kind(name) == "data":
        found |= {"tuples": {k: tuple(v) for k, v in first.items()}, "numpy": {k: np.array(v) for k, v in first.items()},
                  "tensors": {k: torch.tensor(v) for k, v in first.items()}}
    return found


# ---- wrong, whatever the exercise is

class Evil(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def stops(error):
    def answer(*args):
        raise error
    return answer


def endless(*args):
    while True:
        pass


def floats(args):
    return [a for a in args if isinstance(a, torch.Tensor) and a.is_floating_point()]


def writes(first):
    def answer(*args):
        value = first(*copy.deepcopy(args))
        for a in args:
            if isinstance(a, torch.Tensor):
                with torch.no_grad():
                    a.zero_()
            elif isinstance(a, list | dict):
                a.clear()
        return value
    return answer


def kept_from_the_first_call(function):
    seen = []

    def answer(*args):
        seen.append(function(*args))
        return seen[0]
    return answer


def on_tensors(first) -> tuple[dict[str, object], dict[str, object]]:
    """Faults of a function whose result is a tensor; then those that cut a gradient off."""
    no_grad = torch.no_grad()(first)
    return {
        "on another device": lambda *a: first(*a).to("meta"), "sparse": lambda *a: first(*a).to_sparse(),
        "complex": lambda *a: torch.complex(y := first(*a).float(), y), "a list": lambda *a: first(*a).tolist(),
        "constant": lambda *a: torch.zeros_like(first(*a)), "noisy": lambda *a: (y := first(*a)) + 0.1 * torch.randn(y.shape),
        "one number": lambda *a: first(*a).float().mean(), "not a number": lambda *a: first(*a) * math.nan,
        "a pair": lambda *a: (first(*a), None),
    }, {
        "detached": lambda *a: first(*a).detach(), "under no_grad": no_grad,
        "numpy": lambda *a: torch.from_numpy(no_grad(*[x.detach() if isinstance(x, torch.Tensor) else x for x in a]).numpy()),
    }


def faults(name: str) -> dict[str, object]:
    first = RIGHT[name][0]
    if kind(name) == "number":
        wrong = first + 1 + abs(first)
        return {"nan": math.nan, "infinite": math.inf, "text": str(first), "list": [first], "true": True,
                "complex": complex(first), "too large": 10 ** 400, "another": wrong,
                "another, numpy": np.float64(wrong), "two": torch.tensor([first] * 2),
                "negative": -1 - first, "function": lambda: first}
    if kind(name) == "choice":
        return {"none of them": type(first)(), "number": 3, "words": ["abc", "xyz"], "nested": [[first]], "true": True,
                "endless": itertools.count(), "hostile": Hostile(), "function": lambda: first}
    if kind(name) == "data":
        return {"list": [first], "text": "plain", "one number each": dict.fromkeys(first, 0.5),
                "words": dict.fromkeys(first, "abc"), "none each": dict.fromkeys(first),
                "endless": dict.fromkeys(first, itertools.count()), "empty": {},
                "true": dict.fromkeys(first, [True, False, True]), "nested": {k: [v] for k, v in first.items()},
                "too large": dict.fromkeys(first, [10 ** 400] * 3)}
    found = {"SystemExit": stops(SystemExit(1)), "KeyboardInterrupt": stops(KeyboardInterrupt()), "evil": stops(Evil()),
             "recursion": stops(RecursionError()), "endless": endless, "nothing": 3, "a module": nn.Identity()}
    if kind(name) == "class":
        return modules(first) | {key: value for key, value in found.items() if key in ("nothing", "a module")}

    def forgotten(*args):
        first(*args)
    found |= {"forgotten return": forgotten, "text": lambda *a: "the answer", "kept": kept_from_the_first_call(first)}
    if name not in ("swap", "settled", *GET_NUMBERS):      # the first two are asked to write into what they get
        found["in place"] = writes(first)
    if name in TENSORS:
        plain, slopes = on_tensors(first)
        return found | plain | ({} if name in NO_SLOPE else slopes)
    return found


def modules(first: type) -> dict[str, object]:
    def forward(change):
        return type("Changed", (first,), {"forward": change})
    plain, slopes = on_tensors(lambda self, x: first.forward(self, x))
    found = {key: forward(change) for key, change in (plain | slopes).items() if key != "numpy"}

    def numpy(self, x):
        with torch.no_grad():
            return torch.from_numpy(first.forward(self, x.detach()).numpy())

    def in_place(self, x):
        y = first.forward(self, x)
        with torch.no_grad():
            x.zero_()
        return y

    def forgotten(self, x):
        first.forward(self, x)

    def once(self, x):
        if vars(self).setdefault("count", [0])[0]:
            raise RuntimeError("buffers have already been freed")
        self.count[0] += 1
        return first.forward(self, x)

    def no_super(self, *args):
        self.layer = nn.Linear(2, 2)

    def large(self, *args):
        first.__init__(self, *args)
        self.more = nn.Parameter(torch.zeros(1000))

    def evaluates(self, *args):
        first.__init__(self, *args)
        self.eval()
    found |= {key: forward(change) for key, change in {
        "numpy": numpy, "in place": in_place, "forgotten return": forgotten, "only once": once,
        "only in training": lambda self, x: first.forward(self, x) if self.training else x * 0.5,
        "only in evaluation": lambda self, x: first.forward(self, x) if not self.training else x * 0.5,
        "SystemExit": stops(SystemExit(1)), "evil": stops(Evil()), "endless": endless,
        "the first picture for all": lambda self, x: first.forward(self, x)[:1].expand_as(x),
    }.items()}
    return found | {"no super": type("NoSuper", (nn.Module,), {"__init__": no_super, "forward": lambda self, x: x}),
                    "more weights": type("Large", (first,), {"__init__": large}),
                    "eval in the constructor": type("Evaluates", (first,), {"__init__": evaluates}),
                    "stops in the constructor": type("Stops", (first,), {"__init__": stops(SystemExit(1))}),
                    "an instance": nn.Identity()}


# ---- odd objects: no answer at all

class Hostile:
    """Whatever is asked of it raises."""

    def __getattr__(self, name):
        raise SystemExit(name)

    def __repr__(self):
        raise RuntimeError("no")

    __eq__ = __bool__ = __len__ = __iter__ = __float__ = __index__ = __call__ = __hash__ = lambda self, *args: 1 / 0


ODD = {
    "hostile": Hostile(), "text": "", "bytes": b"7", "list": [], "nested": [[[]]], "dict": {}, "set": set(), "object": object(),
    "type": int, "class": Hostile, "generator": (i for i in range(3)), "endless": itertools.count(), "module": math,
    "lambda": lambda: 0, "built in": print, "tensor": torch.ones(3), "empty tensor": torch.ones(0),
    "meta": torch.ones((), device="meta"), "sparse": torch.eye(2).to_sparse(), "array": np.ones((2, 2)), "words": np.array("a"),
    "nan": math.nan, "huge": 10 ** 400, "negative": -(10 ** 400), "complex": 1j, "range": range(3), "exception": ValueError("x"),
    "error class": SystemExit, "not implemented": NotImplemented, "layer": nn.Linear(2, 2), "module class": nn.Module,
    "linear class": nn.Linear, "surrogate": "\udcff", "date": np.datetime64("2020-01-01"), "slice": slice(3),
    "parameter": nn.Parameter(torch.ones(())),
}


TENSORS = {"channel_means", "apply_gate", "hit_share", "coordinate_gate", "mix_places", "in_order", "attend", "double_attention",
           "branch_weights", "mix_kernels", "pool_by", "look_at", "block_sockets", "inside_outside", "identity_mask", "confusion"}


def ask(name: str, answer, limit: float = 20.0) -> tuple[object, str]:
    """What the check returns, or the exception that escaped; and what it printed."""
    before, guard.LIMIT = guard.LIMIT, limit
    with contextlib.redirect_stdout(io.StringIO()) as said:
        try:
            verdict = CHECKS[name](answer)
        except BaseException as error:
            verdict = error
        finally:
            guard.LIMIT = before
    return verdict, said.getvalue()


def main(names: list[str]) -> None:
    totals, names = [0] * 6, names or list(CHECKS)
    for name in names:
        right = {style: ask(name, answer)[0] for style, answer in styles(name).items()}
        wrong = {fault: ask(name, answer, 2.0 if fault == "endless" else 20.0)[0] for fault, answer in faults(name).items()}
        wrong |= {m.cause: ask(name, m.answer)[0] for m in CHECKS[name].mistakes}
        odd = {label: ask(name, answer)[0] for label, answer in ODD.items()}
        escaped = [label for label, verdict in (right | wrong | odd).items() if not isinstance(verdict, bool)]
        refused = [style for style, verdict in right.items() if verdict is not True]
        taken = [fault for fault, verdict in (wrong | odd).items() if verdict is True]
        print(f"{name}: right {len(right)}, rejected {refused}; wrong {len(wrong) + len(odd)}, accepted {taken}; "
              f"raised {escaped}", flush=True)
        for k, value in enumerate((len(right), len(refused), len(wrong), len(odd), len(taken), len(escaped))):
            totals[k] += value
    print("{} checks: right {}, rejected {}; wrong {} and odd {}, accepted {}; tracebacks {}".format(len(names), *totals))


if __name__ == "__main__":
    main(sys.argv[1:])
