"""Arms and contrasts of a study, made from smaller ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Arms = Mapping[str, Mapping[str, Any]]


def against(control: str, arms: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Each arm against the control."""
    return tuple((arm, control) for arm in arms if arm != control)


def across(settings: Arms, arms: Arms) -> Arms:
    """Each arm under each of the settings: "what: CBAM", "nearest: CBAM"."""
    return {f"{label}: {arm}": {**one, **two} for label, one in settings.items() for arm, two in arms.items()}


def within(labels: Arms, contrasts: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """The contrasts, each inside each of the settings of `across`."""
    return tuple((f"{label}: {one}", f"{label}: {other}") for label in labels for one, other in contrasts)
