"""Checking a credential as its holder shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from orchestrator.domain.canonical import to_hex
from orchestrator.domain.case import Status
from orchestrator.domain.credential_type import HEADER, CredentialType, integrity
from orchestrator.domain.errors import Invalid, LianbanError, Refused, Unavailable
from orchestrator.domain.identifiers import credential_identifier_problem
from orchestrator.protocol.credential import CredentialView, Presentation, read_credential
from orchestrator.protocol.keybinding import read_binding
from orchestrator.protocol.ports import ChainView, SeatView
from orchestrator.protocol.wire import CLOCK_SKEW
from orchestrator.verify.papers import Receipt
from orchestrator.verify.receipts import check_leaves, signers, status_words, tell_ledger
from orchestrator.verify.report import Report, moment
from orchestrator.verify.signer import signer_of
from orchestrator.verify.trust import Trust

FRESH: Final = 300
"""Seconds for which a key binding counts as fresh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who reads a presentation: what the holder was asked to bind it to."""

    audience: str | None = None
    nonce: str | None = None


async def check_credential(
    shown: Presentation,
    trust: Trust,
    *,
    reader: Reader | None = None,
    types: Iterable[bytes] = (),
    receipt: Receipt | None = None,
) -> Report:
    """What a credential proves. `types` are type metadata documents, of which the one that it hashes is used."""
    report = Report("电子证照", "credential")
    seat = await signer_of(shown.jwt, report, trust)
    if seat is None:
        return report
    try:
        view = read_credential(shown.jwt, shown.disclosures, seat.key_of("evidence", shown.jwt))
    except (Refused, Invalid) as error:
        report.wrong(f"签名或内容不符:{error.detail}", f"signature or content is wrong: {error.detail_en}")
        return report
    _tell_issuer(report, view, seat)
    _tell_type(report, view, types)
    _check_header(report, view, seat)
    _check_term(report, view, trust.now)
    _check_holder(report, shown, view, reader or Reader(), trust.now)
    await _check_standing(report, view, seat.number, trust)
    await _check_receipt(report, view, receipt, trust)
    report.not_proven(
        "所记内容是签发部门的说法;它是否符合事实,由该部门负责",
        "what it says is the issuing department's word; that it is true, that department answers for",
    )
    return report


def _tell_issuer(report: Report, view: CredentialView, seat: SeatView) -> None:
    name = seat.keyset.name
    report.proven(
        f"由席位 {seat.number} {name['zh']}以当日密钥于 {moment(view.iat)} 签发,一字未改",
        f"issued by seat {seat.number}, {name['en']}, by its key of that day, at {moment(view.iat)}; unchanged since",
    )
    if not seat.active:
        report.not_proven(
            "该席位现已停用:若因密钥失窃,倒签的可能要靠链上状态排除",
            "that seat is suspended now: if its key was stolen, only the state on chain rules out a date in the past",
        )
    hidden = view.claims_in_all - len(view.claims)
    if hidden:
        report.not_proven(
            f"另有 {hidden} 项未出示,内容不得而知", f"{hidden} more claims are not shown; what they say is not known"
        )


def _tell_type(report: Report, view: CredentialView, types: Iterable[bytes]) -> None:
    """Names the claims, in the issuer's words where its type metadata is at hand."""
    labels = dict(HEADER)
    document = next((each for each in types if integrity(each) == view.integrity), None)
    if document is not None:
        try:
            kind = CredentialType.checked(document, vct=view.vct, hashed=view.integrity)
        except LianbanError as error:
            report.wrong(f"证照类型说明不符:{error.detail}", f"the type metadata does not fit: {error.detail_en}")
            return
        labels = kind.labels()
        report.zh, report.en = f"电子证照 {kind.name['zh']}", f"credential: {kind.name['en']}"
    else:
        report.not_proven(
            f"没有摘要为 {view.integrity} 的类型说明:各项名称按通用叫法",
            "its type metadata is not at hand: claims are called by their common names",
        )
    order = {claim: place for place, claim in enumerate(labels)}
    for claim in sorted(view.claims, key=lambda name: (order.get(name, len(order)), name)):
        zh, en = labels.get(claim, (claim, ""))
        report.shown.append((zh, en, view.claims[claim]))


def _check_header(report: Report, view: CredentialView, seat: SeatView) -> None:
    """The identifier's check character, and that the header's parts agree with each other and with the issuing seat."""
    claims = view.claims
    identifier = claims.get("licence_identifier")
    if identifier is not None:
        problem = credential_identifier_problem(str(identifier))
        if problem is not None:
            report.wrong(f"证照标识不正确:{problem[0]}", f"the identifier is wrong: {problem[1]}")
            return
        parts = str(identifier).split(".")
        same = all(
            claims.get(name, part) == part
            for name, part in (("licence_type_code", parts[5]), ("issuer_code", parts[6]))
        )
        report.judge(
            same,
            ("证照标识及其校验位正确(GB/T 36904)", "the identifier and its check character are right (GB/T 36904)"),
            ("证照标识与类型代码或颁发机构代码不一致", "the identifier disagrees with type code or issuer's code"),
        )
    codes = {each.uscc for each in (seat.keyset, *(past.keyset for past in seat.past))}
    if claims.get("issuer_code", seat.keyset.uscc) not in codes:
        report.wrong("颁发机构代码不是该席位的", "the issuer's code is not that seat's")


