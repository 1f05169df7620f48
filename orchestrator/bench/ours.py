"""Our side of the gas bench: a consortium with six approving seats, its cases, sheets and logs, settled for real.

Three bindings have two of the six seats as approvers and the other four as providers. So a case rests on four evidences
and two approvals, and a batch on six sheets and six log heads.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.bench.wallet import Wallet
from orchestrator.domain.case import Status
from orchestrator.domain.errors import Refused
from orchestrator.ledger.abi import ContractAbi
from orchestrator.ledger.admission import admit_seats
from orchestrator.ledger.artifacts import load_artifact
from orchestrator.ledger.deploy import deploy
from orchestrator.ledger.poster import HeadPart, Poster, SheetPart
from orchestrator.ledger.rpc import Rpc
from orchestrator.ledger.sender import Sender
from orchestrator.ledger.view import LedgerView
from orchestrator.protocol.keyset import Keyset, SeatKeys, SigningAccount, generate_seat_keys
from orchestrator.protocol.querylog import LogTree, nodes_for_append
from orchestrator.protocol.sheet import (
    Binding,
    Transition,
    binding_digest,
    head_digest,
    publication_digest,
    sheet_digest,
)

OPERATOR, IDENTITY = 0, 2
SEATS = range(3, 9)
PAIRS = ((3, 4), (5, 6), (7, 8))
"""The approvers of bindings 1, 2 and 3, the lead first."""
EVIDENCES, APPROVALS = 4, 2
"""What a case rests on."""
MILLION = 1_000_003
"""Leaves of a log, at least: odd, for then the proof that it grew is longest."""
_LASTS = 24 * 3600
"""Seconds for which what the seats sign here is valid."""

Signs = Callable[[tuple[int, int]], tuple[int, ...]]
"""Which of a binding's two approvers sign a transition."""


def both(pair: tuple[int, int]) -> tuple[int, ...]:
    """A decision: every approver signs."""
    return pair


