"""The chain as gateways, the identity seat and the orchestrator read it: seats, bindings, case status.

Seats and bindings are built from the contracts' events, each read once, so that asking about them costs nothing; a view
that is older than `max_age` seconds is brought up to the newest block first. If the chain that was read is no longer the
chain (a reorganisation), everything is read again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from eth_utils.address import to_checksum_address

from orchestrator.domain.canonical import from_hex, keccak, to_hex
from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.ledger.abi import ContractAbi, Log
from orchestrator.ledger.artifacts import load_artifact
from orchestrator.ledger.deployments import Deployment
from orchestrator.ledger.rpc import Rpc
from orchestrator.protocol.keyset import Keyset
from orchestrator.protocol.ports import BindingView, PastKeyset, SeatView
from orchestrator.protocol.sheet import Domain, Status

_log = structlog.get_logger(__name__)

SUCCESSION = 3
"""`Origin` of the contracts: another department takes over the seat."""
LOOK_AGAIN = 0.2
"""Seconds."""
CONTRACTS = {"Consortium": "consortium", "Catalog": "catalog", "CaseLedger": "ledger"}


@dataclass(slots=True)
class _State:
    """What has been read so far."""

    next_block: int
    block_hash: str = ""
    read_at: float = 0.0
    seats: dict[int, SeatView] = field(default_factory=dict)
    announced: dict[int, Log] = field(default_factory=dict)
    """By seat, the announcement of keys that are still to come into force."""
    silenced: set[int] = field(default_factory=set)
    """Seats that are suspended or removed."""
    faulty: dict[int, int] = field(default_factory=dict)
    """Seats whose present document is no keyset, and since when."""
    bindings: dict[int, BindingView] = field(default_factory=dict)


async def open_view(rpc: Rpc, deployment: Deployment, *, watches: bool = True) -> LedgerView:
    """A view, once the node has said that it is on the deployment's chain. Raises Invalid when it is on another one,
    Unavailable when it does not answer."""
    actual = int(await rpc.call("eth_chainId"), 16)
    if actual != deployment.chain_id:
        raise Invalid(
            field="node",
            detail=f"合约地址属于链 {deployment.chain_id},节点在链 {actual}",
            detail_en=f"the contracts' addresses are of chain {deployment.chain_id}, the node is on {actual}",
            remedy="核对节点与部署文件 / check the node and the deployment file",
            code="wrong-chain",
        )
    return LedgerView(rpc, deployment, watches=watches)


class LedgerView:
    """`ChainView` over one deployment through one node."""

    def __init__(self, rpc: Rpc, deployment: Deployment, *, max_age: float = 1.0, watches: bool = True) -> None:
        """A view that `watches` tells in the log of keys that are announced; a command that shows them itself does not."""
        self._rpc = rpc
        self.deployment = deployment
        self._max_age = max_age
        self._watches = watches
        self._abi = {name: ContractAbi(load_artifact(name).abi) for name in CONTRACTS}
        self._state = _State(next_block=deployment.block)
        self._lock = asyncio.Lock()

    @property
    def chain_id(self) -> int:
        """The chain id that the deployment stands on."""
        return self.deployment.chain_id

    def address(self, contract: str) -> str:
        """Address of `Consortium`, `Catalog` or `CaseLedger`."""
        return str(getattr(self.deployment, CONTRACTS[contract]))

    def domain(self, contract: str) -> Domain:
        """The EIP-712 domain of a contract."""
        return Domain(chain_id=self.chain_id, contract=self.address(contract))

    async def seat(self, number: int) -> SeatView:
        """A seat as it stands now. Raises Invalid when there is none."""
        seats = (await self._fresh()).seats
        if number not in seats:
            raise Invalid(field="seat", detail="没有这个席位", detail_en="there is no such seat", code="unknown-seat")
        return seats[number]

    async def seats(self) -> list[SeatView]:
        """All seats, by number."""
        return [seat for _, seat in sorted((await self._fresh()).seats.items())]

    async def seat_by_id(self, department: str) -> SeatView:
        """The seat of a department. Raises Invalid when it has none."""
        for seat in (await self._fresh()).seats.values():
            if seat.keyset.id == department:
                return seat
        raise Invalid(
            field=department,
            detail="没有这个部门的席位",
            detail_en="this department has no seat",
            remedy="核对部门 id / check the department's id",
            code="unknown-seat",
        )

    async def binding(self, number: int) -> BindingView:
        """A binding. Raises Invalid when there is none."""
        bindings = (await self._fresh()).bindings
        if number not in bindings:
            bindings = (await self._fresh(force=True)).bindings
        if number not in bindings:
            raise Invalid(
                field="binding", detail="没有这个落地", detail_en="there is no such binding", code="unknown-binding"
            )
        return bindings[number]

    async def bindings(self) -> list[BindingView]:
        """All bindings, by number."""
        return [binding for _, binding in sorted((await self._fresh()).bindings.items())]

    async def status_of(self, case_id: str) -> tuple[Status, int, int]:
        """Status, sequence and binding of a case as the newest block has them."""
        return (await self.statuses([case_id]))[0]

    async def statuses(self, case_ids: Sequence[str]) -> list[tuple[Status, int, int]]:
        """The same for many cases, in one request."""
        abi, to = self._abi["CaseLedger"], self.address("CaseLedger")
        calls = [
            ("eth_call", [{"to": to, "data": abi.call("caseOf", from_hex(case_id))}, "latest"]) for case_id in case_ids
        ]
        results = await self._rpc.batch(calls)
        decoded = [abi.result("caseOf", result) for result in results]
        return [(Status(status), sequence, binding) for status, sequence, binding, _ in decoded]

    async def version(self, version: str) -> tuple[str, str, int]:
        """Scenario, texts hash and publisher of a published version; an empty scenario when nobody published it."""
        scenario, texts, _, publisher = await self._published(version)
        return scenario, to_hex(texts), publisher

    async def texts_revision(self, version: str) -> int:
        """How often a published version's texts were amended."""
        return int((await self._published(version))[2])

    async def _published(self, version: str) -> tuple[str, bytes, int, int]:
        abi = self._abi["Catalog"]
        data = await self._rpc.call(
            "eth_call", [{"to": self.address("Catalog"), "data": abi.call("versionOf", from_hex(version))}, "latest"]
        )
        scenario, texts, revision, publisher = abi.result("versionOf", data)[0]
        return scenario, texts, revision, publisher

    async def look_again(self) -> None:
        """Reads up to the newest block, `LOOK_AGAIN` seconds after the last time at the earliest: who makes us look by showing an
        unknown key makes no more of it than that."""
        await asyncio.sleep(max(0.0, self._state.read_at + LOOK_AGAIN - time.monotonic()))
        if time.monotonic() - self._state.read_at >= LOOK_AGAIN:
            await self._fresh(force=True)

    async def refresh(self) -> None:
        """Reads up to the newest block now."""
        await self._fresh(force=True)

    async def _fresh(self, *, force: bool = False) -> _State:
        if not force and time.monotonic() - self._state.read_at < self._max_age:
            return self._state
        async with self._lock:
            if force or time.monotonic() - self._state.read_at >= self._max_age:
                await self._read()
        return self._state

    async def _read(self) -> None:
        state = self._state
        newest = await self._rpc.call("eth_getBlockByNumber", ["latest", False])
        number = int(newest["number"], 16)
        if state.block_hash:
            last = await self._rpc.call("eth_getBlockByNumber", [hex(state.next_block - 1), False])
            if last is None or last["hash"] != state.block_hash:
                state = _State(next_block=self.deployment.block)
        if number >= state.next_block:
            logs = await self._rpc.call(
                "eth_getLogs",
                [
                    {
                        "fromBlock": hex(state.next_block),
                        "toBlock": hex(number),
                        "address": [self.address("Consortium"), self.address("Catalog")],
                    }
                ],
            )
            for raw in logs:
                contract = "Consortium" if raw["address"].lower() == self.address("Consortium").lower() else "Catalog"
                log = self._abi[contract].log(raw)
                if log is not None:
                    await self._bring_into_force(state, log.block)
                    await self._apply(state, log)
            await self._bring_into_force(state, number)
            for seat, log in state.announced.items():
                if self._watches and log.block >= state.next_block:  # told once; whose seat it is can still refuse it
                    _log.warning("keys-announced", seat=seat, change=log.args["change"], block=log.args["fromBlock"])
            state.next_block = number + 1
            state.block_hash = newest["hash"]
        state.read_at = time.monotonic()
        self._state = state

    async def _bring_into_force(self, state: _State, block: int) -> None:
        """Gives the seats those of their announced keys that are in force in `block`."""
        for seat, log in list(state.announced.items()):
            if log.args["fromBlock"] <= block:
                del state.announced[seat]
                self._take_keys(state, log, await self._time(log.args["fromBlock"]))

    async def _apply(self, state: _State, log: Log) -> None:
        match log.name:
            case "SeatAdmitted":
                self._take_keys(state, log, 0)
            case "KeysAnnounced":
                state.announced[log.args["seat"]] = log
            case "KeysVetoed" | "KeysCancelled":
                del state.announced[log.args["seat"]]
            case "SeatSuspended" | "SeatRemoved":
                state.silenced.add(log.args["seat"])
                self._judge(state, log.args["seat"])
            case "SeatReinstated":
                state.silenced.discard(log.args["seat"])
                self._judge(state, log.args["seat"])
            case "BindingMade":
                number = log.args["number"]
                state.bindings[number] = await self._binding(number)
            case "BindingRetired":
                state.bindings[log.args["number"]] = replace(state.bindings[log.args["number"]], live=False)
            case _:
                pass

    async def _time(self, block: int) -> int:
        """When a block was made, seconds since 1970."""
        found = await self._rpc.call("eth_getBlockByNumber", [hex(block), False])
        if found is None:
            raise Unavailable("节点已无该区块", detail_en="the block is gone from the node", code="bad-node")
        return int(found["timestamp"], 16)

    def _take_keys(self, state: _State, log: Log, at: int) -> None:
        """A seat's new keys, since `at`, if it had others. What one seat publishes stops no other: a document that is no
        keyset of that seat leaves it without one, so that nothing it signs counts until it has rotated again.

        A seat keeps its department's id, unless another department succeeds."""
        number, signer = log.args["seat"], to_checksum_address(log.args["signer"])
        before = state.seats.get(number)
        if keccak(log.args["keyset"]) != log.args["keysetHash"]:
            raise Unavailable("节点给出的事件不一致", detail_en="the node's event is inconsistent", code="bad-node")
        try:
            keyset = Keyset.parse(log.args["keyset"])
            renamed = before is not None and keyset.id != before.keyset.id
            taken = any(other.keyset.id == keyset.id for seat, other in state.seats.items() if seat != number)
            allowed = log.args.get("origin") == SUCCESSION and not taken
            fits = keyset.seat == number and (not renamed or allowed)
        except Invalid:
            fits = False
        if fits:
            until = state.faulty.pop(number, at)
            past = (*before.past, PastKeyset(keyset=before.keyset, until=until, signer=before.signer)) if before else ()
            state.seats[number] = SeatView(number=number, keyset=keyset, signer=signer, active=True, past=past)
        else:
            _log.error("faulty-keyset", seat=number, block=log.block)
            state.faulty.setdefault(number, at)
            if before is not None:
                state.seats[number] = replace(before, signer=signer)
        self._judge(state, number)

    @staticmethod
    def _judge(state: _State, number: int) -> None:
        """Sets whether a seat's word counts: not while it is silenced, and not without a keyset."""
        if number in state.seats:
            active = number not in state.silenced and number not in state.faulty
            state.seats[number] = replace(state.seats[number], active=active)

    async def _binding(self, number: int) -> BindingView:
        abi = self._abi["Catalog"]
        data: Any = await self._rpc.call(
            "eth_call", [{"to": self.address("Catalog"), "data": abi.call("bindingOf", number)}, "latest"]
        )
        (version, region, identity, operator, approvers, providers, _), live = abi.result("bindingOf", data)
        return BindingView(
            number=number,
            version=to_hex(version),
            region=f"{region:06d}",
            identity=identity,
            operator=operator,
            approvers=tuple(approvers),
            providers=tuple(providers),
            live=live,
        )