def _check_term(report: Report, view: CredentialView, now: int) -> None:
    if view.iat > now + CLOCK_SKEW:
        report.wrong("签发时间在未来", "it is issued in the future")
    if view.exp is not None:
        report.judge(
            now < view.exp,
            (f"在有效期内,至 {moment(view.exp)}", f"it is within its term, until {moment(view.exp)}"),
            (f"已于 {moment(view.exp)} 过期", f"it expired at {moment(view.exp)}"),
        )


def _check_holder(report: Report, shown: Presentation, view: CredentialView, reader: Reader, now: int) -> None:
    if view.holder is None:
        if shown.binding is not None:
            report.wrong(
                "证照未绑定密钥,却附有密钥绑定", "there is a key binding, but the credential is bound to no key"
            )
        report.not_proven(
            "证照未绑定持证人的密钥:谁拿到文件都能出示",
            "it is bound to no key of its holder: whoever has the file can show it",
        )
        return
    if shown.binding is None:
        tell = report.wrong if reader.audience or reader.nonce else report.not_proven
        tell("未附密钥绑定:出示人未必是持证人", "there is no key binding: who shows it need not be its holder")
        return
    try:
        binding = read_binding(shown, view.holder)
    except Refused as error:
        report.wrong(error.detail, error.detail_en)
        return
    report.proven(
        f"持证人以所绑定的密钥出示,给“{binding.audience}”,随机数 {binding.nonce},时间 {moment(binding.made_at)}",
        f"shown by its holder, by the key that it is bound to, to “{binding.audience}”, nonce {binding.nonce}, at "
        f"{moment(binding.made_at)}",
    )
    if reader.audience is None or reader.nonce is None:
        report.not_proven(
            "未给 --audience 与 --nonce:这次出示是否给您的,请自行核对",
            "without --audience and --nonce: make sure yourself that it was meant for you",
        )
        return
    if (binding.audience, binding.nonce) != (reader.audience, reader.nonce):
        report.wrong("这次出示不是给您的,或是旧的", "it was shown to somebody else, or at another time")
    elif not now - FRESH <= binding.made_at <= now + CLOCK_SKEW:
        report.wrong(f"这次出示不在最近 {FRESH} 秒内", f"it was not shown within the last {FRESH} seconds")


async def _check_standing(report: Report, view: CredentialView, issuer: int, trust: Trust) -> None:
    ref = view.status
    if not tell_ledger(report, trust, ref.chain_id, ref.ledger):
        return
    if trust.chain is None:
        report.unchecked(
            "未连节点:是否仍有效、有无撤销,未查",
            "no node: whether it counts still, or was revoked, is not checked",
        )
        return
    try:
        await _ask_standing(report, view, issuer, trust.chain)
        if trust.proofs is not None:
            await signers(report, ref.case, trust.proofs, trust.chain)
    except Unavailable as error:
        report.unchecked(f"节点没有应答:{error.detail}", f"the node does not answer: {error.detail_en}")
    except (Refused, Invalid) as error:
        report.wrong(f"链上查验不符:{error.detail}", f"the chain says otherwise: {error.detail_en}")


async def _ask_standing(report: Report, view: CredentialView, issuer: int, chain: ChainView) -> None:
    status, sequence, number = await chain.status_of(view.status.case)
    zh, en = status_words(status)
    if status is Status.NONE:
        report.wrong("链上没有这个办件", "the chain has no such case")
        return
    if status is Status.SUSPENDED:
        report.wrong(
            f"链上状态:{zh},第 {sequence} 步:所依据的数据被召回,正在复核。证照现不作数,复核后可能恢复,请届时再查",
            f"on chain: {en}, step {sequence}: data under it was taken back and it is being looked at again. It does not count "
            "now and may count again: check again later",
        )
    else:
        report.judge(
            status is Status.APPROVED,
            (f"链上状态:{zh},第 {sequence} 步,现仍有效", f"on chain: {en}, step {sequence}; it counts now"),
            (f"链上状态:{zh},证照不作数", f"on chain: {en}: the credential does not count"),
        )
    binding = await chain.binding(number)
    scenario, _, _ = await chain.version(binding.version)
    report.judge(
        binding.approvers[0] == issuer,
        (
            f"签发席位是该办件的牵头审批部门(落地 {number},场景 {scenario})",
            f"the issuer leads the approvers of that case (binding {number}, scenario {scenario})",
        ),
        ("签发席位不是该办件的牵头审批部门", "the issuer is not the lead approver of that case"),
    )


async def _check_receipt(report: Report, view: CredentialView, receipt: Receipt | None, trust: Trust) -> None:
    if receipt is None:
        report.not_proven(
            "是否就是案卷中的那一份:加 --receipt 办件回执可证",
            "that it is the one in the case's dossier: give --receipt to prove it",
        )
        return
    mine = [each for each in receipt.leaves if each[0].kind == "credential" and to_hex(each[0].content) == view.hash]
    if receipt.case != view.status.case or not mine:
        report.wrong("不是回执所指案卷中的那一份", "it is not the one in the dossier that the receipt is of")
        return
    await check_leaves(report, receipt, mine, trust)
