"""Proposals: an act of a Safe as a file that its members sign, copy and put together again.

The file holds what a member signs over (chain, Safe, nonce, call) and the signatures given. Its words are for whoever
opens it in an editor: readers make them anew from the call and refuse a file whose words say something else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from eth_utils.address import to_checksum_address
from hexbytes import HexBytes
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from safe_eth.eth import EthereumClient
from safe_eth.safe import SafeTx
from safe_eth.safe.enums import SafeOperationEnum

from orchestrator.council.acts import NOBODY, Act, decode, encode, title
from orchestrator.domain.canonical import to_hex
from orchestrator.domain.errors import Invalid, LianbanError
from orchestrator.ledger.deployments import write_json
from orchestrator.protocol.keyset import SigningAccount
from orchestrator.protocol.sheet import recover

FORMAT: Final = "lianban.council.proposal.v1"
_MOST_BYTES: Final = 1 << 20
"""A proposal holds at most one keyset document: far less than this."""

_NO_NODE: Final = EthereumClient()
"""SafeTx wants a client, which it asks for nothing when nonce, version and chain are given; making one opens nothing."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A call that a Safe is to make, with the signatures of its owners so far. Addresses are EIP-55."""

    chain_id: int
    safe: str
    version: str
    """The Safe's release: it decides how the signed hash is made."""
    nonce: int
    to: str
    """The `Consortium`."""
    data: bytes
    signatures: Mapping[str, bytes]
    """Owner to signature, 65 bytes; each was made over `hash` by that owner."""

    @cached_property
    def act(self) -> Act:
        """What the call does. Raises Invalid when it is no act of a council."""
        return decode(self.data)

    @cached_property
    def hash(self) -> bytes:
        """The EIP-712 hash that owners sign (`SafeTx`), 32 bytes; the Safe's own `getTransactionHash` gives the same."""
        return bytes(self.transaction(_NO_NODE).safe_tx_hash)

    def transaction(self, client: EthereumClient, signers: frozenset[str] | None = None) -> SafeTx:
        """The Safe's transaction: a plain call without value, gas refund or delegation, with the signatures of `signers`."""
        ordered = sorted(self.signatures if signers is None else self.signatures.keys() & signers, key=str.lower)
        return SafeTx(
            client,
            to_checksum_address(self.safe),
            to_checksum_address(self.to),
            0,
            self.data,
            SafeOperationEnum.CALL,
            0,
            0,
            0,
            to_checksum_address(NOBODY),
            to_checksum_address(NOBODY),
            signatures=HexBytes(b"".join(self.signatures[owner] for owner in ordered)),
            safe_nonce=self.nonce,
            safe_version=self.version,
            chain_id=self.chain_id,
        )

    def signed(self, account: SigningAccount) -> Proposal:
        """The proposal with this account's signature."""
        return self._with({account.address: account.sign_hash(self.hash)})

    def merged(self, other: Proposal) -> Proposal:
        """The proposal with the signatures of another copy as well. Raises Invalid when that is of another proposal."""
        if other.hash != self.hash:
            raise Invalid(
                field="file",
                detail="两份文件不是同一提案",
                detail_en="the files are of different proposals",
                remedy="只合并同一提案的副本 / merge copies of one proposal only",
                code="other-proposal",
            )
        return self._with(other.signatures)

    def _with(self, signatures: Mapping[str, bytes]) -> Proposal:
        return replace(self, signatures=MappingProxyType({**self.signatures, **signatures}))


def propose(*, chain_id: int, safe: str, version: str, nonce: int, consortium: str, act: Act) -> Proposal:
    """A new proposal, signed by nobody."""
    return Proposal(
        chain_id=chain_id,
        safe=safe,
        version=version,
        nonce=nonce,
        to=consortium,
        data=encode(act),
        signatures=MappingProxyType({}),
    )


