"""Telling: effects, signatures and seats on a terminal. Chinese first, English beside it."""

from __future__ import annotations

import typer
from rich.cells import cell_len

from orchestrator.council.acts import title
from orchestrator.council.decisions import Count, Progress
from orchestrator.council.effects import HEADINGS, ORIGINS, Effect, duration
from orchestrator.council.proposals import Proposal
from orchestrator.council.registry import RegisteredSeat, Registry
from orchestrator.council.safe import SafeState
from orchestrator.domain.errors import Refused

_HEADING = 13
"""Columns of the headings; a Chinese character takes two."""


def tell_effect(effect: Effect) -> None:
    """What an act would do, point by point."""
    typer.secho(f"{effect.zh} · {effect.en}", bold=True)
    before = None
    for point in effect.points:
        zh, en = HEADINGS[point.kind]
        heading = f"{zh} {en}" if point.kind != before else ""
        heading += " " * (_HEADING - cell_len(heading))
        before = point.kind
        color = "yellow" if point.kind == "mind" else None
        typer.secho(f"  {heading}{point.zh}", fg=color)
        typer.secho(f"  {' ' * _HEADING}{point.en}", dim=True)


def tell_title(proposal: Proposal) -> None:
    """What a proposal is, in one line."""
    zh, en = title(proposal.act)
    typer.secho(f"{zh} · {en}", bold=True)


def tell_count(proposal: Proposal, safe: SafeState, counted: Count) -> None:
    """Where a proposal stands, who has signed and who is missing."""
    if counted.progress is Progress.EXECUTED:
        typer.echo(f"✓ 已于区块 {counted.block} 执行 / executed in block {counted.block}: {counted.transaction}")
        return
    have, need = len(counted.signed), counted.threshold
    typer.echo(f"  提案 proposal {proposal.nonce} · Safe {safe.address} · {have}/{need} 个签名 / signatures")
    for owner in safe.owners:
        typer.echo(f"    {'✓' if owner in counted.signed else '·'} {owner}")
    for stranger in counted.strangers:
        typer.echo(f"    ✗ {stranger} 不是成员,签名不计 / no owner: does not count", err=True)
    _warn_of_modules(safe)
    if counted.progress is Progress.OVERTAKEN:
        typer.echo("! 编号已被另一提案用掉,不能再执行 / another proposal took its number: propose anew", err=True)
    elif counted.progress is Progress.QUEUED:
        typer.echo(f"! 先执行编号 {safe.nonce} 起的提案 / proposals from number {safe.nonce} on come first", err=True)


def tell_council(registry: Registry, safe: SafeState | None) -> None:
    """Who the council is."""
    if safe is None:
        typer.echo(f"理事会 council  账户 account {registry.owner}")
    else:
        typer.echo(f"理事会 council  Safe {safe.version} {safe.address} · {safe.threshold}/{len(safe.owners)}")
        _warn_of_modules(safe)
    if registry.offered_to:
        typer.echo(f"! 已提出移交给 / offered to {registry.offered_to}", err=True)


def _warn_of_modules(safe: SafeState) -> None:
    if safe.modules:
        listed = ", ".join(safe.modules)
        typer.echo(
            f"! 该 Safe 启用了模块,可不经成员签名行事 / modules act without its owners' signatures: {listed}", err=True
        )
    if safe.guard:
        typer.echo(f"! 该 Safe 有守卫合约,可拒绝执行 / a guard can refuse executions: {safe.guard}", err=True)


def announced_words(seat: RegisteredSeat, registry: Registry) -> str:
    """A seat's change to come, with the blocks in which it can still be vetoed; empty when there is none."""
    announced = seat.announced
    if announced is None:
        return ""
    left = announced.left(registry.block)
    zh, en = ORIGINS[announced.origin]
    about_zh, about_en = duration(left, registry.block_seconds)
    who = announced.keyset.id if announced.keyset else "?"
    return (
        f"{zh} {en} #{announced.change} → {who}; 区块 block {announced.from_block},"
        f" 可否决 to veto: {left} ({about_zh} {about_en})"
    )


def confirm(question: str, yes: bool) -> None:
    """Asks, unless told `yes`. Raises Refused when the answer is no."""
    if not yes and not typer.confirm(question, default=False):
        raise Refused("未确认,什么也没做", detail_en="not confirmed: nothing was done", code="not-confirmed")
