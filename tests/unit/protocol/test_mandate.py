"""Mandates: shape, signature, time, chain of mandates, and who may open which subject."""

from __future__ import annotations

import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.errors import Invalid, LianbanError, Refused
from orchestrator.protocol.jose import jws_hash, sign_jws
from orchestrator.protocol.mandate import (
    MAX_MANDATE,
    TYP,
    Mandate,
    Subject,
    case_id,
    check_chain,
    open_subject,
    salted_hash,
    seal_subject,
    sign_mandate,
    subject_commitment,
)
from tests.unit.protocol.protocol_world import IDENTITY, LEAD, NOW, PROVIDER, STRANGER, World

HASH = "0x" + "ab" * 32


def parsed(world: World, **changes: Any) -> Mandate:
    """The mandate with changed fields, truly signed and read again."""
    key = world.keys[IDENTITY].identity
    return Mandate.parse(sign_jws({**world.fields, **changes}, typ=TYP, key=key), key.jwk, issuer=IDENTITY, now=NOW)


def test_parse__as_signed__same_mandate(world: World) -> None:
    assert Mandate.parse(world.jws, world.keys[IDENTITY].identity.jwk, issuer=IDENTITY, now=NOW) == world.mandate


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "revocation"}, {"kind": None}, {"case": HASH}, {"previous": HASH}, {"kind": "amendment"},
        {"kind": "withdrawal", "case": HASH}, {"kind": "amendment", "previous": HASH}, {"iss": "2"}, {"iss": "seat:02"},
        {"iat": "1"}, {"iat": 1.5}, {"iat": True}, {"exp": NOW - 10}, {"exp": -1}, {"jti": ""}, {"jti": "a b"},
        {"jti": "a\0b"}, {"chain": {"id": 1}}, {"chain": {"id": 0, "ledger": "0x" + "1a" * 20}},
        {"chain": {"id": 1, "ledger": "0x1a"}}, {"chain": {"id": 1, "ledger": "0x" + "1a" * 20, "x": 1}}, {"binding": 0},
        {"binding": 1 << 40}, {"binding": "7"}, {"version": "22" * 32}, {"version": "0x" + "AA" * 32}, {"texts": None},
        {"sub": ""}, {"day": "2027-1-15"}, {"day": "2027-02-30"}, {"day": "20270115"}, {"askers": []}, {"askers": [0, 0]},
        {"askers": [256]}, {"askers": ["0"]}, {"situation": None}, {"form": "x"}, {"delivery": {}}, {"delivery": None},
        {"delivery": {"kty": "OKP", "crv": "X25519", "x": "AA"}}, {"subjects": []}, {"subjects": {"a b": []}},
        {"subjects": {"applicant": []}}, {"subjects": {"applicant": [{"commitment": HASH}]}},
        {"subjects": {"applicant": [{"commitment": HASH, "sealed": {"256": "AA"}}]}},
        {"subjects": {"applicant": [{"commitment": HASH, "sealed": {"01": "AA"}}]}},
        {"subjects": {"applicant": [{"commitment": HASH, "sealed": {"1": "A=A"}}]}},
        {"subjects": {"applicant": [{"commitment": HASH, "sealed": {"1": "AA"}, "name": "x"}]}},
        {"evidence": [{"item": "e", "seat": 1, "basis": ""}]}, {"evidence": [{"item": "", "seat": 1, "basis": "law"}]},
        {"evidence": [{"item": "e", "seat": 1, "basis": "a"}, {"item": "e", "seat": 1, "basis": "b"}]},
        {"consents": [{"role": "applicant", "index": 1, "at": NOW}]}, {"consents": [{"role": "x", "index": 0, "at": 1}]},
        {"face": {}}, {"face": {"matches": "yes"}}, {"extra": 1}, {"subjects": {"applicant": None}},
    ],
)  # fmt: skip
def test_parse__faulty_field__refused(world: World, changes: dict) -> None:
    assert parsed(world) == world.mandate
    with pytest.raises(Invalid):
        parsed(world, **changes)


@pytest.mark.parametrize("name", sorted(set(Mandate.model_fields)))
def test_parse__field_missing__refused(world: World, name: str) -> None:
    key = world.keys[IDENTITY].identity
    fields = {field: value for field, value in world.fields.items() if field != name}
    with pytest.raises(Invalid):
        Mandate.parse(sign_jws(fields, typ=TYP, key=key), key.jwk)


