"""`keys.yaml` in a department's key folder: which of its keys are with whom.

Each use names one signer or a list of them. All that are listed can be used; which one counts, the chain says. So a key moves to
another place by being listed there and rotated to. No secret stands in the file: a secret is a file beside it, of mode 600.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, field_validator
from pydantic import model_validator as _model_validator

from orchestrator.domain.errors import Invalid

KEYS_FILE: Final = "keys.yaml"
SIGNERS_TIMEOUT: Final = 3.0
"""Seconds that a signing service may take, unless the file says otherwise."""


class _Described(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class HardwareKey(_Described):
    """A key pair in a PKCS#11 module: a hardware security module, a card, SoftHSM."""

    kind: Literal["pkcs11"]
    module: Path
    """The vendor's library, absolute."""
    token: str = Field(min_length=1, max_length=32)
    """Label of the token."""
    label: str = Field(min_length=1)
    """Label of the key pair; public and private half have the same."""
    pin_file: str = Field(min_length=1)

    @field_validator("module")
    @classmethod
    def _absolute(cls, module: Path) -> Path:
        if not module.is_absolute():
            raise ValueError("module 须为绝对路径 / module is an absolute path")
        return module


class _Service(_Described):
    url: str
    timeout: float = Field(default=SIGNERS_TIMEOUT, gt=0, le=60)
    """Seconds. The whole process waits for a signature."""
    ca_file: str | None = None
    """The authority of the service's certificate; None: those that the machine trusts."""
    certificate_file: str | None = None
    """A client certificate, and with it `key_file`."""
    key_file: str | None = None

    @field_validator("url")
    @classmethod
    def _https(cls, url: str) -> str:
        parts = urlsplit(url)
        loopback = parts.hostname in ("127.0.0.1", "::1", "localhost")
        if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
            raise ValueError("地址以 https:// 开头 / the address begins with https://")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("地址中不带口令与参数 / no password and no parameters in the address")
        return url.rstrip("/")

    @_model_validator(mode="after")
    def _certificate_with_key(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file 与 key_file 须同时给出 / certificate_file and key_file go together")
        return self


class NodeKey(_Service):
    """A chain key with a JSON-RPC service that signs typed data (EIP-712): a node's account, Clef, a wallet's service."""

    kind: Literal["json-rpc"]
    address: str = Field(pattern=r"^0x[0-9a-fA-F]{40}$")
    method: Literal["eth_signTypedData_v4", "eth_signTypedData", "account_signTypedData"] = "eth_signTypedData_v4"


class Web3signerKey(_Service):
    """A chain key with a Web3Signer, by its REST interface: `POST /api/v1/eth1/sign/{public key}`."""

    kind: Literal["web3signer"]
    public_key: str = Field(pattern=r"^0x[0-9a-fA-F]{128}$")
    """As `GET /api/v1/eth1/publicKeys` lists it."""


ChainDescription = NodeKey | Web3signerKey | HardwareKey


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


_Hardware = Annotated[tuple[HardwareKey, ...], BeforeValidator(_listed)]


class DescribedKeys(_Described):
    """The keys of a department that are with external signers, by use; in each the first is meant when no chain is asked."""

    chain: Annotated[
        tuple[Annotated[ChainDescription, Field(discriminator="kind")], ...], BeforeValidator(_listed)
    ] = ()
    evidence: _Hardware = ()
    request: _Hardware = ()
    sealing: _Hardware = ()
    identity: _Hardware = ()


_KEYS: Final = TypeAdapter(DescribedKeys)


def read_described(folder: Path) -> DescribedKeys:
    """What a key folder's `keys.yaml` says; nothing without the file. Raises Invalid naming the field."""
    file = folder / KEYS_FILE
    try:
        document = yaml.safe_load(file.read_text("utf-8"))
    except FileNotFoundError:
        return DescribedKeys()
    except (yaml.YAMLError, UnicodeDecodeError, OSError):
        raise wrong(KEYS_FILE, "不是有效的 YAML", "is no valid YAML", "见 docs/keys.md / see docs/keys.md") from None
    try:
        return _KEYS.validate_python({} if document is None else document)
    except ValidationError as error:
        first: Mapping[str, Any] = error.errors()[0]
        place = ".".join(_place(first["loc"]))
        message = str(first["msg"]).removeprefix("Value error, ")
        raise wrong(f"{KEYS_FILE}.{place}", "不符合格式", message, "见 docs/keys.md / see docs/keys.md") from None


def _place(loc: Sequence[int | str]) -> list[str]:
    """Where something stands in the file; pydantic also names the kind that it took the entry for."""
    return [str(part) for part in loc if part not in ("json-rpc", "web3signer", "pkcs11")]


def read_secret(folder: Path, name: str) -> str:
    """The text of a secret's file in the key folder. Raises Invalid when it is missing, empty or open to others."""
    file = folder / name
    try:
        mode, text = file.stat().st_mode, file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise wrong(name, "无法读取", "cannot be read", f"写入密钥目录 / put it into {folder}") from None
    if mode & 0o077:
        raise wrong(name, "他人可读", "is open to others", f"chmod 600 {file}")
    if not text:
        raise wrong(name, "为空", "is empty", "写入口令 / write the secret into it")
    return text


def wrong(field: str, zh: str, en: str, remedy: str) -> Invalid:
    """That a description of keys cannot be used."""
    return Invalid(
        field=field, detail=f"{field} {zh}", detail_en=f"{field} {en}", remedy=remedy, code="bad-key-description"
    )
