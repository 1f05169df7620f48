"""Hands: what everybody's acts have in common: whose key signs, and the ways in which a signature can be wrong."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, TypeVar

from machine import Act, Machine
from machine_chain import CHAIN_ID
from machine_heads import Log
from machine_keys import malleated
from model_base import NOBODY
from model_consortium import ACTIVE

T = TypeVar("T")
WRONG_SIGNATURES = (
    *("another key", "another key", "another statement", "another statement", "another chain", "another contract"),
    *("bit", "malleated", "short", "long", "empty", "bare v", "seen"),
)


class Hands:
    """Everybody's keys and a source of chance, at one machine."""

    def __init__(self, machine: Machine, rng: random.Random, faults: float = 0.45) -> None:
        self.machine, self.rng = machine, rng
        self.faults = faults
        """How often something is wrong with an act."""
        self.logs: dict[int, list[Log]] = {}
        """By seat, the logs that it has shown to anybody."""
        self.sheets: list[tuple[int, int, tuple[Any, ...], bytes, int]] = []
        """(seat, valid until, covered transitions, signature, block) of sheets that were sent."""
        self.dossiers: dict[bytes, tuple[tuple[str, bytes, bytes], tuple[bytes, ...]]] = {}
        """By root, an entry and its proof."""
        self.reserved: set[bytes] = set()
        """Cases that are left alone."""
        self.replays: list[Act] = []
        """Acts that were played, to be played again."""
        self.stale: list[bytes] = []
        """Addresses that were once used."""

    # Chance

    def pick(self, choices: Sequence[T]) -> T:
        return self.rng.choice(choices)

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def fault(self, *kinds: str) -> str:
        """One of the ways to go wrong, or mostly none."""
        return self.pick(kinds) if self.chance(self.faults) else ""

    def bytes32(self) -> bytes:
        return self.rng.randbytes(32)

    # Who

    def actor(self) -> bytes:
        """Anybody."""
        return self.pick(self.machine.actors)

    def council(self, fault: bool) -> bytes:
        """The owner, or with a fault somebody else."""
        [owner] = self.machine.consortium.owner()
        return self.pick([one for one in self.machine.actors if one != owner]) if fault else owner

    def seat(self, *standings: int) -> int | None:
        """A seat with one of the standings."""
        consortium = self.machine.consortium
        seats = [
            one for one in consortium.seats if consortium.standingAt(one, self.machine.clock.block)[0] in standings
        ]
        return self.pick(seats) if seats else None

    def any_seat(self) -> int:
        """An admitted seat, rarely one that nobody gave."""
        seats = [*self.machine.consortium.seats]
        return self.pick(seats) if seats and self.chance(0.92) else self.rng.randrange(256)

    def speaker(self) -> int:
        """A seat, mostly an active one."""
        seat = self.seat(ACTIVE) if self.chance(0.85) else None
        return self.any_seat() if seat is None else seat

    def can_sign(self, seats: Sequence[int]) -> bool:
        """Whether all these are active."""
        return all(self.machine.consortium.signerOf(seat)[0] != NOBODY for seat in seats)

    def signer(self, seat: int) -> bytes:
        """The seat's key that will be in force in the next block, whatever its standing; a fresh one for an unknown seat."""
        record = self.machine.consortium.seats.get(seat)
        signer = record.keys_at(self.machine.clock.block + 1).signer if record else NOBODY
        return self.new() if signer == NOBODY else signer

    # Signing

    def new(self) -> bytes:
        """The address of a fresh key."""
        return self.machine.ring.new()

    def sign(self, signer: bytes, contract: str, struct: str, *values: Any, chain_id: int = CHAIN_ID) -> bytes:
        where = self.machine.contracts[contract].address
        return self.machine.ring.sign(signer, where, struct, *values, chain_id=chain_id)

    def sign_for(self, seat: int, contract: str, struct: str, *values: Any) -> bytes:
        """By the seat's present key."""
        return self.sign(self.signer(seat), contract, struct, *values)

    def wrong(self, signer: bytes, contract: str, struct: str, *values: Any) -> bytes:
        """Bytes that are not this signer's signature of this, but nearly."""
        ring, contracts, rng = self.machine.ring, self.machine.contracts, self.rng
        kind = self.pick(WRONG_SIGNATURES)
        if kind == "another key":
            others = [self.signer(one) for one in self.machine.consortium.seats]
            other = self.pick([one for one in others if one != signer] or [self.new()])
            return self.sign(other, contract, struct, *values)
        if kind == "another statement":
            return self.sign(signer, contract, struct, *self.altered(values))
        if kind == "another chain":
            return self.sign(signer, contract, struct, *values, chain_id=rng.randrange(1, 2**32))
        if kind == "another contract":
            return self.sign(signer, self.pick([name for name in contracts if name != contract]), struct, *values)
        if kind == "seen" and ring.signatures.said:
            return self.pick([*ring.signatures.said][-200:])
        signature = self.sign(signer, contract, struct, *values)
        if len(signature) != 65:
            return signature
        match kind:
            case "bit":
                place = rng.randrange(65 * 8)
                return bytes(byte ^ (1 << place % 8 if i == place // 8 else 0) for i, byte in enumerate(signature))
            case "malleated":
                return malleated(signature)
            case "short":
                return signature[: rng.choice([64, 64, rng.randrange(64)])]
            case "long":
                return signature + bytes([rng.randrange(256)])
            case "bare v":
                return signature[:64] + bytes([signature[64] - 27])
        return b""

    def altered(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """The values with one changed."""
        changed = list(values)
        place = self.pick([i for i, value in enumerate(values) if value != ()])
        value = changed[place]
        if isinstance(value, int):
            changed[place] = value + 1 if value == 0 or self.chance(0.5) else value - 1
        elif isinstance(value, bytes):
            changed[place] = self.rng.randbytes(len(value))
        elif isinstance(value, str):
            changed[place] = value + "x"
        else:
            where = self.rng.randrange(len(value))
            one = self.altered(value[where]) if isinstance(value[where], tuple) else value[where] ^ 1
            changed[place] = (*value[:where], *([] if self.chance(0.3) else [one]), *value[where + 1 :])
        return tuple(changed)

    def act(self, by: bytes, contract: str, function: str, *arguments: Any) -> Act:
        return Act(by, contract, function, arguments)

    def dirty(self, act: Act) -> Act:
        """The act with calldata that is no ABI encoding: a seat beyond eight bits, a cut-off end, an offset into nowhere."""
        whole = bytearray(self.machine.contracts[act.contract].functions[act.function].calldata(act.arguments))
        kinds = self.machine.contracts[act.contract].functions[act.function].types
        small = [i for i, kind in enumerate(kinds) if kind in ("uint8", "uint32", "uint40", "uint64", "address")]
        offsets = [i for i, kind in enumerate(kinds) if kind in ("bytes", "string") or kind.endswith(("[]", ")"))]
        choices = ["cut"] + ["dirt"] * bool(small) * 2 + ["offset"] * bool(offsets)
        match self.pick(choices):
            case "dirt":
                whole[4 + 32 * self.pick(small) + self.rng.randrange(12)] ^= self.rng.randrange(1, 256)
            case "offset":
                whole[4 + 32 * self.pick(offsets) + self.rng.randrange(20)] ^= self.rng.randrange(1, 256)
            case _:
                whole = whole[: self.rng.randrange(4, 4 + 32 * len(kinds))]
        return Act(act.by, act.contract, act.function, act.arguments, bytes(whole))
