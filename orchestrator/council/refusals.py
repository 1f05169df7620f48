"""Refusals: why the contract would not do what a council or a seat asks, and what to do instead."""

from __future__ import annotations

from typing import Any, Final

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address

from orchestrator.council.acts import Act, GiveKeys
from orchestrator.council.registry import Registry
from orchestrator.domain.canonical import keccak
from orchestrator.domain.errors import Refused
from orchestrator.ledger.abi import abi_type
from orchestrator.ledger.artifacts import load_artifact

_SEE: Final = "用 lianban council seats 查看现状 / see lianban council seats"

WORDS: Final[dict[str, tuple[str, str, str]]] = {
    "Consortium_SeatTaken": (
        "席位号 {seat} 已被使用过",
        "number {seat} was given before",
        "换一个从未用过的席位号 / take a number that was never given",
    ),
    "Consortium_WrongStanding": (
        "席位 {seat} 现为{standing_zh},不能这样做",
        "seat {seat} is {standing_en}, which does not allow this",
        _SEE,
    ),
    "Consortium_SignerUsed": (
        "密钥 {signer} 已用于某席位,不能再用",
        "key {signer} serves or served a seat",
        "部门另生成密钥,再给出同意书 / the department makes new keys and agrees anew",
    ),
    "Consortium_WrongSignature": (
        "席位 {seat} 缺少 {signer} 的有效签名;此后若又公告过变更,旧同意书失效",
        "seat {seat} lacks a valid signature of {signer}; an agreement from before another change counts no more",
        "部门用 lianban seat agree 重新给出同意书 / the department agrees anew with lianban seat agree",
    ),
    "Consortium_EmptyKeyset": (
        "密钥文档为空",
        "the keyset document is empty",
        "重新生成同意书 / make the agreement anew",
    ),
    "Consortium_ChangePending": (
        "席位 {seat} 已公告第 {change} 次变更,区块 {fromBlock} 生效,此前不能再公告",
        "change {change} of seat {seat} is announced for block {fromBlock}; one at a time",
        "等其生效,或先 cancel / wait until it is in force, or cancel it first",
    ),
    "Consortium_NoSuchChange": (
        "席位 {seat} 没有待生效的第 {change} 次变更:或已生效,或已被否决、撤回",
        "no change {change} of seat {seat} is still to come: it is in force by now, or was vetoed or cancelled",
        _SEE,
    ),
    "Consortium_NotTheCouncils": (
        "席位 {seat} 的第 {change} 次变更是其自行轮换,理事会不能撤回",
        "change {change} of seat {seat} is its own rotation: the council cannot take it back",
        "由该席位 lianban seat veto / the seat itself can veto it",
    ),
    "Consortium_CouncilNeeded": (
        "理事会不能空缺",
        "there is always a council",
        "用 hand-over 移交 / hand it over instead",
    ),
    "OwnableUnauthorizedAccount": (
        "{account} 不是该联盟的理事会",
        "{account} is not this consortium's council",
        _SEE,
    ),
}
"""By error: Chinese, English, remedy."""

_STANDINGS: Final = (("未接纳", "not admitted"), ("在用", "active"), ("暂停", "suspended"), ("注销", "removed"))


def explained(data: str) -> Refused:
    """The refusal in a revert's data, in words."""
    name, values = _error(data)
    if "standing" in values:
        values["standing_zh"], values["standing_en"] = _STANDINGS[values["standing"]]
    zh, en, remedy = WORDS.get(name, ("合约拒绝:{name}", "the contract refuses: {name}", _SEE))
    values["name"] = name
    return Refused(zh.format_map(values), detail_en=en.format_map(values), code=name, remedy=remedy)


def leaves_no_keys(act: Act, registry: Registry) -> None:
    """Raises Refused when the contract would take an act whose keyset document no reader of the chain accepts: the seat
    would hold a signer and no keys, so that nothing it says counts.

    Admitted and recovered seats have the id of their own department and no other seat's; a successor may bring a new one.
    """
    if not isinstance(act, GiveKeys):
        return
    keyset = act.keyset
    if keyset is None:
        raise _unusable("密钥文档不是该席位的有效文档", "the document is no keyset of this seat")
    present = registry.seats.get(act.seat)
    others = {seat.keyset.id for seat in registry.seats.values() if seat.keyset and seat.number != act.seat}
    if keyset.id in others:
        raise _unusable(f"部门 id {keyset.id} 已是其他席位的", f"id {keyset.id} is another seat's")
    renamed = present is not None and present.keyset is not None and keyset.id != present.keyset.id
    if act.kind == "recover" and renamed:
        raise _unusable(
            "补发不能更换部门", "a recovery cannot change the department", "换部门请用 succeed / use succeed"
        )


def _unusable(zh: str, en: str, remedy: str = "由部门重新给出同意书 / the department agrees anew") -> Refused:
    return Refused(
        f"{zh},执行后该席位将没有可用密钥",
        detail_en=f"{en}: the seat would be left without keys",
        code="no-usable-keys",
        remedy=remedy,
    )


def _error(data: str) -> tuple[str, dict[str, Any]]:
    """Name and arguments of a custom error; the data itself when it is none of ours."""
    for entry in load_artifact("Consortium").abi:
        if entry["type"] != "error":
            continue
        types = [abi_type(parameter) for parameter in entry["inputs"]]
        if keccak(f"{entry['name']}({','.join(types)})".encode())[:4].hex() != data[2:10]:
            continue
        try:
            values = decode(types, bytes.fromhex(data[10:]))
        except (DecodingError, ValueError):
            break
        named = zip(entry["inputs"], values, strict=True)
        return entry["name"], {
            parameter["name"]: to_checksum_address(value) if parameter["type"] == "address" else value
            for parameter, value in named
        }
    return data, {}
