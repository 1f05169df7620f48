"""A problem of a scenario: what is wrong, where, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

Path = tuple[str | int, ...]
"""Field names and positions that lead to a part of a scenario."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One fault, with the path of the part that has it."""

    path: Path
    zh: str
    en: str
    remedy: str


def problem(path: Path, zh: str, en: str, remedy: str = "") -> Problem:
    """A problem of the part at a path."""
    return Problem(path=path, zh=zh, en=en, remedy=remedy)
