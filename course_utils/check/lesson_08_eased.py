"""Check of lesson 08: any module, started as the identity. It comes with the wrong answers that it rejects."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from .report import Mistake, Report, built, exercise, numbers, whole_gradient


def blend(x: Tensor, y: Tensor, w: Tensor) -> Tensor:
    return x + w * (y - x)


class Wrong(nn.Module):
    """A wrapper that starts as the identity, with one thing to override: a family of plausible mistakes."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.keep(module)
        self.weight = self.first()

    def keep(self, module: nn.Module) -> None:
        self.module = module

    def first(self):
        return nn.Parameter(torch.zeros(()))

    def join(self, x: Tensor, y: Tensor, w: Tensor) -> Tensor:
        return blend(x, y, w)

    def forward(self, x: Tensor) -> Tensor:
        return self.join(x, self.module(x), self.weight)


def joining(join) -> type[Wrong]:
    return type("Wrong", (Wrong,), {"join": lambda self, x, y, w: join(x, y, w)})


def starting(first, join=blend) -> type[Wrong]:
    return type("Wrong", (joining(join),), {"first": lambda self: first()})


class InList(Wrong):
    def keep(self, module: nn.Module) -> None:
        self.module = (module,)

    def forward(self, x: Tensor) -> Tensor:
        return self.join(x, self.module[0](x), self.weight)


class ZeroLast(starting(lambda: None, lambda x, y, w: x + y)):
    def keep(self, module: nn.Module) -> None:
        self.module = module
        for p in list(module.parameters())[-2:]:
            nn.init.zeros_(p)


class LeftOut(Wrong):
    def forward(self, x: Tensor) -> Tensor:
        return x if self.weight == 0 else super().forward(x)


class TrainingOnly(Wrong):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if self.training else x


class Evaluating(Wrong):
    def keep(self, module: nn.Module) -> None:
        self.module = module.eval()


class Forgetful(Wrong):
    def keep(self, module: nn.Module) -> None:
        self.module = module
        for norm in module.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.reset_running_stats()


class Twice(Wrong):
    def forward(self, x: Tensor) -> Tensor:
        return self.join(x, self.module(self.module(x)), self.weight)


MISTAKES = {
    "one": Mistake("the weight starts at 1, so the output is that of the module; it should start at 0.",
                   starting(lambda: nn.Parameter(torch.ones(())))),
    "added": Mistake("the output is x and the module's output in full; what the weight multiplies should be 0 at first.",
                     starting(lambda: nn.Parameter(torch.ones(())), lambda x, y, w: x + w * y)),
    "half": Mistake("the weight starts at one half; it should start at 0.", starting(lambda: nn.Parameter(torch.tensor(0.5)))),
    "gone": Mistake("a weight of 0 leaves nothing; it should leave x. Add x to what the weight multiplies.",
                    joining(lambda x, y, w: w * y)),
    "near": Mistake("that is close to x, and not x itself: a sigmoid, for example, never reaches 0. Use the weight as it is.",
                    starting(lambda: nn.Parameter(torch.tensor(-4.0)), lambda x, y, w: blend(x, y, w.sigmoid()))),
    "zeroed": Mistake("the parameters of the module were set to zero; it may be trained already, so leave it as it is, and give "
                      "the wrapper a weight of its own.", ZeroLast),
    "list": Mistake("the module is in a plain list, tuple or dictionary, where torch does not find it, or a copy of it is kept. "
                    "Write self.module = module.", InList),
    "plain": Mistake("the weight is a plain tensor, a buffer or a number, which no optimiser finds: make it with nn.Parameter.",
                     starting(lambda: torch.zeros((), requires_grad=True))),
    "forward": Mistake("the weight is made in forward, new and 0 at every call, or there is none: make it in __init__.",
                       starting(lambda: None, lambda x, y, w: blend(x, y, nn.Parameter(torch.zeros(()))))),
    "left out": Mistake("the module is left out as long as the weight is 0 (or all runs under no_grad): without a gradient the "
                        "weight stays at 0 for ever.", LeftOut),
    "cut": Mistake("the weight is cut off from the gradient (item, data, detach or requires_grad=False).",
                   joining(lambda x, y, w: blend(x, y, w.detach()))),
    "squared": Mistake("the weight is squared, or multiplied by a second 0: there such a product has no slope.",
                       joining(lambda x, y, w: blend(x, y, w * w))),
    "detached": Mistake("the module's output is cut off from the gradient (detach or no_grad), so the module never learns.",
                        joining(lambda x, y, w: blend(x, y.detach(), w))),
    "many": Mistake("one number is asked for, which works for any module inside: nn.Parameter(torch.zeros(())).",
                    starting(lambda: nn.Parameter(torch.zeros(1000, 1000)), lambda x, y, w: blend(x, y, w.sum()))),
    "twice": Mistake("the module runs twice: its result is computed from its result, or it is called once more than it is used.",
                     Twice),
    "mode": Mistake("in evaluation mode the module is left out: what was learned would be of no use.", TrainingOnly),
    "evaluating": Mistake("your constructor calls eval() or train(); leave the mode of the module as it is.", Evaluating),
    "statistics": Mistake("the running statistics of a norm were overwritten; they belong to what the module has learned.",
                          Forgetful),
    "mean": Mistake("the whole map of the module is let in, place by place: x + w * (module(x) - x), without a mean or a sum.",
                    joining(lambda x, y, w: x + w * (y - x).mean())),
    "in place": Mistake("an operation in place, such as x += ...; write x = x + ...",
                        joining(lambda x, y, w: x.add_(w * (y - x)))),
}
INSIDE = ((lambda: nn.Conv2d(4, 4, 3, padding=1), (2, 4, 5, 6)), (nn.Tanh, (3, 2, 4, 4)),
          (lambda: nn.BatchNorm2d(3), (2, 3, 1, 7)),
          (lambda: nn.Sequential(nn.Conv2d(6, 2, 1), nn.ReLU(), nn.Conv2d(2, 6, 1), nn.Sigmoid()), (1, 6, 3, 2)))


