"""Networks: on which chain the contracts are deployed, for which council, with what. Each is a file of data.

`deploy/networks/<name>.yaml`; docs/deploy.md says what each field means. The word `settings` in a field takes the value of
the installation's settings (`LIANBAN_…`), as the devnet does.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from eth_utils.address import is_checksum_address, to_checksum_address
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from orchestrator.domain.errors import Invalid
from orchestrator.domain.shape import explain, yaml_remedy
from orchestrator.settings import Settings

_PACKAGED: Final = Path(__file__).resolve().parents[1] / "networks"
"""Where an installed package has them (pyproject.toml)."""
NETWORKS: Final = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).resolve().parents[2] / "deploy" / "networks"
DEVNET: Final = "devnet"
SETTINGS: Final = "settings"
"""In a field of a network file: the value of the installation's settings."""
ACCOUNT: Final = "account"
"""As the council: the account that deploys."""

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_EXPECTED = {
    "chain_id": "节点的 eth_chainId，十进制 / the node's eth_chainId, decimal: chain_id: 2026110108",
    "node": 'node: settings / node: "https://node.example:8545" / node: ${NODE_URL}',
    "account": "密钥目录下的文件夹名 / the name of a folder in the keys folder: account: deployer",
    "council": '多签地址加引号 / the address of the Safe in quotes, council: "0x…" (lianban council --help)',
    "veto_blocks": "1 … 4294967295: veto_blocks: 100800",
    "block_seconds": "出块间隔秒数 / seconds between two blocks: block_seconds: 6",
    "confirmations": "0 … 100000: confirmations: 12",
    "deployment": "相对本文件的路径 / a path from this file: deployment: ../deployments/consortium.json",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Where and how the contracts are deployed."""

    name: str
    chain_id: int | None
    """The chain id that the node must have. None, on a devnet: whatever it has the first time."""
    node_url: str | None
    """JSON-RPC over HTTP; may hold a secret. None: the devnet's own Anvil, or not asked for."""
    account: Path
    """Folder with the key of the account that sends the transactions and pays for them."""
    council: str | None
    """EIP-55 address of the consortium's owner. None: the account that deploys."""
    veto_blocks: int
    """Blocks for which a council's change of a seat's key waits and can be vetoed. Fixed for ever."""
    block_seconds: float
    """Seconds between two blocks, for saying in days what is counted in blocks."""
    confirmations: int
    """Blocks on top of the last creation before the addresses are written."""
    deployment_file: Path
    """Where the addresses are written."""


def load_network(name: str, settings: Settings, *, needs_node: bool = True) -> Network:
    """The network of that name, or in the file of that name when it ends with `.yaml`.

    Whoever comes with a node of their own does not need the file's (`needs_node`). Raises Invalid naming the first wrong field and what belongs there.
    """
    file = Path(name) if name.endswith(".yaml") else NETWORKS / f"{name}.yaml"
    given = _parse(file)
    node_url = _node_url(given, settings, file) if needs_node else None
    chain_id = settings.chain_id if given.chain_id == SETTINGS else int(given.chain_id)
    return Network(
        name=file.stem,
        chain_id=chain_id,
        node_url=node_url,
        account=settings.keys_dir / given.account,
        council=None if given.council == ACCOUNT else to_checksum_address(given.council),
        veto_blocks=given.veto_blocks,
        block_seconds=settings.block_seconds if given.block_seconds == SETTINGS else float(given.block_seconds),
        confirmations=given.confirmations,
        deployment_file=(
            settings.deployment_file
            if given.deployment == SETTINGS
            else (file.absolute().parent / given.deployment).resolve()
        ),
    )


def _settings_or_number(value: Any) -> Any:
    if value == SETTINGS or (_is_number(value) and 0 < value < math.inf):
        return value
    raise ValueError(f"应为正数或 {SETTINGS} / a positive number or the word {SETTINGS} is expected")


def _settings_or_whole(value: Any) -> Any:
    if value == SETTINGS or (_is_number(value) and isinstance(value, int) and value > 0):
        return value
    raise ValueError(f"应为正整数或 {SETTINGS} / a positive whole number or the word {SETTINGS} is expected")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _council(value: Any) -> Any:
    if value == ACCOUNT:
        return value
    if isinstance(value, int):
        raise ValueError("地址须加引号 / the address is not in quotes")
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
        raise ValueError(f"应为地址或 {ACCOUNT} / an address or the word {ACCOUNT} is expected")
    if int(value, 16) == 0:
        raise ValueError("尚未填写多签地址 / the council's address is not filled in")
    if value[2:] not in (value[2:].lower(), value[2:].upper()) and not is_checksum_address(value):
        raise ValueError("地址校验和不符，有笔误 / the address's checksum is wrong: a slip of the pen")
    return value


def _node(value: Any) -> Any:
    if isinstance(value, str) and (value == SETTINGS or re.match(r"https?://|\$\{", value)):
        return value
    raise ValueError("应以 http:// 或 https:// 开头 / it begins with http:// or https://")


def _deployment(value: Any) -> Any:
    if isinstance(value, str) and (value == SETTINGS or value.endswith(".json")):
        return value
    raise ValueError(f"应为 .json 文件或 {SETTINGS} / a .json file or the word {SETTINGS} is expected")


class _NetworkFile(BaseModel):
    """The fields of a network file, as they are written."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    chain_id: Annotated[int | str, BeforeValidator(_settings_or_whole)]
    node: Annotated[str, BeforeValidator(_node)]
    account: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    council: Annotated[str, BeforeValidator(_council)]
    veto_blocks: int = Field(ge=1, lt=2**32)
    block_seconds: Annotated[int | float | str, BeforeValidator(_settings_or_number)]
    confirmations: int = Field(ge=0, le=100_000)
    deployment: Annotated[str, BeforeValidator(_deployment)]


def _parse(file: Path) -> _NetworkFile:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError:
        there = ", ".join(sorted(path.stem for path in NETWORKS.glob("*.yaml")))
        raise Invalid(
            field="network",
            detail=f"没有网络文件 {file.name}",
            detail_en=f"there is no network file {file.name}",
            remedy=f"可选 / there are: {there}; 或写出 .yaml 文件的路径 / or give the path of a .yaml file",
            code="unknown-network",
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problem = str(getattr(error, "problem", "") or "not UTF-8")
        raise Invalid(
            field=file.name,
            detail="网络文件不是有效的 YAML",
            detail_en=f"the network file is not valid YAML: {problem}",
            remedy=yaml_remedy(problem),
            code="wrong-network",
        ) from None
    try:
        return _NetworkFile.model_validate(content if content is not None else {})
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        if first["type"] == "extra_forbidden":
            remedy = "可用字段 / the fields are: " + ", ".join(_NetworkFile.model_fields)
        else:
            remedy = _EXPECTED.get(field, "docs/deploy.md")
        zh, en, _ = explain(first, guide="docs/deploy.md")
        raise _wrong(file, field, zh, en, remedy) from None


def _node_url(given: _NetworkFile, settings: Settings, file: Path) -> str | None:
    if given.node != SETTINGS:
        return _with_variables(given.node, file)
    if settings.node_url is None and given.chain_id != SETTINGS:
        raise _wrong(
            file,
            "node",
            "没有设置 LIANBAN_NODE_URL",
            "LIANBAN_NODE_URL is not set",
            "export LIANBAN_NODE_URL=https://…",
        )
    return settings.node_url


def _with_variables(url: str, file: Path) -> str:
    """The node's address with the environment's values in the place of `${NAME}`."""

    def value(found: re.Match[str]) -> str:
        there = os.environ.get(found[1])
        if not there:
            raise _wrong(
                file,
                "node",
                f"环境变量 {found[1]} 未设置",
                f"the environment variable {found[1]} is not set",
                f"export {found[1]}=…",
            )
        return there

    full = _VARIABLE.sub(value, url)
    if not re.match(r"https?://", full):
        raise _wrong(
            file, "node", "应以 http:// 或 https:// 开头", "it begins with http:// or https://", _EXPECTED["node"]
        )
    return full


def _wrong(file: Path, field: str, zh: str, en: str, remedy: str) -> Invalid:
    where = f"{file.name}:{field}" if field else file.name
    return Invalid(field=where, detail=zh, detail_en=en, remedy=remedy, code="wrong-network")
