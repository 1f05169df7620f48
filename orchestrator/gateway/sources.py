"""Sources: the systems other than its own PostgreSQL in which a department's records lie, as its IT writes them down.

`sources.yaml` lies in the department's key folder, beside the files with the secrets that it names. It says where a
source is, how one gets in, and how much may be asked of it; how a table lies in it stands in the adapter (`layout.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from orchestrator.domain.errors import Invalid
from orchestrator.domain.shape import explain, yaml_remedy
from orchestrator.gateway.layout import SourceName

SOURCES_FILE: Final = "sources.yaml"
_GUIDE: Final = "docs/department.md"

FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
"""A file in the department's key folder."""


class _Source(BaseModel):
    """What holds for every source. Times in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    timeout: float = Field(default=5.0, gt=0, le=60)
    """How long one look-up may take."""
    max_rows: int = Field(default=10_000, ge=1, le=200_000)
    """Most rows of one look-up; more are a fault, never cut off."""
    failures: int = Field(default=5, ge=1, le=100)
    """Failures in a row after which the source is left alone."""
    pause: float = Field(default=30.0, gt=0, le=3600)
    """For how long it is left alone, until one look-up tries it again."""


class FileSource(_Source):
    """A folder into which files are dropped."""

    kind: Literal["files"]
    folder: Path
    settle: float = Field(default=5.0, ge=0, le=3600)
    """For how long a file must have lain unchanged before it is read."""
    rows_in_file: int = Field(default=1_000_000, ge=1, le=5_000_000)

    @field_validator("folder")
    @classmethod
    def _absolute(cls, folder: Path) -> Path:
        if not folder.is_absolute():
            raise ValueError("写绝对路径 / write an absolute path")
        return folder


class SqlSource(_Source):
    """A database that SQLAlchemy knows. Its driver is installed by the department, but for SQLite and PostgreSQL."""

    kind: Literal["sql"]
    url: str
    """`dialect+driver://user@host/name`, without a password."""
    password_file: FileName | None = None
    connections: int = Field(default=4, ge=1, le=32)

    @field_validator("url")
    @classmethod
    def _without_password(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            secret = parts.password is not None or re.search(r"(^|&)(password|passwd|pwd)=", parts.query, re.IGNORECASE)
        except ValueError:
            raise ValueError("不是数据库地址 / this is no database address") from None
        if not parts.scheme or "://" not in url:
            raise ValueError("不是数据库地址,如 sqlite:////srv/a.db / no database address, e.g. sqlite:////srv/a.db")
        if secret:
            raise ValueError("口令不写在地址中,写入 password_file / no password here: put it into password_file")
        return url


class OAuth2(BaseModel):
    """Client credentials (RFC 6749, section 4.4)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    token_url: str
    client_id: str
    client_secret_file: FileName
    scope: str = ""
    secret_in: Literal["header", "body"] = "header"

    _https = field_validator("token_url")(lambda url: _https(url))


class HttpSource(_Source):
    """A system that answers JSON over HTTPS, entered by OAuth2 client credentials, a client certificate, or both."""

    kind: Literal["http"]
    url: str
    """What every path is put behind."""
    ca_file: FileName | None = None
    """Certificates to trust instead of the machine's."""
    certificate_file: FileName | None = None
    key_file: FileName | None = None
    key_passphrase_file: FileName | None = None
    oauth2: OAuth2 | None = None
    read_calls: tuple[Annotated[str, StringConstraints(pattern=r"^POST /\S*$")], ...] = ()
    """Calls other than GET that only read: `POST /v1/accounts/search`."""
    max_bytes: int = Field(default=8 * 2**20, ge=1024, le=256 * 2**20)
    """Largest answer."""
    parallel: int = Field(default=8, ge=1, le=64)
    """Most requests at the same time."""

    _https = field_validator("url")(lambda url: _https(url))

    @model_validator(mode="after")
    def _certificate_with_key(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file 与 key_file 须同时给出 / certificate_file and key_file go together")
        return self


Source = Annotated[FileSource | SqlSource | HttpSource, Field(discriminator="kind")]
_SOURCES: Final = TypeAdapter(dict[SourceName, Source])


def load_sources(folder: Path) -> dict[str, FileSource | SqlSource | HttpSource]:
    """The sources in a department's key folder, by name; none without the file. Raises Invalid naming the field."""
    file = folder / SOURCES_FILE
    if not file.exists():
        return {}
    try:
        document = yaml.safe_load(file.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        raise _wrong(
            f"{SOURCES_FILE}:{mark.line + 1}" if mark is not None else SOURCES_FILE,
            "不是有效的 YAML",
            "this is not valid YAML",
            yaml_remedy(str(getattr(error, "problem", error))),
        ) from None
    try:
        return _SOURCES.validate_python({} if document is None else document)
    except ValidationError as error:
        first: Mapping[str, Any] = error.errors()[0]
        # Behind the source's name pydantic puts its kind, which is nothing that stands in the file.
        place = [str(part) for at, part in enumerate(first["loc"]) if at != 1]
        zh, en, remedy = explain(first, guide=_GUIDE)
        if first["type"].startswith("union_tag"):
            place, zh, en, remedy = (
                [*place, "kind"],
                "来源的种类不对",
                "there is no such kind of source",
                "files / sql / http",
            )
        raise _wrong(".".join((SOURCES_FILE, *place)), zh, en, remedy) from None


def secret(folder: Path, name: str, field: str) -> str:
    """The text of a secret's file in the key folder. Raises Invalid when it is missing, empty or open to others."""
    file = folder / name
    try:
        mode, text = file.stat().st_mode, file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise _wrong(
            field, f"无法读取 {name}", f"{name} cannot be read", f"写入密钥目录 / put it into {folder}"
        ) from None
    if mode & 0o077:
        raise _wrong(field, f"{name} 他人可读", f"others may read {name}", f"chmod 600 {file}")
    if not text:
        raise _wrong(field, f"{name} 为空", f"{name} is empty", "写入密码 / write the secret into it")
    return text


def _https(url: str) -> str:
    parts = urlsplit(url)
    loopback = parts.hostname in ("127.0.0.1", "::1", "localhost")
    if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
        raise ValueError("地址以 https:// 开头 / the address begins with https://")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("地址中不带口令与参数 / no password and no parameters in the address")
    return url.rstrip("/")


def _wrong(field: str, zh: str, en: str, remedy: str) -> Invalid:
    return Invalid(field=field, code="bad-source", detail=zh, detail_en=en, remedy=remedy)
