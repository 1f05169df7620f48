"""Answers: what each reader sees, and what a carrier cannot change."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.canonical import b64, to_hex, unb64
from orchestrator.domain.errors import Invalid, LianbanError, Refused
from orchestrator.domain.suite import hash_of
from orchestrator.protocol import sdjwt
from orchestrator.protocol.answer import TYP, Answer, AnswerEnvelope, build_answer, read_answer
from orchestrator.protocol.jose import jws_hash
from orchestrator.protocol.keyset import generate_seat_keys
from orchestrator.protocol.question import Question
from orchestrator.protocol.sealing import answer_info, seal

NOW = 1_800_000_000
PROVIDER, LEAD, SECOND = generate_seat_keys(), generate_seat_keys(), generate_seat_keys()
QUESTION = Question(mandate="0x" + "ab" * 32, item="applicant-household", index=0, purpose="decide")
SUBJECT = "0x" + "cd" * 32
RECIPIENTS = {3: LEAD.sealing.jwk, 4: SECOND.sealing.jwk}


def built(**changes: Any) -> AnswerEnvelope:
    fields = {
        "attempt": 1, "iss": 1, "subject": SUBJECT, "iat": NOW, "exp": NOW + 600, "key": PROVIDER.evidence,
        "open_claims": {"registered": True, "alive": "unknown"},
        "sealed_claims": {3: {"name": "王小明", "registered": True}, 4: {"name": "王小明"}}, "recipients": RECIPIENTS,
    }  # fmt: skip
    return build_answer(QUESTION, **(fields | changes))


def as_lead(envelope: AnswerEnvelope) -> Answer:
    return read_answer(envelope, PROVIDER.evidence.jwk, private=LEAD.sealing, seat=3)


ENVELOPE, TWIN, SECOND_ATTEMPT = built(), built(), built(attempt=2)


def test_read__carrier__open_claims_only() -> None:
    answer = read_answer(ENVELOPE, PROVIDER.evidence.jwk)
    assert answer.claims == {"registered": True, "alive": "unknown"}
    assert (answer.iss, answer.attempt, answer.item, answer.subject) == (1, 1, "applicant-household", SUBJECT)
    assert answer.question == QUESTION.id
    assert answer.hash == jws_hash(ENVELOPE.answer)
    assert "王小明" not in str(ENVELOPE.payload())


def test_read__approvers__each_its_own_claims() -> None:
    assert as_lead(ENVELOPE).claims == {"registered": True, "alive": "unknown", "name": "王小明"}
    second = read_answer(ENVELOPE, PROVIDER.evidence.jwk, private=SECOND.sealing, seat=4)
    assert second.claims == {"registered": True, "alive": "unknown", "name": "王小明"}
    assert set(second.sealed) == {3, 4}


@settings(max_examples=40)
@given(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.booleans()),
    st.dictionaries(st.sampled_from(["d", "e", "f"]), st.none() | st.text(max_size=5)),
    st.dictionaries(st.sampled_from(["g", "h", "公司"]), st.integers(-9, 9)),
)
def test_read__any_claims__each_reader_exactly_its_own(open_: dict, lead: dict, second: dict) -> None:
    envelope = built(open_claims=open_, sealed_claims={3: lead, 4: second})
    again = AnswerEnvelope.parse(envelope.payload())
    assert again == envelope
    assert read_answer(again, PROVIDER.evidence.jwk).claims == open_
    assert as_lead(again).claims == open_ | lead
    assert read_answer(again, PROVIDER.evidence.jwk, private=SECOND.sealing, seat=4).claims == open_ | second


def test_read__seat_without_a_sealed_part__open_claims_only() -> None:
    assert read_answer(ENVELOPE, PROVIDER.evidence.jwk, private=SECOND.sealing, seat=9).claims == {
        "registered": True,
        "alive": "unknown",
    }


def test_sealed__answers_of_different_lengths__same_size() -> None:
    short = built(sealed_claims={3: {"name": None}})
    long = built(sealed_claims={3: {"name": "阿卜杜热合曼·买买提" * 4}})
    assert len(short.sealed["3"]) == len(long.sealed["3"])


@pytest.mark.parametrize(
    ("update", "code"),
    [
        ({"attempt": 2}, {"cannot-open", "bad-envelope"}),
        ({"question": "0x" + "00" * 32}, {"cannot-open", "bad-envelope"}),
        ({"sealed": TWIN.sealed}, {"bad-envelope", "bad-disclosure"}),
        ({"sealed": {"3": ENVELOPE.sealed["3"]}}, {"bad-envelope"}),
        ({"sealed": {}}, {"bad-envelope"}),
        ({"sealed": {**ENVELOPE.sealed, "5": "AA"}}, {"bad-envelope"}),
        ({"sealed": {"3": ENVELOPE.sealed["4"], "4": ENVELOPE.sealed["3"]}}, {"cannot-open"}),
        ({"disclosures": TWIN.disclosures}, {"bad-disclosure"}),
        ({"disclosures": ENVELOPE.disclosures * 2}, {"bad-disclosure"}),
        ({"answer": TWIN.answer}, {"bad-disclosure"}),
        ({"answer": ENVELOPE.answer[:-1]}, {"bad-signature"}),
    ],
)
def test_read__carrier_changed_the_envelope__refused(update: dict, code: set) -> None:
    assert as_lead(ENVELOPE).claims
    with pytest.raises(Refused) as caught:
        as_lead(ENVELOPE.model_copy(update=update))
    assert caught.value.code in code


def test_read__carrier_drops_an_open_disclosure__claim_is_missing_never_false() -> None:
    dropped = ENVELOPE.model_copy(update={"disclosures": ENVELOPE.disclosures[1:]})
    assert "registered" not in read_answer(dropped, PROVIDER.evidence.jwk).claims


def test_read__sealed_part_of_an_earlier_attempt__refused() -> None:
    replayed = SECOND_ATTEMPT.model_copy(update={"sealed": ENVELOPE.sealed})
    with pytest.raises(Refused):
        as_lead(replayed)


def test_read__signed_by_another_department__refused() -> None:
    with pytest.raises(Refused) as caught:
        read_answer(ENVELOPE, LEAD.evidence.jwk)
    assert caught.value.code == "bad-signature"


def test_refusal__with_reason__no_claims() -> None:
    envelope = built(result="refused", reason="not-necessary", open_claims={}, sealed_claims={})
    answer = read_answer(envelope, PROVIDER.evidence.jwk)
    assert (answer.result, answer.reason, answer.claims) == ("refused", "not-necessary", {})


@pytest.mark.parametrize(
    "changes",
    [{"result": "refused"}, {"reason": "because"}, {"result": "refused", "reason": "x"}, {"recipients": {}},
     {"recipients": None}, {"open_claims": {"name": "李"}}, {"sealed_claims": {3: {"name": 1}, 4: {"name": 2}}},
     {"open_claims": {"result": True}}, {"open_claims": {"_sd": True}}, {"iss": 256}],
)  # fmt: skip
def test_build__contradictory__refused(changes: dict) -> None:
    with pytest.raises(ValueError):
        built(**changes)


def signed(**changes: Any) -> AnswerEnvelope:
    """An answer truly signed by the provider with a faulty payload."""
    payload = {
        "iss": "seat:1", "question": QUESTION.id, "attempt": 1, **QUESTION.payload(), "subject": SUBJECT,
        "result": "answered", "iat": NOW, "exp": NOW + 600, "sealed": {}, **changes,
    }  # fmt: skip
    jwt, _ = sdjwt.issue(payload, {}, typ=TYP, key=PROVIDER.evidence)
    return AnswerEnvelope(question=QUESTION.id, attempt=1, answer=jwt, disclosures=(), sealed={})


@pytest.mark.parametrize(
    "changes",
    [{"iss": "1"}, {"question": "0x" + "00" * 32}, {"attempt": 2}, {"attempt": 0}, {"mandate": "0x" + "ac" * 32},
     {"item": "other"}, {"index": 1}, {"purpose": "push"}, {"subject": "x"}, {"result": "maybe"}, {"result": "refused"},
     {"reason": "x"}, {"iat": None}, {"exp": NOW}, {"sealed": {"3": "0x" + "00" * 32}}, {"sealed": None}, {"more": 1},
     {"aud": "0"}],
)  # fmt: skip
def test_read__signed_but_inconsistent__refused(changes: dict) -> None:
    assert read_answer(signed(), PROVIDER.evidence.jwk).claims == {}
    with pytest.raises(LianbanError):
        read_answer(signed(**changes), PROVIDER.evidence.jwk)


def test_read__signed_refusal_with_a_claim__refused() -> None:
    payload = {"iss": "seat:1", "question": QUESTION.id, "attempt": 1, **QUESTION.payload(), "subject": SUBJECT,
               "result": "refused", "reason": "outage", "iat": NOW, "exp": NOW + 600, "sealed": {}}  # fmt: skip
    jwt, disclosures = sdjwt.issue(payload, {"registered": True}, typ=TYP, key=PROVIDER.evidence)
    envelope = AnswerEnvelope(question=QUESTION.id, attempt=1, answer=jwt, disclosures=(), sealed={})
    assert read_answer(envelope, PROVIDER.evidence.jwk).reason == "outage"
    shown = envelope.model_copy(update={"disclosures": tuple(disclosures.values())})
    with pytest.raises(Invalid):
        read_answer(shown, PROVIDER.evidence.jwk)


@pytest.mark.parametrize("plaintext", [b"{}", b"[1]", b"null", b"x", b""])
def test_read__sealed_part_is_no_list_of_disclosures__refused(plaintext: bytes) -> None:
    blob = seal(LEAD.sealing.jwk, plaintext, info=answer_info(QUESTION.id, 1, 3), pad_to=512)
    envelope = signed(sealed={"3": to_hex(hash_of(unb64(blob)))}).model_copy(update={"sealed": {"3": blob}})
    with pytest.raises(Refused) as caught:
        as_lead(envelope)
    assert caught.value.code == "bad-envelope"


@pytest.mark.parametrize(
    "value",
    [None, [], {}, {"question": "x"}, {**ENVELOPE.payload(), "more": 1}, {**ENVELOPE.payload(), "attempt": "1"},
     {**ENVELOPE.payload(), "sealed": {"03": "AA"}}, {**ENVELOPE.payload(), "disclosures": ["~"]},
     {**ENVELOPE.payload(), "log": {"index": -1, "path": [], "batch": "0x" + "02" * 32}}],
)  # fmt: skip
def test_parse__malformed__refused(value: object) -> None:
    with pytest.raises(Invalid):
        AnswerEnvelope.parse(value)


def test_with_log__place__travels_and_answer_stays() -> None:
    placed = ENVELOPE.with_log(5, [b"\1" * 32], "0x" + "02" * 32)
    assert placed.payload()["log"] == {"index": 5, "path": ["0x" + "01" * 32], "batch": "0x" + "02" * 32}
    assert AnswerEnvelope.parse(placed.payload()) == placed
    assert read_answer(placed, PROVIDER.evidence.jwk) == read_answer(ENVELOPE, PROVIDER.evidence.jwk)


def test_fresh__by_validity_and_age__both_count() -> None:
    answer = read_answer(ENVELOPE, PROVIDER.evidence.jwk)
    assert answer.fresh(NOW + 599, 600)
    assert not answer.fresh(NOW + 600, 600)
    assert not answer.fresh(NOW + 100, 99)


def test_repr__answer__does_not_show_claims() -> None:
    assert "王小明" not in repr(as_lead(ENVELOPE))


def test_disclosure_of_another_answer__added_by_the_carrier__refused() -> None:
    forged = b64(b'["c2FsdHNhbHRzYWx0c2FsdA","alive",true]')
    with pytest.raises(Refused):
        read_answer(ENVELOPE.model_copy(update={"disclosures": (forged,)}), PROVIDER.evidence.jwk)
