"""Notices (送达): the identity seat itself tells every department what follows a mandate, and each acknowledges it.

What is delivered is the amendment or withdrawal as it was signed; nobody in between can hold it back. The acknowledgement (送达回执) is an
entry of the department's query log with its inclusion proof and the signed head: from that entry on, a question answered
under what was withdrawn stands later in the same log than the withdrawal.
"""

from __future__ import annotations

from pydantic import Field

from orchestrator.domain.canonical import canonical, from_hex
from orchestrator.domain.errors import Refused
from orchestrator.protocol.loghead import LogSize, SignedHead
from orchestrator.protocol.querylog import leaf_hash, verify_inclusion
from orchestrator.protocol.sheet import Domain
from orchestrator.protocol.wire import Hex32, Listed, SeatNumber, Seconds, WireModel

NOTICED = "noticed"
"""The outcome in the log of an entry that is no question but a delivered mandate."""
MOST_NODES = 48


def notice_entry(mandate: str, at: int) -> bytes:
    """What is logged for a delivered mandate: its hash, and when it came, in seconds since 1970."""
    return canonical({"mandate": mandate, "at": at})


class Acknowledgement(WireModel):
    """A department's word, by its log, that it has an amendment or withdrawal."""

    seat: SeatNumber
    mandate: Hex32
    """Hash of what was delivered."""
    at: Seconds
    """When it came, by the department's clock. It stands in the logged entry."""
    index: LogSize
    path: Listed[Hex32] = Field(max_length=MOST_NODES)
    head: SignedHead

    @property
    def leaf(self) -> bytes:
        """Leaf hash of the entry."""
        return leaf_hash(notice_entry(self.mandate, self.at))

    def check(self, *, seat: int, mandate: str, ledger: Domain, signer: str) -> None:
        """That `seat`, whose chain key is `signer`, has logged `mandate`.

        Raises Refused: "wrong-receipt" for another seat or mandate, "bad-head" when another key signed the head, "not-logged"
        when the entry is not under it.
        """
        if (self.seat, self.head.seat, self.mandate) != (seat, seat, mandate):
            raise Refused("回执属于其他席位或授权书", detail_en="it is another seat's", code="wrong-acknowledgement")
        if self.head.signer(ledger) != signer:
            raise Refused(
                "日志头不是该席位签署的", detail_en=f"seat {seat} did not sign this log head", code="bad-head"
            )
        path = [from_hex(node) for node in self.path]
        if not verify_inclusion(self.leaf, self.index, self.head.size, path, from_hex(self.head.root)):
            raise Refused("回执不在该部门的查询日志中", detail_en="it is not in the log", code="not-logged")
