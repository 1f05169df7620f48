"""Invariants I1 to I8, by number, held against what happened and against nothing that the model concluded.

The auditor reads the chain's events (the machine has compared them, byte by byte, with the model's) and asks about each by
whose word it came: a key has spoken if its holder made the signature, wherever that was sent, or if the attacker holds the key.
I5 is about types and stands in test_stateful.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from machine import Breach, Machine, Outcome
from machine_heads import Log
from model_consortium import ACTIVE, REMOVED, SUSPENDED

ALLOWED = {
    (0, 1),
    (0, 2),
    (0, 3),
    (0, 4),
    (0, 5),
    (1, 2),
    (1, 3),
    (1, 4),
    (1, 5),
    (2, 1),
    (2, 3),
    (2, 4),
    (2, 5),
    (3, 6),
    (3, 7),
    (7, 3),
    (7, 6),
}
"""I2: 0 none, 1 accepted, 2 returned, 3 approved, 4 refused, 5 withdrawn, 6 revoked, 7 suspended."""


@dataclass
class Auditor:
    """Watches one machine."""

    machine: Machine
    logs: dict[int, list[Log]]
    """By seat, all logs that were ever shown."""
    held: set[bytes] = field(default_factory=set)
    """Keys that the attacker holds: they may have said anything."""
    cases: dict[bytes, tuple[int, int, int]] = field(default_factory=dict)
    """Status, sequence, binding."""
    bindings: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    retired: set[int] = field(default_factory=set)
    keys: dict[int, list[tuple[int, bytes]]] = field(default_factory=dict)
    standings: dict[int, int] = field(default_factory=dict)
    served: dict[bytes, int] = field(default_factory=dict)
    """Signer → its one seat."""
    heads: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    _read: int = 0
    _sheets: dict[tuple[bytes, int, Any], int] = field(default_factory=dict)
    """(signer, seat, transition) → until when it counts."""

    def observe(self, outcomes: Sequence[Outcome]) -> None:
        """Looks at what happened in a block. Raises Breach."""
        self._listen()
        for outcome in outcomes:
            if outcome.act.function == "settle":
                self._complete(outcome)
            for _, event, arguments in outcome.events:
                watch: Callable[..., None] | None = getattr(self, f"_on_{event}", None)
                if event == "BindingMade":
                    self._bound(outcome.act.arguments[0], arguments[0])
                elif watch is not None:
                    watch(*arguments)

    def _listen(self) -> None:
        """Notes what was said in new sheets."""
        said, ledger = self.machine.signatures.said, self.machine.ledger.address
        for signer, contract, struct, values in islice(said.values(), self._read, None):
            if struct == "Sheet" and contract == ledger:
                seat, until, transitions = values
                for one in transitions:
                    place = (signer, seat, one)
                    self._sheets[place] = max(until, self._sheets.get(place, 0))
        self._read = len(said)

    def key(self, seat: int) -> bytes:
        """The key in force now."""
        now = self.machine.clock.block
        return next((signer for since, signer in reversed(self.keys.get(seat, [])) if since <= now), b"")

    def _spoke(self, seat: int, transition: Any) -> bool:
        key = self.key(seat)
        return key in self.held or self._sheets.get((key, seat, transition), -1) >= self.machine.clock.time

    def _complete(self, outcome: Outcome) -> None:
        """I8: every transition, sheet and head has its own answer."""
        transitions, _, heads = outcome.act.arguments
        if outcome.act.dirty or len(transitions) > 256:
            return
        told = [event for _, event, _ in outcome.events]
        answered = told.count("CaseSettled") + told.count("CaseRefused")
        anchored = sum(told.count(name) for name in ("HeadAnchored", "HeadRefused", "HeadConflicted"))
        if not outcome.ok or answered != len(transitions) or anchored != len(heads):
            raise Breach("I8", "a batch was not answered in full")

    def _on_CaseSettled(self, case_id: bytes, step: int, root: bytes) -> None:
        status, sequence, number = step >> 56, step >> 40 & 0xFFFF, step & 0xFFFFFFFFFF
        before, last, bound = self.cases.get(case_id, (0, 0, number))
        if (before, status) not in ALLOWED:
            raise Breach("I2", f"a case went from {before} to {status}")
        if number != bound or number not in self.bindings:
            raise Breach("I3", f"a case of binding {bound} went on under {number}")
        if before == 0 and number in self.retired:
            raise Breach("I3", f"a new case under the retired binding {number}")
        if sequence != last + 1:
            raise Breach("I4", f"transition {sequence} came after {last}")
        if root == bytes(32):
            raise Breach("I5", "a case rests on nothing")
        approvers = self.bindings[number][4]
        spoke = [seat for seat in approvers if self._spoke(seat, (case_id, root, step))]
        active = [seat for seat in spoke if self.standings.get(seat) == ACTIVE]
        if not _enough(status, approvers, active):
            raise Breach(
                "I6" if _enough(status, approvers, spoke) else "I1", f"status {status} on the word of {active} alone"
            )
        self.cases[case_id] = (status, sequence, number)

    def _bound(self, terms: tuple[Any, ...], number: int) -> None:
        if terms in self.bindings.values():
            raise Breach("I4", "the same binding was made twice")
        if number in self.bindings or number != len(self.bindings) + 1:
            raise Breach("I3", "a binding's number was given twice")
        for seat in {terms[2], terms[3], *terms[4], *terms[5]}:
            self._require("Catalog", seat, "Binding", terms)
        self.bindings[number] = terms

    def _on_BindingRetired(self, number: int, seat: int) -> None:
        terms = self.bindings[number]
        if seat not in {terms[2], terms[3], *terms[4], *terms[5]}:
            raise Breach("I3", f"seat {seat} retired a binding that does not name it")
        self._require("Catalog", seat, "Retirement", (number, seat))
        self.retired.add(number)

    def _on_VersionPublished(self, version: bytes, scenario: str, texts: bytes, publisher: int) -> None:
        self._require("Catalog", publisher, "Publication", (scenario, version, texts, publisher))

    def _require(self, contract: str, seat: int, struct: str, values: tuple[Any, ...]) -> None:
        """Raises Breach unless the seat is active and its key has spoken."""
        key, where = self.key(seat), self.machine.contracts[contract].address
        if self.standings.get(seat) != ACTIVE:
            raise Breach("I6", f"{struct} by seat {seat}, which is not active")
        if key not in self.held and (key, where, struct, values) not in self.machine.signatures.said.values():
            raise Breach("I1", f"{struct} that seat {seat} never signed")

    def _on_SeatAdmitted(self, seat: int, signer: bytes, *_: Any) -> None:
        if seat in self.keys or signer in self.served:
            raise Breach("I4", "a seat or a key is given twice")
        self._serve(seat, signer, self.machine.clock.block)
        self.standings[seat] = ACTIVE

    def _on_KeysAnnounced(self, seat: int, _change: int, _origin: int, since: int, signer: bytes, *_: Any) -> None:
        now = self.machine.clock.block
        if since <= now or since > now + self.machine.consortium.vetoBlocks()[0]:
            raise Breach("I1", f"keys announced in block {now} for {since}")
        if signer in self.served and signer != self.key(seat):
            raise Breach("I4", "a key serves twice")
        if self.keys[seat][-1][0] > now:
            raise Breach("I1", "two changes are announced at once")
        self._serve(seat, signer, since)

    def _serve(self, seat: int, signer: bytes, since: int) -> None:
        if signer == bytes(20):
            raise Breach("I1", "nobody's key serves")
        self.served[signer] = seat
        self.keys.setdefault(seat, []).append((since, signer))

    def _on_KeysVetoed(self, seat: int, change: int) -> None:
        self._on_KeysCancelled(seat, change)
        key, where = self.key(seat), self.machine.consortium.address
        if key not in self.held and (key, where, "Veto", (seat, change)) not in self.machine.signatures.said.values():
            raise Breach("I1", f"a veto that seat {seat} never signed")

    def _on_KeysCancelled(self, seat: int, _change: int) -> None:
        since, _ = self.keys[seat].pop()
        if since <= self.machine.clock.block:
            raise Breach("I1", "keys in force were taken back")

    def _on_SeatSuspended(self, seat: int) -> None:
        self._stand(seat, {ACTIVE}, SUSPENDED)

    def _on_SeatReinstated(self, seat: int) -> None:
        self._stand(seat, {SUSPENDED}, ACTIVE)

    def _on_SeatRemoved(self, seat: int) -> None:
        self._stand(seat, {ACTIVE, SUSPENDED}, REMOVED)

    def _stand(self, seat: int, of: set[int], to: int) -> None:
        if self.standings.get(seat) not in of:
            raise Breach("I6", f"seat {seat} came to standing {to} from {self.standings.get(seat)}")
        self.standings[seat] = to

    def _on_HeadAnchored(self, seat: int, size: int, root: bytes) -> None:
        before, old = self.heads.get(seat, (0, b""))
        if size <= before:
            raise Breach("I7", f"a log shrank from {before} to {size}")
        logs = self.logs.get(seat, [])
        shown = [log for log in logs if log.has_head(size, root[:26])]
        if before and shown and not any(log.has_head(before, old[:26]) for log in shown):
            raise Breach("I7", f"seat {seat} went on with a log that forked before {before}")
        key, where = self.key(seat), self.machine.ledger.address
        if self.standings.get(seat) != ACTIVE:
            raise Breach("I6", f"a head of seat {seat}, which is not active")
        if (
            key not in self.held
            and (key, where, "Head", (seat, size, root)) not in self.machine.signatures.said.values()
        ):
            raise Breach("I1", f"a head that seat {seat} never signed")
        self.heads[seat] = (size, root)


def _enough(status: int, approvers: Sequence[int], spoke: Sequence[int]) -> bool:
    """I1: all for an approval, any for a return or refusal, the lead for the rest."""
    if status == 3:
        return set(approvers) <= set(spoke)
    return bool(spoke) if status in (2, 4) else approvers[0] in spoke
