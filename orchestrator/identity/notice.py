"""The notice: who is asked what about whom, on which lawful basis, for how long. What a person agrees to, in plain words.

Chinese first, English beside it. Everything in it comes from the published definition and texts, the binding's seats and the
catalogue's names; a claim that the catalogue does not know is shown under its machine name rather than left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.domain.catalogue import Catalogue
from orchestrator.domain.errors import Invalid
from orchestrator.domain.scenario_parts import Claim, EvidenceItem
from orchestrator.identity.needs import Item, Needs

Words = dict[str, str]
"""`zh` and `en`."""

BASES: Final[dict[str, Words]] = {
    "statute": {"zh": "法定职责", "en": "statutory duty"},
    "consent": {"zh": "您的单独同意", "en": "your separate consent"},
    "public": {"zh": "公开信息", "en": "public information"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeLine:
    """One evidence item of the notice."""

    item: str
    asked_of: Words
    """The department that answers."""
    about: Words
    """Whom or what it is about."""
    evidence: Words
    claims: tuple[Words, ...]
    basis: Words
    act: Words
    """The act that the basis rests on."""
    sealed: bool
    """Whether some of it goes sealed to the deciding departments only."""
    later: bool
    """Asked only after approval, to open the next service."""
    declinable: bool
    """Rests on consent: may be declined alone; the material is asked for instead."""
    materials: tuple[Words, ...]
    """What has to be brought when it is declined."""

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "item": self.item,
            "asked_of": self.asked_of,
            "about": self.about,
            "evidence": self.evidence,
            "claims": list(self.claims),
            "basis": self.basis,
            "act": self.act,
            "sealed": self.sealed,
            "later": self.later,
            "declinable": self.declinable,
            "materials": list(self.materials),
        }


def notice(needs: Needs, names: Mapping[int, Words], catalogue: Catalogue) -> tuple[NoticeLine, ...]:
    """The lines of a notice, in the definition's order. `names`: the name of each seat of the binding."""
    return tuple(notice_line(needs, item, names, catalogue) for item in needs.items)


def notice_line(needs: Needs, need: Item, names: Mapping[int, Words], catalogue: Catalogue) -> NoticeLine:
    """The line of one evidence item."""
    item = need.item
    replaced = [each.name for each in needs.materials if item.id in each.replaced_by]
    return NoticeLine(
        item=item.id,
        asked_of=names[need.seat],
        about=_words(needs.scenario.subject(item.subject).label),
        evidence=evidence_name(item, catalogue),
        claims=tuple(claim_name(item, claim, catalogue) for claim in item.claims),
        basis=BASES[item.basis.kind],
        act=_words(item.basis.act),
        sealed=any(claim.sealed_to for claim in item.claims),
        later=item.purpose == "push",
        declinable=item.basis.kind == "consent",
        materials=tuple(_words(name) for name in replaced),
    )


def evidence_name(item: EvidenceItem, catalogue: Catalogue) -> Words:
    try:
        return _words(catalogue.evidence(item.type).name)
    except Invalid:
        return {"zh": item.type, "en": item.type}


def claim_name(item: EvidenceItem, claim: Claim, catalogue: Catalogue) -> Words:
    try:
        name = _words(catalogue.evidence(item.type).claim(claim.claim).name)
    except Invalid:
        name = {"zh": claim.claim, "en": claim.claim}
    plain = [str(value) for value in claim.params.values() if isinstance(value, str | int)]
    if not plain:
        return name
    return {"zh": f"{name['zh']}({'、'.join(plain)})", "en": f"{name['en']} ({', '.join(plain)})"}


def _words(text: Any) -> Words:
    return {"zh": text.zh, "en": text.en}
