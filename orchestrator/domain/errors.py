"""The few kinds of error that Lianban knows, each saying what to do next.

They carry no personal data: a field's name, never its value.
"""

from __future__ import annotations


class LianbanError(Exception):
    """Base of all our own errors.

    `code` is a stable machine word (kebab-case); `detail` is the sentence for a person, Chinese first; `detail_en` is the
    same in English; `remedy` says what to do.
    """

    def __init__(self, detail: str, *, code: str = "error", detail_en: str = "", remedy: str = "") -> None:
        super().__init__(detail if not detail_en else f"{detail} / {detail_en}")
        self.code = code
        self.detail = detail
        self.detail_en = detail_en or detail
        self.remedy = remedy


class Invalid(LianbanError):
    """The input is wrong. Names the field and the remedy; never retried."""

    def __init__(
        self, *, field: str, detail: str, remedy: str = "", detail_en: str = "", code: str = "invalid"
    ) -> None:
        super().__init__(detail, code=code, detail_en=detail_en, remedy=remedy)
        self.field = field


class Refused(LianbanError):
    """A rule said no. Shown to the person with its reason, never retried."""


class Unavailable(LianbanError):
    """A gateway, node or database did not answer. Retried with backoff."""


class Diverged(LianbanError):
    """Our records and the chain disagree. Posting stops and an operator is called."""