def test_parse__fault_in_a_personal_value__error_does_not_repeat_it(world: World) -> None:
    key = world.keys[IDENTITY].identity
    secret = "王小明11019919900101001X"
    token = sign_jws({**world.fields, "sub": [secret], "delivery": secret}, typ=TYP, key=key)
    with pytest.raises(Invalid) as caught:
        Mandate.parse(token, key.jwk)
    assert secret not in "".join(traceback.format_exception(caught.value))
    assert caught.value.field in {"sub", "delivery"}


def test_parse__signed_by_another_or_as_another_thing__refused(world: World) -> None:
    jwk = world.keys[IDENTITY].identity.jwk
    for token in (
        sign_jws(world.fields, typ=TYP, key=world.keys[STRANGER].evidence),
        sign_jws(world.fields, typ="lianban-verdict+jwt", key=world.keys[IDENTITY].identity),
        world.jws[:-2],
    ):
        with pytest.raises(Refused) as caught:
            Mandate.parse(token, jwk)
        assert caught.value.code == "bad-signature"


@pytest.mark.parametrize(
    ("now", "code"),
    [(NOW + 86400, "expired"), (NOW + 10**6, "expired"), (NOW - 41, "not-yet-valid")],
)
def test_parse__out_of_its_time__refused(world: World, now: int, code: str) -> None:
    jwk = world.keys[IDENTITY].identity.jwk
    with pytest.raises(Refused) as caught:
        Mandate.parse(world.jws, jwk, now=now)
    assert caught.value.code == code
    Mandate.parse(world.jws, jwk, now=NOW + 86399)
    Mandate.parse(world.jws, jwk, now=NOW - 40)
    Mandate.parse(world.jws, jwk)


def test_parse__other_identity_seat__refused(world: World) -> None:
    with pytest.raises(Refused) as caught:
        Mandate.parse(world.jws, world.keys[IDENTITY].identity.jwk, issuer=STRANGER)
    assert caught.value.code == "wrong-issuer"


def test_parse_and_sign__oversize__refused(world: World) -> None:
    key = world.keys[IDENTITY].identity
    slot = {"commitment": HASH, "sealed": {"1": "A" * 1400}}
    fields = {**world.fields, "subjects": {"applicant": [slot] * 200}}
    token = sign_jws(fields, typ=TYP, key=key)
    assert len(token) > MAX_MANDATE
    with pytest.raises(Refused):
        Mandate.parse(token, key.jwk)
    with pytest.raises(Invalid):
        sign_mandate(Mandate.model_validate(fields), key)


def test_covers__item_and_seat__only_what_was_granted(world: World) -> None:
    assert world.mandate.covers("applicant-household", PROVIDER) is not None
    assert world.mandate.covers("applicant-household", LEAD) is None
    assert world.mandate.covers("other", PROVIDER) is None


@given(st.text(), st.text(), st.text(), st.text(), st.binary(min_size=32, max_size=32))
def test_subject_commitment__different_subjects__different(one: str, a: str, two: str, b: str, salt: bytes) -> None:
    if "\0" in one + two:
        with pytest.raises(ValueError):
            subject_commitment(salt, "\0" + one, a)
        return
    same = subject_commitment(salt, one, a) == subject_commitment(salt, two, b)
    assert same == ((one, a) == (two, b))
    assert subject_commitment(bytes(31) + b"\1", one, a) != subject_commitment(bytes(31) + b"\2", one, a)


@pytest.mark.parametrize("salt", [b"", bytes(31), bytes(33)])
def test_hashes__salt_of_another_length__refused(salt: bytes) -> None:
    with pytest.raises(ValueError):
        subject_commitment(salt, "t", "i")
    with pytest.raises(ValueError):
        salted_hash(salt, {})


def test_open_subject__seats_of_the_mandate__each_with_its_own_key(world: World) -> None:
    for seat in (PROVIDER, LEAD):
        opened = open_subject(world.mandate, "applicant", 0, seat=seat, key=world.keys[seat].sealing)
        assert opened == world.subject
        assert opened.commitment == world.mandate.slot("applicant", 0).commitment


