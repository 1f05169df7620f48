"""`lianban keys`: a department's keys: what there is, rotating them while questions are in flight, destroying what is left over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

import typer

from orchestrator.domain.errors import Invalid
from orchestrator.gateway.keeping import reseal
from orchestrator.gateway.store import Store, prepare_stores
from orchestrator.identity.mandates import MANDATE_DAYS
from orchestrator.ledger.accounts import chain_account
from orchestrator.ledger.deployments import require_deployment
from orchestrator.ledger.rotation import BLOCKS, Announced, Rotation
from orchestrator.ledger.rpc import Rpc
from orchestrator.ledger.sender import Sender
from orchestrator.ledger.transactions import fund
from orchestrator.ledger.view import LedgerView, open_view
from orchestrator.protocol.jose import SigningKey
from orchestrator.protocol.keyfolder import (
    KINDS,
    NEXT,
    PAST,
    FolderKeys,
    Key,
    external,
    file_of,
    files_of,
    load_seat_keys,
    name_of,
    open_file,
)
from orchestrator.protocol.keymoves import destroy as destroy_file
from orchestrator.protocol.keymoves import next_key, promote
from orchestrator.protocol.ports import SeatView
from orchestrator.protocol.sealing import SealingKey
from orchestrator.protocol.signers.described import read_described
from orchestrator.protocol.wire import CLOCK_SKEW
from orchestrator.settings import Settings, load_settings

SETTLING: Final = 5.0
"""Seconds after the block until which every process has followed: only then does anything leave the key folder."""

_BEIJING: Final = ZoneInfo("Asia/Shanghai")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="本部门的密钥:查看、轮换、销毁 · a department's keys: look, rotate, destroy",
)

Kind = Literal["chain", "evidence", "request", "sealing", "identity"]
Department = Annotated[str, typer.Option("--department", help="本部门 id · this department")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A department's key folder, beside its seat as the chain has it."""

    settings: Settings
    folder: Path
    passphrase: str
    rpc: Rpc
    view: LedgerView
    seat: SeatView

    def keys(self, *uses: str) -> FolderKeys:
        """The keys in force. Raises Invalid when one of them is not here."""
        keys = load_seat_keys(self.folder, self.passphrase, set(uses))
        keys.follow(self.seat)
        return keys


@app.command()
def show(department: Department) -> None:
    """各类密钥在哪里、自何时生效、何时可销毁 · where each key is, what is announced, what can be destroyed when."""

    async def look() -> None:
        async with _at(department) as held:
            announced = await Rotation(held.rpc, held.view, held.seat).announced()
            described = read_described(held.folder)
            for kind in KINDS:
                name = _in_force(held.seat, kind)
                if name is None:
                    continue
                place = _place(held, kind, name) or (
                    "外部签名器 external" if getattr(described, kind) else "不在此 not here"
                )
                typer.echo(f"{kind:<9} {name}  {place}")
            if announced is not None:
                typer.echo(f"已公告 announced: 第 {announced.change} 次,自区块 {announced.from_block} from block")
            for file, until, due in _past(held):
                when = "可销毁 can be destroyed" if due else f"留至 kept until {_day(until)}"
                typer.echo(f"sealing   {file.stem.removeprefix('sealing-')}  past/  {when}")

    asyncio.run(look())


@app.command()
def rotate(
    department: Department,
    kind: Annotated[Kind, typer.Option("--kind", help="哪一类密钥 · which key")],
    blocks: Annotated[int, typer.Option(min=2, help="公告后多少个区块生效 · blocks until it is in force")] = BLOCKS,
    keystore: Annotated[
        bool, typer.Option("--keystore", help="新密钥存本地,即使现用的在外部 · make the new key in the keystore")
    ] = False,
    account: Annotated[
        Path | None,
        typer.Option(help="付燃料费的账户目录,默认自备 · folder of the account that sends; by default an own one"),
    ] = None,
) -> None:
    """轮换一类密钥:公告、等待生效、归置文件,其间业务照常 · rotate one key while everything goes on.

    A new key is made in the keystore, or taken from keys.yaml. The change is announced on chain and in force from a later block;
    gateways, workers and the identity seat follow by themselves. Run again after an interruption.
    """

    async def run() -> None:
        async with _at(department) as held:
            await _rotate(held, kind, blocks=blocks, keystore=keystore, account=account)

    asyncio.run(run())


@app.command()
def destroy(
    department: Department,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="不等授权书到期:在办件将无法打开 · do not wait: open cases will not open")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="不再询问 · do not ask")] = False,
) -> None:
    """销毁已替换且不再需要的解封密钥 · destroy replaced sealing keys that no mandate needs any more.

    What this seat sealed to itself is sealed anew first. Decisions that rest on sealed answers from before still verify, but can no
    longer be replayed.
    """

    async def run() -> None:
        async with _at(department) as held:
            due = [file for file, _, over in _past(held) if over or at_once]
            if not due:
                typer.echo("没有可销毁的密钥 / nothing to destroy")
                return
            for file in due:
                typer.echo(f"  {file.parent.name}/{file.name}")
            if not yes:
                typer.confirm("销毁后无法恢复。继续? / this cannot be undone. Go on?", abort=True)
            resealed = await _reseal(held)
            for file in due:
                destroy_file(file)
            typer.echo(f"✓ 已销毁 destroyed: {len(due)};重新密封 sealed anew: {resealed}")

    asyncio.run(run())


