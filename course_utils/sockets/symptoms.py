"""From what was measured to what is wrong: the doctor's thresholds, each with what it was set by, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .checkup import POINT, Checkup, Fault, Finding
from .trials import Norms

# Healthy trained networks of the course's tasks and mechanisms lie far from these (`python tools/make_doctor_table.py`).
# Of the slope of a sigmoid or softmax: below, training moves it no more. A map may well look at one place and be right.
LITTLE_ROOM = {"gate": 0.02, "map": 1e-4, "weights": 1e-4}
ALIKE = 5e-4            # spread between pictures, of the gate's range
SAME = 0.02             # a map that is changed by less is as good as untouched
LEAKS = 1e-3            # of the largest output: more is no rounding, but another picture
STALE_BY = 0.05         # right answers that settling gives back: less is the luck of two sets of statistics
OFF = 4.0               # times the stored variance, or a part of it, in the middle of a norm's channels

SATURATED = ("saturated: its values stand at the ends of their sigmoid or softmax ({low:.2g} to {high:.2g}), where no gradient "
             "comes through, so it stays as it is. Lower the learning rate or add weight decay for its weights, divide the "
             "logits (a temperature, 1/sqrt(d)), or begin again with start='identity'. A softmax over an axis of length one, "
             "or a missing square root, does this too.")
CONSTANT = ("the same for each picture (spread {between:.2%}): it has become a fixed factor, which the next weights could hold. "
            "What it summarises does not tell your pictures apart there: a mean over the wrong axis, a map that is dead or of "
            "one value. Look at what comes in, or plug it in at another depth.")
UNTRAINED = ("still has the weights it was plugged in with. The optimiser was made before plug_in and does not know them (make "
             "it after, or optimiser.add_param_group), or they need no gradient, or the training did not run.")
AT_START = ("changes its map by less than 2 %, though it was trained: it has hardly left its identity start. Train longer, or "
            "give its weights a higher learning rate and no weight decay.")
LEAKING = ("its output for one picture depends on the others in the batch (by {leak:.1%}): a mean, a norm or a softmax runs "
           "over the batch, axis 0, in place of channels or positions. Results then change with the batch size.")
STALE = ("The stored statistics of the norms do not fit what comes now ({ratio:.2g} times the variance in {worst!r}{gain}). "
         "First see that the pictures are scaled as in training (0 to 1, or normalised). If they are, let some hundred batches "
         "pass forward in training mode, without labels and without learning, before you judge or fine-tune: with "
         "torch.no_grad(): net.train()(x).")
UNUSED = ("Frozen at its mean it loses nothing ({lost:+.3f}, at most {high:+.3f}): the network does not use what its attention "
          "sees. Take it out, or plug it in where a summary can see what decides: a choice between channels early, between "
          "places late. Whether it helped while training, only runs without it can say.")
GUESSES = ("It is right in {whole:.3f} of the pictures, and who always says the commonest label in {guess:.3f}: it guesses, so "
           "nothing can be lost. Train it first, and see that the plain network learns.")
HARMS = ("With its gate frozen at the mean the network is right more often ({lost:+.3f}, {low:+.3f} to {high:+.3f}): what it "
         "sees misleads it on these pictures. Look for what differs between them and the pictures of the training.")


def of_the_gate(finding: Finding, trained: bool) -> Finding:
    """The finding with what is wrong with its gate, the first cause alone: what has no weights of its own yet, says nothing."""
    r, faults = finding.reading, list(finding.faults)
    stuck = r is not None and r.room is not None and r.room < LITTLE_ROOM[r.kind]
    if stuck and [fault.name for fault in faults] == ["no gradient"]:
        faults = []      # it is the gate itself that stops it
    if r is None or faults:
        return finding
    if r.leak is not None and r.leak > LEAKS:
        faults.append(Fault("mixes pictures", LEAKING.format(leak=r.leak)))
    if finding.untrained:
        if trained and not finding.frozen:
            faults.append(Fault("untrained", UNTRAINED))
    elif stuck:
        faults.append(Fault("saturated", SATURATED.format(low=r.low, high=r.high)))
    elif trained and finding.start == "identity" and finding.change is not None and finding.change < SAME:
        faults.append(Fault("untrained", AT_START))
    same = not finding.untrained and r.between is not None and r.between < ALIKE
    if same and not faults:
        faults.append(Fault("constant", CONSTANT.format(between=r.between)))
    return replace(finding, same=same, faults=tuple(faults))


def of_the_gates(findings: Sequence[Finding], trained: bool) -> tuple[Finding, ...]:
    """The same for all: a gate that is constant beside others that are not does no harm, and is told without blame."""
    found = tuple(of_the_gate(f, trained) for f in findings)
    if all(f.same for f in found if f.reading is not None and f.reading.kind != "-"):
        return found
    return tuple(replace(f, faults=tuple(fault for fault in f.faults if fault.name != "constant")) for f in found)


def of_the_network(norms: Norms) -> tuple[Fault, ...]:
    """Stale norms: where there are labels, those whose settling gives right answers back; elsewhere those that are far off."""
    gain = norms.settled
    if gain is not None:
        stale = -gain.high > 0 and -gain.mean > STALE_BY
        told = f"; right answers {gain.whole:.3f}, and {gain.left:.3f} once settled"
    else:
        stale, told = not 1 / OFF < norms.ratio < OFF, ""
    return (Fault("stale norms", STALE.format(ratio=norms.ratio, worst=norms.worst, gain=told)),) if norms.worst and stale else ()


def of_the_use(checkup: Checkup) -> tuple[Fault, ...]:
    """Nothing lost by freezing, or something gained: said only where no other fault explains it."""
    lost = checkup.lost
    if lost is None or checkup.named or not checkup.scored:
        return ()
    if lost.high < 0:
        return (Fault("misleads", HARMS.format(lost=lost.mean, low=lost.low, high=lost.high)),)
    if checkup.guess is not None and lost.whole < min(1, checkup.guess + 3 * (checkup.guess / checkup.pictures) ** 0.5):
        return (Fault("guesses", GUESSES.format(whole=lost.whole, guess=checkup.guess)),)
    return (Fault("not used", UNUSED.format(lost=lost.mean, high=lost.high)),) if lost.high < POINT else ()
