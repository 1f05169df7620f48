"""Agreements: what a department hands to the council so that it can give it a seat, or new keys for one.

The file holds the keyset document and the new chain key's signature over it, for one act, one seat and one consortium. The
council can use it for nothing else, and only as long as no other change of that seat's keys was announced meanwhile.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from eth_utils.address import to_checksum_address
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from orchestrator.council.acts import GiveKeys, KeysKind
from orchestrator.domain.canonical import keccak, to_hex
from orchestrator.domain.errors import Invalid, LianbanError
from orchestrator.ledger.deployments import write_json
from orchestrator.protocol.holders import ChainHolder
from orchestrator.protocol.keyset import Keyset
from orchestrator.protocol.sheet import Domain, admission_digest, recover, recovery_digest, succession_digest

FORMAT: Final = "lianban.council.agreement.v1"
_MOST_BYTES: Final = 1 << 19


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A new signer's agreement to hold a seat."""

    kind: KeysKind
    chain_id: int
    consortium: str
    """EIP-55."""
    keyset: Keyset
    signer: str
    """EIP-55."""
    change: int
    """The announcement that it is for: one more than the seat has had. 0 for an admission."""
    signature: bytes
    """65 bytes."""

    def act(self) -> GiveKeys:
        """What the council is to do with it."""
        return GiveKeys(
            kind=self.kind,
            seat=self.keyset.seat,
            signer=self.signer,
            document=self.keyset.document(),
            signature=self.signature,
        )


def agree(kind: KeysKind, domain: Domain, keyset: Keyset, account: ChainHolder, change: int) -> Agreement:
    """The agreement of a new signer; `change` is 0 for an admission, else the number of the change to come."""
    return Agreement(
        kind=kind,
        chain_id=domain.chain_id,
        consortium=to_checksum_address(domain.contract),
        keyset=keyset,
        signer=account.address,
        change=change,
        signature=account.sign_hash(_digest(kind, domain, keyset, account.address, change)),
    )


def write_agreement(file: Path, agreement: Agreement) -> None:
    """Writes the file whole or not at all."""
    write_json(
        file,
        {
            "format": FORMAT,
            "kind": agreement.kind,
            "chain_id": agreement.chain_id,
            "consortium": agreement.consortium,
            "signer": agreement.signer,
            "change": agreement.change,
            "keyset": agreement.keyset.document().decode(),
            "signature": to_hex(agreement.signature),
        },
    )


def read_agreement(file: Path) -> Agreement:
    """The agreement in a file. Raises Invalid when it is none or its signature does not hold."""
    try:
        content = file.read_bytes()
    except OSError:
        raise _faulty(file.name, "无法读取", "cannot be read") from None
    return parse_agreement(content)


def parse_agreement(content: bytes) -> Agreement:
    """The agreement in a file's content. Raises Invalid as `read_agreement` does."""
    try:
        if len(content) > _MOST_BYTES:
            raise _faulty("file", "过大", "is too large")
        document = _Document.model_validate(json.loads(content))
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "file"
        raise _faulty(where, "不符合格式", "is not as it must be") from None
    except (ValueError, RecursionError):
        raise _faulty("file", "不是 JSON", "is no JSON") from None
    try:
        keyset = Keyset.parse(document.keyset.encode())
    except Invalid as error:
        raise _faulty(f"keyset.{error.field}", "不符合规范", "is not as specified") from None
    for field in ("consortium", "signer"):
        if to_checksum_address(getattr(document, field)) != getattr(document, field):
            raise _faulty(field, "大小写校验不符", "has a wrong checksum (EIP-55)")
    if (document.kind == "admit") != (document.change == 0):
        raise _faulty("change", "与用途不符", "does not fit the kind")
    domain = Domain(chain_id=document.chain_id, contract=document.consortium)
    signature = bytes.fromhex(document.signature[2:])
    digest = _digest(document.kind, domain, keyset, document.signer, document.change)
    if not _is_by(document.signer, digest, signature):
        raise _faulty("signature", "不是新密钥所签", "is not by the new key")
    return Agreement(
        kind=document.kind,
        chain_id=document.chain_id,
        consortium=document.consortium,
        keyset=keyset,
        signer=document.signer,
        change=document.change,
        signature=signature,
    )


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    format: Literal["lianban.council.agreement.v1"]
    kind: Literal["admit", "recover", "succeed"]
    chain_id: Annotated[int, Field(gt=0, lt=1 << 64)]
    consortium: Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$")]
    signer: Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$")]
    change: Annotated[int, Field(ge=0, lt=1 << 32)]
    keyset: str
    signature: Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{130}$")]


def _digest(kind: KeysKind, domain: Domain, keyset: Keyset, signer: str, change: int) -> bytes:
    keyset_hash = keccak(keyset.document())
    match kind:
        case "admit":
            return admission_digest(domain, keyset.seat, signer, keyset_hash)
        case "recover":
            return recovery_digest(domain, keyset.seat, signer, keyset_hash, change)
        case "succeed":
            return succession_digest(domain, keyset.seat, signer, keyset_hash, change)


def _is_by(signer: str, digest: bytes, signature: bytes) -> bool:
    try:
        return recover(digest, signature) == signer
    except LianbanError:
        return False


def _faulty(field: str, problem: str, problem_en: str) -> Invalid:
    return Invalid(
        field=field,
        detail=f"同意书文件中 {field} {problem}",
        detail_en=f"{field} of the agreement {problem_en}",
        remedy="由部门用 lianban seat agree 重新生成 / the department makes it anew with lianban seat agree",
        code="faulty-agreement",
    )
