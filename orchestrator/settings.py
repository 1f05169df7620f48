"""Settings: what one machine's installation of Lianban is told from outside.

Every setting is an environment variable `LIANBAN_<NAME>`; nothing is read when this module is imported. `load_settings`
reads the environment once, and what it returns is passed along.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestrator.domain.errors import Invalid

PREFIX = "LIANBAN_"
_Value = TypeVar("_Value", str, int)


class Settings(BaseSettings):
    """All settings of one installation, frozen. Durations are seconds; port 0 means: pick a free one and keep it."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    profile: Literal["devnet", "production"] = "devnet"
    """`production` refuses everything that only stands in for the real thing."""

    data_dir: Path = Path("var")
    """Where state lies: embedded database, chain, keys, logs, deployment file. Relative paths count from the folder in
    which the command runs; kept absolute."""

    database_url: str | None = None
    """`postgresql://user:password@host:port/database` of a server whose user may create databases and roles. None: the
    embedded server in `data_dir/postgres`."""

    node_url: str | None = None
    """JSON-RPC over HTTP of an EVM node. None: an Anvil of our own with its state in `data_dir/anvil`."""

    chain_id: int | None = Field(default=None, gt=0)
    """The chain id that the node must have. None: whatever it has the first time; the deployment file pins it then."""

    block_seconds: int = Field(default=1, ge=1, le=60)
    """Seconds between two blocks of our own Anvil."""

    rpc_timeout: float = Field(default=10.0, gt=0)
    """Seconds that one JSON-RPC request may take."""

    keys_dir: Path = Field(default_factory=lambda given: given["data_dir"] / "keys", validate_default=True)
    """Where the seats' encrypted private keys lie, one folder a department. Default: `data_dir/keys`."""

    passphrase_file: Path = Field(default_factory=lambda given: given["data_dir"] / "passphrase", validate_default=True)
    """The file with the private keys' passphrase. Default: `data_dir/passphrase`, made on a devnet's first start."""

    deployment_file: Path = Field(
        default_factory=lambda given: given["data_dir"] / "deployment.json", validate_default=True
    )
    """Where the addresses of the contracts are kept: what `lianban deploy` wrote for the network. Default:
    `data_dir/deployment.json`."""

    region: str = Field(default="110108", pattern=r"^[0-9]{6}$")
    """The region that this portal serves (GB/T 2260): only bindings of this region are offered."""

    host: str = "127.0.0.1"
    """The address on which the services listen."""

    portal_port: int = Field(default=0, ge=0, le=65535)
    """Port of the portal and its HTTP API."""

    identity_port: int = Field(default=0, ge=0, le=65535)
    """Port of the identity seat's own web origin."""

    gateway_port: int = Field(default=0, ge=0, le=65535)
    """Port of the first gateway process; further ones take free ports."""

    portal_origin: str | None = None
    """Where people reach the portal, e.g. `https://portal.example`. None: `http://host:portal_port`."""

    identity_origin: str | None = None
    """Where people reach the identity seat: an origin of its own. None: `http://host:identity_port`."""

    operator: str = "haidian-government-services"
    """The department that runs this orchestrator; its keys lie in `keys_dir`."""

    identity: str = "beijing-public-security"
    """The department whose online identity service signs people in here. Never the operator."""

    gateway_timeout: float = Field(default=10.0, gt=0)
    """Seconds that one request to a gateway may take."""

    retry_first: float = Field(default=0.5, gt=0)
    """Seconds before the first retry of what was unavailable; doubles each time."""

    retry_most: float = Field(default=30.0, gt=0)
    """The longest pause between two retries, seconds."""

    outage_window: float = Field(default=3600.0, gt=0)
    """For how long a department that does not answer is asked again before its answer counts as a timeout. The material
    is offered to the applicant from the first failure on."""

    anchor_after: float = Field(default=300.0, gt=0)
    """Seconds after which a department's log head that no batch has carried is anchored by itself. As long a department
    that was not asked meanwhile is asked for its head."""

    lease: float = Field(default=60.0, gt=0)
    """Seconds for which a worker has the cases that it works on; those of one that died go to another afterwards."""

    face_check: str = "development"
    """Which face check the identity seat uses. `development` compares nothing and says so on every use; the profile
    `production` refuses it."""

    @field_validator("data_dir", "keys_dir", "passphrase_file", "deployment_file")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().absolute()

    @field_validator("database_url", "node_url", "chain_id", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if value == "" else value

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("postgresql://", "postgres://")):
            raise ValueError("a PostgreSQL address begins with postgresql://")
        return url

    @field_validator("node_url")
    @classmethod
    def _is_http(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("a node's address begins with http:// or https://")
        return url

    @model_validator(mode="after")
    def _production_takes_no_stand_in(self) -> Settings:
        if self.profile == "production":
            if self.face_check == "development":
                raise ValueError("face_check: the development face check compares nothing, production refuses it")
            if self.database_url is None:
                raise ValueError("database_url: production needs a PostgreSQL server, not the embedded one")
            if self.node_url is None:
                raise ValueError("node_url: production needs a consortium node, not the embedded one")
            if self.chain_id is None:
                raise ValueError("chain_id: production pins the chain id that it expects")
            if "passphrase_file" not in self.model_fields_set:
                raise ValueError("passphrase_file: production names the file with the keys' passphrase")
        return self

    def portal_url(self) -> str:
        """The portal's origin. Raises Invalid when no port is known."""
        return self._origin(self.portal_origin, self.portal_port, "PORTAL_PORT")

    def identity_url(self) -> str:
        """The identity seat's origin. Raises Invalid when no port is known."""
        return self._origin(self.identity_origin, self.identity_port, "IDENTITY_PORT")

    def require_database_url(self) -> str:
        """The PostgreSQL server. Raises Invalid when none is named and no devnet runs in the data folder."""
        return self._required(self.database_url, "DATABASE_URL")

    def require_node_url(self) -> str:
        """The node. Raises Invalid when none is named and no devnet runs in the data folder."""
        return self._required(self.node_url, "NODE_URL")

    def _origin(self, given: str | None, port: int, variable: str) -> str:
        return given or f"http://{self.host}:{self._required(port, variable)}"

    def _required(self, value: _Value | None, variable: str) -> _Value:
        if not value:
            raise Invalid(
                field=PREFIX + variable,
                detail=f"缺少设置 {PREFIX}{variable}",
                detail_en=f"setting {PREFIX}{variable} is missing, and no devnet runs in {self.data_dir}",
                remedy=f"先运行 make demo;本地链若在别处,到那里运行本命令或设置 {PREFIX}DATA_DIR;否则设置 {PREFIX}{variable} / "
                f"run make demo first; if a devnet runs elsewhere, run this there or set {PREFIX}DATA_DIR; else set {PREFIX}{variable}",
                code="setting-missing",
            )
        return value

    @property
    def services_file(self) -> Path:
        """The settings of the devnet that runs on this data folder, for other commands on it."""
        return self.data_dir / "services.env"

    @property
    def adapters_dir(self) -> Path:
        """Where further department files (new records, new evidence) are dropped; gateways read them as they change."""
        return self.data_dir / "adapters"

    @property
    def logs_dir(self) -> Path:
        """Where the services that we start write their logs."""
        return self.data_dir / "logs"

    def passphrase(self) -> str:
        """The passphrase of the private keys. A devnet makes one on its first start, readable by its owner alone.

        Raises Invalid when the file is missing in production, or empty.
        """
        file = self.passphrase_file
        if not file.exists() and self.profile == "devnet":
            file.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "w") as stream:
                    stream.write(secrets.token_urlsafe(32) + "\n")
        text = file.read_text().strip() if file.exists() else ""
        if not text:
            raise Invalid(
                field=f"{PREFIX}PASSPHRASE_FILE",
                detail="密钥口令文件不存在或为空",
                detail_en="the file with the keys' passphrase is missing or empty",
                remedy=f"写入口令并设 {PREFIX}PASSPHRASE_FILE / write it and set {PREFIX}PASSPHRASE_FILE",
                code="no-passphrase",
            )
        return text

    def environment(self) -> dict[str, str]:
        """These settings as environment variables, for a process that we start."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {PREFIX + name.upper(): str(value) for name, value in values.items() if value is not None}


def load_settings(*, use_services_file: bool = True, **given: Any) -> Settings:
    """The settings from the environment, with `given` values on top, and below it those of a devnet that runs on the data
    folder (`services.env`), unless `use_services_file` is false.

    Raises Invalid naming the first wrong variable. The message holds no value, since a value may be a secret.
    """
    try:
        folder = Path(given.get("data_dir") or os.environ.get(PREFIX + "DATA_DIR") or "var")
        return Settings(_env_file=folder / "services.env" if use_services_file else None, **given)
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        variable = PREFIX + (str(first["loc"][0]) if first["loc"] else message.partition(":")[0]).upper()
        raise Invalid(
            field=variable,
            detail=f"设置 {variable} 不正确",
            detail_en=f"setting {variable} is wrong: {message}",
            remedy=f"改正环境变量 {variable} / correct the environment variable {variable}",
            code="wrong-setting",
        ) from None


def unknown_variables() -> list[str]:
    """Variables of the environment that begin like ours but name no setting: most likely misspelt."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    return sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
