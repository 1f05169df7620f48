"""A report (查验结果): what a paper proves, what is wrong with it, what could not be checked, and what it cannot prove."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

BEIJING: Final = ZoneInfo("Asia/Shanghai")


class Mark(StrEnum):
    """What a finding says."""

    PROVEN = "✓"
    WRONG = "✗"
    UNCHECKED = "?"
    """It could be checked, but not with what is at hand: no keys, no node."""
    NOT_PROVEN = "·"
    """Nothing in the paper proves it."""


CONCLUSIONS: Final = {
    Mark.PROVEN: ("属实", "it holds"),
    Mark.WRONG: ("不能采信", "do not rely on it"),
    Mark.UNCHECKED: ("未查完", "not everything could be checked"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence of a report, in both languages."""

    mark: Mark
    zh: str
    en: str


@dataclass(slots=True)
class Report:
    """What came of checking one paper."""

    zh: str
    """What it is."""
    en: str
    shown: list[tuple[str, str, Any]] = field(default_factory=list)
    """What it says: label in Chinese and English, value."""
    findings: list[Finding] = field(default_factory=list)

    def proven(self, zh: str, en: str) -> None:
        """Adds what is proven."""
        self.findings.append(Finding(Mark.PROVEN, zh, en))

    def wrong(self, zh: str, en: str) -> None:
        """Adds what is wrong."""
        self.findings.append(Finding(Mark.WRONG, zh, en))

    def unchecked(self, zh: str, en: str) -> None:
        """Adds what could not be checked here and now."""
        self.findings.append(Finding(Mark.UNCHECKED, zh, en))

    def not_proven(self, zh: str, en: str) -> None:
        """Adds what the paper does not prove to anybody."""
        self.findings.append(Finding(Mark.NOT_PROVEN, zh, en))

    def judge(self, holds: bool, good: tuple[str, str], bad: tuple[str, str]) -> bool:
        """Adds one of two sentences, and returns which: proven, or wrong."""
        (self.proven if holds else self.wrong)(*(good if holds else bad))
        return holds

    @property
    def conclusion(self) -> Mark:
        """WRONG when anything is; else UNCHECKED when anything is or nothing was proven; else PROVEN."""
        marks = {each.mark for each in self.findings}
        if Mark.WRONG in marks:
            return Mark.WRONG
        return Mark.UNCHECKED if Mark.UNCHECKED in marks or Mark.PROVEN not in marks else Mark.PROVEN

    def lines(self) -> Iterator[str]:
        """The report as people read it, Chinese first."""
        yield f"{self.zh} · {self.en}"
        for zh, en, value in self.shown:
            yield f"    {zh} {en}:{said(value)}"
        told = sorted(self.findings, key=lambda each: list(Mark).index(each.mark) == 3)
        for number, each in enumerate(told):
            if each.mark is Mark.NOT_PROVEN and (number == 0 or told[number - 1].mark is not Mark.NOT_PROVEN):
                yield "未证明的 · not proven:"
            yield f"{each.mark} {each.zh}"
            yield f"  {each.en}"
        yield f"结论:{' · '.join(CONCLUSIONS[self.conclusion])}"

    def document(self) -> dict[str, Any]:
        """The report for programs."""
        return {
            "paper": {"zh": self.zh, "en": self.en},
            "conclusion": self.conclusion.name.lower(),
            "shown": [{"zh": zh, "en": en, "value": value} for zh, en, value in self.shown],
            "findings": [{"mark": each.mark.name.lower(), "zh": each.zh, "en": each.en} for each in self.findings],
        }


def said(value: Any) -> str:
    """A claim's value as people read it."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "是 yes" if value else "否 no"
    if isinstance(value, list):
        return "、".join(said(each) for each in value)
    if isinstance(value, dict):
        return "; ".join(f"{name} {said(each)}" for name, each in value.items())
    return str(value)


def moment(seconds: int) -> str:
    """A moment in Beijing's time."""
    return datetime.fromtimestamp(seconds, BEIJING).strftime("%Y-%m-%d %H:%M:%S")