@pytest.mark.parametrize(
    ("role", "index", "seat", "code"),
    [("agent", 0, PROVIDER, "no-such-subject"), ("applicant", 1, PROVIDER, "no-such-subject"),
     ("applicant", -1, PROVIDER, "no-such-subject"), ("applicant", 0, STRANGER, "not-for-this-seat")],
)  # fmt: skip
def test_open_subject__not_there__refused(world: World, role: str, index: int, seat: int, code: str) -> None:
    with pytest.raises(Refused) as caught:
        open_subject(world.mandate, role, index, seat=seat, key=world.keys[seat].sealing)
    assert caught.value.code == code


def moved(world: World, subject: Subject, **place: Any) -> Mandate:
    """A mandate whose slot for PROVIDER holds `subject` sealed for another place or with other content."""
    at = {"jti": world.mandate.jti, "role": "applicant", "index": 0, "seat": PROVIDER, **place}
    blob = seal_subject(subject, world.keys[PROVIDER].sealing.jwk, **at)
    slot = {"commitment": world.subject.commitment, "sealed": {str(PROVIDER): blob}}
    return Mandate.model_validate({**world.fields, "subjects": {"applicant": [slot]}})


@pytest.mark.parametrize("place", [{"jti": "another-mandate"}, {"role": "agent"}, {"index": 1}, {"seat": LEAD}])
def test_open_subject__sealed_for_another_place__cannot_open(world: World, place: dict) -> None:
    key = world.keys[PROVIDER].sealing
    assert open_subject(moved(world, world.subject), "applicant", 0, seat=PROVIDER, key=key) == world.subject
    with pytest.raises(Refused) as caught:
        open_subject(moved(world, world.subject, **place), "applicant", 0, seat=PROVIDER, key=key)
    assert caught.value.code == "cannot-open"


def test_open_subject__another_person_under_the_commitment__refused(world: World) -> None:
    other = Subject.new(type="citizen-number", id="110199198501010014", name="赵")
    with pytest.raises(Refused) as caught:
        open_subject(moved(world, other), "applicant", 0, seat=PROVIDER, key=world.keys[PROVIDER].sealing)
    assert caught.value.code == "wrong-subject"


def follow(world: World, before: str, case_of: str, **changes: Any) -> tuple[str, Mandate]:
    fields = {**world.fields, "kind": "amendment", "case": case_of, "previous": jws_hash(before), **changes}
    mandate = Mandate.model_validate(fields)
    return sign_mandate(mandate, world.keys[IDENTITY].identity), mandate


def test_check_chain__grant_amendment_withdrawal__id_of_the_case(world: World) -> None:
    case = case_id(world.jws)
    second = follow(world, world.jws, case)
    third = follow(world, second[0], case, kind="withdrawal")
    assert check_chain([(world.jws, world.mandate)]) == case
    assert check_chain([(world.jws, world.mandate), second, third]) == case


@pytest.mark.parametrize(
    "changes",
    [{"case": HASH}, {"previous": HASH}, {"binding": 8}, {"version": HASH}, {"iss": "seat:3"}, {"sub": "other"},
     {"chain": {"id": 1, "ledger": "0x" + "1a" * 20}}, {"iat": NOW - 11}],
)  # fmt: skip
def test_check_chain__does_not_follow__refused(world: World, changes: dict) -> None:
    second = follow(world, world.jws, case_id(world.jws), **changes)
    with pytest.raises(Refused) as caught:
        check_chain([(world.jws, world.mandate), second])
    assert caught.value.code == "broken-chain"


def test_check_chain__empty_second_grant_gap_or_after_withdrawal__refused(world: World) -> None:
    case, first = case_id(world.jws), (world.jws, world.mandate)
    second = follow(world, world.jws, case)
    third = follow(world, second[0], case)
    withdrawn = follow(world, world.jws, case, kind="withdrawal")
    after = follow(world, withdrawn[0], case)
    for chain in ([], [second], [first, first], [first, third], [first, second, second], [first, withdrawn, after]):
        with pytest.raises(LianbanError):
            check_chain(chain)


def test_repr__subject__shows_the_commitment_only(world: World) -> None:
    assert world.subject.id not in repr(world.subject)
    assert world.subject.name not in repr(world.subject)
