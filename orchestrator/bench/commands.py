"""`lianban bench`: what Lianban costs and how fast it is, beside what others need for the same."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console

from orchestrator.bench.asking import Sizes as GatewaySizes
from orchestrator.bench.casework import SCENARIO
from orchestrator.bench.chart import print_chart, svg
from orchestrator.bench.cores import shared_out
from orchestrator.bench.eas import load_package
from orchestrator.bench.gas import Sizes, measure
from orchestrator.bench.ours import Chain
from orchestrator.bench.report import Findings, print_findings
from orchestrator.bench.throughput import Bench, stop_the_rest
from orchestrator.bench.throughput_report import print_throughput
from orchestrator.devnet.anvil import open_node
from orchestrator.devnet.cluster import open_cluster, publish_all
from orchestrator.devnet.postgres import open_database
from orchestrator.devnet.progress import Steps
from orchestrator.domain.errors import Invalid
from orchestrator.ledger.accounts import chain_account
from orchestrator.protocol.keyset import SigningAccount
from orchestrator.seeding.city import Population
from orchestrator.settings import Settings, load_settings

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)

_LOG_WIDTH = 120
"""Columns where there is no terminal to ask."""


@app.callback()
def bench() -> None:
    """测量 · measurements."""


@app.command("gas")
def gas(
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json", help="结果写入文件,旁边另有同名 SVG 图 · write the result as JSON, the chart as SVG beside"
        ),
    ] = None,
) -> None:
    """每件燃料费,与 EAS 及下限相比;超出预算则退出码为 1 · gas a case beside EAS and the floor; exit code 1 when over budget.

    Runs on an Anvil of its own that is thrown away, or on LIANBAN_NODE_URL, where it deploys everything anew.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_LOG_WIDTH)
    if json_file is not None and json_file.suffix == ".svg":
        raise Invalid(
            field="--json",
            detail="该文件名留给图",
            detail_en="that name is the chart's",
            remedy="换一个后缀,如 .json / take another suffix, such as .json",
        )
    settings = load_settings(use_services_file=False)
    package = load_package()
    steps = Steps(console)
    with (
        tempfile.TemporaryDirectory(prefix="lianban-bench-") as folder,
        _node(settings, Path(folder), steps) as (url, account),
    ):
        chain = Chain(url=url, account=account, folder=Path(folder), chain_id=settings.chain_id)
        findings = asyncio.run(measure(chain, package, steps, Sizes()))
    print_findings(console, findings)
    print_chart(console, findings.bars())
    if json_file is not None:
        write(json_file, findings)
        console.print(f"→ {json_file}  {json_file.with_suffix('.svg')}", soft_wrap=True)
    raise typer.Exit(0 if all(limit.within for limit in findings.budget()) else 1)


@app.command("gateway")
def gateway(
    json_file: Annotated[Path | None, typer.Option("--json", help="结果写入文件 · write the result as JSON")] = None,
    department: Annotated[
        list[str] | None, typer.Option(help="只测这些部门 · only these departments; may be given again")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="每个部门的秒数 · seconds for each department")] = 10.0,
) -> None:
    """网关一个核每秒应答多少;未达要求则退出码为 1 · answers a second of a gateway on one core; exit code 1 when too few.

    Starts a consortium of its own, with everything on, and throws it away. Its database writes to disk before it says that
    something is committed. LIANBAN_DATABASE_URL and LIANBAN_NODE_URL name other servers.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_LOG_WIDTH)
    steps = Steps(console)
    population = Population()
    with tempfile.TemporaryDirectory(prefix="lianban-bench-") as folder, shared_out() as cores, ExitStack() as stack:
        Path(folder).chmod(0o755)  # the database server may run under another account
        settings = load_settings(use_services_file=False, data_dir=Path(folder))
        database = stack.enter_context(open_database(settings.database_url, settings.data_dir, durable=True))
        settings = load_settings(use_services_file=False, data_dir=Path(folder), database_url=database)
        cluster = stack.enter_context(open_cluster(settings, steps=steps, population=population))
        binding = publish_all(cluster.settings, steps, only=[SCENARIO])[SCENARIO]
        stop_the_rest(cluster)
        bench = Bench(cluster, binding, population, cores)
        found = asyncio.run(bench.measure(GatewaySizes(seconds=seconds), steps, department or ()))
    print_throughput(console, found)
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(found.document(), ensure_ascii=False, indent=2) + "\n", "utf-8")
        console.print(f"→ {json_file}", soft_wrap=True)
    raise typer.Exit(0 if found.within_budget else 1)


def write(json_file: Path, findings: Findings) -> None:
    """The result as JSON, and its chart under the same name as SVG."""
    json_file.parent.mkdir(parents=True, exist_ok=True)
    json_file.write_text(json.dumps(findings.document(), ensure_ascii=False, indent=2) + "\n", "utf-8")
    node = findings.node
    chart = svg(
        findings.bars(),
        title_zh="每件燃料费",
        title_en="gas a case",
        note=f"lianban bench gas, {findings.at:%Y-%m-%d}, {node.client}, {node.hardfork or ''}".rstrip(" ,"),
    )
    json_file.with_suffix(".svg").write_text(chart, "utf-8")


@contextmanager
def _node(settings: Settings, folder: Path, steps: Steps) -> Iterator[tuple[str, SigningAccount]]:
    """The node's URL and the account that pays there.

    An Anvil of our own mines each transaction at once. On a given node the account is one that is kept, so that it can be
    given a balance where gas is not free.
    """
    with ExitStack() as stack:
        with steps.step("启动链节点", "starting the node") as step:
            url = stack.enter_context(open_node(settings.node_url, folder, chain_id=settings.chain_id))
            step.note(url)
        if settings.node_url is not None:
            yield url, chain_account(settings.keys_dir / "bench", settings.passphrase())
            return
        body = {"jsonrpc": "2.0", "id": 1, "method": "evm_setAutomine", "params": [True]}
        httpx.post(url, json=body, trust_env=False).raise_for_status()
        yield url, SigningAccount.generate()
