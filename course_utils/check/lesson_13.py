"""Check of lesson 13: one mechanism for another in a trained network. It comes with the wrong answers that it rejects."""

from __future__ import annotations

import copy
import functools

import torch
from torch import nn

from .. import attention
from ..hosts import SmallResNet
from ..sockets import Receipt, plug_in, unplug
from .report import Mistake, Report, exercise, numbers


@functools.cache
def trained() -> nn.Module:
    """A small host with SE as it is made, after a few steps on noise."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = SmallResNet(classes=3, widths=(4, 8, 8))
        plug_in(net, "se", at="post", start="as_made", reduction=4, input_size=16)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    for step in range(3):
        optimiser.zero_grad()
        net(numbers(8, 3, 16, 16, seed=step)).square().mean().backward()
        optimiser.step()
    optimiser.zero_grad()
    return net


@functools.cache
def post_places(name: str) -> set[str]:
    """What the new modules are called when a mechanism is plugged in at post of that host."""
    with torch.random.fork_rng(devices=[]):
        return set(plug_in(SmallResNet(classes=3, widths=(4, 8, 8)), name, at="post", input_size=16).names)


def exchanged(at: str = "post", out: bool = True, new: str | None = None, before=lambda net: net, after=lambda net, receipt: net,
              **options):
    """An exchange of the attention with one thing to get wrong."""
    def exchange(net: nn.Module, name: str):
        net = before(net)
        if out:
            unplug(net)
        return after(net, plug_in(net, new or name, at=at, stack=not out, input_size=16, **options))
    return exchange


def unplugged(net: nn.Module, name: str) -> nn.Module:
    unplug(net)
    return net


def still(*kinds: type):
    """Parameters of those modules that will not be trained."""
    def freeze(net: nn.Module, receipt: Receipt) -> nn.Module:
        new = {id(p) for m in receipt.modules(net) for p in m.parameters()}
        for p in net.parameters():
            p.requires_grad = (id(p) in new) != (attention.Mechanism in kinds)
        return net
    return freeze


def one_more(net: nn.Module, receipt: Receipt) -> nn.Module:
    plug_in(net, "eca", at="input", input_size=16)
    return net


def looked_at(net: nn.Module, receipt: Receipt) -> nn.Module:
    was = net.training
    net.train()(numbers(4, 3, 16, 16))
    return net.train(was)


MISTAKES = {
    "stacked": Mistake("SE was not taken out before the new one was plugged in: unplug(net) first.", exchanged(out=False)),
    "untouched": Mistake("nothing was taken out: unplug(net) first.", lambda net, name: net),
    "unplugged": Mistake("SE was taken out and nothing plugged in: plug_in(net, new, at='post').", unplugged),
    "ignored": Mistake("the name that is asked for is not used: SE was plugged in again.", exchanged(new="se")),
    "another": Mistake("the name that is asked for is not used: another mechanism was plugged in.", exchanged(new="srm")),
    "pre": Mistake("it was plugged in at 'pre'; asked is at='post'.", exchanged("pre")),
    "both": Mistake("it was plugged in at 'both'; asked is at='post'.", exchanged("both")),
    "some": Mistake("it was plugged in at some of the stages; leave stages and layers out.", exchanged(stages=3)),
    "fresh": Mistake("that is a new host, so what was trained is lost: change the network that you are given.",
                     exchanged(before=lambda net: SmallResNet(classes=3, widths=(4, 8, 8)))),
    "looked": Mistake("the network was run in training mode, which moves the running statistics of its batch norms.",
                      exchanged(after=looked_at)),
    "as_made": Mistake("the new gates begin near one half (start='as_made'); leave start out, or say start='identity'.",
                     exchanged(start="as_made")),
    "mode": Mistake("your function calls net.eval() or net.train(); leave the mode as it is.",
                    exchanged(after=lambda net, receipt: net.train(not net.training))),
    "frozen host": Mistake("the host's weights are frozen (requires_grad = False); leave them free to learn.",
                           exchanged(after=still())),
    "frozen": Mistake("the new mechanism is frozen (requires_grad = False), so it stays what it is at its start for ever.",
                      exchanged(after=still(attention.Mechanism))),
    "further": Mistake("a further mechanism was plugged in; asked is the new one at 'post', and nothing else.",
                       exchanged(after=one_more)),
    "two names": Mistake("the name that is asked for is not used: your function knows some names only.",
                         lambda net, name: exchanged(new=name if name in ("cbam", "eca") else "cbam")(net, name)),
    "receipt": Mistake("plug_in changes the network in place and returns a receipt; return net, in a line of its own.",
                       exchanged(after=lambda net, receipt: receipt)),
    "silent": Mistake("the last line is missing: return net.", exchanged(after=lambda net, receipt: None)),
}


def cause(key: str) -> str:
    return MISTAKES[key].cause


def names_of(net: nn.Module, kind: type | tuple) -> set[str]:
    """Where modules of a class are; what eases one is not counted as a place of its own."""
    return {name.removesuffix(".module") for name, m in net.named_modules() if isinstance(m, kind)}


def listed(names: set[str]) -> str:
    first, *others = sorted(names)
    return first + (f" and {len(others)} more" if others else "")


def check_places(report: Report, got: nn.Module, new: str, old: list[nn.Module]) -> None:
    """The old attention is gone, and the new one is at all places and no others."""
    cls = attention.find(new)
    found, wanted = names_of(got, cls), post_places(new)
    if (left := names_of(got, attention.SE)) and cls is not attention.SE:
        same = any(m is o for m in got.modules() for o in old)
        report.wrong(f"SE is still in the network: {listed(left)}",
                     cause("stacked" if found else "untouched" if same else "ignored"))
    parts = {id(part) for m in got.modules() if isinstance(m, cls) for part in m.modules()}      # CBAM holds two gates
    other = [m for m in got.modules() if isinstance(m, attention.Mechanism) and id(m) not in parts]
    if not found:
        key = "unplugged" if not other else "two names" if any(type(m) is attention.find("cbam") for m in other) else "another"
        report.wrong(f"there is no {cls.__name__} in the network", cause(key))
    if found != wanted:
        before = any("attention_pre" in name for name in found)
        key = "some" if found < wanted else "both" if before and wanted < found else "pre" if before else ""
        missing, more = (f"; {words} {listed(names)}" if names else "" for words, names in
                         (("it is missing at", wanted - found), ("it should not be at", found - wanted)))
        report.wrong(f"{cls.__name__} belongs at the {len(wanted)} places of 'post'{missing}{more}", cause(key) if key else "")
    if other:
        report.wrong(f"besides {cls.__name__} there is {type(other[0]).__name__} in the network", cause("further"))
    report.right(f"{new}: no SE is left, and {cls.__name__} is at all {len(wanted)} places of 'post'")


def check_host(report: Report, got: nn.Module, host: nn.Module) -> None:
    """Weights, statistics, outputs and mode are those of the host alone."""
    state = got.state_dict()
    if changed := [k for k, v in host.state_dict().items() if k not in state or not torch.equal(v, state[k])]:
        statistics = all("running_" in k or "num_batches" in k for k in changed)
        kinds = any(state[k].dtype != host.state_dict()[k].dtype for k in changed if k in state)
        report.wrong(f"the host has changed: {len(changed)} of its tensors are others, {changed[0]} for example",
                     "its numbers are of another type now: leave out half() or double()." if kinds else
                     cause("looked" if statistics else "fresh"))
    report.right("the host has its weights and running statistics as before")
    x = numbers(4, 3, 16, 16, seed=9)
    with torch.no_grad():
        alone, y = copy.deepcopy(host).eval()(x), report.call(copy.deepcopy(got).eval(), x, what="the network")
    away = (report.tensor(y, tuple(alone.shape), "the network's output") - alone).abs().max()
    if not away <= 1e-5:
        report.wrong(f"the outputs should be those of the host alone; they are up to {away:.4f} away", cause("as_made"))
    report.right("the outputs are those of the host alone")
    mode, modes = "training" if host.training else "evaluation", {name: m.training for name, m in host.named_modules()}
    if any(m.training != modes.get(name, host.training) for name, m in got.named_modules()):
        report.wrong(f"the network was in {mode} mode, and some of it is not any more", cause("mode"))
    report.right(f"all of it is still in {mode} mode")
    learns = {name: p.requires_grad for name, p in got.named_parameters()}
    if stays := [name for name, p in host.named_parameters() if p.requires_grad and not learns.get(name, True)]:
        report.wrong(f"{len(stays)} of the host's parameters do not learn any more, {stays[0]} for example", cause("frozen host"))
    if stays := [name for name, free in learns.items() if not free]:
        report.wrong(f"{len(stays)} of the new parameters do not learn, {stays[0]} for example", cause("frozen"))
    report.right("all parameters can learn")


@exercise("One mechanism for another", list(MISTAKES.values()))
def swap(report: Report, answer) -> None:
    """(net with SE at post, name) -> the same net with that mechanism at post, started as the identity."""
    for new, training in (("cbam", True), ("eca", False), ("gct", True), ("gc", False)):
        net = copy.deepcopy(trained()).train(training)
        host, old = copy.deepcopy(net), [m for m in net.modules() if isinstance(m, attention.SE)]
        unplug(host)
        got = report.call(answer, net, new, silent=cause("silent"))
        if not isinstance(got, nn.Module):
            report.wrong(f"your function should return the network, got {type(got).__name__}",
                         cause("receipt") if isinstance(got, Receipt) else "")
        check_places(report, got, new, old)
        check_host(report, got, host)
