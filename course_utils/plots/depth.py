"""What comes out against where it is plugged in, from the picture to the last map. Lessons reach this through `plots`."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .charts import capital, dashed_lines, family_of, margin_labels, number, reference_lines
from .dotplot import value_limits
from .look import FAMILY_COLOURS, INK, MARKERS, darker, new_figure, opening, per_seed, styled, wrap

STYLES = ((), (5, 2), (1.5, 1.5), (6, 2, 1.5, 2))      # of the lines: two mechanisms of one family are told apart by them


@styled
def depth(lines: dict, ylabel: str = "accuracy on unseen digits", xlabel: str = "", title: str | None = None,
          families: dict | None = None, reference=None, reference_label: str | None = None, order: Sequence[str] | None = None):
    """One line for each mechanism: its mean over seeds at each place, in the order in which the data meets the places.

    Of two lines of one family the first has full marks and the second empty ones.

    Args:
        lines: label -> {place -> values by seed}; values a list, or a dict seed -> value as `Study.runs` makes it.
        families: label -> family, for colour and marker; otherwise the mechanism named in the label decides.
        reference: a value, or {label: value}: a dashed line with its name.
        order: the places in order; None: those of the first label. A label may lack some of them, and has no others.

    Raises:
        ValueError: no lines, a place that is not in the order, values that are not finite.
    """
    if not isinstance(lines, dict) or not lines or not all(isinstance(v, dict) and v for v in lines.values()):
        raise ValueError(f"lines: wanted label -> {{place: values by seed}}, got {lines!r}")
    order = list(next(iter(lines.values())) if order is None else order)
    for label, line in lines.items():
        if strange := [place for place in line if place not in order]:
            raise ValueError(f"lines[{label!r}]: place {strange[0]!r} is not among those in order: {', '.join(order)}")
    dashed = reference_lines(reference, reference_label)
    fig = new_figure(8.2, 4.0, title)
    ax, words, shown, ends, seen, key = fig.add_subplot(), [], list(dashed.values()), [], [], ""
    aside = np.linspace(-0.14, 0.14, len(lines)) if len(lines) > 1 else [0.0]
    for (label, line), shift, dashes in zip(lines.items(), aside, STYLES * len(lines), strict=False):
        family = family_of(label, families)
        colour, at, means, counts = FAMILY_COLOURS[family], [], [], set()
        full = seen.count(family) % 2 == 0
        key += "" if full else f"; empty: {label}"
        seen.append(family)
        for place, seeds in sorted(line.items(), key=lambda entry: order.index(entry[0])):
            v = per_seed(seeds, f"lines[{label!r}][{place!r}]")
            at.append(order.index(place) + shift)
            means.append(v.mean())
            counts.add(len(v))
            ax.scatter(np.full(len(v), at[-1]), v, s=26, marker=MARKERS[family],
                       facecolor=colour if full else "white", edgecolor=INK if full else darker(colour),
                       linewidth=0.5 if full else 1.2, alpha=0.75, zorder=3, gid="seeds")
            shown += [*v]
        ax.plot(at, means, color=darker(colour), linewidth=2.2, dashes=dashes or (None, None), zorder=2, gid="mean")
        ends.append((means[-1], label, darker(colour)))
        said = ", ".join(f"{place} {number(m)}" for place, m in zip(sorted(line, key=order.index), means, strict=True))
        seeds = " to ".join(map(str, sorted({min(counts), max(counts)})))
        words.append(f"{label}: mean at {said}; {seeds} seed{'s' * (max(counts) > 1)}.")
    ax.set(ylabel=ylabel, xlabel=xlabel, ylim=value_limits(shown, shown), xlim=(-0.4, len(order) - 0.6))
    ax.set_xticks(range(len(order)), [wrap(place, 0.75, 9) for place in order])
    ax.grid(axis="y")
    dashed_lines(ax, dashed)
    ax.set_title("one mark per seed; line: mean" + key + "".join(f"; dashed: {k} {number(v)}" for k, v in dashed.items()))
    margin_labels(ax, ends)
    words += [f"Dashed line: {k} at {number(v)}." for k, v in dashed.items()]
    fig.alt = f"{opening(title)}{capital(ylabel)} by {xlabel or 'place'}, from {order[0]} to {order[-1]}. {' '.join(words)}"
    return fig
