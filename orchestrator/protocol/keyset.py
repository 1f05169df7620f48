"""Keysets: the document that tells the world a seat's keys, and the private keys that the seat keeps.

The document is canonical JSON; its keccak-256 stands on chain and its bytes in the event of the admission or rotation.
How private keys lie in a folder is in `protocol/keyfolder.py`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self, TypeVar

import orjson

from orchestrator.domain import suite
from orchestrator.domain.canonical import canonical, keccak
from orchestrator.domain.errors import Invalid
from orchestrator.protocol.holders import ChainHolder, address_of
from orchestrator.protocol.jose import SigningKey, check_signing_jwk, thumbprint
from orchestrator.protocol.sealing import SealingKey, check_sealing_jwk

SIGNING_USES: Final = ("evidence", "request", "identity")
"""Uses of keys that sign; `identity` only at an identity seat."""

USES: Final = ("evidence", "request", "sealing", "identity")
_REQUIRED: Final = frozenset({"evidence", "request", "sealing"})
_DOCUMENT_FIELDS: Final = frozenset(
    {"seat", "id", "name", "uscc", "region", "parent", "vertical", "hosted_by", "endpoint", "keys"}
)
_Key = TypeVar("_Key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyset:
    """A seat's public document. Raises Invalid on construction when a field is not as it must be."""

    seat: int
    """0–255, the seat's number on its ledger."""
    id: str
    """The department's id, kebab-case."""
    name: dict[str, str]
    """`zh` and `en`."""
    uscc: str
    region: str
    """GB/T 2260, six digits."""
    parent: str | None
    vertical: bool
    """Whether the department answers to its ministry rather than to the local government."""
    hosted_by: str
    """Id of the department that runs this seat's gateway."""
    endpoint: str
    """Base URL of the gateway, without a slash at the end."""
    keys: tuple[dict[str, Any], ...]
    """Public JWKs, each with `use_for` and `kid` (RFC 7638)."""

    def __post_init__(self) -> None:
        if not _is_int(self.seat) or not 0 <= self.seat <= 255:
            raise _bad_document("seat")
        for field in ("id", "uscc", "region", "hosted_by", "endpoint"):
            if not isinstance(getattr(self, field), str) or not getattr(self, field):
                raise _bad_document(field)
        if self.endpoint.endswith("/") or not self.endpoint.startswith(("http://", "https://")):
            raise _bad_document("endpoint")
        if not isinstance(self.name, dict) or self.name.keys() != {"zh", "en"} or not _all_text(self.name.values()):
            raise _bad_document("name")
        if not (self.parent is None or isinstance(self.parent, str)) or not isinstance(self.vertical, bool):
            raise _bad_document("parent")
        uses = [jwk.get("use_for") if isinstance(jwk, dict) else None for jwk in self.keys]
        if len(set(uses)) != len(uses) or not set(uses) >= _REQUIRED or not set(uses) <= set(USES):
            raise _bad_document("keys")
        for jwk in self.keys:
            (check_sealing_jwk if jwk["use_for"] == "sealing" else check_signing_jwk)(jwk)
            if jwk.get("kid") != thumbprint(jwk):
                raise _bad_document("keys.kid")
        if len({jwk["kid"] for jwk in self.keys}) != len(self.keys):
            raise _bad_document("keys")

    def key(self, use_for: str) -> dict[str, Any]:
        """The public JWK for `evidence`, `request`, `sealing` or `identity`. Raises Invalid when the seat has none."""
        for jwk in self.keys:
            if jwk["use_for"] == use_for:
                return jwk
        raise Invalid(
            field="keys",
            detail=f"该席位没有用于 {use_for} 的密钥",
            detail_en=f"the seat has no key for {use_for}",
            code="no-such-key",
        )

    def document(self) -> bytes:
        """Canonical JSON: what is admitted on chain."""
        return canonical(
            {field: getattr(self, field) for field in _DOCUMENT_FIELDS - {"keys"}} | {"keys": list(self.keys)}
        )

    @classmethod
    def parse(cls, document: bytes) -> Self:
        """The keyset of a document. Raises Invalid when it is not exactly one, in canonical form."""
        try:
            value = orjson.loads(document)
        except orjson.JSONDecodeError:
            raise _bad_document("document") from None
        if not isinstance(value, dict) or value.keys() != _DOCUMENT_FIELDS or not isinstance(value["keys"], list):
            raise _bad_document("document")
        keyset = cls(**(value | {"keys": tuple(value["keys"])}))
        if keyset.document() != document:
            raise _bad_document("document")
        return keyset

    @property
    def hash(self) -> bytes:
        """keccak-256 of the document, 32 bytes: `keysetHash` on chain."""
        return keccak(self.document())


