"""Model of the consortium: who sits where, with which keys, now and in the past. The whole is in model.py."""

from __future__ import annotations

from dataclasses import dataclass, field

from model_base import NOBODY, ZERO, Clock, Contract, Faults, Reverted, Signatures, refuse

from orchestrator.domain.canonical import keccak

NONE, ACTIVE, SUSPENDED, REMOVED = range(4)
"""`Standing`."""
ADMISSION, ROTATION, RECOVERY, SUCCESSION = range(4)
"""`Origin`."""


@dataclass(frozen=True)
class Keys:
    """A seat's keys from a block on."""

    fromBlock: int
    signer: bytes
    origin: int
    keysetHash: bytes

    @property
    def tuple(self) -> tuple[int, bytes, int, bytes]:
        return self.fromBlock, self.signer, self.origin, self.keysetHash


NO_KEYS = Keys(0, NOBODY, ADMISSION, ZERO)


@dataclass
class Seat:
    """A seat's whole past, and what is announced."""

    keys: list[Keys] = field(default_factory=list)
    standings: list[tuple[int, int]] = field(default_factory=list)
    """(from block, standing)."""
    changes: int = 0

    def keys_at(self, block: int) -> Keys:
        return next((one for one in reversed(self.keys) if one.fromBlock <= block), NO_KEYS)

    def standing_at(self, block: int) -> int:
        return next((standing for since, standing in reversed(self.standings) if since <= block), NONE)