def lead(pair: tuple[int, int]) -> tuple[int, ...]:
    """An acceptance: the lead signs."""
    return pair[:1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Where to measure, and with which account."""

    url: str
    """JSON-RPC over HTTP."""
    account: SigningAccount
    """Deploys, owns and sends everything."""
    folder: Path
    """Takes the deployment file and has none yet."""
    chain_id: int | None = None
    """What the node must have, if that is known."""


class Ledger:
    """Our contracts on a chain, three bindings live, six logs of a million leaves anchored. Made by `open_ledger`.

    Its methods raise Refused when the ledger does not take all of a batch.
    """

    def __init__(self, view: LedgerView, poster: Poster, wallet: Wallet, keys: dict[int, SeatKeys]) -> None:
        self._view = view
        self._poster = poster
        self._wallet = wallet
        self._keys = keys
        self._abi = ContractAbi(load_artifact("CaseLedger").abi)
        self._logs = {seat: _log(MILLION + 1000 * seat) for seat in SEATS}

    async def decide_at_once(self, number: int) -> int:
        """Gas of a batch of new cases that are approved in it."""
        return await self._settle_signed(self._cases(number, Status.APPROVED, 1), both)

    async def accept_then_decide(self, number: int, *, heads_again: bool = False) -> tuple[int, int]:
        """Gas of a batch that accepts new cases, with six heads, and of the batch that approves them later, by default
        without: their answers are logged before they are accepted."""
        accepted = self._cases(number, Status.ACCEPTED, 1)
        first = await self._settle_signed(accepted, lead)
        decided = self._cases(number, Status.APPROVED, 2, [each.case_id for each in accepted])
        return first, await self._settle_signed(decided, both, heads=heads_again)

    async def anchor_heads(self, number: int) -> int:
        """Gas of a transaction with nothing but six heads, of logs grown by the evidences of `number` cases."""
        return await self._settle([], [], [self._grow(seat, number) for seat in SEATS])

    async def anchor_first(self) -> None:
        """Anchors the six logs as they are."""
        await self._settle([], [], [self._head(seat, 0, bytes(32), ()) for seat in SEATS])

    def _cases(self, number: int, status: Status, sequence: int, ids: Sequence[bytes] = ()) -> list[Transition]:
        """Transitions sorted by binding, with random ids (or the given ones) and roots."""
        return [
            Transition(
                case_id=ids[i] if ids else secrets.token_bytes(32),
                root=secrets.token_bytes(32),
                status=status,
                sequence=sequence,
                binding=1 + i * len(PAIRS) // number,
            )
            for i in range(number)
        ]

    async def _settle_signed(self, batch: Sequence[Transition], signs: Signs, *, heads: bool = True) -> int:
        """Settles a batch with the sheets that it needs, and six grown heads unless told otherwise; the gas it took."""
        places: dict[int, set[int]] = {}
        for i in range(len(batch)):
            for seat in signs(PAIRS[i * len(PAIRS) // len(batch)]):
                places.setdefault(seat, set()).add(i)
        sheets = [self._sheet(seat, batch, covered) for seat, covered in sorted(places.items())]
        grown = [self._grow(seat, len(batch)) for seat in SEATS] if heads else []
        return await self._settle(batch, sheets, grown)

    async def _settle(self, batch: Sequence[Transition], sheets: Sequence[SheetPart], heads: Sequence[HeadPart]) -> int:
        """Gas of one `settle`. Raises Refused when the ledger did not take all of it: the gas would mean nothing."""
        data = bytes.fromhex(self._poster.settle_call(batch, sheets, heads)[2:])
        mined = await self._wallet.send(self._view.address("CaseLedger"), data)
        done = mined.count(self._abi.topic("CaseSettled")), mined.count(self._abi.topic("HeadAnchored"))
        if done != (len(batch), len(heads)):
            raise Refused(
                "账本没有接受测量的批次",
                detail_en=f"the ledger took {done[0]} of {len(batch)} cases and {done[1]} of {len(heads)} heads",
                code="batch-refused",
            )
        return mined.gas

    def _sheet(self, seat: int, batch: Sequence[Transition], covers: set[int]) -> SheetPart:
        until = int(time.time()) + _LASTS
        digest = sheet_digest(self._view.domain("CaseLedger"), seat, until, [batch[i] for i in sorted(covers)])
        signature = self._keys[seat].chain.sign_hash(digest)
        return SheetPart(seat=seat, valid_until=until, covers=frozenset(covers), signature=signature)

    def _grow(self, seat: int, cases: int) -> HeadPart:
        """The seat's log with its share of the cases' evidences, four a case over six logs."""
        log = self._logs[seat]
        size, root = log.size, log.root()
        log.append([secrets.token_bytes(32) for _ in range(max(1, cases * EVIDENCES // len(SEATS)))])
        return self._head(seat, size, root, tuple(log.consistency_proof(size)))

    def _head(self, seat: int, old_size: int, old_root: bytes, proof: tuple[bytes, ...]) -> HeadPart:
        log = self._logs[seat]
        digest = head_digest(self._view.domain("CaseLedger"), seat, log.size, log.root())
        return HeadPart(
            seat=seat,
            old_size=old_size,
            old_root=old_root,
            new_size=log.size,
            new_root=log.root(),
            proof=proof,
            signature=self._keys[seat].chain.sign_hash(digest),
        )


async def open_ledger(rpc: Rpc, chain: Chain) -> Ledger:
    """Deploys our contracts, admits eight seats, makes the bindings and anchors the logs' first heads."""
    account = chain.account
    file = chain.folder / "deployment.json"
    deployment = deploy(chain.url, account, file, veto_blocks=1, chain_id=chain.chain_id)
    keys = {seat: generate_seat_keys(identity=seat == IDENTITY) for seat in (OPERATOR, IDENTITY, *SEATS)}
    admit_seats(deployment, chain.url, account, [(seat, held, _keyset(seat, held)) for seat, held in keys.items()])
    view = LedgerView(rpc, deployment)
    ledger = Ledger(view, Poster(rpc, view, account.secret), Wallet(rpc, account), keys)
    sender = Sender(rpc, view, account)
    version, texts = secrets.token_bytes(32), secrets.token_bytes(32)
    digest = publication_digest(view.domain("Catalog"), "bench", version, texts, SEATS[0])
    await sender.send("Catalog", "publish", "bench", version, texts, SEATS[0], keys[SEATS[0]].chain.sign_hash(digest))
    for pair in PAIRS:
        await _bind(sender, view, keys, version, pair)
    await ledger.anchor_first()
    return ledger


async def _bind(
    sender: Sender, view: LedgerView, keys: dict[int, SeatKeys], version: bytes, pair: tuple[int, int]
) -> None:
    binding = Binding(
        version=version,
        region=110108,
        identity=IDENTITY,
        operator=OPERATOR,
        approvers=pair,
        providers=tuple(seat for seat in SEATS if seat not in pair),
        valid_until=int(time.time()) + _LASTS,
    )
    digest = binding_digest(view.domain("Catalog"), binding)
    await sender.send("Catalog", "bind", binding.struct, [keys[seat].chain.sign_hash(digest) for seat in binding.named])


def _log(size: int) -> LogTree:
    """A log of `size` leaves that nobody has seen: only the hashes of its complete subtrees exist, made up."""
    return LogTree(size, {place: secrets.token_bytes(32) for place in nodes_for_append(size)})


def _keyset(seat: int, keys: SeatKeys) -> Keyset:
    return Keyset(
        seat=seat,
        id=f"bench-{seat}",
        name={"zh": f"测量席位{seat}", "en": f"bench seat {seat}"},
        uscc=f"bench-{seat}",
        region="110108",
        parent=None,
        vertical=False,
        hosted_by=f"bench-{seat}",
        endpoint=f"http://bench-{seat}.invalid",
        keys=tuple(keys.public_jwks()),
    )
