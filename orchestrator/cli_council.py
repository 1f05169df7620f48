"""`lianban council`: the members decide together who sits in the consortium.

A council that is a Safe decides by proposals that its members sign; one that is a single account, as on a devnet, acts by
the same commands at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from orchestrator.cli_propose import Key, PassphraseFile, Yes
from orchestrator.cli_propose import app as proposals
from orchestrator.council.decisions import (
    Progress,
    check_office,
    check_open,
    check_signer,
    council_of,
    count,
    execute,
    read_council,
)
from orchestrator.council.desk import Desk, account_at, at_desk, passphrase
from orchestrator.council.effects import STANDINGS
from orchestrator.council.node import open_client
from orchestrator.council.proposals import read_proposal, write_proposal
from orchestrator.council.safe import create_safe
from orchestrator.council.telling import announced_words, confirm, tell_council, tell_count, tell_effect, tell_title
from orchestrator.ledger.accounts import chain_account
from orchestrator.ledger.transactions import fund
from orchestrator.settings import load_settings

app = typer.Typer(
    help="理事会 · the consortium's council",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
app.add_typer(proposals, name="propose")

ProposalFile = Annotated[Path, typer.Argument(dir_okay=False, help="提案文件 · proposal file")]


@app.command()
def seats() -> None:
    """席位、现状、已公告的变更 · seats, standing, announced changes with the blocks left to veto."""

    async def show(desk: Desk) -> None:
        registry = desk.registry
        tell_council(registry, read_council(desk.client, registry))
        table = Table(
            title=f"区块 block {registry.block} · 否决期 veto {registry.veto_blocks} 块 blocks", title_justify="left"
        )
        for heading in ("席位 seat", "部门 department", "现状 standing", "落地 bindings", "待生效的变更 announced"):
            table.add_column(heading, overflow="fold")
        for number, seat in sorted(registry.seats.items()):
            keyset = seat.keyset
            table.add_row(
                str(number),
                f"{keyset.name['zh']} · {keyset.id}" if keyset else "密钥文档无效 · no valid keyset",
                " ".join(STANDINGS[seat.standing]),
                str(len(registry.named(number))),
                announced_words(seat, registry),
            )
        Console().print(table)

    at_desk(show)


@app.command()
def members() -> None:
    """理事会是谁、几人签署 · who the council is and how many must sign."""

    async def show(desk: Desk) -> None:
        safe = read_council(desk.client, desk.registry)
        tell_council(desk.registry, safe)
        for owner in safe.owners if safe else ():
            typer.echo(f"  {owner}")

    at_desk(show)


@app.command()
def key(
    folder: Annotated[Path, typer.Argument(file_okay=False, help="密钥目录 · key folder")],
    passphrase_file: PassphraseFile = None,
) -> None:
    """成员密钥:没有则生成,打印地址 · a member's key: made when there is none; prints its address."""
    settings = load_settings()
    typer.echo(chain_account(folder, passphrase(settings, passphrase_file)).address)


@app.command()
def create(
    owner: Annotated[list[str], typer.Option(help="成员地址,可多次给出 · a member's address; give it again for each")],
    threshold: Annotated[int, typer.Option(help="几人签署 · how many must sign")],
    salt: Annotated[
        int, typer.Option(min=0, help="同一组成员再建一个时改它 · change it for a second Safe of the same")
    ] = 0,
) -> None:
    """建一个 Safe,已有则沿用 · make a Safe of these members, or take up the one that is there."""
    settings = load_settings()
    url = settings.require_node_url()
    payer = chain_account(settings.keys_dir / "publisher", settings.passphrase())
    with open_client(url, timeout=settings.rpc_timeout) as client:
        fund(url, payer.address, timeout=settings.rpc_timeout)
        made = create_safe(client, payer, owner, threshold, file=settings.data_dir / "safe.json", salt=salt)
    typer.echo(f"✓ Safe {made.version} {made.threshold}/{len(made.owners)}")
    typer.echo(made.address)


@app.command()
def show(file: ProposalFile) -> None:
    """提案的影响、谁已签、还差谁 · a proposal's effect, who has signed and who is missing."""

    async def look(desk: Desk) -> None:
        proposal = read_proposal(file)
        safe = council_of(desk.client, proposal, desk.registry)
        counted = count(desk.client, proposal, safe, desk.since)
        if counted.progress is Progress.EXECUTED:
            tell_title(proposal)
        else:
            check_office(proposal, desk.registry)
            tell_effect(await desk.foresee(proposal.act, proposal.safe))
        tell_count(proposal, safe, counted)

    at_desk(look)


@app.command()
def sign(
    file: ProposalFile,
    key: Annotated[Path, typer.Option("--key", help="成员的密钥目录 · the member's key folder")],
    passphrase_file: PassphraseFile = None,
    yes: Yes = False,
) -> None:
    """看过影响后签署 · sign a proposal, after its effect was shown."""

    async def signing(desk: Desk) -> None:
        proposal = read_proposal(file)
        safe = council_of(desk.client, proposal, desk.registry)
        counted = count(desk.client, proposal, safe, desk.since)
        if counted.progress is Progress.EXECUTED:
            tell_count(proposal, safe, counted)
            return
        check_open(proposal, safe, counted)
        check_office(proposal, desk.registry)
        account = account_at(desk.settings, key, passphrase_file)
        check_signer(proposal, safe, account)
        tell_effect(await desk.foresee(proposal.act, proposal.safe))
        if account.address in proposal.signatures:
            typer.echo(f"✓ {account.address} 已签过 / has signed already")
        else:
            confirm("签署? / sign?", yes)
            proposal = proposal.signed(account)
            write_proposal(file, proposal)
            typer.echo(f"✓ {account.address} 已签署 / has signed")
        tell_count(proposal, safe, count(desk.client, proposal, safe, desk.since))

    at_desk(signing)


@app.command()
def merge(
    file: ProposalFile,
    copies: Annotated[list[Path], typer.Argument(dir_okay=False, help="其他副本 · further copies")],
) -> None:
    """把各副本上的签名并入 FILE · put the signatures of copies together in FILE."""
    proposal = read_proposal(file)
    for each in copies:
        proposal = proposal.merged(read_proposal(each))
    write_proposal(file, proposal)
    typer.echo(f"✓ {file}:{len(proposal.signatures)} 个签名 / signatures")


@app.command("execute")
def carry_out(file: ProposalFile, key: Key = None, passphrase_file: PassphraseFile = None) -> None:
    """签名足够后执行;已执行则说明 · carry a proposal out once enough have signed; says so when that was done.

    `--key` pays for the transaction and decides nothing; default: this installation's own account.
    """

    async def carrying_out(desk: Desk) -> None:
        proposal = read_proposal(file)
        safe = council_of(desk.client, proposal, desk.registry)
        counted = count(desk.client, proposal, safe, desk.since)
        if counted.progress is not Progress.EXECUTED:
            check_open(proposal, safe, counted)
            check_office(proposal, desk.registry)
            effect = await desk.foresee(proposal.act, proposal.safe)
            payer = desk.payer() if key is None else account_at(desk.settings, key, passphrase_file)
            fund(desk.settings.require_node_url(), payer.address, timeout=desk.settings.rpc_timeout)
            execute(desk.client, proposal, safe, counted, payer)
            tell_effect(effect)
            counted = count(desk.client, proposal, council_of(desk.client, proposal, desk.registry), desk.since)
        tell_count(proposal, safe, counted)

    at_desk(carrying_out)
