"""What a seat is asked to sign: every part of it in the hash, and whose word on it counts."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.domain.canonical import canonical, to_hex
from orchestrator.domain.errors import Invalid, LianbanError, Refused
from orchestrator.domain.suite import hash_of
from orchestrator.protocol.jose import SigningKey
from orchestrator.protocol.officer import (
    certify,
    read_decision,
    read_proposal_decision,
    sign_decision,
    sign_proposal_decision,
)
from orchestrator.protocol.proposal import Proposal, Seats, seats_of
from orchestrator.protocol.sheet import Binding

NOW = 1_700_000_000
SEAT_KEY, OFFICER = SigningKey.generate(), SigningKey.generate()
HASH = "0x" + "ab" * 32
SEATS = {"region": "110108", "identity": 2, "operator": 0, "approvers": [3], "providers": [1, 2, 3]}


def proposal(**changes: Any) -> Proposal:
    fields = {
        "seat": 3,
        "chain": 31337,
        "catalog": "0x" + "1" * 40,
        "kind": "binding",
        "scenario": "open-gallery",
        "version": HASH,
        "texts": HASH,
        "seats": Seats.model_validate(SEATS),
    }
    return Proposal.model_validate(fields | changes)


def test_hash__document__sha256_of_its_canonical_json() -> None:
    document = {**proposal().document()}
    assert document["seats"] == SEATS
    assert proposal().hash == to_hex(hash_of(canonical(document)))
    assert Proposal.model_validate(document) == proposal()


@pytest.mark.parametrize(
    "changes",
    [
        {"seat": 4},
        {"chain": 1},
        {"catalog": "0x" + "2" * 40},
        {"scenario": "other"},
        {"version": "0x" + "cd" * 32},
        {"texts": "0x" + "cd" * 32},
        {"kind": "retirement", "binding": 7},
        *({"seats": Seats.model_validate(SEATS | {name: other})} for name, other in (
            ("region", "110105"), ("identity", 5), ("operator", 5), ("approvers", [5]), ("providers", [2, 1, 3]),
        )),
    ],
)  # fmt: skip
def test_hash__any_part_otherwise__another(changes: dict[str, Any]) -> None:
    assert proposal(**changes).hash != proposal().hash


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "publication"},
        {"kind": "texts"},
        {"kind": "texts", "seats": None},
        {"kind": "retirement"},
        {"revision": 1},
        {"binding": 1},
        {"seats": None},
        {"kind": "other"},
        {"version": "0x00"},
        {"more": 1},
    ],
)
def test_proposal__not_what_its_kind_needs__refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        proposal(**changes)


@pytest.mark.parametrize(
    ("seat", "roles"),
    [(0, {"operator"}), (1, {"provider"}), (2, {"identity", "provider"}), (3, {"approver", "provider"}), (9, set())],
)
def test_roles__of_a_binding__what_the_seat_plays(seat: int, roles: set[str]) -> None:
    assert proposal(seat=seat).roles == roles
    assert proposal(seat=seat).region == "110108"


def test_roles__of_a_publication__publisher_everywhere() -> None:
    for made in (proposal(kind="publication", seats=None), proposal(kind="texts", seats=None, revision=1)):
        assert (made.roles, made.region) == ({"publisher"}, None)


def test_seats_of__binding__without_its_expiry() -> None:
    fields: dict[str, Any] = {
        "version": bytes(32), "region": 10108, "identity": 2, "operator": 0, "approvers": (3,), "providers": (1,)
    }  # fmt: skip
    one, other = (seats_of(Binding(**fields, valid_until=until)) for until in (1, 2))
    assert one == other
    assert one.region == "010108"


def certificate(**changes: Any) -> str:
    fields: dict[str, Any] = {"seat": 3, "pseudonym": "officer-7", "iat": NOW - 100, "exp": NOW + 100, "key": SEAT_KEY}
    return certify(OFFICER.jwk, **({"may": ["signatures"]} | fields | changes))


def word(**changes: Any) -> str:
    fields: dict[str, Any] = {"proposal": HASH, "outcome": "approve", "reason": "可以", "iat": NOW, "key": OFFICER}
    return sign_proposal_decision(**(fields | changes))


def test_proposal_decision__officer_for_signatures__read() -> None:
    for may in (["signatures"], ["cases", "signatures"]):
        said, who = read_proposal_decision(word(), certificate(may=may), seat=3, jwk=SEAT_KEY.jwk)
        assert (said.proposal, said.outcome, said.reason, who.sub) == (HASH, "approve", "可以", "officer-7")


@pytest.mark.parametrize(
    ("decision", "by", "code"),
    [
        ({}, {"may": ["cases"]}, "not-the-duty"),
        ({"key": SEAT_KEY}, {}, "bad-signature"),
        ({}, {"key": OFFICER}, "bad-signature"),
        ({}, {"seat": 4}, "wrong-issuer"),
        ({"iat": NOW + 100}, {}, "expired"),
    ],
)
def test_proposal_decision__not_by_an_officer_for_signatures__refused(
    decision: dict[str, Any], by: dict[str, Any], code: str
) -> None:
    with pytest.raises(Refused) as error:
        read_proposal_decision(word(**decision), certificate(**by), seat=3, jwk=SEAT_KEY.jwk)
    assert error.value.code == code


def test_decision__of_another_kind_or_duty__refused() -> None:
    case = sign_decision(case=HASH, sequence=1, outcome="approve", rows=[], reason="x", iat=NOW, key=OFFICER)
    with pytest.raises(LianbanError):
        read_proposal_decision(case, certificate(), seat=3, jwk=SEAT_KEY.jwk)
    with pytest.raises(LianbanError):
        read_decision(word(), certificate(may=["cases"]), seat=3, jwk=SEAT_KEY.jwk)
    with pytest.raises(Refused) as error:
        read_decision(case, certificate(), seat=3, jwk=SEAT_KEY.jwk)
    assert error.value.code == "not-the-duty"
    assert read_decision(case, certificate(may=["cases"]), seat=3, jwk=SEAT_KEY.jwk)[0].case == HASH


@pytest.mark.parametrize("changes", [{"outcome": "return"}, {"proposal": "0x"}, {"reason": ""}])
def test_sign_proposal_decision__faulty_field__refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        word(**changes)


@pytest.mark.parametrize("may", [[], ["all"], "cases"])
def test_certify__faulty_duties__refused(may: Any) -> None:
    with pytest.raises(Invalid):
        certificate(may=may)
