"""Sheets and the other statements that a seat signs for the chain: EIP-712 digests, exactly as the contracts compute
them.

The digests are joined by hand (a 256-transition sheet in well under a millisecond) and compared in tests with an
independent implementation. All 32-byte values are `bytes`, addresses are `0x…` strings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Self

from orchestrator.domain import suite
from orchestrator.domain.canonical import from_hex, keccak, to_hex
from orchestrator.domain.case import Status
from orchestrator.domain.errors import Refused
from orchestrator.protocol.holders import address_of

__all__ = [
    "Binding",
    "Domain",
    "Statement",
    "Status",
    "Transition",
    "admission_digest",
    "binding_digest",
    "case_commitment",
    "head_digest",
    "publication_digest",
    "recover",
    "recovery_digest",
    "retirement_digest",
    "rotation_digest",
    "sheet_digest",
    "succession_digest",
    "texts_digest",
    "unpack_step",
    "veto_digest",
]

MAX_TRANSITIONS: Final = 256
"""Most transitions in a batch: a sheet covers them by a bitmap of 256 bits."""

_DOMAIN_TYPE: Final = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_DOMAIN: Final = keccak(_DOMAIN_TYPE.encode())
_NAME: Final = "Lianban"
_VERSION: Final = "1"
_TRANSITION_TYPE: Final = "Transition(bytes32 caseId,bytes32 dossierRoot,uint64 step)"
_TRANSITION: Final = keccak(_TRANSITION_TYPE.encode())
_SHEET: Final = "Sheet(uint8 seat,uint64 validUntil,Transition[] transitions)"
_HEAD: Final = "Head(uint8 seat,uint64 size,bytes32 root)"
_ADMISSION: Final = "Admission(uint8 seat,address signer,bytes32 keysetHash)"
_ROTATION: Final = "Rotation(uint8 seat,address signer,bytes32 keysetHash,uint64 fromBlock,uint32 change)"
_RECOVERY: Final = "Recovery(uint8 seat,address signer,bytes32 keysetHash,uint32 change)"
_SUCCESSION: Final = "Succession(uint8 seat,address signer,bytes32 keysetHash,uint32 change)"
_VETO: Final = "Veto(uint8 seat,uint32 change)"
_PUBLICATION: Final = "Publication(string scenario,bytes32 version,bytes32 texts,uint8 publisher)"
_TEXTS: Final = "Texts(bytes32 version,bytes32 texts,uint32 revision,uint8 publisher)"
_BINDING: Final = (
    "Binding(bytes32 version,uint32 region,uint8 identity,uint8 operator,uint8[] approvers,uint8[] providers,"
    "uint64 validUntil)"
)
_RETIREMENT: Final = "Retirement(uint40 binding,uint8 seat)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """The chain and contract that a statement is for; on another it does not count (I4)."""

    chain_id: int
    contract: str
    """Address of the verifying contract."""
    separator: bytes = field(init=False, repr=False, compare=False)
    """EIP-712 domain separator, 32 bytes."""

    def __post_init__(self) -> None:
        fixed = keccak(_NAME.encode()) + keccak(_VERSION.encode())
        separator = keccak(_DOMAIN + fixed + _uint(self.chain_id, 256) + _address(self.contract))
        object.__setattr__(self, "separator", separator)


class Statement(bytes):
    """What a seat signs on chain: the 32 bytes of the EIP-712 digest, which know what they say.

    A key in memory signs the bytes. A signer elsewhere is given the statement itself, as `preimage` or `typed_data`, and hashes it
    on its own: so it can say what it signs, and keep a rule about it.
    """

    domain: Domain
    preimage: bytes
    """`0x1901 ‖ domain separator ‖ hash of the struct`, 66 bytes: its Keccak hash is the digest."""
    _type: str
    _fields: tuple[Any, ...]

    @classmethod
    def of(cls, domain: Domain, type_: str, struct: bytes, fields: tuple[Any, ...]) -> Self:
        """A statement of a type (EIP-712 `encodeType`) whose `fields` stand in its order and are encoded in `struct`."""
        preimage = b"\x19\x01" + domain.separator + keccak(_type_hash(type_) + struct)
        statement = cls(keccak(preimage))
        statement.domain, statement.preimage, statement._type, statement._fields = domain, preimage, type_, fields
        return statement

    def typed_data(self) -> dict[str, Any]:
        """The JSON that `eth_signTypedData_v4` takes. Numbers that JavaScript would round are texts."""
        name, members = _members(self._type)
        types = {"EIP712Domain": _members(_DOMAIN_TYPE)[1], name: members}
        if self._type == _SHEET:
            types["Transition"] = _members(_TRANSITION_TYPE)[1]
        return {
            "types": types,
            "primaryType": name,
            "domain": {
                "name": _NAME,
                "version": _VERSION,
                "chainId": self.domain.chain_id,
                "verifyingContract": self.domain.contract,
            },
            "message": {each["name"]: _json(value) for each, value in zip(members, self._fields, strict=True)},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One move of one case. Raises ValueError when a part is out of range."""

    case_id: bytes
    """32 bytes."""
    root: bytes
    """Root of the dossier, 32 bytes, never zero."""
    status: Status
    """Where the case goes; not NONE."""
    sequence: int
    """1 for a case's first transition, then one more each time; 16 bits."""
    binding: int
    """Number of the binding in the catalog, 40 bits."""

    def __post_init__(self) -> None:
        _bytes32(self.case_id)
        _bytes32(self.root)
        if self.status == Status.NONE or self.root == bytes(32):
            raise ValueError("a transition has a status and a dossier")
        if not 0 < self.sequence < 1 << 16 or not 0 < self.binding < 1 << 40:
            raise ValueError("sequence or binding out of range")

    @property
    def step(self) -> int:
        """`status << 56 | sequence << 40 | binding`, 64 bits."""
        return int(self.status) << 56 | self.sequence << 40 | self.binding


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A scenario version put to work in a region: which seats play its roles."""

    version: bytes
    region: int
    """GB/T 2260 as a number."""
    identity: int
    operator: int
    approvers: tuple[int, ...]
    """In the order of the definition; the first leads."""
    providers: tuple[int, ...]
    """In the order of the definition."""
    valid_until: int
    """Last second (UTC) at which the proposal may be bound."""

    @property
    def struct(self) -> tuple[bytes, int, int, int, tuple[int, ...], tuple[int, ...], int]:
        """The fields in the order in which the Catalog takes them."""
        return (
            self.version,
            self.region,
            self.identity,
            self.operator,
            self.approvers,
            self.providers,
            self.valid_until,
        )

    @property
    def named(self) -> tuple[int, ...]:
        """Every seat named, ascending, each once: the order of the signatures."""
        return tuple(sorted({self.identity, self.operator, *self.approvers, *self.providers}))


def unpack_step(step: int) -> tuple[Status, int, int]:
    """Status, sequence and binding of a packed step. Raises ValueError for an unknown status or a wider number."""
    if not 0 <= step < 1 << 64:
        raise ValueError("a step has 64 bits")
    return Status(step >> 56), step >> 40 & 0xFFFF, step & 0xFF_FFFF_FFFF


def case_commitment(before: int, step: int, root: bytes) -> int:
    """The 192-bit rolling commitment to a case's dossiers after one more transition; 0 before the first."""
    joined = _uint(before, 192) + _uint(step, 64) + _bytes32(root)
    return int.from_bytes(keccak(joined)[8:], "big")


