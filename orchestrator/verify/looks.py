"""Checking a list of who looked (谁查过我的数据): whose it is, who signed what, what is in which log, what of it is on chain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from orchestrator.domain.canonical import to_hex
from orchestrator.domain.errors import LianbanError, Refused, Unavailable
from orchestrator.ledger.proofs import Proofs
from orchestrator.protocol.access import Told
from orchestrator.protocol.accesscheck import Proven, check_told
from orchestrator.protocol.mandate import Subject
from orchestrator.protocol.ports import SeatView
from orchestrator.protocol.querylog import Head
from orchestrator.verify.report import Report, moment
from orchestrator.verify.trust import Trust

Path = Callable[[SeatView, int, Head], Awaitable[list[bytes]]]
"""Asks a seat's public log for the path of an entry under a head. Raises Unavailable or Refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatLooks:
    """What one department told, in one or several statements."""

    seat: int
    anchored: Head | None
    error: str
    parts: tuple[tuple[str, Told], ...]
    """Access request and answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """A list of who looked, as a person saved it."""

    at: int
    chain_id: int
    ledger: str
    subject: Subject
    seats: tuple[SeatLooks, ...]


async def check_looks(looks: Looks, trust: Trust, *, path: Path | None = None) -> Report:
    """What a list proves; `path` is how to ask the departments' logs, None when nobody is to be asked."""
    report = Report("谁查过我的数据", "who looked at my data")
    report.shown.append(("证件号码", "identifier", _masked(looks.subject.id)))
    report.shown.append(("查询时间", "asked at", moment(looks.at)))
    if trust.same_ledger(looks.chain_id, looks.ledger) is False:
        report.wrong("属于另一条链或另一合约", "it is of another chain or contract")
        return report
    seats = await _seats(looks, report, trust)
    for each in looks.seats:
        if each.parts and seats is not None:
            await _check_seat(each, looks, seats, report, trust, path)
        if each.error:
            report.unchecked(
                f"席位 {each.seat} 当时未能答复({each.error}),其中有无查询不得而知",
                f"seat {each.seat} did not answer then ({each.error}): whether it has logged anything is not known",
            )
    report.not_proven(
        "此后的查询;部门与询问方串通、答复而不登记的;部门人员直接查看自己的记录",
        "what came later; what a department answered without logging it; what its own staff looked up in its own records",
    )
    report.not_proven(
        "时间、依据与答复类别是部门的说法,由其签名负责;询问方与问题由询问方自己的签名证明",
        "time, basis and kind of the answer are the department's signed word; who asked what, the asker's own signature proves",
    )
    return report


async def _seats(looks: Looks, report: Report, trust: Trust) -> dict[int, SeatView] | None:
    """Every seat that is named in the list, with its keys of all times; None when none can be had."""
    try:
        if trust.chain is not None:
            return {seat.number: seat for seat in await trust.chain.seats()}
    except Unavailable as error:
        report.unchecked(f"查不到席位:{error.detail}", f"the seats cannot be looked up: {error.detail_en}")
        return None
    if trust.kept is None:
        report.unchecked(
            "手头没有席位公钥,签名未核对:用 --node 与 --deployment,或 --keys",
            "no seat's keys are at hand, so no signature is checked: give --node and --deployment, or --keys",
        )
        return None
    return trust.kept.seats


