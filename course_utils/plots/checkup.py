"""What the doctor measured, as one figure: the gates, what freezing them loses, and what they cost."""
from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .look import ACCENT, BLUE, GREEN, GREY, INK, new_figure, opening, styled, to_array, wrap

MOST = 12      # rows of gates that can be read


@styled
def checkup(gates: Mapping[str, Sequence[float]], losses: Mapping[str, Sequence[float]], ratios: Mapping[str, float],
            scored: bool = True, faults: Sequence[str] = (), title: str | None = None):
    """Three panels side by side: what each place weighs by, what is lost when it is frozen at its mean, what it costs.

    Args:
        gates: place -> (5 %, 50 %, 95 %) of the values that it weighs by. Of more than twelve the first and the last six.
        losses: what is frozen -> (mean, low, high) of what is lost, as shares of the pictures.
        ratios: what is paid -> how much more than without attention, 0.1 for 10 %.
        scored: the losses are right answers; otherwise answers that become others.
        faults: names of what is wrong, for the title.

    Raises:
        ValueError: nothing to draw, or not three numbers a row.
    """
    if not (gates or losses or ratios):
        raise ValueError("nothing to draw: no gates, no losses and no costs")
    names = list(gates)
    shown = names if len(names) <= MOST else names[:MOST // 2] + names[-MOST // 2:]
    values = {name: to_array(gates[name], f"gates[{name!r}]", 1, "three numbers") for name in shown}
    lost = {name: to_array(loss, f"losses[{name!r}]", 1, "mean, low and high") for name, loss in losses.items()}
    said = title or ("The doctor found: " + ", ".join(faults) if faults else "The doctor has nothing to complain of")
    rows = max(len(shown), len(lost), len(ratios), 2)
    fig = new_figure(9.4, 1.5 + 0.42 * rows, said)
    panels = fig.subplots(1, 3, width_ratios=[1.1, 1, 0.8])
    words = [panel_of_gates(panels[0], values, len(names)), panel_of_losses(panels[1], lost, scored),
             panel_of_costs(panels[2], ratios)]
    for ax in panels:
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x")
    fig.alt = opening(said) + " ".join(words)
    return fig


def named_rows(ax, names: Sequence[str], wide: float) -> None:
    ax.set_yticks(range(len(names)), [wrap(short(name), wide, 9) for name in names])
    ax.set_ylim(max(len(names), 2) - 0.4, -0.6)


def short(name: str) -> str:
    """layer1.0.bn2.attention_post -> layer1.0.bn2 post: what is common to all names says nothing."""
    return name.replace(".attention_", " ").replace("attention_", "")


def panel_of_gates(ax, values: Mapping[str, np.ndarray], count: int) -> str:
    ax.set_title("weighs by: 5 to 95 %, middle")
    if not values:
        ax.set_axis_off()
        ax.text(0, 0.5, "nothing that can be read", transform=ax.transAxes, color=GREY)
        return "No gate could be read."
    for row, (low, middle, high) in enumerate(values.values()):
        ax.plot([low, high], [row, row], color=BLUE, linewidth=6, solid_capstyle="butt", alpha=0.55, gid="gate")
        ax.plot(middle, row, "|", color=INK, markersize=12, markeredgewidth=2)
    if all(0 <= v.min() and v.max() <= 2.01 for v in values.values()):
        ax.set_xlim(-0.05, 2.05 if max(v.max() for v in values.values()) > 1.01 else 1.05)
    named_rows(ax, list(values), 1.6)
    more = f", {len(values)} of {count} places" if count > len(values) else ""
    told = "; ".join(f"{short(name)} {low:.2g} to {high:.2g}, middle {middle:.2g}"
                     for name, (low, middle, high) in values.items())
    return f"Left, what each place weighs by{more}: {told}."


def panel_of_losses(ax, lost: Mapping[str, np.ndarray], scored: bool) -> str:
    kind = "right answers lost" if scored else "answers that change"
    ax.set_title(f"frozen at its mean: {kind}")
    if not lost:
        ax.set_axis_off()
        ax.text(0, 0.5, "could not be asked", transform=ax.transAxes, color=GREY)
        return "What freezing loses could not be asked."
    for row, (mean, low, high) in enumerate(lost.values()):
        ax.plot([low, high], [row, row], color=INK, linewidth=2, gid="interval")
        ax.plot(mean, row, "o", color=ACCENT, markeredgecolor=INK, markersize=7, zorder=3)
    far = max(0.05, *(abs(v).max() for v in lost.values()))
    ax.axvline(0, color=GREY, linewidth=1)
    ax.set_xlim(min(-0.1 * far, 1.1 * min(v.min() for v in lost.values())), 1.1 * far)
    ax.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.0f} %")
    named_rows(ax, list(lost), 1.5)
    told = "; ".join(f"{short(name)} {100 * mean:.1f} % ({100 * low:.1f} to {100 * high:.1f})" for name, (mean, low, high)
                     in lost.items())
    return f"Middle, {kind} when frozen at the mean, with 95 % intervals: {told}."


def panel_of_costs(ax, ratios: Mapping[str, float]) -> str:
    ax.set_title("cost, more than without")
    if not ratios:
        ax.set_axis_off()
        ax.text(0, 0.5, "not measured", transform=ax.transAxes, color=GREY)
        return "The cost was not measured."
    far = max(0.05, *(abs(r) for r in ratios.values()))
    for row, ratio in enumerate(ratios.values()):
        ax.barh(row, ratio, height=0.5, color=GREEN, edgecolor=INK, linewidth=0.6, gid="cost")
        ax.text(max(ratio, 0) + far / 20, row, f"{100 * ratio:+.1f} %", va="center", fontsize=9)
    ax.axvline(0, color=GREY, linewidth=1)
    ax.set_xlim(min(0.0, *ratios.values()) - far / 20, 1.55 * far)
    ax.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.0f} %")
    named_rows(ax, list(ratios), 1.2)
    told = "; ".join(f"{name} {100 * ratio:+.1f} %" for name, ratio in ratios.items())
    return f"Right, cost beyond the network without attention: {told}."
