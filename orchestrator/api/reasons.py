"""Why a case was decided as it was, in words: the published reasons of the rows that hit, and what would have changed them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from orchestrator.database import Row
from orchestrator.domain.case import Status
from orchestrator.domain.catalogue import Catalogue
from orchestrator.domain.scenario import Scenario
from orchestrator.protocol.jose import peek_jws
from orchestrator.rules.saying import change_words, reason_words
from orchestrator.scenarios import load_catalogue
from orchestrator.store.cases import CaseRow

REMEDIES = {
    "zh": "如不服本决定,可在收到之日起六十日内申请行政复议,或者六个月内提起行政诉讼。",
    "en": "You may apply for administrative reconsideration within 60 days or sue within six months of receipt.",
}
"""What a refusal must say (Administrative Licensing Law art. 38)."""


def reasons(scenario: Scenario, row: CaseRow, verdicts: list[Row]) -> list[dict[str, Any]]:
    """The reasons of the newest verdicts in both languages, each with what would have changed it as far as that is not sealed;
    a refusal says what can be done about it."""
    found: list[dict[str, Any]] = []
    for verdict in newest(verdicts):
        changes = {each["row"]: each for each in peek_jws(str(verdict["jws"]))[1].get("changes", ())}
        for name in verdict["rows"]:
            said = reason_words(scenario, name)
            change = _change(scenario, changes.get(name))
            found.append({"row": name, "zh": said.zh, "en": said.en, "change": change})
    if row.status == Status.REFUSED:
        found.append({"row": None, **REMEDIES, "change": None})
    return found


def _change(scenario: Scenario, change: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A change with its words: {input, to, but, zh, en}."""
    if change is None:
        return None
    said = change_words(scenario, catalogue(), **change)
    return {"input": change["input"], "to": change["to"], "but": change["but"], "zh": said.zh, "en": said.en}


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """The names that departments give to evidence and claims."""
    return load_catalogue()


def newest(verdicts: list[Row]) -> list[Row]:
    """The verdicts of the highest number."""
    last = max((int(str(each["sequence"])) for each in verdicts), default=0)
    return [each for each in verdicts if each["sequence"] == last]
