"""Acts: the calls to `Consortium` that only its council may make, and nothing else.

An act and its calldata say the same: `encode` and `decode` are inverse, and calldata that is not exactly an act's is
refused, so that what members read before they sign is what the chain will do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

from eth_abi.abi import decode as abi_decode
from eth_abi.abi import encode as abi_encode
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address

from orchestrator.domain.canonical import keccak
from orchestrator.domain.errors import Invalid
from orchestrator.ledger.abi import abi_type
from orchestrator.ledger.artifacts import load_artifact
from orchestrator.protocol.keyset import Keyset

NOBODY: Final = "0x0000000000000000000000000000000000000000"

StandingKind = Literal["suspend", "reinstate", "remove"]
KeysKind = Literal["admit", "recover", "succeed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeStanding:
    """Suspends, reinstates or removes a seat, at once."""

    kind: StandingKind
    seat: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveKeys:
    """Admits a seat, or replaces its keys after a delay: those of the same department (recover) or another's (succeed)."""

    kind: KeysKind
    seat: int
    signer: str
    """The new chain key's address, EIP-55."""
    document: bytes
    """The keyset document."""
    signature: bytes
    """The new signer's agreement, 65 bytes."""

    @property
    def keyset(self) -> Keyset | None:
        """The document read; None when it is no keyset of this seat, with which the seat would have no keys at all."""
        try:
            keyset = Keyset.parse(self.document)
        except Invalid:
            return None
        return keyset if keyset.seat == self.seat else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelChange:
    """Takes back a recovery or succession that is still to come."""

    seat: int
    change: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """Offers the ownership to another council, which has to take it over; to nobody: withdraws the offer."""

    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeOver:
    """Takes the ownership that was offered."""


Act = ChangeStanding | GiveKeys | CancelChange | HandOver | TakeOver

_FUNCTIONS: Final = (
    *("suspend", "reinstate", "remove", "admit", "recover", "succeed", "cancel"),
    *("transferOwnership", "acceptOwnership"),
)


def encode(act: Act) -> bytes:
    """The calldata of an act."""
    name, arguments = call_of(act)
    selector, types = _signatures()[name]
    return selector + abi_encode(types, arguments)


def decode(data: bytes) -> Act:
    """The act that calldata makes. Raises Invalid when it is none, or not written as `encode` writes it."""
    names = {selector: name for name, (selector, _) in _signatures().items()}
    name = names.get(data[:4])
    if name is None:
        raise _no_act()
    try:
        act = _act(name, abi_decode(_signatures()[name][1], data[4:]))
    except (DecodingError, ValueError, OverflowError):
        raise _no_act() from None
    if encode(act) != data:
        raise _no_act()
    return act


def title(act: Act) -> tuple[str, str]:
    """What an act does in one line, from its calldata alone: Chinese, English."""
    match act:
        case ChangeStanding(kind=kind, seat=seat):
            zh = {"suspend": "暂停", "reinstate": "恢复", "remove": "注销"}[kind]
            return f"{zh}席位 {seat}", f"{kind} seat {seat}"
        case GiveKeys(kind=kind, seat=seat):
            keyset = act.keyset
            who_zh, who_en = (keyset.name["zh"], keyset.name["en"]) if keyset else ("密钥文档无效", "no valid keyset")
            zh = {"admit": "接纳新席位", "recover": "补发密钥:席位", "succeed": "由新部门承接席位"}[kind]
            en = {"admit": "admit seat", "recover": "recover the keys of seat", "succeed": "let another take over seat"}
            return f"{zh} {seat}({who_zh})", f"{en[kind]} {seat} ({who_en})"
        case CancelChange(seat=seat, change=change):
            return f"撤回席位 {seat} 的第 {change} 次变更", f"take back change {change} of seat {seat}"
        case HandOver(to=to) if to == NOBODY:
            return "撤回理事会移交", "withdraw the offer to hand the council over"
        case HandOver(to=to):
            return f"把理事会移交给 {to}", f"hand the council over to {to}"
        case TakeOver():
            return "接任理事会", "take the council over"


def call_of(act: Act) -> tuple[str, tuple[Any, ...]]:
    """Function of `Consortium` and arguments that make an act."""
    match act:
        case ChangeStanding(kind=kind, seat=seat):
            return kind, (seat,)
        case GiveKeys(kind=kind, seat=seat, signer=signer, document=document, signature=signature):
            return kind, (seat, signer, document, signature)
        case CancelChange(seat=seat, change=change):
            return "cancel", (seat, change)
        case HandOver(to=to):
            return "transferOwnership", (to,)
        case TakeOver():
            return "acceptOwnership", ()


def _act(name: str, arguments: tuple[Any, ...]) -> Act:
    match name:
        case "suspend" | "reinstate" | "remove":
            return ChangeStanding(kind=name, seat=arguments[0])
        case "admit" | "recover" | "succeed":
            seat, signer, document, signature = arguments
            return GiveKeys(
                kind=name, seat=seat, signer=to_checksum_address(signer), document=document, signature=signature
            )
        case "cancel":
            return CancelChange(seat=arguments[0], change=arguments[1])
        case "transferOwnership":
            return HandOver(to=to_checksum_address(arguments[0]))
        case _:
            return TakeOver()


@cache
def _signatures() -> dict[str, tuple[bytes, list[str]]]:
    """Selector and argument types of every act's function, as the shipped artifact has them."""
    artifact = load_artifact("Consortium")
    found = {}
    for name in _FUNCTIONS:
        types = [abi_type(parameter) for parameter in artifact.entry("function", name)["inputs"]]
        found[name] = (keccak(f"{name}({','.join(types)})".encode())[:4], types)
    return found


def _no_act() -> Invalid:
    return Invalid(
        field="data",
        detail="提案中的调用不是理事会可作的决定",
        detail_en="the proposal's call is none of the council's acts",
        remedy="用 lianban council propose 重新生成提案 / make the proposal anew with lianban council propose",
        code="no-act",
    )