def cause(key: str) -> str:
    return MISTAKES[key].cause


def changed(module: nn.Module, before: nn.Module, what: str) -> bool:
    """Are the parameters, or the buffers, others than they were?"""
    now, then = (dict(getattr(m, f"named_{what}")()) for m in (module, before))
    return now.keys() != then.keys() or any(not torch.equal(now[k], v) for k, v in then.items())


def check_inside(report: Report, module: nn.Module, inside: nn.Module, before: nn.Module) -> None:
    """What was given is as it was: parameters, statistics, mode."""
    name = type(inside).__name__
    if changed(inside, before, "parameters"):
        report.wrong(f"the {name} that you were given has other parameters now", cause("zeroed"))
    if changed(inside, before, "buffers"):
        report.wrong(f"the {name} that you were given has other running statistics now", cause("statistics"))
    if not module.training or inside.training != before.training:
        report.wrong(f"a new wrapper should be in training mode, and the {name} in the mode that it was in", cause("evaluating"))


def check_start(report: Report, answer, inside: nn.Module, x: Tensor) -> nn.Module:
    """An instance of the learner's class that gives x itself, or feedback."""
    before, given = copy.deepcopy(inside), x.clone()
    module, name = built(report, answer, inside), type(inside).__name__
    check_inside(report, module, inside, before)
    got = report.tensor(report.call(module, given, what="forward"), tuple(x.shape), "forward")
    if given._version:      # what torch counts is the writing, even of numbers that stay the same
        report.wrong("your forward changed x itself", cause("in place"))
    if not torch.equal(got, x):
        near, far = (got - x).abs().max(), (before(x) - x).abs().max()
        why = cause("near") if near < far / 10 else "" if len(list(module.parameters())) > len(list(inside.parameters())) else \
            "there is no number of its own in the wrapper; what comes out is all that the module inside gives."
        report.wrong(f"before training, with a {name} inside, the output should be x; it is up to {near:.4f} away from it", why)
    return module


