"""Model: the ledger in plain Python, written from what the contracts' interfaces say, to be read as their specification.

Signatures are ideal: `Signatures` knows who said what to which contract, and nothing is ever hashed to check one. Log proofs
are checked by the recursive definition of RFC 9162, not by its algorithm. Functions and views bear the contracts' names and
take and return what the ABI has, structs as tuples, addresses and hashes as `bytes`.

Where several reasons to refuse hold at once, the interfaces do not say which one is told: then any of them is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from model_base import NOBODY, ZERO, AnyOf, Clock, Contract, Reverted, Signatures
from model_catalog import Catalog
from model_logs import extends, log_root

from orchestrator.domain.canonical import keccak

ACCEPTED, RETURNED, APPROVED, REFUSED, WITHDRAWN, REVOKED, SUSPENDED = range(1, 8)
"""`Status`, 0 for a case that does not exist."""
MOVES = {
    0: {ACCEPTED, RETURNED, APPROVED, REFUSED, WITHDRAWN},
    ACCEPTED: {RETURNED, APPROVED, REFUSED, WITHDRAWN},
    RETURNED: {ACCEPTED, APPROVED, REFUSED, WITHDRAWN},
    APPROVED: {REVOKED, SUSPENDED},
    REFUSED: set(),
    WITHDRAWN: set(),
    REVOKED: set(),
    SUSPENDED: {APPROVED, REVOKED},
}
"""I2: what may follow what."""
CASE_REFUSALS = (
    "None ZeroRoot UnknownStatus UnknownBinding OtherBinding RetiredBinding WrongSequence ForbiddenMove NotSigned"
)
SHEET_REFUSALS = "None Expired BeyondBatch SeatNotActive WrongSignature"
HEAD_REFUSALS = "None SizeTooLarge SeatNotActive WrongSignature Stale NotFromAnchored Inconsistent"


@dataclass
class Case:
    """A case with all that it went through."""

    steps: list[int]
    roots: list[bytes]
    commitment: int = 0

    @property
    def status(self) -> int:
        return self.steps[-1] >> 56 if self.steps else 0

    @property
    def binding(self) -> int:
        return self.steps[-1] & 0xFFFFFFFFFF if self.steps else 0


class CaseLedger(Contract):
    """Where every case stands, and how far every query log has come."""

    def __init__(self, address: bytes, clock: Clock, signatures: Signatures, catalog: Catalog) -> None:
        super().__init__(address, clock, signatures)
        self.catalog, self.consortium = catalog, catalog.consortium
        self.cases: dict[bytes, Case] = {}
        self.heads: dict[int, tuple[int, bytes]] = {}
        """Seat → (size, first 26 bytes of the root)."""

    def settle(self, sender: bytes, transitions: Sequence[Any], sheets: Sequence[Any], heads: Sequence[Any]) -> None:
        """I8: whatever is bad is told and skipped, the rest settles. Nothing but a batch that is too large reverts."""
        if len(transitions) > 256:
            raise Reverted([("CaseLedger_BatchTooLarge", (len(transitions),))])
        signers: list[set[int]] = [set() for _ in transitions]
        for index, sheet in enumerate(sheets):
            seat, covers = sheet[0], sheet[2]
            if reasons := self._sheet_faults(transitions, *sheet):
                self._emit("SheetRefused", index, seat, _any_of(SHEET_REFUSALS, reasons))
                continue
            for place, covered in enumerate(signers):
                if covers >> place & 1:
                    covered.add(seat)
        for (case_id, root, step), signed in zip(transitions, signers, strict=True):
            case = self.cases.get(case_id, Case([], []))
            if reasons := self._case_faults(case, root, step, signed):
                self._emit("CaseRefused", case_id, step, _any_of(CASE_REFUSALS, reasons))
                continue
            self.cases[case_id] = Case([*case.steps, step], [*case.roots, root], _rolled(case.commitment, step, root))
            self._emit("CaseSettled", case_id, step, root)
        for head in heads:
            self._anchor(*head)

    def statusOf(self, case_id: bytes) -> tuple[int]:
        return (self.cases.get(case_id, Case([], [])).status,)

    def caseOf(self, case_id: bytes) -> tuple[int, int, int, int]:
        case = self.cases.get(case_id, Case([], []))
        return case.status, len(case.steps), case.binding, case.commitment

    def headOf(self, seat: int) -> tuple[int, bytes]:
        return self.heads.get(seat, (0, bytes(26)))

    def verifyHistory(self, case_id: bytes, steps: Sequence[int], roots: Sequence[bytes]) -> tuple[bool]:
        case = self.cases.get(case_id)
        return (case is not None and (case.steps, case.roots) == (list(steps), list(roots)),)

    def verifyDossier(
        self,
        case_id: bytes,
        steps: Sequence[int],
        roots: Sequence[bytes],
        index: int,
        entry: tuple[str, bytes, bytes],
        proof: Sequence[bytes],
    ) -> tuple[bool]:
        if not self.verifyHistory(case_id, steps, roots)[0] or index >= len(roots):
            return (False,)
        node = dossier_leaf(*entry)
        for sibling in proof:
            node = keccak(min(node, sibling) + max(node, sibling))
        return (node == roots[index],)

    def verifySheet(
        self, seat: int, validUntil: int, transitions: Sequence[Any], signature: bytes, block: int
    ) -> tuple[bool]:
        [signer] = self.consortium.signerAt(seat, block)
        return (self._signed(signature, signer, "Sheet", seat, validUntil, tuple(transitions)),)

    def verifyLogEntry(
        self, seat: int, size: int, root: bytes, index: int, leafHash: bytes, proof: Sequence[bytes]
    ) -> tuple[bool]:
        anchored = self.headOf(seat) == (size, root[:26])
        return (anchored and log_root(leafHash, index, size, proof) == root,)

    def verifyExtension(
        self, oldSize: int, oldRoot: bytes, newSize: int, newRoot: bytes, proof: Sequence[bytes]
    ) -> tuple[bool]:
        return (extends(oldSize, oldRoot, newSize, newRoot, proof),)

    def _sheet_faults(
        self, transitions: Sequence[Any], seat: int, validUntil: int, covers: int, signature: bytes
    ) -> list[str]:
        reasons = ["Expired"] if self.clock.time > validUntil else []
        [signer] = self.consortium.signerOf(seat)
        if signer == NOBODY:
            reasons.append("SeatNotActive")
        if covers >> len(transitions):
            return [*reasons, "BeyondBatch"]
        covered = tuple(one for place, one in enumerate(transitions) if covers >> place & 1)
        if signer != NOBODY and not self._signed(signature, signer, "Sheet", seat, validUntil, covered):
            reasons.append("WrongSignature")
        return reasons

    def _case_faults(self, case: Case, root: bytes, step: int, signed: set[int]) -> list[str]:
        status, sequence, number = step >> 56, step >> 40 & 0xFFFF, step & 0xFFFFFFFFFF
        binding = self.catalog.bindings.get(number)
        reasons = ["ZeroRoot"] if root == ZERO else []
        if sequence != len(case.steps) + 1:
            reasons.append("WrongSequence")
        if case.steps and number != case.binding:
            reasons.append("OtherBinding")
        if binding is None:
            reasons.append("UnknownBinding")
        elif not case.steps and not binding.live:
            reasons.append("RetiredBinding")
        if not ACCEPTED <= status <= SUSPENDED:
            return [*reasons, "UnknownStatus"]
        if status not in MOVES[case.status]:
            reasons.append("ForbiddenMove")
        if binding is not None and not self._may(status, binding.approvers, signed):
            reasons.append("NotSigned")
        return reasons

    @staticmethod
    def _may(status: int, approvers: Sequence[int], signed: set[int]) -> bool:
        """I1."""
        if status == APPROVED:
            return signed.issuperset(approvers)
        if status in (RETURNED, REFUSED):
            return not signed.isdisjoint(approvers)
        return approvers[0] in signed

    def _anchor(
        self,
        seat: int,
        oldSize: int,
        oldRoot: bytes,
        newSize: int,
        newRoot: bytes,
        proof: Sequence[bytes],
        signature: bytes,
    ) -> None:
        size, root = self.headOf(seat)
        [signer] = self.consortium.signerOf(seat)
        reasons = ["SizeTooLarge"] if newSize >= 1 << 48 else []
        if signer == NOBODY:
            reasons.append("SeatNotActive")
        elif not self._signed(signature, signer, "Head", seat, newSize, newRoot):
            reasons.append("WrongSignature")
        if not reasons and 0 < newSize == size and newRoot[:26] != root:
            self._emit("HeadConflicted", seat, newSize, newRoot)
            return
        if newSize <= size:
            reasons.append("Stale")
        if oldSize != size or (oldSize and oldRoot[:26] != root):
            reasons.append("NotFromAnchored")
        if not extends(oldSize, oldRoot, newSize, newRoot, proof):
            reasons.append("Inconsistent")
        if reasons:
            self._emit("HeadRefused", seat, newSize, _any_of(HEAD_REFUSALS, reasons))
            return
        self.heads[seat] = (newSize, newRoot[:26])
        self._emit("HeadAnchored", seat, newSize, newRoot)


def _any_of(names: str, reasons: Sequence[str]) -> AnyOf:
    return AnyOf({reason: names.split().index(reason) for reason in reasons})


def _rolled(commitment: int, step: int, root: bytes) -> int:
    packed = commitment.to_bytes(32, "big") + step.to_bytes(32, "big") + root
    return int.from_bytes(keccak(packed)[8:], "big")


def dossier_leaf(kind: str, salt: bytes, content: bytes) -> bytes:
    """A leaf of `StandardMerkleTree` over ["string", "bytes32", "bytes32"]."""
    text = kind.encode()
    words = (96).to_bytes(32, "big") + salt + content + len(text).to_bytes(32, "big")
    return keccak(keccak(words + text + bytes(-len(text) % 32)))