async def _check_seat(
    each: SeatLooks, looks: Looks, seats: dict[int, SeatView], report: Report, trust: Trust, path: Path | None
) -> None:
    if each.seat not in seats:
        report.wrong(f"没有席位 {each.seat}", f"there is no seat {each.seat}")
        return
    seat = seats[each.seat]
    name = seat.keyset.name
    proven = []
    try:
        for access, told in each.parts:
            found = check_told(told, access, seat=seat, seats=seats, anchored=each.anchored)
            if found.statement.commitment != looks.subject.commitment:
                raise Refused(
                    "说明不是关于此人的", detail_en="the statement is about somebody else", code="wrong-subject"
                )
            proven.append(found)
    except LianbanError as error:
        report.wrong(
            f"{name['zh']}的说明不成立:{error.detail}", f"what {name['en']} told does not hold: {error.detail_en}"
        )
        return
    _tell(proven, seat, report)
    anchored = {index for found in proven for index in found.anchored}
    leaves = {index: leaf for found in proven for index, leaf in found.leaves.items()}
    if not leaves:
        return
    if trust.proofs is None:
        report.unchecked(
            f"未连节点:{name['zh']}的日志头是否已上链,未查",
            f"no node: whether the log of {name['en']} is anchored is not checked",
        )
        return
    try:
        await _check_chain(each, leaves, anchored, seat, trust.proofs, report, path)
    except Unavailable as error:
        report.unchecked(f"节点没有应答:{error.detail}", f"the node does not answer: {error.detail_en}")
    except Refused as error:
        report.wrong(error.detail, error.detail_en)


def _tell(proven: list[Proven], seat: SeatView, report: Report) -> None:
    """Shows what a department told, and says what its signature and the askers' prove."""
    name = seat.keyset.name
    asked = [look for found in proven for look in found.statement.looks]
    for look in asked:
        kinds = Counter(claim.kind for claim in look.claims)
        told = f"{look.outcome}" + (
            f" ({', '.join(f'{kind} {count}' for kind, count in kinds.items())})" if kinds else ""
        )
        report.shown.append(
            (
                f"{moment(look.at)} {name['zh']}",
                name["en"],
                f"席位 {look.asker} seat → {look.item} [{look.role}]: {told}",
            )
        )
    accesses = sum(len(found.statement.accesses) for found in proven)
    report.proven(
        f"{name['zh']}以证据密钥签名说明:关于此人的查询 {len(asked)} 次,本人查询本表 {accesses} 次;每次查询都有询问方的签名,"
        "且都在其签名的查询日志中",
        f"{name['en']} signed that it logged {len(asked)} questions about this person and {accesses} looks at this list; every "
        "question carries its asker's signature and is in the log that it names",
    )


async def _check_chain(
    each: SeatLooks,
    leaves: dict[int, bytes],
    anchored: set[int],
    seat: SeatView,
    proofs: Proofs,
    report: Report,
    path: Path | None,
) -> None:
    name = seat.keyset.name
    under = 0
    if each.anchored is not None and anchored:
        if not await proofs.was_anchored(each.anchored):
            report.wrong(f"{name['zh']}的日志头不在链上", f"the log head of {name['en']} is not on chain")
            return
        under = len(anchored)
    late = sorted(leaves.keys() - anchored)
    now = await proofs.anchored(each.seat) if late else None
    open_ = []
    for index in late:
        if now is None or now.size <= index or path is None:
            open_.append(index)
            continue
        try:
            nodes = await path(seat, index, now)
        except Unavailable:
            open_.append(index)
            continue
        if not await proofs.in_log(now, index, leaves[index], nodes):
            raise Refused(
                f"{name['zh']}第 {index} 条不在已锚定的日志中",
                detail_en=f"entry {index} of {name['en']} is not in its anchored log",
                code="not-logged",
            )
        under += 1
    if under:
        report.proven(
            f"{name['zh']}:{under} 条在链上已锚定的日志头之下,部门不能再删改",
            f"{name['en']}: {under} entries are under log heads anchored on chain; the department cannot change them any more",
        )
    if open_:
        report.unchecked(
            f"{name['zh']}:{len(open_)} 条已登记,尚未上链(第 {', '.join(map(str, open_))} 条)",
            f"{name['en']}: {len(open_)} entries are logged and not anchored yet ({', '.join(map(str, open_))})",
        )


def head_of(seat: int, value: object) -> Head | None:
    """The anchored head in a list. Raises ValueError, KeyError or TypeError when it is none."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise TypeError
    root = bytes.fromhex(str(value["root"]).removeprefix("0x"))
    if len(root) != 32 or to_hex(root) != value["root"]:
        raise ValueError
    return Head(seat=seat, size=int(value["size"]), root=root)


def _masked(identifier: str) -> str:
    return identifier[:3] + "*" * max(len(identifier) - 5, 0) + identifier[-2:]