class SigningAccount:
    """A chain key in this process's memory: it signs for a seat, a member of the council, or whoever pays for a transaction."""

    __slots__ = ("_private", "address")

    def __init__(self, secret: bytes) -> None:
        self._private = suite.chain_private(secret)
        self.address: str = address_of(suite.chain_point(self._private))
        """EIP-55 spelling."""

    @classmethod
    def generate(cls) -> Self:
        """A new random key."""
        return cls(suite.chain_private().secret)

    @property
    def secret(self) -> bytes:
        """The 32 secret bytes, for a wallet library that must hold them."""
        return self._private.secret

    def sign_hash(self, digest: bytes) -> bytes:
        """65 bytes `r ‖ s ‖ v`, v 27 or 28, s in the lower half, over a 32-byte digest as it is."""
        return suite.chain_sign(self._private, digest)

    def __repr__(self) -> str:
        return f"SigningAccount({self.address})"


class InForce(Protocol):
    """What the chain has for a seat now, as far as its own keys go: `SeatView`."""

    @property
    def keyset(self) -> Keyset:
        """The document in force."""
        ...

    @property
    def signer(self) -> str:
        """The chain key's address in force, EIP-55."""
        ...


class SeatKeys:
    """The private keys of a seat, or those of them that a process was given. Asking for one not held raises Invalid."""

    __slots__ = ("_chain", "_evidence", "_identity", "_request", "_sealing")

    def __init__(
        self,
        *,
        chain: ChainHolder | None = None,
        evidence: SigningKey | None = None,
        request: SigningKey | None = None,
        sealing: SealingKey | None = None,
        identity: SigningKey | None = None,
    ) -> None:
        self._chain, self._evidence, self._request = chain, evidence, request
        self._sealing, self._identity = sealing, identity

    def follow(self, own: InForce) -> None:
        """Uses those keys from now on that the chain has for the seat. Keys that were given once stay as they are; those of a key
        folder change (`protocol/keyfolder.py`)."""

    @property
    def chain(self) -> ChainHolder:
        """Signs sheets, heads and the seat's other EIP-712 statements."""
        return _held(self._chain, "chain")

    @property
    def evidence(self) -> SigningKey:
        """Signs answers, verdicts, credentials and officers' certificates."""
        return _held(self._evidence, "evidence")

    @property
    def request(self) -> SigningKey:
        """Signs batches of questions and every other request to another seat."""
        return _held(self._request, "request")

    @property
    def sealing(self) -> SealingKey:
        """Opens what is sealed to the seat."""
        return _held(self._sealing, "sealing")

    @property
    def identity(self) -> SigningKey:
        """Signs mandates and id tokens; only an identity seat has it."""
        return _held(self._identity, "identity")

    @property
    def has_identity(self) -> bool:
        return self._identity is not None

    def public_jwks(self) -> list[dict[str, Any]]:
        """The public keys for the keyset document, with `use_for` and `kid`."""
        held = {
            "evidence": self._evidence,
            "request": self._request,
            "sealing": self._sealing,
            "identity": self._identity,
        }
        return [{**key.jwk, "use_for": use} for use, key in held.items() if key is not None]


def generate_seat_keys(identity: bool = False) -> SeatKeys:
    """All keys of a new seat; with `identity`, those of an identity seat."""
    return SeatKeys(
        chain=SigningAccount.generate(),
        evidence=SigningKey.generate(),
        request=SigningKey.generate(),
        sealing=SealingKey.generate(),
        identity=SigningKey.generate() if identity else None,
    )


def _held(key: _Key | None, use: str) -> _Key:
    if key is None:
        raise Invalid(
            field="keys",
            detail=f"本进程未持有 {use} 密钥",
            detail_en=f"this process does not hold the {use} key",
            code="key-not-held",
        )
    return key


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _all_text(values: Collection[object]) -> bool:
    return all(isinstance(value, str) and value for value in values)


def _bad_document(field: str) -> Invalid:
    return Invalid(
        field=field,
        detail="密钥文档不符合规范",
        detail_en="the keyset document is not as specified",
        remedy="按 docs/architecture.md「Seats, keys」重新生成",
        code="bad-keyset",
    )
