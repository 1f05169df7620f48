"""What a check rests on: the seats' keys and the ledger's address, from a node or from a file that was kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from orchestrator.domain.errors import Invalid
from orchestrator.ledger.proofs import Proofs
from orchestrator.protocol.keyset import Keyset
from orchestrator.protocol.ports import ChainView, PastKeyset, SeatView
from orchestrator.protocol.sheet import Domain
from orchestrator.protocol.wire import is_int

FORMAT: Final = "lianban-keys-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptKeys:
    """The seats of a consortium as a node had them once: enough to check signatures without one."""

    ledger: Domain
    at: int
    """When they were read, seconds since 1970."""
    seats: dict[int, SeatView]

    @classmethod
    def of(cls, ledger: Domain, at: int, seats: Iterable[SeatView]) -> KeptKeys:
        """Those that a node has now."""
        return cls(ledger=ledger, at=at, seats={seat.number: seat for seat in seats})

    def document(self) -> bytes:
        """The file to keep."""
        return orjson.dumps(
            {
                "format": FORMAT,
                "chain_id": self.ledger.chain_id,
                "ledger": self.ledger.contract,
                "at": self.at,
                "seats": [
                    {
                        "seat": seat.number,
                        "signer": seat.signer,
                        "active": seat.active,
                        "keyset": seat.keyset.document().decode(),
                        "past": [
                            {"keyset": each.keyset.document().decode(), "until": each.until} for each in seat.past
                        ],
                    }
                    for seat in self.seats.values()
                ],
            },
            option=orjson.OPT_INDENT_2,
        )

    @classmethod
    def read(cls, file: Path) -> KeptKeys:
        """The keys in a file. Raises Invalid when it holds something else."""
        try:
            content = orjson.loads(file.read_bytes())
            if content["format"] != FORMAT or not is_int(content["at"]):
                raise ValueError
            seats = [_seat(each) for each in content["seats"]]
            ledger = Domain(chain_id=content["chain_id"], contract=content["ledger"])
        except (ValueError, KeyError, TypeError, AttributeError, Invalid):
            raise Invalid(
                field=file.name,
                detail="不是密钥文件",
                detail_en="that is no file of seats' keys",
                remedy="用 lianban verify --save-keys 生成 / make one with lianban verify --save-keys",
                code="bad-keys",
            ) from None
        return cls.of(ledger, content["at"], seats)


def _seat(given: dict[str, Any]) -> SeatView:
    past = tuple(
        PastKeyset(keyset=Keyset.parse(each["keyset"].encode()), until=int(each["until"])) for each in given["past"]
    )
    keyset = Keyset.parse(given["keyset"].encode())
    if keyset.seat != given["seat"]:
        raise ValueError
    return SeatView(
        number=keyset.seat, keyset=keyset, signer=str(given["signer"]), active=bool(given["active"]), past=past
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What is at hand for a check. Everything may be missing, and then that is what the report says."""

    now: int
    """Seconds since 1970."""
    chain: ChainView | None = None
    """A node with the contracts' addresses, which the reader trusts."""
    proofs: Proofs | None = None
    """What that node's ledger proves."""
    kept: KeptKeys | None = None
    """Keys that the reader kept, for when there is no node."""

    async def seat(self, number: int) -> SeatView | None:
        """A seat with its keys of all times; None when nothing at hand knows of seats. Raises Invalid for a seat that is
        not there."""
        if self.chain is not None:
            return await self.chain.seat(number)
        if self.kept is None:
            return None
        if number not in self.kept.seats:
            raise Invalid(field="seat", detail="没有这个席位", detail_en="there is no such seat", code="unknown-seat")
        return self.kept.seats[number]

    @property
    def ledger(self) -> Domain | None:
        """The ledger that the reader trusts."""
        if self.chain is not None:
            return self.chain.domain("CaseLedger")
        return self.kept.ledger if self.kept else None

    def same_ledger(self, chain_id: int, address: str) -> bool | None:
        """Whether a paper is of the reader's ledger; None when there is none to compare with."""
        ledger = self.ledger
        if ledger is None:
            return None
        return (ledger.chain_id, ledger.contract.lower()) == (chain_id, address.lower())
