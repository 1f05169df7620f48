"""Effects: what an act would change, in words, before anybody signs it.

Read from the chain as it is now: which seat and department, from when, which bindings name it and so what stops, and what
does not change. Chinese first, English beside it. An act that the contract would refuse has no effect but that refusal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from orchestrator.council.acts import (
    NOBODY,
    Act,
    CancelChange,
    ChangeStanding,
    GiveKeys,
    HandOver,
    TakeOver,
    encode,
    title,
)
from orchestrator.council.refusals import explained, leaves_no_keys
from orchestrator.council.registry import Announced, Naming, Origin, RegisteredSeat, Registry, Standing
from orchestrator.ledger.rpc import Reverted, Rpc
from orchestrator.protocol.keyset import Keyset

Kind = Literal["who", "change", "when", "stops", "stays", "mind"]

HEADINGS: dict[Kind, tuple[str, str]] = {
    "who": ("对象", "whom"),
    "change": ("变化", "change"),
    "when": ("生效", "when"),
    "stops": ("影响", "effect"),
    "stays": ("不变", "stays"),
    "mind": ("注意", "mind"),
}

STANDINGS: dict[Standing, tuple[str, str]] = {
    Standing.NONE: ("无", "none"),
    Standing.ACTIVE: ("在用", "active"),
    Standing.SUSPENDED: ("暂停", "suspended"),
    Standing.REMOVED: ("注销", "removed"),
}

ORIGINS: dict[Origin, tuple[str, str]] = {
    Origin.ADMISSION: ("接纳", "admission"),
    Origin.ROTATION: ("轮换", "rotation"),
    Origin.RECOVERY: ("补发", "recovery"),
    Origin.SUCCESSION: ("承接", "succession"),
}

_MOST_LISTED = 8

_ROLES = {
    "identity": ("身份认证", "identity", "授权书自此不再被接受", "its mandates are no longer accepted"),
    "operator": ("受理运行", "operator", "其核验请求不再得到应答", "its questions are no longer answered"),
    "lead": (
        "牵头审批",
        "lead approver",
        "不能受理、准予、撤回、中止效力或撤销",
        "no acceptance, approval, withdrawal, suspension or revocation",
    ),
    "approver": ("审批", "approver", "没有其签批,办件不能准予", "no approval without its sheet"),
    "provider": ("数据提供", "provider", "其应答不再计入,相关核验项按未知处理", "its answers no longer count"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One thing to know about an act."""

    kind: Kind
    zh: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What an act would do now."""

    zh: str
    en: str
    points: tuple[Point, ...]


async def foresee(act: Act, registry: Registry, rpc: Rpc, council: str, heir: tuple[int, int] | None = None) -> Effect:
    """What the act would change if `council` did it now; simulated against the node. For handing over to a Safe, `heir` is
    how many of how many must sign there.

    Raises Invalid for a seat that there is not, Refused when the contract would refuse it or it would leave a seat without
    keys.
    """
    if isinstance(act, ChangeStanding | CancelChange) or (isinstance(act, GiveKeys) and act.kind != "admit"):
        registry.seat(act.seat)
    leaves_no_keys(act, registry)
    try:
        call = {"from": council, "to": registry.consortium, "data": "0x" + encode(act).hex()}
        await rpc.call("eth_call", [call, "latest"])
    except Reverted as error:
        raise explained(error.data) from None
    zh, en = title(act)
    points = [*_points(act, registry)]
    if isinstance(act, HandOver) and act.to != NOBODY:
        points.append(_heir(heir))
    return Effect(zh=zh, en=en, points=tuple(points))


def _points(act: Act, registry: Registry) -> Iterator[Point]:
    match act:
        case ChangeStanding():
            yield from _standing(act, registry)
        case GiveKeys(kind="admit"):
            yield from _admission(act, registry)
        case GiveKeys():
            yield from _replacement(act, registry)
        case CancelChange(seat=number):
            seat = registry.seat(number)
            yield _whom(seat)
            yield from _cancellation(seat)
        case HandOver() | TakeOver():
            yield from _ownership(act, registry)


def _standing(act: ChangeStanding, registry: Registry) -> Iterator[Point]:
    seat = registry.seat(act.seat)
    after = {"suspend": Standing.SUSPENDED, "reinstate": Standing.ACTIVE, "remove": Standing.REMOVED}[act.kind]
    before_zh, before_en = STANDINGS[seat.standing]
    after_zh, after_en = STANDINGS[after]
    yield _whom(seat)
    yield _point("change", f"{before_zh} → {after_zh}", f"{before_en} → {after_en}")
    yield _point("when", "执行的那笔交易起,立即", "at once, from the transaction that executes it")
    namings = registry.named(act.seat)
    yield from _naming(namings, act.seat, stops=act.kind != "reinstate" and seat.standing == Standing.ACTIVE)
    if act.kind == "reinstate":
        yield _point(
            "stays", "暂停期间未计入的签名不会补计;密钥不变", "what did not count meanwhile stays out; keys as before"
        )
        return
    yield _point(
        "stays",
        "此前已落账的办件与签名仍然有效,以往签名仍可查验;其他席位不受影响",
        "what settled before stays valid and verifiable; other seats are untouched",
    )
    if act.kind == "remove":
        yield _point(
            "mind",
            f"不可恢复:席位号 {act.seat} 与其密钥永不再用。只是停用请用 suspend,换部门请用 succeed",
            f"final: number {act.seat} and its key never serve again. To pause use suspend, to pass it on use succeed",
        )
    if seat.announced is not None:
        yield _mind_announced(seat.announced)


def _admission(act: GiveKeys, registry: Registry) -> Iterator[Point]:
    keyset = _known(act)
    yield _point("who", f"席位 {act.seat} · {_department(keyset)[0]}", f"seat {act.seat} · {_department(keyset)[1]}")
    yield _point("change", "无 → 在用", "none → active")
    yield from _keys(act.signer, keyset)
    yield _point("when", "执行的那笔交易起,立即", "at once, from the transaction that executes it")
    yield _point(
        "stays",
        "现有席位与落地都不变;须另行落地,新席位才参与办件",
        "seats and bindings stay as they are; it takes part in cases once a binding names it",
    )


def _replacement(act: GiveKeys, registry: Registry) -> Iterator[Point]:
    seat, keyset = registry.seat(act.seat), _known(act)
    yield _whom(seat)
    if act.kind == "succeed":
        before, after = _department(seat.keyset), _department(keyset)
        yield _point("change", f"部门:{before[0]} → {after[0]}", f"department: {before[1]} → {after[1]}")
    else:
        yield _point("change", "同一部门换用新密钥", "new keys for the same department")
    yield from _keys(act.signer, keyset)
    span_zh, span_en = duration(registry.veto_blocks, registry.block_seconds)
    yield _point(
        "when",
        f"执行后第 {registry.veto_blocks} 块起({span_zh};若现在执行,约为区块 {registry.block + 1 + registry.veto_blocks})",
        f"from the {registry.veto_blocks}th block after execution ({span_en}; about block"
        f" {registry.block + 1 + registry.veto_blocks} if executed now)",
    )
    yield _point(
        "stops",
        f"此前由原密钥签署,席位可凭原密钥否决:lianban seat veto {act.seat}",
        f"until then the old key signs, and with it the seat can veto: lianban seat veto {act.seat}",
    )
    namings = registry.named(act.seat)
    yield from _naming(namings, act.seat, stops=False)
    if act.kind == "succeed":
        yield _point(
            "stays",
            "落地不变,在办件由承接部门继续办结;此前已签署的仍由当日密钥查验",
            "bindings stay, the successor ends their open cases; what was signed before is verified by its day's key",
        )
        yield _point(
            "mind",
            "承接部门须接收原网关的存储与旧解封密钥,否则日志不能续写、在办件不能打开(见 docs/council.md)",
            "the successor needs the old gateway's store and old sealing key: without them the log cannot go on and open"
            " cases cannot be opened (docs/council.md)",
        )
    else:
        yield _point(
            "stays",
            "落地、在办件与以往签名都不变;封给旧密钥的内容仍要用旧解封密钥打开",
            "bindings, open cases and past signatures stay; what was sealed to the old key still takes the old key",
        )
    if seat.standing == Standing.SUSPENDED:
        yield _point(
            "mind", "该席位仍处于暂停,换密钥不会恢复它", "the seat is suspended and stays so: reinstate it apart"
        )


def _cancellation(seat: RegisteredSeat) -> Iterator[Point]:
    announced = seat.announced
    if announced is not None:
        zh, en = ORIGINS[announced.origin]
        yield _point(
            "change",
            f"已公告的{zh}(第 {announced.change} 次,原定区块 {announced.from_block} 生效)作废",
            f"the announced {en} (change {announced.change}, due in block {announced.from_block}) is dropped",
        )
    yield _point("when", "执行的那笔交易起,须在生效区块之前出块", "at once; it must be mined before that block")
    yield _point(
        "stays", "现用密钥不变;作废的新密钥不能再用", "the present keys stay; the dropped ones never serve again"
    )


def _ownership(act: HandOver | TakeOver, registry: Registry) -> Iterator[Point]:
    if isinstance(act, TakeOver):
        yield _point(
            "change",
            f"理事会:{registry.owner} → {registry.offered_to}",
            f"council: {registry.owner} → {registry.offered_to}",
        )
        yield _point("when", "执行的那笔交易起,立即", "at once, from the transaction that executes it")
        yield _point(
            "stops", "原理事会自此不能再作任何决定;其未执行的提案作废", "the old council decides nothing any more"
        )
    elif act.to == NOBODY:
        yield _point("change", f"对 {registry.offered_to} 的移交作废", "the offer is withdrawn")
        yield _point("when", "执行的那笔交易起,立即", "at once, from the transaction that executes it")
    else:
        yield _point("change", f"由 {registry.owner} 提出移交给 {act.to}", f"offered by {registry.owner} to {act.to}")
        yield _point(
            "when",
            "对方执行 take-over 之后才生效;此前由现理事会负责,也可撤回",
            "only once the other side has executed take-over; until then the present council decides, and can withdraw",
        )
    yield _point("stays", "所有席位、密钥、落地与办件都不变", "all seats, keys, bindings and cases stay as they are")


def _heir(heir: tuple[int, int] | None) -> Point:
    if heir is None:
        return _point(
            "mind",
            "对方是单一账户:接任后,凭它一把密钥即可作任何决定",
            "that is a single account: once it has taken over, its one key decides everything",
        )
    need, members = heir
    return _point(
        "mind",
        f"对方是 Safe,{members} 名成员中须 {need} 名签署",
        f"that is a Safe: {need} of its {members} owners must sign",
    )


def _naming(namings: Sequence[Naming], number: int, *, stops: bool) -> Iterator[Point]:
    scenarios = sorted({each.scenario for each in namings})
    live = sum(each.binding.live for each in namings)
    if not namings:
        yield _point("stops", "没有落地写有该席位,办件不受影响", "no binding names the seat: no case is affected")
        return
    listed, numbers = _some(scenarios), _some([str(each.binding.number) for each in namings])
    yield _point(
        "stops",
        f"{len(namings)} 个落地({live} 个在用)、{len(scenarios)} 个场景写有该席位:{listed};落地号 {numbers}",
        f"bindings that name the seat: {len(namings)} (live: {live}), scenarios: {len(scenarios)}; bindings {numbers}",
    )
    if not stops:
        return
    for role in dict.fromkeys(role for each in namings for role in _roles(each, number)):
        name_zh, name_en, zh, en = _ROLES[role]
        count = sum(role in _roles(each, number) for each in namings)
        yield _point("stops", f"{name_zh}({count} 个落地):{zh}", f"{name_en} (bindings: {count}): {en}")


def _some(texts: Sequence[str]) -> str:
    """The first few of a list."""
    return ", ".join(texts[:_MOST_LISTED]) + (" …" if len(texts) > _MOST_LISTED else "")


def _roles(naming: Naming, number: int) -> list[str]:
    binding = naming.binding
    found = []
    if binding.identity == number:
        found.append("identity")
    if binding.operator == number:
        found.append("operator")
    if number in binding.approvers:
        found.append("lead" if binding.approvers[0] == number else "approver")
    if number in binding.providers:
        found.append("provider")
    return found


def _keys(signer: str, keyset: Keyset) -> Iterator[Point]:
    yield _point("change", f"链上签名密钥:{signer}", f"chain key: {signer}")
    yield _point("change", f"网关:{keyset.endpoint}(由 {keyset.hosted_by} 运行)", f"gateway run by {keyset.hosted_by}")


def _known(act: GiveKeys) -> Keyset:
    keyset = act.keyset
    assert keyset is not None, "`leaves_no_keys` comes first"
    return keyset


def _whom(seat: RegisteredSeat) -> Point:
    zh, en = _department(seat.keyset)
    return _point("who", f"席位 {seat.number} · {zh}", f"seat {seat.number} · {en}")


def _department(keyset: Keyset | None) -> tuple[str, str]:
    if keyset is None:
        return "密钥文档无效", "no valid keyset"
    return f"{keyset.name['zh']}({keyset.id},{keyset.uscc})", f"{keyset.name['en']} ({keyset.id})"


def _mind_announced(announced: Announced) -> Point:
    zh, en = ORIGINS[announced.origin]
    return _point(
        "mind",
        f"该席位已公告一次{zh}(区块 {announced.from_block} 生效),不因此取消",
        f"a {en} is announced for block {announced.from_block} and is not dropped by this",
    )


def duration(blocks: int, block_seconds: float) -> tuple[str, str]:
    """About how long so many blocks take, in words."""
    seconds = blocks * block_seconds
    for size, zh, en in ((86400, "天", "days"), (3600, "小时", "hours"), (60, "分钟", "minutes")):
        if seconds >= 2 * size:
            return f"约 {seconds / size:.0f} {zh}", f"about {seconds / size:.0f} {en}"
    return f"约 {seconds:.0f} 秒", f"about {seconds:.0f} seconds"


def _point(kind: Kind, zh: str, en: str) -> Point:
    return Point(kind=kind, zh=zh, en=en)
