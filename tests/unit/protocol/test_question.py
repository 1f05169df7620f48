"""Questions, batches and signed requests."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.errors import Invalid, LianbanError, Refused
from orchestrator.protocol.jose import SigningKey, peek_jws, sign_jws
from orchestrator.protocol.question import (
    MAX_QUESTIONS,
    Question,
    issuer_of,
    read_asked,
    read_batch,
    read_request,
    sign_batch,
    sign_request,
)

NOW = 1_800_000_000
KEY, OTHER = SigningKey.generate(), SigningKey.generate()
MANDATE = "0x" + "ab" * 32
QUESTIONS = st.builds(
    Question,
    mandate=st.binary(min_size=32, max_size=32).map(lambda b: "0x" + b.hex()),
    item=st.from_regex(r"[^\x00-\x20\x7f\ud800-\udfff]{1,128}", fullmatch=True),
    index=st.integers(0, 255),
    purpose=st.sampled_from(["decide", "push"]),
)


def some(count: int) -> list[Question]:
    return [Question(mandate=MANDATE, item=f"item-{i}", index=0, purpose="decide") for i in range(count)]


def asked(questions: list[Question]) -> list[dict[str, Any]]:
    """What travels beside a batch."""
    return [question.payload() for question in questions]


@given(st.lists(QUESTIONS, min_size=1, max_size=6, unique=True))
def test_batch__any_questions__read_as_signed(questions: list[Question]) -> None:
    jws = sign_batch(questions, key=KEY, iss=0, aud=1, now=NOW)
    batch = read_batch(jws, asked(questions), audience=1, now=NOW, jwk=KEY.jwk)
    assert read_asked(jws, KEY.jwk) == (0, 1, [question.id for question in questions])
    assert batch.questions == tuple(questions)
    assert (batch.issuer, batch.audience, batch.iat, batch.exp) == (0, 1, NOW, NOW + 60)
    assert issuer_of(jws) == 0


@given(QUESTIONS, QUESTIONS)
def test_question_id__different_questions__different_ids(one: Question, two: Question) -> None:
    assert (one.id == two.id) == (one == two)


def test_question_id__each_part_changed__different() -> None:
    base = {"mandate": MANDATE, "item": "a", "index": 0, "purpose": "decide"}
    changed = [{}, {"mandate": "0x" + "ac" * 32}, {"item": "b"}, {"index": 1}, {"purpose": "push"}]
    assert len({Question(**(base | change)).id for change in changed}) == 5


@pytest.mark.parametrize(
    "changes",
    [{"mandate": "ab" * 32}, {"mandate": "0x" + "AB" * 32}, {"mandate": None}, {"item": ""}, {"item": "a b"},
     {"item": "x" * 129}, {"item": None}, {"item": "a\n"}, {"index": -1}, {"index": 256}, {"index": True},
     {"index": "0"}, {"purpose": "browse"}, {"purpose": None}],
)  # fmt: skip
def test_question__faulty_field__refused(changes: dict) -> None:
    with pytest.raises(Invalid):
        Question(**({"mandate": MANDATE, "item": "a", "index": 0, "purpose": "decide"} | changes))


def test_sign_batch__twice__different_nonces() -> None:
    read = [
        read_batch(
            sign_batch(some(1), key=KEY, iss=0, aud=1, now=NOW), asked(some(1)), audience=1, now=NOW, jwk=KEY.jwk
        )
        for _ in range(2)
    ]
    assert read[0].jti != read[1].jti


@pytest.mark.parametrize("count", [0, MAX_QUESTIONS + 1])
def test_sign_batch__none_or_too_many__refused(count: int) -> None:
    with pytest.raises(ValueError):
        sign_batch(some(count), key=KEY, iss=0, aud=1)


def test_batch__the_most_questions__fits() -> None:
    jws = sign_batch(some(MAX_QUESTIONS), key=KEY, iss=0, aud=1, now=NOW)
    assert len(read_batch(jws, asked(some(MAX_QUESTIONS)), audience=1, now=NOW, jwk=KEY.jwk).questions) == MAX_QUESTIONS


def envelope(**changes: Any) -> dict[str, Any]:
    return {
        "iss": "seat:0", "aud": "seat:1", "jti": "x" * 22, "iat": NOW, "exp": NOW + 60,
        "questions": [question.id for question in some(2)], **changes,
    }  # fmt: skip


def read(
    payload: dict, rows: Any = None, *, now: int = NOW, typ: str = "lianban-questions+jwt", key: SigningKey = KEY
) -> Any:
    rows = asked(some(2)) if rows is None else rows
    return read_batch(sign_jws(payload, typ=typ, key=key), rows, audience=1, now=now, jwk=KEY.jwk)


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"aud": "seat:2"}, "wrong-audience"), ({"aud": 1}, "wrong-audience"), ({"aud": ["seat:1"]}, "wrong-audience"),
     ({"iss": "seat:256"}, "bad-seat"), ({"iss": "seat:00"}, "bad-seat"), ({"iss": None}, "bad-seat"),
     ({"jti": "short"}, "bad-request"), ({"jti": None}, "bad-request"), ({"jti": "x" * 129}, "bad-request"),
     ({"iat": None}, "bad-period"), ({"iat": True}, "bad-period"), ({"exp": NOW}, "bad-period"),
     ({"exp": NOW + 601}, "bad-period"), ({"exp": NOW + 60.5}, "bad-period"), ({"questions": []}, "bad-question"),
     ({"questions": None}, "bad-question"), ({"questions": [1]}, "bad-question"), ({"questions": [{}]}, "bad-question"),
     ({"questions": [some(1)[0].id] * 2}, "bad-question"), ({"more": 1}, "bad-question"),
     ({"questions": [some(1)[0].id, "0xAB"]}, "bad-question")],
)  # fmt: skip
def test_read_batch__faulty_envelope__refused(changes: dict, code: str) -> None:
    assert read(envelope())
    with pytest.raises(LianbanError) as caught:
        read(envelope(**changes))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "rows",
    [[], asked(some(1)), asked(some(3)), asked(some(2)[::-1]), [*asked(some(1)), {}], [*asked(some(1)), 1],
     [{**row, "x": 1} for row in asked(some(2))], [{**row, "purpose": "push"} for row in asked(some(2))]],
)  # fmt: skip
def test_read_batch__other_questions_beside_it__refused(rows: Any) -> None:
    with pytest.raises(LianbanError) as caught:
        read(envelope(), rows)
    assert caught.value.code == "bad-question"


def test_batch__shown_to_somebody__holds_ids_alone() -> None:
    payload = peek_jws(sign_batch(some(2), key=KEY, iss=0, aud=1))[1]
    assert payload["questions"] == [question.id for question in some(2)]
    assert MANDATE not in str(payload)


@pytest.mark.parametrize(("now", "code"), [(NOW + 60, "expired"), (NOW - 31, "not-yet-valid")])
def test_read_batch__out_of_its_time__refused(now: int, code: str) -> None:
    assert read(envelope(), now=NOW + 59)
    assert read(envelope(), now=NOW - 30)
    with pytest.raises(Refused) as caught:
        read(envelope(), now=now)
    assert caught.value.code == code


def test_read_batch__another_key_or_kind__refused() -> None:
    for other in ({"key": OTHER}, {"typ": "lianban-request+jwt"}):
        with pytest.raises(Refused) as caught:
            read(envelope(), **other)
        assert caught.value.code == "bad-signature"


def test_request__any_kind__payload_with_envelope() -> None:
    jws = sign_request({"cases": ["a"]}, "sheets", key=KEY, iss=0, aud=3, ttl=5)
    payload = read_request(jws, "sheets", audience=3, now=int(time.time()), jwk=KEY.jwk)
    assert payload["cases"] == ["a"]
    assert payload["iss"] == "seat:0"
    assert payload["exp"] - payload["iat"] == 5
    with pytest.raises(Refused):
        read_request(jws, "verdicts", audience=3, now=int(time.time()), jwk=KEY.jwk)


@pytest.mark.parametrize("name", ["iss", "aud", "jti", "iat", "exp"])
def test_sign_request__name_of_the_envelope_taken__refused(name: str) -> None:
    with pytest.raises(ValueError):
        sign_request({name: 1}, "sheets", key=KEY, iss=0, aud=3)


@pytest.mark.parametrize("ttl", [0, -1, 601])
def test_sign_request__lasting_too_long_or_not_at_all__refused(ttl: int) -> None:
    with pytest.raises(ValueError):
        sign_request({}, "sheets", key=KEY, iss=0, aud=3, ttl=ttl)
