"""Contests and replies: who signed them, what they name, and who can read why."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.errors import Invalid, Refused
from orchestrator.protocol.contest import (
    APPLICANT,
    REASON,
    Contest,
    Reply,
    SealedText,
    open_reason,
    open_statement,
    read_contest,
    read_reply,
    reason_document,
    seal_statement,
    sign_contest,
    sign_reply,
)
from orchestrator.protocol.jose import SigningKey, jws_hash, sign_jws
from orchestrator.protocol.mandate import ChainRef, salted_hash
from orchestrator.protocol.material import seal_document
from orchestrator.protocol.officer import certify, sign_correction_decision
from orchestrator.protocol.question import question_id
from orchestrator.protocol.sealing import SealingKey
from orchestrator.protocol.verdict import AnswerRef, OfficerDecision
from tests.support.consortium import Consortium, make_consortium

IDENTITY, OFFICER = SigningKey.generate(), SigningKey.generate()
DEPARTMENT, STRANGER, DELIVERY = SealingKey.generate(), SealingKey.generate(), SealingKey.generate()
MANDATE, CASE = "0x" + "11" * 32, "0x" + "22" * 32
MARKET = 1


@pytest.fixture(scope="module")
def consortium() -> Consortium:
    return make_consortium()


def fields(**changes: Any) -> dict[str, Any]:
    item, index = changes.get("item", "E06.company"), changes.get("index", 0)
    question = question_id(changes.get("mandate", MANDATE), item, index, "decide")
    return {
        "iss": "seat:2",
        "aud": "seat:1",
        "iat": 1_780_000_000,
        "jti": "a-nonce",
        "case": CASE,
        "mandate": MANDATE,
        "chain": ChainRef(id=7, ledger="0x" + "33" * 20),
        "binding": 1,
        "version": "0x" + "44" * 32,
        "sub": "somebody",
        "item": item,
        "index": index,
        "claims": ("not_on_abnormal_list",),
        "answer": AnswerRef(question=question, attempt=1, hash="0x" + "55" * 32),
        "statement": "0x" + "66" * 32,
        "day": "2026-06-01",
        "reply_by": "2026-06-15",
    } | changes


@given(
    st.lists(st.text("abcdef_", min_size=1, max_size=20), min_size=1, max_size=64, unique=True),
    st.integers(0, 255),
    st.dates(date(2026, 1, 1), date(2030, 1, 1)),
    st.integers(0, 400),
)
def test_contest__any__read_as_it_was_signed(claims: list[str], index: int, day: date, days: int) -> None:
    last = day + timedelta(days=days)
    contest = Contest(**fields(claims=tuple(claims), index=index, day=day.isoformat(), reply_by=last.isoformat()))

    assert read_contest(sign_contest(contest, IDENTITY), IDENTITY.jwk) == contest
    assert not contest.lapsed(last)
    assert contest.lapsed(last + timedelta(days=1))


@pytest.mark.parametrize(
    "changes",
    [
        {"claims": ()},
        {"claims": ("a", "a")},
        {"day": "2026-06-16"},
        {"reply_by": "20260615"},
        {"reply_by": "2026-02-30"},
        {"index": 256},
        {"answer": AnswerRef(question="0x" + "77" * 32, attempt=1, hash="0x" + "55" * 32)},
        {"why": "in plain"},
    ],
)
def test_contest__not_as_specified__refused(changes: dict[str, Any]) -> None:
    payload = Contest(**fields()).model_dump(mode="json") | {
        name: value.model_dump() if isinstance(value, AnswerRef) else value for name, value in changes.items()
    }

    with pytest.raises(Invalid):
        read_contest(sign_jws(payload, typ="lianban-contest+jwt", key=IDENTITY), IDENTITY.jwk)


def test_contest__another_key_or_another_kind_of_token__refused() -> None:
    contest = Contest(**fields())
    with pytest.raises(Refused):
        read_contest(sign_contest(contest, OFFICER), IDENTITY.jwk)
    with pytest.raises(Refused):
        read_contest(sign_jws(contest.model_dump(mode="json"), typ="lianban-mandate+jwt", key=IDENTITY), IDENTITY.jwk)


@given(st.text(min_size=1, max_size=200).filter(lambda text: text.isprintable()), st.binary(max_size=300))
def test_statement__any__opens_for_its_department_alone(why: str, content: bytes) -> None:
    sealed = seal_statement(why, [("a.pdf", "application/pdf", content)], {MARKET: DEPARTMENT.jwk})

    opened = open_statement(sealed, seat=MARKET, key=DEPARTMENT)
    assert (opened.why, opened.attachments[0].filename) == (why, "a.pdf")
    with pytest.raises(Refused):
        open_statement(sealed, seat=MARKET, key=STRANGER)
    with pytest.raises(Refused):
        open_statement(sealed, seat=3, key=DEPARTMENT)
    # The hash is in what the identity seat signs: another text under it is another statement.
    other = seal_statement(why, [], {MARKET: DEPARTMENT.jwk})
    with pytest.raises(Refused):
        open_statement(SealedText(hash=sealed.hash, sealed=other.sealed), seat=MARKET, key=DEPARTMENT)


def replied(consortium: Consortium, **changes: Any) -> tuple[str, dict[str, str], str]:
    """A reply's JWS, its sealed reason, and the reason's hash; `changes` replace fields of the reply."""
    keys, salt = consortium.keys[MARKET], b"\7" * 32
    certificate = certify(
        OFFICER.jwk, seat=MARKET, pseudonym="o-1", iat=1, exp=1 << 40, key=keys.evidence, may=("corrections",)
    )
    digest, sealed = seal_document(REASON, reason_document("登记无误"), {APPLICANT: DELIVERY.jwk}, salt=salt)
    assert digest == salted_hash(salt, reason_document("登记无误"))
    word = sign_correction_decision(
        contest="0x" + "88" * 32, outcome="rejected", reason=digest, iat=1_780_000_100, key=OFFICER
    )
    reply = Reply(
        **{
            "iss": "seat:1",
            "contest": "0x" + "88" * 32,
            "case": CASE,
            "outcome": "rejected",
            "reason": digest,
            "officer": OfficerDecision(certificate=certificate, decision=word),
            "iat": 1_780_000_101,
        }
        | changes
    )
    return sign_reply(reply, keys.evidence), sealed, digest


def test_reply__by_department_and_officer__read_and_its_reason_opens_for_the_applicant(consortium: Consortium) -> None:
    jws, sealed, digest = replied(consortium)

    reply = read_reply(jws, consortium.seat(MARKET))

    assert (reply.outcome, reply.reason) == ("rejected", digest)
    assert open_reason(digest, sealed, reader="applicant", key=DELIVERY) == "登记无误"
    with pytest.raises(Refused):
        open_reason(digest, sealed, reader="applicant", key=STRANGER)
    with pytest.raises(Refused):
        open_reason("0x" + "99" * 32, sealed, reader="applicant", key=DELIVERY)
    assert jws_hash(jws) != digest


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"outcome": "corrected"}, "wrong-officer"),
        ({"contest": "0x" + "99" * 32}, "wrong-officer"),
        ({"reason": "0x" + "99" * 32}, "wrong-officer"),
        ({"iss": "seat:3"}, "wrong-issuer"),
    ],
)
def test_reply__not_what_its_officer_said_or_another_seat_s__refused(
    consortium: Consortium, changes: dict[str, Any], code: str
) -> None:
    jws, _, _ = replied(consortium, **changes)

    with pytest.raises(Refused) as refused:
        read_reply(jws, consortium.seat(MARKET))

    assert refused.value.code == code


def test_reply__officer_certified_for_cases_only__refused(consortium: Consortium) -> None:
    keys = consortium.keys[MARKET]
    certificate = certify(OFFICER.jwk, seat=MARKET, pseudonym="o-1", iat=1, exp=1 << 40, key=keys.evidence)
    word = sign_correction_decision(
        contest="0x" + "88" * 32, outcome="rejected", reason="0x" + "99" * 32, iat=1_780_000_100, key=OFFICER
    )
    officer = OfficerDecision(certificate=certificate, decision=word)
    jws, _, _ = replied(consortium, reason="0x" + "99" * 32, officer=officer)

    with pytest.raises(Refused) as refused:
        read_reply(jws, consortium.seat(MARKET))

    assert refused.value.code == "not-the-duty"
