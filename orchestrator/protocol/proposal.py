"""What a seat is asked to sign about scenarios: a publication, new texts, a binding, a retirement.

A proposal says everything that the signature will say but its expiry, and names the texts beside the version, since
they are what a person reads. Its hash is what an officer approves: another version, other words, another seat or another
chain make another proposal.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import model_validator

from orchestrator.domain.canonical import canonical, to_hex
from orchestrator.domain.suite import hash_of
from orchestrator.protocol.sheet import Binding
from orchestrator.protocol.wire import Address, BindingNumber, Hex32, Listed, Name, SeatNumber, WireModel

Role = Literal["identity", "operator", "approver", "provider", "publisher"]
Kind = Literal["publication", "texts", "binding", "retirement"]


class Seats(WireModel):
    """Who plays which role, and where."""

    region: Name
    """GB/T 2260, six digits."""
    identity: SeatNumber
    operator: SeatNumber
    approvers: Listed[SeatNumber]
    """In the order of the definition's approver roles."""
    providers: Listed[SeatNumber]

    def roles_of(self, seat: int) -> frozenset[Role]:
        """What a seat plays."""
        played: dict[Role, bool] = {
            "identity": seat == self.identity,
            "operator": seat == self.operator,
            "approver": seat in self.approvers,
            "provider": seat in self.providers,
        }
        return frozenset(role for role, plays in played.items() if plays)


class Proposal(WireModel):
    """What one seat is asked to sign."""

    seat: SeatNumber
    """Who is asked."""
    chain: int
    catalog: Address
    """Contract that the signature is for."""
    kind: Kind
    scenario: Name
    version: Hex32
    texts: Hex32
    """Hash of the texts that were shown with the version."""
    revision: int | None = None
    """Of kind `texts`: the number that the texts get."""
    seats: Seats | None = None
    """Of a binding or of one that is to end."""
    binding: BindingNumber | None = None
    """Of a retirement: the binding that is to end."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        wanted = {
            "publication": (False, False, False),
            "texts": (True, False, False),
            "binding": (False, True, False),
            "retirement": (False, True, True),
        }[self.kind]
        if wanted != (self.revision is not None, self.seats is not None, self.binding is not None):
            raise ValueError("a proposal says what its kind needs and nothing else")
        return self

    def document(self) -> dict[str, Any]:
        """The proposal as JSON."""
        return self.model_dump(mode="json")

    @property
    def hash(self) -> str:
        """`0x…` SHA-256 of the canonical document."""
        return to_hex(hash_of(canonical(self.document())))

    @property
    def roles(self) -> frozenset[Role]:
        """What the seat would play."""
        return self.seats.roles_of(self.seat) if self.seats else frozenset({"publisher"})

    @property
    def region(self) -> str | None:
        """Where; None for what holds everywhere."""
        return self.seats.region if self.seats else None


def seats_of(binding: Binding) -> Seats:
    """Who plays which role in a binding."""
    return Seats(
        region=f"{binding.region:06d}",
        identity=binding.identity,
        operator=binding.operator,
        approvers=binding.approvers,
        providers=binding.providers,
    )