async def _rotate(held: Held, kind: Kind, *, blocks: int, keystore: bool, account: Path | None) -> None:
    if _in_force(held.seat, kind) is None:
        raise Invalid(
            field="--kind",
            detail=f"该席位没有 {kind} 密钥",
            detail_en=f"the seat has no {kind} key",
            remedy="只有身份席位有 identity / only an identity seat has that one",
            code="no-such-key",
        )
    held, finished = await _resumed(held)
    if kind in finished:
        return
    rotation = Rotation(held.rpc, held.view, held.seat)
    await rotation.require_quiet()
    present = held.keys("chain").chain
    made = next_key(held.folder, held.passphrase, kind, held.seat, keystore=keystore)
    new = present if isinstance(made, SigningKey | SealingKey) else made
    keyset = rotation.renewed(kind, made.jwk if isinstance(made, SigningKey | SealingKey) else None)
    carrier = chain_account(account or held.folder / "carrier", held.passphrase)
    await asyncio.to_thread(fund, held.settings.require_node_url(), carrier.address)
    announced, transaction = await rotation.announce(
        keyset, present, new, Sender(held.rpc, held.view, carrier), blocks=blocks
    )
    typer.echo(f"✓ 已公告 announced: 第 {announced.change} 次,自区块 {announced.from_block} from block  {transaction}")
    seat = await rotation.wait(announced)
    typer.echo(f"✓ 已生效 in force: {kind} {name_of(made)}")
    await _put_in_place(replace(held, seat=seat))


async def _resumed(held: Held) -> tuple[Held, list[str]]:
    """Finishes a rotation that was interrupted, announced or in force: the seat after it, and the kinds that it was of."""
    waiting = [(kind, key) for kind in KINDS for key in _waiting(held, kind)]
    if not waiting:
        return held, []
    rotation = Rotation(held.rpc, held.view, held.seat)
    announced = await rotation.announced()
    if announced is not None and any(_would_give(held, rotation, *each, announced) for each in waiting):
        typer.echo(
            f"  先前中断的轮换已公告,自区块 {announced.from_block} 生效,等待 / "
            f"the rotation that was interrupted is in force from block {announced.from_block}: waiting"
        )
        held = replace(held, seat=await rotation.wait(announced))
    moved = await _put_in_place(held)
    for kind in moved:
        typer.echo(f"✓ 已完成先前中断的轮换 / finished the rotation that was interrupted: {kind}")
    return held, moved


def _waiting(held: Held, kind: str) -> list[Key]:
    """Keys to which an interrupted rotation may have led: those in `next/`, and those with external signers."""
    files = (held.folder / NEXT).glob(file_of(kind, "*"))
    return [*external(held.folder, kind), *(open_file(kind, file, held.passphrase) for file in files)]


def _would_give(held: Held, rotation: Rotation, kind: str, key: Key, announced: Announced) -> bool:
    """Whether a change is the one by which the seat gets this key."""
    if isinstance(key, SigningKey | SealingKey):
        return (announced.signer, announced.keyset_hash) == (held.seat.signer, rotation.renewed(kind, key.jwk).hash)
    return (announced.signer, announced.keyset_hash) == (key.address, held.seat.keyset.hash)


async def _put_in_place(held: Held) -> list[str]:
    """Puts the files of the keys in force into their places, once every process has followed; the kinds that moved."""
    await asyncio.sleep(SETTLING)
    moved = promote(held.folder, held.passphrase, held.seat)
    if "sealing" in moved:
        typer.echo(
            f"  原密钥留在 past/ {MANDATE_DAYS} 天,之后 lianban keys destroy"
            f" / the replaced one stays in past/ for {MANDATE_DAYS} days; then lianban keys destroy"
        )
    return moved


@asynccontextmanager
async def _at(department: str) -> AsyncIterator[Held]:
    settings = load_settings()
    async with Rpc(settings.require_node_url(), timeout=settings.rpc_timeout) as rpc:
        view = await open_view(rpc, require_deployment(settings.deployment_file), watches=False)
        yield Held(
            settings=settings,
            folder=settings.keys_dir / department,
            passphrase=settings.passphrase(),
            rpc=rpc,
            view=view,
            seat=await view.seat_by_id(department),
        )


def _in_force(seat: SeatView, kind: str) -> str | None:
    if kind == "chain":
        return seat.signer
    return next((str(jwk["kid"]) for jwk in seat.keyset.keys if jwk["use_for"] == kind), None)


def _place(held: Held, kind: str, name: str) -> str | None:
    """In which file of the folder a key lies."""
    for file in files_of(held.folder, kind):
        if name_of(open_file(kind, file, held.passphrase)) == name:
            return str(file.relative_to(held.folder))
    return None


def _past(held: Held) -> list[tuple[Path, int, bool]]:
    """Replaced sealing keys with the second until which a mandate may need each, and whether that has passed."""
    replaced: dict[str, int] = {}
    for past in held.seat.past:
        kid = next((str(jwk["kid"]) for jwk in past.keyset.keys if jwk["use_for"] == "sealing"), "")
        replaced[kid] = past.counts_until + MANDATE_DAYS * 86400
    now = datetime.now(_BEIJING).timestamp()
    found = []
    for file in sorted((held.folder / PAST).glob(file_of("sealing", "*"))):
        until = replaced.get(file.stem.removeprefix("sealing-"), int(now) + CLOCK_SKEW)
        found.append((file, until, until < now))
    return found


async def _reseal(held: Held) -> int:
    """Seals anew to the key in force what the seat sealed to itself; how many texts."""
    department = held.seat.keyset.id
    dsn = await asyncio.to_thread(prepare_stores, held.settings.require_database_url(), [department])
    store = Store(dsn[department], connections=1)
    await store.open()
    try:
        return await reseal(store, held.keys("sealing").sealing, held.seat.number)
    finally:
        await store.close()


def _day(at: int) -> str:
    return datetime.fromtimestamp(at, _BEIJING).strftime("%Y-%m-%d")