def write_proposal(file: Path, proposal: Proposal) -> None:
    """Writes the file whole or not at all."""
    zh, en = title(proposal.act)
    write_json(
        file,
        {
            "format": FORMAT,
            "effect": {"zh": zh, "en": en},
            "chain_id": proposal.chain_id,
            "safe": proposal.safe,
            "version": proposal.version,
            "nonce": proposal.nonce,
            "to": proposal.to,
            "data": to_hex(proposal.data),
            "hash": to_hex(proposal.hash),
            "signatures": [
                {"owner": owner, "signature": to_hex(signature)} for owner, signature in proposal.signatures.items()
            ],
        },
    )


def read_proposal(file: Path) -> Proposal:
    """The proposal in a file. Raises Invalid when it is none, when its words or its hash are not those of its call, or when
    a signature is not its owner's."""
    try:
        content = file.read_bytes()
    except OSError:
        raise _faulty(file.name, "无法读取", "cannot be read") from None
    return parse_proposal(content)


def parse_proposal(content: bytes) -> Proposal:
    """The proposal in a file's content. Raises Invalid as `read_proposal` does."""
    try:
        if len(content) > _MOST_BYTES:
            raise _faulty("file", "过大", "is too large")
        document = _Document.model_validate(json.loads(content, object_pairs_hook=_distinct))
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "file"
        raise _faulty(where, "不符合格式", "is not as it must be") from None
    except (ValueError, RecursionError):
        raise _faulty("file", "不是 JSON", "is no JSON") from None
    proposal = Proposal(
        chain_id=document.chain_id,
        safe=_address(document.safe, "safe"),
        version=document.version,
        nonce=document.nonce,
        to=_address(document.to, "to"),
        data=bytes.fromhex(document.data[2:]),
        signatures=MappingProxyType({}),
    )
    if (document.effect.zh, document.effect.en) != title(proposal.act):
        raise _faulty("effect", "与调用不符,文件被改动过", "is not what the call does: somebody changed the file")
    if document.hash != to_hex(proposal.hash):
        raise _faulty("hash", "与内容不符,文件被改动过", "is not the content's: somebody changed the file")
    signatures: dict[str, bytes] = {}
    for position, each in enumerate(document.signatures):
        owner, signature = _address(each.owner, f"signatures.{position}.owner"), bytes.fromhex(each.signature[2:])
        if owner in signatures:
            raise _faulty(f"signatures.{position}.owner", "重复", "comes twice")
        if _signer(proposal.hash, signature) != owner:
            raise _faulty(f"signatures.{position}.signature", "不是该成员所签", "is not by that owner")
        signatures[owner] = signature
    return replace(proposal, signatures=MappingProxyType(signatures))


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class _Words(_Part):
    zh: str
    en: str


class _Signature(_Part):
    owner: Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$")]
    signature: Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{130}$")]


class _Document(_Part):
    format: Literal["lianban.council.proposal.v1"]
    effect: _Words
    chain_id: Annotated[int, Field(gt=0, lt=1 << 64)]
    safe: Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$")]
    version: Literal["1.3.0", "1.4.1", "1.5.0"]
    nonce: Annotated[int, Field(ge=0, lt=1 << 256)]
    to: Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$")]
    data: Annotated[str, StringConstraints(pattern=r"^0x([0-9a-f]{2})*$")]
    hash: Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{64}$")]
    signatures: list[_Signature]


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; readers differ on which of two fields of one name counts, so there must not be two."""
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a field comes twice")
    return dict(pairs)


def _address(text: str, field: str) -> str:
    if to_checksum_address(text) != text:
        raise _faulty(field, "大小写校验不符", "has a wrong checksum (EIP-55)")
    return text


def _signer(digest: bytes, signature: bytes) -> str | None:
    try:
        return recover(digest, signature)
    except LianbanError:
        return None


def _faulty(field: str, problem: str, problem_en: str) -> Invalid:
    return Invalid(
        field=field,
        detail=f"提案文件中 {field} {problem}",
        detail_en=f"{field} of the proposal file {problem_en}",
        remedy="向提案人重新索取文件 / ask whoever proposed it for the file again",
        code="faulty-proposal",
    )