class Consortium(Contract):
    """Who sits where, with which keys, now and in the past."""

    def __init__(self, address: bytes, clock: Clock, signatures: Signatures, council: bytes, veto_blocks: int) -> None:
        super().__init__(address, clock, signatures)
        self._owner, self._pending_owner = council, NOBODY
        self._veto_blocks = veto_blocks
        self.seats: dict[int, Seat] = {}
        self.used: set[bytes] = set()
        """Addresses that serve, served or were announced for a seat."""

    def admit(self, sender: bytes, seat: int, signer: bytes, keyset: bytes, signature: bytes) -> None:
        faults = self._not_council(sender)
        if seat in self.seats:
            faults.append(("Consortium_SeatTaken", (seat,)))
        if signer in self.used:
            faults.append(("Consortium_SignerUsed", (signer,)))
        if not keyset:
            faults.append(("Consortium_EmptyKeyset", (seat,)))
        if not self._signed(signature, signer, "Admission", seat, signer, keccak(keyset)):
            faults.append(("Consortium_WrongSignature", (seat, signer)))
        refuse(faults)
        now = self.clock.block
        self.seats[seat] = Seat([Keys(now, signer, ADMISSION, keccak(keyset))], [(now, ACTIVE)])
        self.used.add(signer)
        self._emit("SeatAdmitted", seat, signer, keccak(keyset), keyset)

    def rotate(
        self, sender: bytes, seat: int, signer: bytes, keyset: bytes, fromBlock: int, old: bytes, new: bytes
    ) -> None:
        present, standing, _ = self._now(seat)
        faults = [] if standing == ACTIVE else [("Consortium_WrongStanding", (seat, standing))]
        faults += self._unchangeable(seat, keyset)
        if signer != present and signer in self.used:
            faults.append(("Consortium_SignerUsed", (signer,)))
        earliest, latest = self.clock.block + 1, self.clock.block + self._veto_blocks
        if not earliest <= fromBlock <= latest:
            faults.append(("Consortium_WrongBlock", (seat, fromBlock, earliest, latest)))
        statement = (seat, signer, keccak(keyset), fromBlock, self.changeCount(seat)[0] + 1)
        for by, signature in ((present, old), (signer, new)):
            if not self._signed(signature, by, "Rotation", *statement):
                faults.append(("Consortium_WrongSignature", (seat, by)))
        refuse(faults)
        self._announce(seat, ROTATION, fromBlock, signer, keyset)

    def recover(self, sender: bytes, seat: int, signer: bytes, keyset: bytes, signature: bytes) -> None:
        self._replace(sender, RECOVERY, "Recovery", seat, signer, keyset, signature)

    def succeed(self, sender: bytes, seat: int, signer: bytes, keyset: bytes, signature: bytes) -> None:
        self._replace(sender, SUCCESSION, "Succession", seat, signer, keyset, signature)

    def veto(self, sender: bytes, seat: int, change: int, signature: bytes) -> None:
        present, _, _ = self._now(seat)
        faults = self._not_announced(seat, change)
        faults += self._out(seat)
        if not self._signed(signature, present, "Veto", seat, change):
            faults.append(("Consortium_WrongSignature", (seat, present)))
        refuse(faults)
        self.seats[seat].keys.pop()
        self._emit("KeysVetoed", seat, change)

    def cancel(self, sender: bytes, seat: int, change: int) -> None:
        faults = self._not_council(sender)
        faults += self._not_announced(seat, change)
        if self.announcedOf(seat)[1][2] == ROTATION:
            faults.append(("Consortium_NotTheCouncils", (seat, change)))
        refuse(faults)
        self.seats[seat].keys.pop()
        self._emit("KeysCancelled", seat, change)

    def suspend(self, sender: bytes, seat: int) -> None:
        self._stand(sender, seat, {ACTIVE}, SUSPENDED, "SeatSuspended")

    def reinstate(self, sender: bytes, seat: int) -> None:
        self._stand(sender, seat, {SUSPENDED}, ACTIVE, "SeatReinstated")

    def remove(self, sender: bytes, seat: int) -> None:
        self._stand(sender, seat, {ACTIVE, SUSPENDED}, REMOVED, "SeatRemoved")

    def transferOwnership(self, sender: bytes, council: bytes) -> None:
        """Offers the council's office; it passes when the new council takes it."""
        refuse(self._not_council(sender))
        self._pending_owner = council
        self._emit("OwnershipTransferStarted", self._owner, council)

    def acceptOwnership(self, sender: bytes) -> None:
        if sender != self._pending_owner:
            raise Reverted([("OwnableUnauthorizedAccount", (sender,))])
        before, self._owner, self._pending_owner = self._owner, sender, NOBODY
        self._emit("OwnershipTransferred", before, sender)

    def renounceOwnership(self, sender: bytes) -> None:
        raise Reverted(self._not_council(sender) or [("Consortium_CouncilNeeded", ())])

    def owner(self) -> tuple[bytes]:
        return (self._owner,)

    def pendingOwner(self) -> tuple[bytes]:
        return (self._pending_owner,)

    def vetoBlocks(self) -> tuple[int]:
        return (self._veto_blocks,)

    def seatOf(self, seat: int) -> tuple[tuple[bytes, int, bytes]]:
        return (self._now(seat),)

    def signerOf(self, seat: int) -> tuple[bytes]:
        return self.signerAt(seat, self.clock.block)

    def keysetHashOf(self, seat: int) -> tuple[bytes]:
        return self.keysetHashAt(seat, self.clock.block)

    def signerAt(self, seat: int, block: int) -> tuple[bytes]:
        record = self.seats.get(seat, Seat())
        return (record.keys_at(block).signer if record.standing_at(block) == ACTIVE else NOBODY,)

    def keysetHashAt(self, seat: int, block: int) -> tuple[bytes]:
        return (self.seats.get(seat, Seat()).keys_at(block).keysetHash,)

    def standingAt(self, seat: int, block: int) -> tuple[int]:
        return (self.seats.get(seat, Seat()).standing_at(block),)

    def announcedOf(self, seat: int) -> tuple[int, tuple[int, bytes, int, bytes]]:
        record = self.seats.get(seat, Seat())
        if record.keys and record.keys[-1].fromBlock > self.clock.block:
            return record.changes, record.keys[-1].tuple
        return 0, NO_KEYS.tuple

    def changeCount(self, seat: int) -> tuple[int]:
        return (self.seats.get(seat, Seat()).changes,)

    def keysOf(self, seat: int) -> tuple[list[tuple[int, bytes, int, bytes]]]:
        return ([one.tuple for one in self.seats.get(seat, Seat()).keys],)

    def standingsOf(self, seat: int) -> tuple[list[tuple[int, int]]]:
        return (list(self.seats.get(seat, Seat()).standings),)

    def _now(self, seat: int) -> tuple[bytes, int, bytes]:
        record, now = self.seats.get(seat, Seat()), self.clock.block
        return record.keys_at(now).signer, record.standing_at(now), record.keys_at(now).keysetHash

    def _not_council(self, sender: bytes) -> Faults:
        return [] if sender == self._owner else [("OwnableUnauthorizedAccount", (sender,))]

    def _out(self, seat: int) -> Faults:
        standing = self._now(seat)[1]
        return [] if standing in (ACTIVE, SUSPENDED) else [("Consortium_WrongStanding", (seat, standing))]

    def _not_announced(self, seat: int, change: int) -> Faults:
        return [] if 0 < self.announcedOf(seat)[0] == change else [("Consortium_NoSuchChange", (seat, change))]

    def _unchangeable(self, seat: int, keyset: bytes) -> Faults:
        pending, keys = self.announcedOf(seat)
        faults: Faults = [("Consortium_ChangePending", (seat, pending, keys[0]))] if pending else []
        return faults + ([] if keyset else [("Consortium_EmptyKeyset", (seat,))])

    def _replace(
        self, sender: bytes, origin: int, struct: str, seat: int, signer: bytes, keyset: bytes, signature: bytes
    ) -> None:
        faults = self._not_council(sender) + self._out(seat) + self._unchangeable(seat, keyset)
        if signer in self.used:
            faults.append(("Consortium_SignerUsed", (signer,)))
        if not self._signed(signature, signer, struct, seat, signer, keccak(keyset), self.changeCount(seat)[0] + 1):
            faults.append(("Consortium_WrongSignature", (seat, signer)))
        refuse(faults)
        self._announce(seat, origin, self.clock.block + self._veto_blocks, signer, keyset)

    def _announce(self, seat: int, origin: int, fromBlock: int, signer: bytes, keyset: bytes) -> None:
        record = self.seats[seat]
        record.changes += 1
        record.keys.append(Keys(fromBlock, signer, origin, keccak(keyset)))
        self.used.add(signer)
        self._emit("KeysAnnounced", seat, record.changes, origin, fromBlock, signer, keccak(keyset), keyset)

    def _stand(self, sender: bytes, seat: int, of: set[int], to: int, event: str) -> None:
        standing = self._now(seat)[1]
        wrong: Faults = [] if standing in of else [("Consortium_WrongStanding", (seat, standing))]
        refuse(self._not_council(sender) + wrong)
        self.seats[seat].standings.append((self.clock.block, to))
        self._emit(event, seat)
