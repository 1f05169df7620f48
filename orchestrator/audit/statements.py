"""A statement: a seat's word that its query log has this size and this root, and where an auditor has it from.

What an answer promises is a statement too: the answer is signed, so is the head that came along, and a path puts the question
under that head.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from orchestrator.domain.canonical import from_hex
from orchestrator.domain.errors import Invalid, LianbanError
from orchestrator.ledger.heads import ChainHead, LogOnChain, Outcome
from orchestrator.protocol.answer import TYP as ANSWER
from orchestrator.protocol.answer import AnswerEnvelope, LogPlace
from orchestrator.protocol.jose import peek_jws, verify_jws
from orchestrator.protocol.loghead import SignedHead, read_statement
from orchestrator.protocol.ports import SeatView
from orchestrator.protocol.querylog import entry, leaf_hash, verify_inclusion
from orchestrator.protocol.sheet import Domain
from orchestrator.protocol.wire import is_int, seat_number


class Source(StrEnum):
    """Where an auditor has a statement from."""

    CHAIN = "chain"
    """It was brought to the ledger."""
    SHOWN = "shown"
    """The gateway shows it now."""
    SEEN = "seen"
    """The gateway showed it to this auditor before."""
    PROMISED = "promised"
    """It came along with an answer."""
    KEPT = "kept"
    """The operator keeps it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """An answer with the place in the log that it was given."""

    answer: str
    """The signed part: by the seat's evidence key."""
    question: str
    attempt: int
    at: int
    """When it was signed, seconds since 1970."""
    place: LogPlace

    @property
    def leaf(self) -> bytes:
        """The hash of the entry that the log must have at `place`."""
        return leaf_hash(entry(self.place.batch, self.question, self.attempt))

    @property
    def holds(self) -> bool:
        """Whether the path leads to the head that came along: without that, nobody signed the place."""
        head, path = self.place.head, [from_hex(node) for node in self.place.path]
        return head is not None and verify_inclusion(self.leaf, self.place.index, head.size, path, from_hex(head.root))

    @classmethod
    def of(cls, envelope: AnswerEnvelope, seat: SeatView) -> Self | None:
        """What an envelope promises, when `seat` signed it; None when it says no place. Raises Refused when another did."""
        if envelope.log is None:
            return None
        return cls.read(envelope.answer, envelope.log, seat)

    @classmethod
    def read(cls, answer: str, place: LogPlace, seat: SeatView) -> Self:
        """The promise, once the seat's key of its day has verified it. Raises Refused or Invalid."""
        said = verify_jws(answer, typ=ANSWER, jwk=seat.key_of("evidence", answer))
        question, attempt, at = said.get("question"), said.get("attempt"), said.get("iat")
        if not isinstance(question, str) or not is_int(attempt) or not is_int(at):
            raise Invalid(field="answer", detail="不是核验应答", detail_en="that is no answer", code="not-a-paper")
        return cls(answer=answer, question=question, attempt=attempt, at=at, place=place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Size and root of a log, by its seat's signature."""

    size: int
    root: bytes
    source: Source
    at: int | None = None
    """When it was made, seconds since 1970, as far as something signed or the chain tells."""
    signature: str | None = None
    """By the seat's chain key; None for what the ledger has taken over with it."""
    dated: str | None = None
    """The same in a dated statement (`protocol.loghead`)."""
    on_chain: ChainHead | None = None
    promise: Promise | None = None

    @property
    def had(self) -> int:
        """How many entries the log had at `at`. An answer may have come along with a later head than that of its question."""
        return self.size if self.promise is None else self.promise.place.index + 1

    @property
    def anchored(self) -> bool:
        """Whether the ledger has it as a head."""
        return self.on_chain is not None and self.on_chain.outcome is Outcome.ANCHORED

    def anchored_by(self, block: int) -> bool:
        """Whether the ledger had it as a head at a block."""
        return self.anchored and self.on_chain is not None and self.on_chain.block <= block

    @classmethod
    def brought(cls, head: ChainHead, at: int | None) -> Self:
        """A head that the chain knows."""
        return cls(
            size=head.size,
            root=from_hex(head.root),
            source=Source.CHAIN,
            at=at,
            signature=head.signature,
            on_chain=head,
        )

    @classmethod
    def signed(cls, head: SignedHead, source: Source, **more: Any) -> Self:
        """A head that the seat signed."""
        return cls(size=head.size, root=from_hex(head.root), source=source, signature=head.signature, **more)

    def document(self) -> dict[str, Any]:
        """It for a file of evidence. Of an answer only what is needed: nothing that it says of anybody."""
        content: dict[str, Any] = {"size": self.size, "root": "0x" + self.root.hex(), "source": str(self.source)}
        if self.at is not None:
            content["at"] = self.at
        if self.signature is not None:
            content["signature"] = self.signature
        if self.dated is not None:
            content["dated"] = self.dated
        if self.on_chain is not None:
            content |= {"ledger": str(self.on_chain.outcome), "transaction": self.on_chain.transaction}
        if self.promise is not None:
            content |= {"answer": self.promise.answer, "place": self.promise.place.model_dump(mode="json")}
        return content


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """Whose word statements are: one seat's, on one ledger, as the chain knows its keys."""

    seat: SeatView
    ledger: Domain
    chain: LogOnChain

    def read(self, content: Mapping[str, Any]) -> Statement:
        """A statement out of a file, every signature in it verified and every reference to the chain looked up.

        Raises Refused or Invalid when something in it is not the seat's word. Its `at` is what something signed tells.
        """
        size, root, signature = content["size"], from_hex(content["root"]), content.get("signature")
        head = (
            SignedHead(seat=self.seat.number, size=size, root=content["root"], signature=signature)
            if signature
            else None
        )
        if head is not None and self.chain.signed_by(head, self.ledger) is None:
            raise _not_its_word("no key of the seat signed the head")
        on_chain = None
        if "transaction" in content:
            on_chain = next((each for each in self.chain.heads if _is(each, content)), None)
            if on_chain is None:
                raise _not_its_word("the chain does not have that head")
        at = self.chain.anchored_at if on_chain is not None and on_chain == self.chain.newest else None
        if "dated" in content:
            at = self.said_at(content["dated"], size, content["root"])
        promise = None
        if "answer" in content:
            promise = Promise.read(content["answer"], LogPlace.model_validate(content["place"]), self.seat)
            if not promise.holds or promise.place.head != head:
                raise _not_its_word("the answer is not under the head")
            at = promise.at
        if head is None and on_chain is None:
            raise _not_its_word("nothing in the statement is signed")
        return Statement(
            size=size,
            root=root,
            source=Source(content["source"]),
            at=at,
            signature=signature,
            dated=content.get("dated"),
            on_chain=on_chain,
            promise=promise,
        )

    def said_at(self, dated: str, size: int, root: str) -> int:
        """When the seat made a dated statement of this head. Raises Refused or Invalid when it made none."""
        said = read_statement(dated, self.seat.key_of("evidence", dated))
        chain = (said.chain.id, said.chain.ledger.lower())
        mine = (seat_number(said.iss), said.size, said.root) == (self.seat.number, size, root)
        if not mine or chain != (self.ledger.chain_id, self.ledger.contract.lower()):
            raise _not_its_word("the dated statement is of another head, seat or ledger")
        return said.iat


def by_seat(envelope: AnswerEnvelope, seat: int) -> bool:
    """Whether an answer says that it is a seat's. Unverified."""
    try:
        return seat_number(peek_jws(envelope.answer)[1].get("iss")) == seat
    except LianbanError:
        return False


def _is(head: ChainHead, content: Mapping[str, Any]) -> bool:
    return (str(head.outcome), head.size, head.root, head.transaction) == (
        content["ledger"],
        content["size"],
        content["root"],
        content["transaction"],
    )


def _not_its_word(detail_en: str) -> Invalid:
    return Invalid(
        field="statement",
        detail="不是该席位的话",
        detail_en=f"that is not the seat's word: {detail_en}",
        code="not-its-word",
    )
