"""What the three contracts of the model share: the block, ideal signatures, events, and errors of which any may be named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

NOBODY = bytes(20)
ZERO = bytes(32)


Faults = list[tuple[str, tuple[Any, ...]]]
"""(error, its arguments)."""


class Reverted(Exception):
    """A call that changes nothing. `faults` are (error, its arguments); the contract may name any of them."""

    def __init__(self, faults: Sequence[tuple[str, tuple[Any, ...]]]) -> None:
        super().__init__(faults)
        self.faults = list(faults)


@dataclass(frozen=True)
class AnyOf:
    """One of several reasons in an event, by name and number."""

    numbers: dict[str, int]


@dataclass
class Clock:
    """The block in which a call runs."""

    block: int = 0
    time: int = 0
    """Unix seconds."""


@dataclass
class Signatures:
    """Every signature that anybody ever made, and what it says."""

    said: dict[bytes, tuple[bytes, bytes, str, tuple[Any, ...]]] = field(default_factory=dict)
    """Signature → (signer, contract that it is for, struct, values). A statement for another chain has a contract of its own."""

    def hold(self, signature: bytes, signer: bytes, contract: bytes, struct: str, *values: Any) -> bool:
        """Whether these bytes are the signer's signature of exactly this."""
        return self.said.get(signature) == (signer, contract, struct, values)


class Contract:
    """What the three have in common."""

    def __init__(self, address: bytes, clock: Clock, signatures: Signatures) -> None:
        self.address = address
        self.clock = clock
        self.signatures = signatures
        self.events: list[tuple[bytes, str, tuple[Any, ...]]] = []
        """(contract, event, arguments) since somebody emptied it."""

    def _emit(self, event: str, *arguments: Any) -> None:
        self.events.append((self.address, event, arguments))

    def _signed(self, signature: bytes, signer: bytes, struct: str, *values: Any) -> bool:
        return self.signatures.hold(signature, signer, self.address, struct, *values)


def refuse(faults: Faults) -> None:
    """Reverts if there is anything to say."""
    if faults:
        raise Reverted(faults)