def check_registered(report: Report, module: nn.Module, inside: nn.Module) -> list[nn.Parameter]:
    """The learner's own parameters, or feedback."""
    found, given = set(module.parameters()), set(inside.parameters())
    if not given <= found:
        report.wrong(f"the parameters of the {type(inside).__name__} inside are not among those of your module", cause("list"))
    own = [p for p in module.parameters() if p not in given]
    if not own:
        plain = any(isinstance(v, Tensor | float | int) for k, v in vars(module).items() if k != "training" and k[0] != "_")
        report.wrong("your module has no parameter of its own, so nothing can be learned", cause("plain" if plain or
                     any(True for _ in module.buffers(recurse=False)) else "forward"))
    if (count := sum(p.numel() for p in own)) != 1:
        report.wrong(f"your wrapper has {count:,} numbers of its own", cause("many"))
    report.right("the module inside is registered, and one number besides")
    return own


def check_gradients(report: Report, module: nn.Module, inside: nn.Module, own: list[nn.Parameter], x: Tensor) -> None:
    """The weight has a gradient at the first step, and the module inside from the second on."""
    optimiser, goal = torch.optim.SGD(module.parameters(), lr=0.5), numbers(*x.shape, seed=1)

    def learn() -> Tensor:
        y = module(x.clone())
        if y.requires_grad:
            (y - goal).square().mean().backward()
        return y
    for step in (1, 2):
        optimiser.zero_grad()
        y = report.call(learn, what="a training step")
        if step == 1 and not any(p.grad is not None and p.grad.any() for p in own):
            none = all(p.grad is None for p in own)
            report.wrong(f"at the first step your weight has {'no gradient' if none else 'a gradient of 0'}",
                         cause("left out" if not y.requires_grad else "cut" if none else "squared"))
        if step == 2 and not all(p.grad is not None and p.grad.any() for p in inside.parameters()):
            report.wrong(f"after one step the {type(inside).__name__} inside still has no gradient", cause("detached"))
        optimiser.step()
    report.right("at the first step the weight has a gradient, and at the second the module inside has one too")


def check_share(report: Report, module: nn.Module, inside: nn.Module, own: list[nn.Parameter], x: Tensor) -> None:
    """With the weight somewhere else the output goes over to that of the module inside, which runs once; in both modes."""
    name, forward, calls = type(inside).__name__, inside.forward, []

    def counted(*args):
        calls.append(args)
        return forward(*args)
    for weight, training in ((0.5, True), (-0.3, False)):
        module.train(training)
        with torch.no_grad():
            own[0].fill_(weight)
            y = copy.deepcopy(inside)(x)
        mode = f"with a weight of {weight}, in {'training' if training else 'evaluation'} mode"
        calls.clear()
        inside.forward = counted
        got = report.tensor(report.call(module, x.clone(), what="forward"), tuple(x.shape), "forward").detach()
        del inside.forward
        if len(calls) != 1:
            report.wrong(f"{mode}, the {name} inside runs {len(calls)} times", cause("twice" if calls else "mode"))
        pair = torch.stack([x.flatten(), y.flatten()], 1).double()
        of_x, of_y = torch.linalg.lstsq(pair, got.flatten()[:, None].double()).solution.flatten()
        far = (pair @ torch.stack([of_x, of_y]) - got.flatten()).abs().max()
        if far > 1e-4 or of_y.abs() < 1e-3 or min((of_x - 1).abs(), (of_x + of_y - 1).abs()) > 1e-4:
            report.wrong(f"{mode}, the output is neither x + w * (module(x) - x) nor x + w * module(x), for any w", cause("mean"))
        whole_gradient(report, module, x)
    report.right("with other weights it goes over to the output of the module inside, in training and in evaluation mode")


@exercise("Any module, started as the identity", list(MISTAKES.values()))
def eased(report: Report, answer) -> None:
    """A class module -> wrapper that gives x itself at first, whatever is inside, and learns."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pairs = [(make(), numbers(*shape)) for make, shape in INSIDE]
        for inside, x in pairs:
            inside(x + 1)      # norms that have seen something
    modules = [check_start(report, answer, inside, x) for inside, x in pairs]
    report.right(f"before training the output is x, to the bit, with {', '.join(type(i).__name__ for i, _ in pairs)} inside")
    own = check_registered(report, modules[0], pairs[0][0])
    check_gradients(report, modules[0], pairs[0][0], own, pairs[0][1])
    for module, (inside, x) in zip(modules, pairs, strict=True):
        check_share(report, module, inside, check_registered(Report(report.mistakes), module, inside), x)