def sheet_digest(domain: Domain, seat: int, valid_until: int, transitions: Sequence[Transition]) -> Statement:
    """What a seat signs to co-sign `transitions`, which stand in batch order.

    Raises ValueError for none or over 256.
    """
    if not 0 < len(transitions) <= MAX_TRANSITIONS:
        raise ValueError("a sheet covers 1 to 256 transitions")
    rows = b"".join(keccak(_TRANSITION + row.case_id + row.root + row.step.to_bytes(32, "big")) for row in transitions)
    struct = _uint(seat, 8) + _uint(valid_until, 64) + keccak(rows)
    return Statement.of(domain, _SHEET, struct, (seat, valid_until, tuple(transitions)))


def head_digest(domain: Domain, seat: int, size: int, root: bytes) -> Statement:
    """What a seat signs to state its query log's head."""
    return Statement.of(domain, _HEAD, _uint(seat, 8) + _uint(size, 64) + _bytes32(root), (seat, size, root))


def admission_digest(domain: Domain, seat: int, signer: str, keyset_hash: bytes) -> Statement:
    """What a seat's new signer signs to be admitted."""
    struct = _uint(seat, 8) + _address(signer) + _bytes32(keyset_hash)
    return Statement.of(domain, _ADMISSION, struct, (seat, signer, keyset_hash))


def rotation_digest(
    domain: Domain, seat: int, signer: str, keyset_hash: bytes, from_block: int, change: int
) -> Statement:
    """What the old and the new signer sign for keys in force from a block on; `change` is the seat's next announcement."""
    keys = _uint(seat, 8) + _address(signer) + _bytes32(keyset_hash)
    struct = keys + _uint(from_block, 64) + _uint(change, 32)
    return Statement.of(domain, _ROTATION, struct, (seat, signer, keyset_hash, from_block, change))


