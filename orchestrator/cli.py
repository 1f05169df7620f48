"""The `lianban` command.

Each command group lives beside what it commands and is imported only when it is called, so that services started as
child processes do not pay for one another. To add one, write its line in `GROUPS`.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from typing import Any

import structlog
import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from orchestrator import logs
from orchestrator.domain.errors import Invalid, LianbanError


@dataclass(frozen=True, slots=True)
class Group:
    """Where a command or a group of commands is: the `typer.Typer` named `app` in a module."""

    module: str
    help: str
    app: str = "app"


GROUPS: dict[str, Group] = {
    "doctor": Group("orchestrator.doctor", "检查本机环境 · what is missing on this machine and how to get it"),
    "devnet": Group(
        "orchestrator.devnet.commands", "本地链与数据库 · run the devnet's node and database", app="devnet_app"
    ),
    "deploy": Group("orchestrator.devnet.commands", "部署合约 · deploy the contracts", app="deploy_app"),
    "demo": Group("orchestrator.cli_demo", "完整演示 · the whole demonstration", app="demo_app"),
    "seed": Group("orchestrator.cli_demo", "生成部门示范数据 · fill the departments' databases", app="seed_app"),
    "scenario": Group("orchestrator.cli_publish", "场景:检查、方案、发布、落地 · check, plan, publish, bind"),
    "gateway": Group("orchestrator.cli_gateway", "部门网关 · serve departments' gateways"),
    "seat": Group("orchestrator.cli_seat", "本部门的席位:同意书、否决 · a seat: agreements, veto"),
    "keys": Group(
        "orchestrator.cli_keys", "本部门的密钥:查看、轮换、销毁 · a department's keys: look, rotate, destroy"
    ),
    "council": Group("orchestrator.cli_council", "理事会:提案、签署、执行 · the council: propose, sign, execute"),
    "officer": Group("orchestrator.cli_officer", "审批人员:密钥、待办、决定 · officers: key, queue, decisions"),
    "replay": Group("orchestrator.cli_replay", "复核:按原案卷再次评判 · decide a case once more, as its approver"),
    "recall": Group("orchestrator.cli_recall", "召回错误的应答 · take back answers that were wrong"),
    "identity": Group("orchestrator.cli_identity", "身份席位 · serve the identity seat"),
    "portal": Group("orchestrator.cli_portal", "门户与接口 · serve the portal and its API", app="portal_app"),
    "worker": Group("orchestrator.cli_portal", "办件流水线 · one more worker", app="worker_app"),
    "ledger": Group("orchestrator.cli_ledger", "链上核验 · what the chain proves, to anybody with a node"),
    "audit": Group("orchestrator.cli_audit", "审计查询日志 · follow a department's query log, check evidence"),
    "verify": Group("orchestrator.cli_verify", "查验证照、回执、应答 · check a credential, a receipt, an answer"),
    "my": Group("orchestrator.cli_my", "本人:谁查过我的数据、撤回授权 · yours: who looked at my data, withdrawing"),
    "credential": Group("orchestrator.cli_credential", "持证人:查看、出示、PDF · a holder's: look, present, print"),
    "principal": Group("orchestrator.cli_portal", "登记经办、审计人员 · operators and auditors", app="principal_app"),
    "bench": Group("orchestrator.bench.commands", "测量,与别家相比 · measurements, beside what others need"),
}


class LazyGroup(TyperGroup):
    """A group whose members are imported when they are called; the list of all of them says only what `GROUPS` says."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of all commands, in the order of `GROUPS`."""
        return list(GROUPS)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:
        """What the list shows of a command; None when there is none of that name."""
        group = GROUPS.get(cmd_name)
        return None if group is None else TyperCommand(cmd_name, short_help=group.help)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command itself, with its name and the arguments that remain. Raises click's UsageError for an unknown one."""
        name, listed, rest = super().resolve_command(ctx, args)
        if listed is None or listed.name is None:
            return name, listed, rest
        group = GROUPS[listed.name]
        command = get_command(getattr(importlib.import_module(group.module), group.app))
        command.name = listed.name
        return name, command, rest


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    help="链办：政务服务上链办理 · government services, handled on chain",
)


@app.callback()
def root() -> None:
    """链办：政务服务上链办理 · government services, handled on chain."""


def main() -> None:
    """Runs the command line; our own errors end it with one line each and exit code 1 (2 for wrong input). Any other error
    is logged without its message, exit code 1."""
    logs.configure()
    try:
        app()
    except LianbanError as error:
        where = f"{error.field}:" if isinstance(error, Invalid) else ""
        typer.secho(f"✗ {where}{error}", fg="red", err=True)
        if error.remedy:
            typer.secho(f"  → {error.remedy}", fg="yellow", err=True)
        sys.exit(2 if isinstance(error, Invalid) else 1)
    except Exception as error:
        structlog.get_logger().error("unexpected", **logs.described(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
