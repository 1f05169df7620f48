"""Log heads as a seat signs them (日志头): by its chain key for the ledger, and dated, by its evidence key.

What the ledger takes (EIP-712 `Head`) says no time. The dated statement says when the log had that size, so that a log which
is shorter afterwards contradicts it in the eyes of anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Self

from pydantic import Field, StringConstraints

from orchestrator.domain.canonical import from_hex
from orchestrator.protocol.jose import SigningKey, sign_jws, verify_jws
from orchestrator.protocol.mandate import ChainRef
from orchestrator.protocol.querylog import MAX_SIZE
from orchestrator.protocol.sheet import Domain, head_digest, recover
from orchestrator.protocol.wire import Hex32, SeatNumber, SeatRef, Seconds, WireModel, read_model, seat_ref

TYP: Final = "lianban-log+jwt"

LogSize = Annotated[int, Field(ge=0, lt=MAX_SIZE)]
Signature65 = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{130}$")]


class SignedHead(WireModel):
    """A log head with the signature that the ledger takes."""

    seat: SeatNumber
    size: LogSize
    root: Hex32
    signature: Signature65
    """`0x…`, 65 bytes, by the seat's chain key."""

    @classmethod
    def parse(cls, value: Any) -> Self:
        """The head in a JSON value, which may say more. Raises Invalid."""
        named = {name: value[name] for name in cls.model_fields if name in value} if isinstance(value, dict) else value
        return read_model(cls, named, code="bad-head")

    def signer(self, ledger: Domain) -> str:
        """The address whose key signed it. Raises Refused("bad-signature") when none did."""
        digest = head_digest(ledger, self.seat, self.size, from_hex(self.root))
        return recover(digest, from_hex(self.signature, 65))


class LogStatement(WireModel):
    """What a seat says of its log at a moment."""

    iss: SeatRef
    chain: ChainRef
    size: LogSize
    root: Hex32
    iat: Seconds


def sign_statement(ledger: Domain, seat: int, size: int, root: str, *, iat: int, key: SigningKey) -> str:
    """The statement as a compact JWS, by the seat's evidence key."""
    chain = ChainRef(id=ledger.chain_id, ledger=ledger.contract)
    said = LogStatement(iss=seat_ref(seat), chain=chain, size=size, root=root, iat=iat)
    return sign_jws(said.model_dump(mode="json"), typ=TYP, key=key)


def read_statement(jws: str, jwk: Mapping[str, object]) -> LogStatement:
    """The statement in `jws`, signed by the evidence key `jwk`; whose it is and for which ledger, the caller compares.

    Raises Refused("bad-signature") and Invalid for a faulty field.
    """
    return read_model(LogStatement, verify_jws(jws, typ=TYP, jwk=jwk), code="bad-statement")
