"""`lianban council propose …`: every act of a council, its effect shown first.

For a Safe it ends in a proposal file that members sign; a council that is one account acts at once.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.council.acts import (
    NOBODY,
    Act,
    CancelChange,
    ChangeStanding,
    HandOver,
    KeysKind,
    StandingKind,
    TakeOver,
    call_of,
)
from orchestrator.council.agreements import read_agreement
from orchestrator.council.decisions import read_council
from orchestrator.council.desk import Desk, account_at, at_desk
from orchestrator.council.proposals import propose, write_proposal
from orchestrator.council.safe import SafeState, checked_address
from orchestrator.council.telling import confirm, tell_effect
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.ledger.sender import Sender
from orchestrator.ledger.transactions import fund

app = typer.Typer(
    help="提出一项决定,先看影响 · propose an act; its effect is shown first",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)

Key = Annotated[Path | None, typer.Option("--key", help="密钥目录(chain.json)· key folder")]
PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="该密钥的口令文件 · file with that key's passphrase")
]
Yes = Annotated[bool, typer.Option("--yes", help="不再询问 · do not ask")]
Out = Annotated[Path | None, typer.Option("--out", dir_okay=False, help="提案写到哪里 · where the proposal goes")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="只看影响 · show the effect and stop")]
Number = Annotated[
    int | None, typer.Option("--nonce", min=0, help="排在后面的编号 · a later number, to queue behind others")
]
Seat = Annotated[int, typer.Argument(min=0, max=255, help="席位号 · seat number")]
AgreementFile = Annotated[Path, typer.Argument(dir_okay=False, help="部门同意书 · the department's agreement")]


def _standing_command(kind: StandingKind, help: str) -> None:
    @app.command(kind, help=help)
    def command(
        seat: Seat,
        out: Out = None,
        dry_run: DryRun = False,
        nonce: Number = None,
        key: Key = None,
        passphrase_file: PassphraseFile = None,
        yes: Yes = False,
    ) -> None:
        _decide(lambda _: ChangeStanding(kind=kind, seat=seat), out, dry_run, nonce, key, passphrase_file, yes)


def _keys_command(kind: KeysKind, help: str) -> None:
    @app.command(kind, help=help)
    def command(
        agreement: AgreementFile,
        out: Out = None,
        dry_run: DryRun = False,
        nonce: Number = None,
        key: Key = None,
        passphrase_file: PassphraseFile = None,
        yes: Yes = False,
    ) -> None:
        _decide(
            lambda desk: desk.agreed(read_agreement(agreement), kind), out, dry_run, nonce, key, passphrase_file, yes
        )


_standing_command("suspend", "暂停席位:其签名自此不计 · its signatures stop counting at once")
_standing_command("reinstate", "恢复席位 · end a suspension")
_standing_command("remove", "注销席位,不可恢复 · end a seat for good")
_keys_command("admit", "接纳新席位 · give a new seat its number")
_keys_command("recover", "补发密钥:部门丢失密钥 · new keys for a department that lost its own")
_keys_command("succeed", "由另一部门承接席位及在办件 · another department takes over the seat and its open cases")


@app.command()
def cancel(
    seat: Seat,
    out: Out = None,
    dry_run: DryRun = False,
    nonce: Number = None,
    key: Key = None,
    passphrase_file: PassphraseFile = None,
    yes: Yes = False,
) -> None:
    """撤回已公告、尚未生效的补发或承接 · take back a recovery or succession that is still to come."""

    def act(desk: Desk) -> Act:
        announced = desk.registry.seat(seat).announced
        if announced is None:
            raise Refused(
                f"席位 {seat} 没有待生效的变更",
                detail_en=f"no change of seat {seat} is still to come",
                code="nothing-announced",
                remedy="用 lianban council seats 查看现状 / see lianban council seats",
            )
        return CancelChange(seat=seat, change=announced.change)

    _decide(act, out, dry_run, nonce, key, passphrase_file, yes)


@app.command("hand-over")
def hand_over(
    to: Annotated[str | None, typer.Argument(help="新理事会:Safe 或账户地址 · the new council's address")] = None,
    withdraw: Annotated[bool, typer.Option(help="撤回移交 · withdraw the offer")] = False,
    out: Out = None,
    dry_run: DryRun = False,
    nonce: Number = None,
    key: Key = None,
    passphrase_file: PassphraseFile = None,
    yes: Yes = False,
) -> None:
    """提出移交;对方 take-over 后才生效 · offer the council to another one, which has to take it over."""
    if (to is None) != withdraw:
        raise Invalid(
            field="to",
            detail="给出新理事会的地址,或 --withdraw",
            detail_en="give the new council's address, or --withdraw",
            remedy="二选一 / one of the two",
        )
    heir = NOBODY if to is None else checked_address(to, "to")
    if to is not None and heir == NOBODY:
        raise Invalid(
            field="to",
            detail="零地址不能接任",
            detail_en="the zero address cannot take over",
            remedy="撤回移交用 hand-over --withdraw / to withdraw an offer: hand-over --withdraw",
        )

    def act(desk: Desk) -> Act:
        if withdraw:
            desk.registry.require_offer()
            return HandOver(to=NOBODY)
        return HandOver(to=desk.heir(heir))

    _decide(act, out, dry_run, nonce, key, passphrase_file, yes)


@app.command("take-over")
def take_over(
    out: Out = None,
    dry_run: DryRun = False,
    nonce: Number = None,
    key: Key = None,
    passphrase_file: PassphraseFile = None,
    yes: Yes = False,
) -> None:
    """由新理事会接任 · the new council takes over what was offered to it."""
    _decide(lambda _: TakeOver(), out, dry_run, nonce, key, passphrase_file, yes)


def _decide(
    make: Callable[[Desk], Act],
    out: Path | None,
    dry_run: bool,
    nonce: int | None,
    key: Path | None,
    passphrase_file: Path | None,
    yes: bool,
) -> None:
    """Shows what an act would do; then writes the Safe's proposal, or lets the one account act."""

    async def deciding(desk: Desk) -> None:
        act, registry = make(desk), desk.registry
        taking_over = isinstance(act, TakeOver)
        safe = read_council(desk.client, registry, taking_over=taking_over)
        council = safe.address if safe else str(registry.offered_to if taking_over else registry.owner)
        tell_effect(await desk.foresee(act, council))
        if dry_run:
            return
        if safe is None:
            await _act_alone(desk, act, council, out, key, passphrase_file, yes)
        else:
            _write(desk, act, safe, out, nonce)

    at_desk(deciding)


