"""All seeds as dots, with the mean and its interval. Lessons reach this through `plots`."""
from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..stats import t_interval
from .charts import capital, dashed_lines, family_of, margin_labels, number, reference_lines
from .look import FAMILY_COLOURS, INK, MARKERS, THREAD, new_figure, opening, per_seed, styled, wrap

CLOSE = 0.02            # means that lie so close are told with three decimals
UPRIGHT = 7             # so many labels fit below columns of dots; more of them name rows instead


@styled
def dots(results: dict, reference=None, reference_label: str | None = None,
         ylabel: str = "accuracy on unseen digits", title: str | None = None, families: dict | None = None,
         pairs: bool = False, interval: bool = True):
    """Every seed as a dot, beside it the mean with its 95 % t-interval; in columns, or rows for many labels.

    Args:
        results: label -> one value per seed: a list, or a dict seed -> value as `Study.runs` makes it.
        reference: a value, or {label: value}: a dashed line with its name (chance, a ceiling).
        families: label -> family, for the colour; otherwise the mechanism named in the label decides.
        pairs: join the same seed from label to label by a thin line; all labels need the same seeds.
        interval: False where an interval of the mean says nothing: dots only. For runs that solve a task or guess: `solved`.
    """
    if not isinstance(results, dict) or not results:
        raise ValueError(f"results: wanted a dict label -> values by seed, got {results!r}")
    values = {str(k): per_seed(v, f"results[{k!r}]") for k, v in results.items()}
    counts = {k: len(v) for k, v in values.items()}
    if pairs and len(set(counts.values())) > 1:
        raise ValueError(f"pairs: wanted the same seeds for all labels, got {counts}")
    named = {str(k): sorted(v) for k, v in results.items() if isinstance(v, Mapping)}
    if pairs and len(set(map(tuple, named.values()))) > 1:
        raise ValueError(f"pairs: wanted the same seeds for all labels, got {named}")
    lines = reference_lines(reference, reference_label)
    flat, single = len(values) > UPRIGHT, max(counts.values()) == 1
    interval = interval and not single
    size = (8.2, 1.2 + 0.42 * len(values)) if flat else (min(8.2, 2.6 + 1.25 * len(values)), 3.7)
    fig = new_figure(*size, title)
    ax, words, shown = fig.add_subplot(), [], list(lines.values())

    def put(draw, position, value, **how):
        draw(*((value, position) if flat else (position, value)), **how)

    # the same seed has the same offset everywhere, spread evenly by the golden ratio
    offset = [0.26 * ((0.5 + 0.618034 * i) % 1 - 0.5) - 0.1 for i in range(max(counts.values()))]
    beside = 0.27 if flat else 0.2                               # where the interval stands
    if pairs:
        for seed, aside in enumerate(offset):
            put(ax.plot, np.arange(len(values)) + aside, [v[seed] for v in values.values()], color=THREAD,
                linewidth=1, zorder=1, gid="pair")
    found = {label: t_interval(v) for label, v in values.items()}
    means = [mean for mean, _, _ in found.values()]
    decimals = 3 if 1 < len(means) and max(means) - min(means) < CLOSE else 2      # 0.99 for all would say nothing

    def said(value: float) -> str:
        return number(value, decimals)
    for i, (label, v) in enumerate(values.items()):
        family = family_of(label, families)
        mean, low, high = found[label]
        put(ax.scatter, i + np.array(offset[:len(v)]), v, s=30 if flat else 42, marker=MARKERS[family],
            color=FAMILY_COLOURS[family], edgecolor=INK, linewidth=0.7, zorder=3, gid="seeds")
        if interval:
            put(ax.plot, [i + beside - 0.08, i + beside + 0.08], [mean, mean], color=INK, linewidth=2.4, zorder=4,
                gid="mean")
        if interval and len(v) > 1:
            put(ax.plot, [i + beside] * 2, [low, high], color=INK, linewidth=2, zorder=2,
                solid_capstyle="butt", gid="interval")
        shown += [*v, *([low, high] if interval and len(v) > 1 else [])]
        spread = (f"95 % interval {said(low)} to {said(high)}" if interval and len(v) > 1 else
                  "no interval" if len(v) == 1 else f"lowest {said(v.min())}, highest {said(v.max())}")
        words.append(f"{label}: {said(mean)}." if single else
                     f"{label}: mean {said(mean)}, {spread}, {len(v)} seed{'s' * (len(v) > 1)}.")
    limits = value_limits(shown, [*lines.values(), *np.concatenate(list(values.values()))])
    marks = "one number each" if single else "one mark per seed"
    key = marks + ("; bar: mean and 95 % t-interval" if interval else "")
    key += "; thin lines: same seed" if pairs else ""
    room = (fig.get_figwidth() - 1.6) / len(values) - 0.1
    if flat:
        names = [f"{k}   {said(v.mean())}" for k, v in values.items()]
        ax.set(xlim=limits, ylim=(len(values) - 0.5, -0.5), xlabel=ylabel)
        key = "\n".join([key + ("" if single else "; number: mean"), *(f"dashed: {k} {number(v)}" for k, v in lines.items())])
    else:
        names = [wrap(k, room, 9) + f"\n{'' if single else 'mean '}{said(v.mean())}" for k, v in values.items()]
        ax.set(ylim=limits, xlim=(-0.5, len(values) - 0.5), ylabel=ylabel)
    along, across = (ax.yaxis, ax.xaxis) if flat else (ax.xaxis, ax.yaxis)
    along.set_ticks(range(len(values)), names)
    along.set_tick_params(length=0)
    across.grid(True)
    ax.set_title(key)
    dashed_lines(ax, lines, upright=flat)
    if not flat:
        margin_labels(ax, [(v, f"{k} {number(v)}", INK) for k, v in lines.items()])
    words += [f"Dashed line: {k} at {number(v)}." for k, v in lines.items()]
    fig.alt = f"{opening(title)}{capital(ylabel)}, {marks}. {' '.join(words)}"
    return fig


def value_limits(shown, data) -> tuple[float, float]:
    """Limits around what is shown; where all data lie in 0..1, as accuracies do, so do the limits."""
    low, high = min(shown), max(shown)
    if min(data) >= 0 and max(data) <= 1:
        low, high = max(low, 0), min(high, 1)
    pad = 0.06 * (high - low) or 0.05
    return low - pad, high + pad
