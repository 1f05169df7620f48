"""An independent, slow and simple reading of rows: what the engine is compared with.

Works on rows as a scenario file writes them (plain dicts) and on values as they are given, and shares no code with the
package: exact fractions, days by `datetime.date`, one loop for each rule of SCENARIOS' conventions.
"""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction
from typing import Any


def value_of(value: Any) -> Any:
    """null is unknown; booleans are words."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return str(value).lower()
    return value


def typed(value: Any, kind: str) -> Any:
    if value in ("unknown", "not_asked"):
        return value
    if kind == "number":
        return Fraction(str(value))
    return date.fromisoformat(value) if kind == "date" else value


def cell_holds(cell: Any, kind: str, value: Any, values: dict[str, Any], kinds: dict[str, str]) -> bool:
    if isinstance(cell, list):
        return any(cell_holds(item, kind, value, values, kinds) for item in cell)
    value = typed(value_of(value), kind)
    if not isinstance(cell, dict):
        return bool(value == typed(value_of(cell), kind))
    if value in ("unknown", "not_asked"):
        return False
    for operator, operand in cell.items():
        mine = value
        if isinstance(operand, dict):
            other = typed(value_of(values[operand["input"]]), kind)
            if other in ("unknown", "not_asked"):
                return False
            if operand.get("years"):
                years = operand["years"]
                mine = (value.year, value.month, value.day)
                other = (other.year + years, other.month, other.day)
            plus = operand.get("plus", 0)
            if plus:
                other = other + (timedelta(days=plus) if kind == "date" else plus)
        else:
            other = typed(value_of(operand), kind)
        if operator == "ne":
            holds = mine != other
        elif operator == "gt":
            holds = mine > other
        elif operator == "gte":
            holds = mine >= other
        elif operator == "lt":
            holds = mine < other
        else:
            holds = mine <= other
        if not holds:
            return False
    return True


def reads(alternative: dict[str, Any]) -> set[str]:
    names = set(alternative)
    for cell in alternative.values():
        if isinstance(cell, dict):
            names |= {operand["input"] for operand in cell.values() if isinstance(operand, dict)}
    return names


def decide(rows: list[dict[str, Any]], inputs: list[dict[str, Any]], values: dict[str, Any]) -> tuple[str, set[Any]]:
    """(automatic outcome, {(row id, outcome in this case, material)})."""
    kinds = {each["name"]: each["type"] for each in inputs}
    replaced = {each["name"]: each.get("material") for each in inputs}
    brought = {name for name, value in values.items() if value_of(value) == "true"}
    known_early = {name for name in values if name.split(".")[0] in ("q", "form", "param", "case")}

    def effective(outcome: str, material: str | None) -> str:
        return "manual" if material and f"material.{material}" in brought else outcome

    ordinary, otherwise, consumed, relevant = [], [], set(), set()
    for row in rows:
        matched = False
        for alternative in row["when"]:
            holds = {
                name: cell_holds(cell, kinds[name], values[name], values, kinds) for name, cell in alternative.items()
            }
            if all(holds.values()):
                matched = True
                for name, cell in alternative.items():
                    listed = cell if isinstance(cell, list) else [cell]
                    if value_of(values[name]) == "unknown" and "unknown" in listed:
                        consumed.add(name)
            settled = [
                name
                for name, cell in alternative.items()
                if reads({name: cell}) <= known_early
                and all(value_of(values[other]) != "unknown" for other in reads({name: cell}))
            ]
            if all(holds[name] for name in settled):
                relevant |= reads(alternative)
        if matched:
            hit = (row["id"], effective(row["outcome"], row.get("material")), row.get("material"), row["confirm"])
            (otherwise if row["otherwise"] else ordinary).append(hit)
    read = set().union(*(reads(alternative) for row in rows for alternative in row["when"]))
    relevant |= {name for name in read if replaced[name]}
    unknown = {name for name in relevant if value_of(values[name]) == "unknown"} - consumed
    for material in {replaced[name] for name in unknown if replaced[name]}:
        ordinary.append(("COM-07", effective("return", material), material, False))
    if any(not replaced[name] for name in unknown):
        ordinary.append(("COM-08", "manual", None, False))
    hits = ordinary if any(hit[1] != "approve" for hit in ordinary) else ordinary + otherwise
    for outcome in ("refuse", "return", "manual", "approve"):
        confirms = [hit[3] for hit in hits if hit[1] == outcome]
        if confirms:
            held = any(confirms) if outcome == "approve" else all(confirms)
            return ("manual" if held else outcome), {hit[:3] for hit in hits}
    return "nothing", set()
