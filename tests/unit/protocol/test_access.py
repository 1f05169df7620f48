"""Access requests, statements of who looked, acknowledgements: what is read is what was signed, and nothing else."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.canonical import from_hex, to_hex
from orchestrator.domain.errors import LianbanError, Refused
from orchestrator.protocol.access import (
    AccessRequest,
    Statement,
    access_entry,
    open_access,
    read_access,
    read_past_access,
    read_statement,
    sign_access,
    sign_statement,
)
from orchestrator.protocol.jose import SigningKey, jws_hash, peek_jws, sign_jws
from orchestrator.protocol.keyset import SigningAccount
from orchestrator.protocol.loghead import SignedHead
from orchestrator.protocol.mandate import Subject
from orchestrator.protocol.notice import Acknowledgement, notice_entry
from orchestrator.protocol.querylog import LogTree, entry, leaf_hash, nodes_for_inclusion
from orchestrator.protocol.sealing import SealingKey
from orchestrator.protocol.sheet import Domain, head_digest

NOW = 1_800_000_000
KEY, OTHER = SigningKey.generate(), SigningKey.generate()
SEALING = SealingKey.generate()
LEDGER = Domain(chain_id=7, contract="0x" + "11" * 20)
ACCOUNT = SigningAccount.generate()
SEAT = 5


def asked(subject: Subject, **changes: Any) -> str:
    options: dict[str, Any] = {"key": KEY, "iss": 2, "aud": SEAT, "now": NOW} | changes
    return sign_access(subject, SEALING.jwk, **options)


@settings(max_examples=25)
@given(st.text(min_size=1, max_size=40), st.one_of(st.none(), st.integers(0, 1 << 40)))
def test_access__any_identifier__opened_by_the_asked_seat_alone(identifier: str, size: int | None) -> None:
    subject = Subject.new(type="citizen", id=identifier, name="")
    jws = asked(subject, anchored=size, before=size)
    request, jti, expires = read_access(jws, audience=SEAT, now=NOW, jwk=KEY.jwk)
    assert (request.anchored, request.before, expires) == (size, size, NOW + 60)
    assert len(jti) >= 16
    opened = open_access(request, seat=SEAT, key=SEALING)
    assert (opened.type, opened.id, opened.commitment) == ("citizen", identifier, subject.commitment)
    assert read_past_access(jws, KEY.jwk) == request
    for seat, key in ((SEAT + 1, SEALING), (SEAT, SealingKey.generate())):
        with pytest.raises(Refused, match="does not open"):
            open_access(request, seat=seat, key=key)


def test_access__sealed_subject_under_another_commitment__refused() -> None:
    one, two = (Subject.new(type="citizen", id=name, name="") for name in ("a", "b"))
    first = read_past_access(asked(one), KEY.jwk)
    swapped = AccessRequest(commitment=two.commitment, sealed=first.sealed, anchored=None, before=None)
    with pytest.raises(Refused):
        open_access(swapped, seat=SEAT, key=SEALING)


@pytest.mark.parametrize(
    "changes",
    [{"commitment": "x"}, {"sealed": ""}, {"anchored": -1}, {"anchored": "1"}, {"before": 1 << 48}, {"more": 1}],
)
def test_read_access__faulty_field__refused(changes: dict[str, Any]) -> None:
    payload = peek_jws(asked(Subject.new(type="citizen", id="a", name="")))[1]
    jws = sign_jws(payload | changes, typ="lianban-access+jwt", key=KEY)
    with pytest.raises(LianbanError):
        read_access(jws, audience=SEAT, now=NOW, jwk=KEY.jwk)


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"key": OTHER}, "bad-signature"), ({"aud": 6}, "wrong-audience"), ({"now": NOW - 60}, "expired"),
     ({"now": NOW + 31}, "not-yet-valid")],
)  # fmt: skip
def test_read_access__not_for_this_seat_now__refused(changes: dict[str, Any], code: str) -> None:
    jws = asked(Subject.new(type="citizen", id="a", name=""), **changes)
    with pytest.raises(Refused) as refused:
        read_access(jws, audience=SEAT, now=NOW, jwk=KEY.jwk)
    assert refused.value.code == code


def test_statement__a_place_of_the_log_twice__refused() -> None:
    zeros = "0x" + "00" * 32
    access = {"index": 3, "request": zeros, "asker": 2, "at": NOW}
    payload = {"iss": "seat:5", "iat": NOW, "access": zeros, "commitment": zeros, "looks": [], "more": False}
    jws = sign_statement(Statement.model_validate(payload | {"accesses": (access,)}), KEY)
    assert read_statement(jws, KEY.jwk).accesses[0].index == 3
    twice = sign_jws(payload | {"accesses": [access, access]}, typ="lianban-looks+jwt", key=KEY)
    with pytest.raises(LianbanError):
        read_statement(twice, KEY.jwk)


@settings(max_examples=40)
@given(before=st.integers(0, 40), after=st.integers(0, 40), at=st.integers(0, NOW))
def test_acknowledgement__anywhere_in_a_log__holds_and_altered_does_not(before: int, after: int, at: int) -> None:
    mandate = to_hex(secrets.token_bytes(32))
    tree = LogTree()
    tree.append([leaf_hash(secrets.token_bytes(8)) for _ in range(before)])
    tree.append([leaf_hash(notice_entry(mandate, at))])
    tree.append([leaf_hash(secrets.token_bytes(8)) for _ in range(after)])
    assert nodes_for_inclusion(before, tree.size) is not None
    signature = ACCOUNT.sign_hash(head_digest(LEDGER, SEAT, tree.size, tree.root()))
    head = {"seat": SEAT, "size": tree.size, "root": to_hex(tree.root()), "signature": to_hex(signature)}
    path = tuple(to_hex(node) for node in tree.inclusion_proof(before))
    said = Acknowledgement(
        seat=SEAT, mandate=mandate, at=at, index=before, path=path, head=SignedHead.model_validate(head)
    )
    who = {"seat": SEAT, "mandate": mandate, "ledger": LEDGER, "signer": ACCOUNT.address}
    said.check(**who)  # type: ignore[arg-type]
    other = to_hex(secrets.token_bytes(32))
    for wrong in ({"seat": 6}, {"mandate": other}, {"signer": SigningAccount.generate().address},
                  {"ledger": Domain(chain_id=8, contract=LEDGER.contract)}):  # fmt: skip
        with pytest.raises(Refused):
            said.check(**(who | wrong))  # type: ignore[arg-type]
    for altered in ({"at": at + 1}, {"index": before + 1}, {"path": (*path, other)}):
        with pytest.raises(Refused):
            said.model_copy(update=altered).check(**who)  # type: ignore[arg-type]


@given(st.binary(min_size=32, max_size=32).map(to_hex), st.integers(0, NOW), st.integers(1, 99))
def test_entries__of_three_kinds__never_the_same(value: str, at: int, attempt: int) -> None:
    kinds = {notice_entry(value, at), access_entry(value, at), entry(value, value, attempt)}
    assert len(kinds) == 3
    assert len(from_hex(jws_hash("a.b.c"))) == 32
