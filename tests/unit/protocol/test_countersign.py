"""Countersignatures: two officers behind one decision, and nothing that looks like two."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.errors import Invalid, LianbanError, Refused
from orchestrator.protocol.countersign import TYP, check_officers, read_countersign, sign_countersign
from orchestrator.protocol.jose import SigningKey, jws_hash, sign_jws
from orchestrator.protocol.officer import certify, read_certificate, sign_decision
from orchestrator.protocol.ports import SeatView
from orchestrator.protocol.verdict import OfficerDecision, SecondOfficer, Verdict
from tests.support.consortium import make_consortium
from tests.unit.protocol.test_verdict import CASE, FIELDS, NOW

WORLD = make_consortium("open-gallery")
SEAT: SeatView = WORLD.seat(3)
EVIDENCE = WORLD.keys[3].evidence
ONE, TWO = SigningKey.generate(), SigningKey.generate()


def certificate(officer: SigningKey, name: str, **changes: Any) -> str:
    fields: dict[str, Any] = {
        "seat": 3,
        "pseudonym": name,
        "iat": NOW - 100,
        "exp": NOW + 100,
        "key": EVIDENCE,
    } | changes
    return certify(officer.jwk, **fields)


FIRST, SECOND = certificate(ONE, "officer-17"), certificate(TWO, "officer-18")
DECISION = sign_decision(case=CASE, sequence=1, outcome="approve", rows=["UBC-05"], reason="相符", iat=NOW, key=ONE)


def word(**changes: Any) -> str:
    fields: dict[str, Any] = {
        "case": CASE, "sequence": 1, "decision": DECISION, "outcome": "countersign", "reason": "同意", "iat": NOW, "key": TWO
    } | changes  # fmt: skip
    return sign_countersign(**fields)


def verdict(**changes: Any) -> Verdict:
    fields = FIELDS | {
        "outcome": "approve",
        "rows": ["UBC-05"],
        "officer": OfficerDecision(certificate=FIRST, decision=DECISION).model_dump(),
        "second": SecondOfficer(certificate=SECOND, countersign=word()).model_dump(),
    }
    return Verdict.model_validate(fields | changes)


def code_of(found: Verdict, *, two: bool = True) -> str:
    with pytest.raises(LianbanError) as error:
        check_officers(found, SEAT, two=two)
    return error.value.code


def test_check_officers__both_signed__told_who() -> None:
    for two in (True, False):
        found = check_officers(verdict(), SEAT, two=two)
        assert found is not None
        assert found.second is not None
        assert (found.first.sub, found.second.sub, found.decision.outcome) == ("officer-17", "officer-18", "approve")


def test_check_officers__the_rules_decided__nobody() -> None:
    assert check_officers(verdict(officer=None, second=None), SEAT, two=True) is None


def test_check_officers__one_officer__enough_only_where_one_is() -> None:
    alone = verdict(second=None)
    assert code_of(alone) == "not-countersigned"
    found = check_officers(alone, SEAT, two=False)
    assert found is not None
    assert found.second is None


@pytest.mark.parametrize(
    ("certified", "changes", "code"),
    [
        ((ONE, "officer-17"), {"key": ONE}, "same-officer"),
        ((ONE, "officer-18"), {"key": ONE}, "same-officer"),
        ((TWO, "officer-17"), {}, "same-officer"),
        ((TWO, "officer-18"), {"key": ONE}, "bad-signature"),
        ((TWO, "officer-18"), {"outcome": "send-back"}, "wrong-officer"),
        ((TWO, "officer-18"), {"case": "0x" + "cb" * 32}, "wrong-officer"),
        ((TWO, "officer-18"), {"sequence": 2}, "wrong-officer"),
        ((TWO, "officer-18"), {"iat": NOW + 100}, "expired"),
        ((TWO, "officer-18"), {"iat": NOW - 101}, "expired"),
        ((TWO, "officer-18"), {"decision": SECOND}, "other-decision"),
    ],
)
def test_check_officers__second_is_not_another_officers_yes__refused(
    certified: tuple[SigningKey, str], changes: dict[str, Any], code: str
) -> None:
    second = SecondOfficer(certificate=certificate(*certified), countersign=word(**changes))
    for two in (True, False):
        assert code_of(verdict(second=second.model_dump()), two=two) == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"may": ["signatures"]}, "not-the-duty"), ({"key": ONE}, "bad-signature"), ({"seat": 4}, "wrong-issuer")],
)
def test_check_officers__second_not_certified_for_it__refused(changes: dict[str, Any], code: str) -> None:
    second = SecondOfficer(certificate=certificate(TWO, "officer-18", **changes), countersign=word())
    assert code_of(verdict(second=second.model_dump())) == code


@pytest.mark.parametrize(
    "changes", [{"outcome": "refuse"}, {"rows": ["UBC-06"]}, {"sequence": 2}, {"case": "0x" + "cb" * 32}]
)
def test_check_officers__verdict_says_something_else__refused(changes: dict[str, Any]) -> None:
    for second in (verdict().second, None):
        assert code_of(verdict(**changes, second=second and second.model_dump()), two=False) == "wrong-officer"


def test_verdict__countersigned_and_nobody_decided__no_verdict() -> None:
    with pytest.raises(ValueError):
        verdict(officer=None)


@given(
    st.dictionaries(
        st.sampled_from(["case", "sequence", "decision", "outcome", "reason", "iat", "x"]),
        st.none() | st.integers(-9, 1 << 60) | st.text(),
    )
)
def test_read_countersign__faulty_field__refused(changes: dict[str, Any]) -> None:
    good = {
        "case": CASE, "sequence": 1, "decision": jws_hash(DECISION), "outcome": "countersign", "reason": "同意", "iat": NOW
    }  # fmt: skip
    if not changes or changes == {k: good.get(k) for k in changes}:
        return
    first = read_certificate(FIRST, seat=3, jwk=EVIDENCE.jwk, now=NOW)
    bent = sign_jws(good | changes, typ=TYP, key=TWO)
    try:
        said, _ = read_countersign(bent, SECOND, decision=DECISION, first=first, seat=SEAT)
    except (Invalid, Refused):
        return
    # What still reads is well-formed: another number, reason or moment of the same certificate's days.
    assert said.decision == jws_hash(DECISION)
    assert set(changes) <= {"sequence", "reason", "iat"}