def recovery_digest(domain: Domain, seat: int, signer: str, keyset_hash: bytes, change: int) -> Statement:
    """What the new signer of a department that lost its key signs for the council to announce."""
    struct = _uint(seat, 8) + _address(signer) + _bytes32(keyset_hash) + _uint(change, 32)
    return Statement.of(domain, _RECOVERY, struct, (seat, signer, keyset_hash, change))


def succession_digest(domain: Domain, seat: int, signer: str, keyset_hash: bytes, change: int) -> Statement:
    """What the department that takes over a seat signs for the council to announce."""
    struct = _uint(seat, 8) + _address(signer) + _bytes32(keyset_hash) + _uint(change, 32)
    return Statement.of(domain, _SUCCESSION, struct, (seat, signer, keyset_hash, change))


def veto_digest(domain: Domain, seat: int, change: int) -> Statement:
    """What a seat's signer in force signs to refuse an announced change of its keys."""
    return Statement.of(domain, _VETO, _uint(seat, 8) + _uint(change, 32), (seat, change))


def publication_digest(domain: Domain, scenario: str, version: bytes, texts: bytes, publisher: int) -> Statement:
    """What a publisher signs over a scenario version and its texts."""
    body = keccak(scenario.encode()) + _bytes32(version) + _bytes32(texts) + _uint(publisher, 8)
    return Statement.of(domain, _PUBLICATION, body, (scenario, version, texts, publisher))


def texts_digest(domain: Domain, version: bytes, texts: bytes, revision: int, publisher: int) -> Statement:
    """What a publisher signs over new texts of a version."""
    struct = _bytes32(version) + _bytes32(texts) + _uint(revision, 32) + _uint(publisher, 8)
    return Statement.of(domain, _TEXTS, struct, (version, texts, revision, publisher))


def binding_digest(domain: Domain, binding: Binding) -> Statement:
    """What every seat named in a binding signs."""
    body = (
        _bytes32(binding.version),
        _uint(binding.region, 32),
        _uint(binding.identity, 8),
        _uint(binding.operator, 8),
        _seats(binding.approvers),
        _seats(binding.providers),
        _uint(binding.valid_until, 64),
    )
    return Statement.of(domain, _BINDING, b"".join(body), binding.struct)


def retirement_digest(domain: Domain, binding: int, seat: int) -> Statement:
    """What a named seat signs to end a binding for new cases."""
    return Statement.of(domain, _RETIREMENT, _uint(binding, 40) + _uint(seat, 8), (binding, seat))


def recover(digest: bytes, signature: bytes) -> str:
    """The address (EIP-55) whose key signed `digest`.

    Raises Refused(code="bad-signature") for what the contracts would not take either: not 65 bytes, v other than 27 or
    28, a high s, no such point.
    """
    try:
        return address_of(suite.chain_recover(digest, signature))
    except ValueError:
        raise _bad_signature() from None


@cache
def _type_hash(type_: str) -> bytes:
    return keccak((type_ + (_TRANSITION_TYPE if type_ == _SHEET else "")).encode())


def _members(type_: str) -> tuple[str, list[dict[str, str]]]:
    """Name and members of a struct type as EIP-712 writes it."""
    name, _, rest = type_.rstrip(")").partition("(")
    return name, [{"name": each.split(" ")[1], "type": each.split(" ")[0]} for each in rest.split(",")]


def _json(value: Any) -> Any:
    match value:
        case bytes():
            return to_hex(value)
        case Transition():
            return {"caseId": to_hex(value.case_id), "dossierRoot": to_hex(value.root), "step": str(value.step)}
        case tuple():
            return [_json(each) for each in value]
        case int() if value > 1 << 53:
            return str(value)
        case _:
            return value


def _uint(value: int, bits: int) -> bytes:
    if not 0 <= value < 1 << bits:
        raise ValueError(f"not a uint{bits}")
    return value.to_bytes(32, "big")


def _bytes32(value: bytes) -> bytes:
    if not isinstance(value, bytes) or len(value) != 32:
        raise ValueError("expected 32 bytes")
    return value


def _address(text: str) -> bytes:
    return bytes(12) + from_hex(text, 20)


def _seats(numbers: Sequence[int]) -> bytes:
    return keccak(b"".join(_uint(number, 8) for number in numbers))


def _bad_signature() -> Refused:
    return Refused(
        "链上签名无效", code="bad-signature", detail_en="the chain signature does not hold", remedy="请重新签名"
    )
