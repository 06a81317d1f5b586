"""What is gained against what is paid, and who is beaten by nobody in both. Lessons reach this through `plots`."""
from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..stats import t_interval
from .charts import capital, family_of, margin_labels, number
from .look import FAMILY_COLOURS, GREY, INK, MARKERS, THREAD, darker, new_figure, opening, per_seed, styled, to_array


def front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """The names that no other beats: no other costs as little or less and gains more, or costs less and gains as much."""
    return [name for name, (cost, gain) in points.items()
            if not any((c <= cost and g > gain) or (c < cost and g >= gain) for c, g in points.values())]


@styled
def pareto(results: Mapping[str, tuple[float, Sequence[float] | Mapping[int, float]]], xlabel: str, ylabel: str,
           title: str | None = None, families: Mapping[str, str] | None = None):
    """A point for each configuration, its mean with a 95 % t-interval, and the line of those that nobody beats in both.

    Args:
        results: label -> (cost, gains): gains a list, or a dict seed -> gain as `verdict.gained` makes it.
        families: label -> family, for colour and marker; otherwise the mechanism named in the label decides.

    Raises:
        ValueError: no results, or a cost or a gain that is not finite.
    """
    if not isinstance(results, Mapping) or not results:
        raise ValueError(f"results: wanted a dict label -> (cost, gains by seed), got {results!r}")
    values = {str(k): per_seed(gains, f"results[{k!r}]") for k, (_, gains) in results.items()}
    cost = {str(k): float(to_array(price, f"results[{k!r}]", 0, "a cost")) for k, (price, _) in results.items()}
    means = {k: float(v.mean()) for k, v in values.items()}
    best = sorted(front({k: (cost[k], means[k]) for k in cost}), key=cost.__getitem__)
    fig = new_figure(8.6, 4.4, title)
    ax = fig.add_subplot()
    ax.axhline(0, color=GREY, linewidth=1)
    ax.step([cost[k] for k in best], [means[k] for k in best], where="post", color=THREAD, linewidth=2, zorder=1, gid="front")
    labels = []
    for k, v in values.items():
        family = family_of(k, families)
        _, low, high = t_interval(v)
        ax.plot([cost[k]] * 2, [low, high], color=INK, linewidth=1.2, zorder=2, gid="interval")
        ax.scatter(cost[k], means[k], s=90 if k in best else 45, marker=MARKERS[family], color=FAMILY_COLOURS[family],
                   edgecolor=INK, linewidth=1.6 if k in best else 0.7, zorder=3, gid="point")
        labels.append((means[k], f"{k} ({number(cost[k])})", darker(FAMILY_COLOURS[family])))
    ax.set(xlabel=capital(xlabel), ylabel=capital(ylabel))
    ax.grid(axis="y")
    ax.set_title("mean and 95 % interval; large: beaten by nobody in both")
    margin_labels(ax, labels)
    told = "; ".join(f"{k}: cost {number(cost[k])}, gain {number(means[k])}" for k in sorted(cost, key=cost.__getitem__))
    fig.alt = f"{opening(title)}{capital(ylabel)} against {xlabel}. {told}. Beaten by nobody: {', '.join(best)}."
    return fig