async def _act_alone(
    desk: Desk, act: Act, council: str, out: Path | None, key: Path | None, passphrase_file: Path | None, yes: bool
) -> None:
    if out is not None:
        raise Invalid(
            field="out",
            detail="理事会是单一账户,不需要提案文件",
            detail_en="the council is one account: there is nothing to sign together",
            remedy="去掉 --out / leave --out out",
        )
    account = account_at(desk.settings, key or desk.settings.keys_dir / "council", passphrase_file)
    if account.address != council:
        raise Invalid(
            field="key",
            detail=f"{account.address} 不是理事会账户 {council}",
            detail_en=f"{account.address} is not the council's account {council}",
            remedy="用 --key 给出其密钥目录 / give its key folder with --key",
            code="not-the-council",
        )
    confirm("执行? / do it?", yes)
    fund(desk.settings.require_node_url(), account.address, timeout=desk.settings.rpc_timeout)
    name, arguments = call_of(act)
    transaction = await Sender(desk.rpc, desk.view, account).send("Consortium", name, *arguments)
    typer.echo(f"✓ 已执行 / done {transaction}")


def _write(desk: Desk, act: Act, safe: SafeState, out: Path | None, nonce: int | None) -> None:
    if out is None:
        typer.echo(
            f"! 未写提案:用 --out 文件名 写出,再由 {safe.threshold} 位成员签署"
            f" / nothing written: name a file with --out, then {safe.threshold} members sign",
            err=True,
        )
        return
    if out.exists():
        raise Invalid(
            field="out",
            detail=f"{out.name} 已存在,不会覆盖",
            detail_en=f"{out.name} exists and is not overwritten",
            remedy="换一个文件名 / take another name",
        )
    number = safe.nonce if nonce is None else nonce
    if number < safe.nonce:
        raise Invalid(
            field="nonce",
            detail=f"编号 {number} 已用过,Safe 现为 {safe.nonce}",
            detail_en=f"number {number} is used up; the Safe is at {safe.nonce}",
            remedy="去掉 --nonce,或取更大的 / leave --nonce out, or take a higher one",
        )
    proposal = propose(
        chain_id=desk.registry.chain_id,
        safe=safe.address,
        version=safe.version,
        nonce=number,
        consortium=desk.registry.consortium,
        act=act,
    )
    write_proposal(out, proposal)
    typer.echo(f"✓ {out}:编号 / number {number},需 {safe.threshold} 个签名 / signatures needed: {safe.threshold}")
