"""Deployments: where the three contracts are, on which chain, since which block."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from orchestrator.domain.errors import Invalid

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """The contracts of one consortium. Addresses are EIP-55."""

    chain_id: int
    consortium: str
    catalog: str
    ledger: str
    """`CaseLedger`."""
    block: int
    """The block of the first of the three: no event of theirs is older."""


def write_deployment(file: Path, deployment: Deployment) -> None:
    """Writes the file whole or not at all."""
    write_json(file, asdict(deployment))


def read_deployment(file: Path) -> Deployment | None:
    """The deployment in the file, or None when there is no file. Raises Invalid when it holds something else."""
    content = read_json(file)
    if content is None:
        return None
    names = {field.name for field in fields(Deployment)}
    numbers = {"chain_id", "block"}
    if content.keys() != names or not all(
        type(content[name]) is int if name in numbers else _ADDRESS.fullmatch(str(content[name])) for name in names
    ):
        raise _wrong_file(file)
    return Deployment(**content)


def require_deployment(file: Path) -> Deployment:
    """The deployment in the file. Raises Invalid when there is none: nothing has been deployed yet."""
    deployment = read_deployment(file)
    if deployment is None:
        raise Invalid(
            field="deployment",
            detail="合约尚未部署",
            detail_en="the contracts are not deployed",
            remedy="运行 lianban deploy / run lianban deploy",
            code="not-deployed",
        )
    return deployment


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Writes a JSON object in place of the file's content, durably and at once."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(file.name + ".new")
    with new.open("w", encoding="utf-8") as stream:
        json.dump(content, stream, indent=2, ensure_ascii=False)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(file)


def read_json(file: Path) -> dict[str, Any] | None:
    """The JSON object in the file, or None when there is no file. Raises Invalid when it holds something else."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        raise _wrong_file(file) from None
    if not isinstance(content, dict):
        raise _wrong_file(file)
    return content


def _wrong_file(file: Path) -> Invalid:
    return Invalid(
        field="deployment",
        detail=f"部署文件 {file.name} 已损坏",
        detail_en=f"the deployment file {file.name} is damaged",
        remedy="从备份恢复，或删除后重新部署 / restore it from a backup, or remove it and deploy again",
        code="wrong-deployment-file",
    )
