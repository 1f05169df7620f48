"""The figures that the source states, held against what the scenario files and the walked cases give."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parent / "figures.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class SituationFigures:
    """A named situation with what its plan says."""

    scenario: str
    situation: str
    materials_before: int
    materials_after: int
    time_before: int
    time_after: int
    time_unit: str
    trips: int
    """The most that the plan allows."""
    february: bool
    """One of the five whose mean reduction is published."""

    @property
    def reduction(self) -> Fraction:
        """The share of materials that is no longer asked for."""
        return Fraction(self.materials_before - self.materials_after, self.materials_before)


def mean_reduction(figures: list[SituationFigures]) -> Fraction:
    """The mean of the reductions of the five February scenarios, each scenario counting once."""
    february = [each.reduction for each in figures if each.february]
    return sum(february, Fraction()) / len(february)


def differences(figures: list[SituationFigures], pushes: set[tuple[str, str]]) -> list[str]:
    """What did not come out, one line each; empty when every stated figure did.

    `pushes` are (from, to) of the pushes that were seen to happen.
    """
    stated: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
    found = {(each.scenario, each.situation): each for each in figures}
    wrong: list[str] = []
    for entry in stated["situations"]:
        place = f"{entry['scenario']} {entry['situation']}"
        each = found.get((entry["scenario"], entry["situation"]))
        if each is None:
            wrong.append(f"{place}: 没有这个情形 / no such situation")
            continue
        for name, wanted in entry.items():
            if name in ("scenario", "situation"):
                continue
            fewer = each.materials_before - each.materials_after
            value = fewer if name == "materials_fewer" else getattr(each, name)
            if value != wanted:
                wrong.append(f"{place}: {name} {value} ≠ {wanted}")
    mean = mean_reduction(figures)
    if mean != Fraction(stated["mean_materials_reduction"]):
        wrong.append(f"mean_materials_reduction {float(mean):.4f} ≠ {stated['mean_materials_reduction']}")
    for each in figures:
        if each.february and each.trips > stated["most_trips"]:
            wrong.append(f"{each.scenario} {each.situation}: trips {each.trips} > {stated['most_trips']}")
    push = (stated["push"]["from"], stated["push"]["to"])
    if push not in pushes:
        wrong.append(f"{push[0]} → {push[1]}: 没有推送 / no push")
    return wrong
