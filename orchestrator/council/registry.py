"""Registry: the consortium as its council sees it before it decides, read at one block.

Seats with their standing and keys, changes that are announced, and which bindings name which seat.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from eth_utils.address import to_checksum_address

from orchestrator.council.acts import NOBODY
from orchestrator.domain.canonical import keccak
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.ledger.abi import ContractAbi, Log
from orchestrator.ledger.artifacts import load_artifact
from orchestrator.ledger.rpc import Rpc
from orchestrator.ledger.view import LedgerView
from orchestrator.protocol.keyset import Keyset
from orchestrator.protocol.ports import BindingView

_SPAN: Final = 100
"""Blocks over which the time between two is measured."""


class Standing(IntEnum):
    """A seat's standing, numbered as in `Consortium`."""

    NONE = 0
    ACTIVE = 1
    SUSPENDED = 2
    REMOVED = 3


class Origin(IntEnum):
    """Where a seat's keys come from, numbered as in `Consortium`."""

    ADMISSION = 0
    ROTATION = 1
    RECOVERY = 2
    SUCCESSION = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """A change of a seat's keys that is still to come."""

    change: int
    """Its number, from 1 on each seat."""
    origin: Origin
    from_block: int
    """The first block in which the new keys are in force; a veto must be mined before it."""
    signer: str
    keyset: Keyset | None
    """None when the document is no keyset of that seat."""

    def left(self, block: int) -> int:
        """In how many blocks after `block` a veto can still be mined."""
        return self.from_block - block - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredSeat:
    """A seat with the keys that are in force."""

    number: int
    standing: Standing
    signer: str
    """Address of the chain key, whatever the standing; EIP-55."""
    keyset: Keyset | None
    """None when the document is no keyset of that seat."""
    changes: int
    """How many changes were announced so far."""
    announced: Announced | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """A binding with the scenario that it puts to work."""

    binding: BindingView
    scenario: str
    """The scenario's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """A consortium at one block. Addresses are EIP-55."""

    chain_id: int
    consortium: str
    block: int
    block_seconds: float
    """How far blocks were apart lately, seconds."""
    veto_blocks: int
    owner: str
    """The council."""
    offered_to: str | None
    """Who may take the ownership over."""
    seats: Mapping[int, RegisteredSeat]
    namings: tuple[Naming, ...]

    def seat(self, number: int) -> RegisteredSeat:
        """A seat. Raises Invalid when it was never admitted."""
        if number not in self.seats:
            raise Invalid(
                field="seat",
                detail=f"没有席位 {number}",
                detail_en=f"there is no seat {number}",
                remedy="用 lianban council seats 查看 / see lianban council seats",
                code="unknown-seat",
            )
        return self.seats[number]

    def require_offer(self) -> str:
        """Who may take the ownership over. Raises Refused when it is offered to nobody."""
        if self.offered_to is None:
            raise Refused(
                "没有待接任的移交",
                detail_en="the ownership is offered to nobody",
                code="nothing-offered",
                remedy="由现理事会先 hand-over / the present council hands over first",
            )
        return self.offered_to

    def named(self, number: int) -> tuple[Naming, ...]:
        """The bindings that name a seat."""
        return tuple(each for each in self.namings if number in each.binding.named)


async def read_registry(rpc: Rpc, view: LedgerView) -> Registry:
    """The consortium at the newest block. Raises Unavailable when the node does not answer."""
    newest = await rpc.call("eth_getBlockByNumber", ["latest", False])
    block = int(newest["number"], 16)
    reader = _Reader(rpc, view, block)
    documents = await reader.documents()
    numbers = sorted({seat for seat, _ in documents})
    facts = await reader.ask(*(("vetoBlocks", ()), ("owner", ()), ("pendingOwner", ())))
    answers = await reader.ask(
        *((name, (number,)) for number in numbers for name in ("seatOf", "announcedOf", "changeCount"))
    )
    seats = {}
    for position, number in enumerate(numbers):
        (signer, standing, keyset_hash), (change, record), (changes,) = (
            answers[3 * position][0],
            answers[3 * position + 1],
            answers[3 * position + 2],
        )
        seats[number] = RegisteredSeat(
            number=number,
            standing=Standing(standing),
            signer=to_checksum_address(signer),
            keyset=_keyset(number, documents.get((number, keyset_hash))),
            changes=changes,
            announced=_announced(number, change, record, documents) if change else None,
        )
    offered = to_checksum_address(facts[2][0])
    return Registry(
        chain_id=view.chain_id,
        consortium=to_checksum_address(view.address("Consortium")),
        block=block,
        block_seconds=await reader.pace(newest),
        veto_blocks=facts[0][0],
        owner=to_checksum_address(facts[1][0]),
        offered_to=None if offered == NOBODY else offered,
        seats=seats,
        namings=tuple(
            [Naming(binding=each, scenario=(await view.version(each.version))[0]) for each in await view.bindings()]
        ),
    )


class _Reader:
    """`Consortium` at one block."""

    def __init__(self, rpc: Rpc, view: LedgerView, block: int) -> None:
        self._rpc, self._block = rpc, block
        self._since = view.deployment.block
        self._address = view.address("Consortium")
        self._abi = ContractAbi(load_artifact("Consortium").abi)

    async def ask(self, *calls: tuple[str, tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """The results of view functions."""
        requests = [
            ("eth_call", [{"to": self._address, "data": self._abi.call(name, *arguments)}, hex(self._block)])
            for name, arguments in calls
        ]
        answers = await self._rpc.batch(requests)
        return [self._abi.result(name, answer) for (name, _), answer in zip(calls, answers, strict=True)]

    async def documents(self) -> dict[tuple[int, bytes], bytes]:
        """(seat, keyset hash) to document, of everything ever admitted or announced."""
        topics = [[self._abi.topic(name) for name in ("SeatAdmitted", "KeysAnnounced")]]
        asked = {
            "address": self._address,
            "fromBlock": hex(self._since),
            "toBlock": hex(self._block),
            "topics": topics,
        }
        logs: list[Log | None] = [self._abi.log(raw) for raw in await self._rpc.call("eth_getLogs", [asked])]
        return {(log.args["seat"], keccak(log.args["keyset"])): log.args["keyset"] for log in logs if log is not None}

    async def pace(self, newest: Mapping[str, Any]) -> float:
        """Seconds between two blocks of late; 0 while there is but one."""
        span = min(_SPAN, self._block)
        if span == 0:
            return 0.0
        earlier = await self._rpc.call("eth_getBlockByNumber", [hex(self._block - span), False])
        return (int(newest["timestamp"], 16) - int(earlier["timestamp"], 16)) / span


def _announced(number: int, change: int, record: Any, documents: Mapping[tuple[int, bytes], bytes]) -> Announced:
    from_block, signer, origin, keyset_hash = record
    return Announced(
        change=change,
        origin=Origin(origin),
        from_block=from_block,
        signer=to_checksum_address(signer),
        keyset=_keyset(number, documents.get((number, keyset_hash))),
    )


def _keyset(number: int, document: bytes | None) -> Keyset | None:
    try:
        keyset = Keyset.parse(document or b"")
    except Invalid:
        return None
    return keyset if keyset.seat == number else None
