"""A small consortium for the protocol tests: keys of six seats and one mandate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestrator.protocol.jose import jws_hash
from orchestrator.protocol.keyset import SeatKeys, generate_seat_keys
from orchestrator.protocol.mandate import Mandate, Subject, salted_hash, seal_subject, sign_mandate
from orchestrator.protocol.question import Question
from orchestrator.protocol.sealing import SealingKey

NOW = 1_800_000_000
OPERATOR, PROVIDER, IDENTITY, LEAD, SECOND, STRANGER = range(6)


@dataclass(frozen=True)
class World:
    """Keys by seat, the holder's delivery key, a subject and the grant about it."""

    keys: dict[int, SeatKeys]
    delivery: SealingKey
    subject: Subject
    fields: dict[str, Any]
    mandate: Mandate
    jws: str
    question: Question


def make_world() -> World:
    """A new consortium with fresh keys."""
    keys = {seat: generate_seat_keys(identity=seat == IDENTITY) for seat in range(6)}
    delivery = SealingKey.generate()
    subject = Subject.new(
        type="citizen-number", id="11019919900101001X", name="王小明", attributes={"household": "beijing"}
    )
    jti = "a-nonce-of-the-mandate"
    fields: dict[str, Any] = {
        "iss": "seat:2", "iat": NOW - 10, "exp": NOW + 86400, "jti": jti, "kind": "grant", "case": None,
        "previous": None, "chain": {"id": 31337, "ledger": "0x" + "1a" * 20}, "binding": 7,
        "version": "0x" + "22" * 32, "texts": "0x" + "33" * 32, "sub": "pairwise-1", "day": "2027-01-15",
        "askers": [OPERATOR], "situation": salted_hash(bytes(32), {"agent": False}), "form": None,
        "delivery": delivery.jwk,
        "holder": None,
        "subjects": {
            "applicant": [{
                "commitment": subject.commitment,
                "sealed": {
                    str(seat): seal_subject(
                        subject, keys[seat].sealing.jwk, jti=jti, role="applicant", index=0, seat=seat
                    )
                    for seat in (PROVIDER, LEAD)
                },
            }]
        },
        "evidence": [{"item": "applicant-household", "seat": PROVIDER, "basis": "consent"}],
        "consents": [{"role": "applicant", "index": 0, "at": NOW - 20}],
        "face": {"matches": True, "liveness": "unknown", "assurance": "substantial", "checked_at": NOW - 30,
                 "method": "development"},
    }  # fmt: skip
    mandate = Mandate.model_validate(fields)
    jws = sign_mandate(mandate, keys[IDENTITY].identity)
    question = Question(mandate=jws_hash(jws), item="applicant-household", index=0, purpose="decide")
    return World(keys, delivery, subject, fields, mandate, jws, question)
