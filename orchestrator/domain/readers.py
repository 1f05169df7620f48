"""Readers (可见范围): who may read which claim of a scenario, worked out from its definition alone.

A claim is either disclosed to the orchestrator, because it steers the case, or sealed to the approvers that it names; they
read both. What the identity seat states in the mandate itself is read by whoever the mandate goes to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.domain.catalogue import Catalogue
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.texts import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimName:
    """A claim as people know it."""

    key: str
    name: Text
    kind: str
    """`predicate` (true, false or unknown) or the kind of its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One evidence item and who reads what of it."""

    item: str
    evidence: Text
    provider: str
    """Department role that answers."""
    subject: Text
    """Whom or what it is about."""
    purpose: str
    """`decide`, or `push` once the case is approved."""
    in_mandate: bool
    """Stated by the identity seat in the mandate, asked of nobody."""
    open: tuple[ClaimName, ...]
    """Disclosed to the orchestrator, and so to the approvers."""
    sealed: Mapping[str, tuple[ClaimName, ...]]
    """Approver role to the claims that are sealed to it."""


def readings(scenario: Scenario, catalogue: Catalogue) -> tuple[Reading, ...]:
    """Every evidence item of a scenario, in its order. Raises Invalid for evidence that the catalogue does not know."""
    found = []
    for item in scenario.evidence:
        evidence = catalogue.evidence(item.type)
        opened: list[ClaimName] = []
        sealed: dict[str, list[ClaimName]] = {}
        for claim in item.claims:
            known = evidence.claim(claim.claim)
            name = ClaimName(key=claim.key, name=known.name, kind=known.type)
            if not claim.sealed_to:
                opened.append(name)
            for role in claim.sealed_to:
                sealed.setdefault(role, []).append(name)
        found.append(
            Reading(
                item=item.id,
                evidence=evidence.name,
                provider=item.provider,
                subject=scenario.subject(item.subject).label,
                purpose=item.purpose,
                in_mandate=item.source == "mandate",
                open=tuple(opened),
                sealed={role: tuple(claims) for role, claims in sealed.items()},
            )
        )
    return tuple(found)
