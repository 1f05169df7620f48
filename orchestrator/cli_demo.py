"""`lianban demo` and `lianban seed`."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console

from orchestrator.cli_gateway import open_seat
from orchestrator.demo.applicants import DemoApplicant, demo_applicants
from orchestrator.demo.figures import differences
from orchestrator.demo.report import document, print_story, print_table, situation_figures
from orchestrator.demo.walk import Walked, Walker, kinds_missing
from orchestrator.devnet.cluster import Cluster, open_cluster, publish_all, today
from orchestrator.devnet.postgres import open_database
from orchestrator.devnet.progress import Steps
from orchestrator.domain.errors import Invalid
from orchestrator.gateway.desk import certify_officer
from orchestrator.gateway.officer import OfficerClient
from orchestrator.gateway.store import prepare_stores
from orchestrator.protocol.jose import SigningKey
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.scenarios import department_files
from orchestrator.seeding.additions import add_department_file
from orchestrator.seeding.city import Population, seed_city
from orchestrator.settings import Settings, load_settings

demo_app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
seed_app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)

ALONE = "beijing-public-security"
"""Its gateway is a process of its own in the demo, so that it can be down while people sign in."""

LOG_WIDTH = 180
"""Columns of the table where there is no terminal to ask."""

DEMO_PACE: dict[str, Any] = {"retry_first": 0.3, "retry_most": 1.0, "outage_window": 2.0}
"""Seconds: nobody wants to watch hours of retries."""


@demo_app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="打印后结束 · end after the table")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="结果写入文件 · write the result as JSON")] = None,
    residents: Annotated[int, typer.Option(help="示范人口 · residents")] = 20_000,
    enterprises: Annotated[int, typer.Option(help="示范企业 · enterprises")] = 5_000,
) -> None:
    """七个场景,从申请到证照 · all seven scenarios, from application to credential."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=LOG_WIDTH)
    load_settings(use_services_file=False).services_file.unlink(missing_ok=True)
    settings = load_settings(**DEMO_PACE)
    steps = Steps(console)
    began = time.monotonic()
    with open_cluster(
        settings, steps=steps, population=Population(residents=residents, enterprises=enterprises), alone=[ALONE]
    ) as cluster:
        publish_all(cluster.settings, steps)
        applicants = demo_applicants(today())
        with steps.counted("申请人办理", "applicants walking through their cases", len(applicants)) as done:
            walked, story, on_chain, chain = asyncio.run(_walk(cluster, applicants, done))
        figures = situation_figures(today())
        print_table(console, walked)
        print_story(console, *story)
        pushes = {(each.applicant.walk.scenario, target) for each in walked for target in each.pushed}
        wrong = differences(figures, pushes) + [f"{w.applicant.id}: {fault}" for w in walked for fault in w.faults]
        wrong += kinds_missing(walked)
        mean = document(figures, walked, on_chain, chain)
        if json_file is not None:
            json_file.write_text(json.dumps(mean, ensure_ascii=False, indent=2) + "\n")
        console.print(
            f"材料平均减少 mean reduction of materials: [bold]{mean['mean_materials_reduction']:.2%}[/]"
            f"   {len(walked)} 件 cases, {time.monotonic() - began:.0f} 秒 s"
        )
        for line in wrong:
            console.print(f"[red]✗ {line}[/]")
        if not wrong:
            console.print("[green]✓ 与来源所述数字一致 every stated figure came out[/]")
        if not once:
            _serve(console, cluster)
    raise typer.Exit(1 if wrong else 0)


async def _walk(cluster: Cluster, applicants: list[DemoApplicant], done: Any) -> tuple[list[Walked], Any, Any, Any]:
    async with (
        open_runtime(cluster.settings) as runtime,
        httpx.AsyncClient(timeout=60, trust_env=False) as http,
    ):
        officers = await certified_officers(cluster.settings, runtime, http, login="demo")
        seconds = await certified_officers(cluster.settings, runtime, http, login="demo-second")
        view = runtime.context.view
        names = {seat.number: seat.keyset.id for seat in await view.seats()}
        approvers = {each.number: [names[seat] for seat in each.approvers] for each in await view.bindings()}
        walked = await Walker(cluster, officers, seconds, approvers).all(applicants, done)
        statuses = await view.statuses([each.case for each in walked])
        on_chain = {each.case: int(status) for each, (status, _, _) in zip(walked, statuses, strict=True)}
        chain = {
            "chain_id": view.chain_id,
            "contracts": {name: view.address(name) for name in ("Consortium", "Catalog", "CaseLedger")},
        }
        story = await _story(cluster, runtime, http, next(each for each in walked if each.applicant.kind == "passes"))
    return walked, story, on_chain, chain


async def _story(cluster: Cluster, runtime: Runtime, http: httpx.AsyncClient, walked: Walked) -> tuple[Any, ...]:
    """A case with its dossier and documents, as an auditor reads them."""
    token = await runtime.add_principal("auditor", "demo")
    headers = {"authorization": f"Bearer {token}"}
    parts = []
    for name in ("dossier", "documents"):
        response = await http.get(f"{cluster.portal}/api/v1/cases/{walked.case}/{name}", headers=headers)
        response.raise_for_status()
        parts.append(response.json())
    return walked, *parts


async def certified_officers(
    settings: Settings, runtime: Runtime, http: httpx.AsyncClient, *, login: str
) -> dict[str, OfficerClient]:
    """One officer for every department that approves: a key of their own, certified by the department under a login that
    begins with `login`."""
    view = runtime.context.view
    approvers = sorted({seat for binding in await view.bindings() for seat in binding.approvers})
    files = {path.stem: path for path in department_files()}
    keysets = {number: (await view.seat(number)).keyset for number in approvers}
    stores = prepare_stores(settings.require_database_url(), [keyset.id for keyset in keysets.values()])
    found: dict[str, OfficerClient] = {}
    for number, keyset in keysets.items():
        seat = await open_seat(settings, view, keyset.id, stores[keyset.id], files)
        key = SigningKey.generate()
        await seat.store.open()
        certificate = await certify_officer(seat, key.jwk, f"{login}-{keyset.id}", days=1)
        await seat.store.close()
        found[keyset.id] = OfficerClient(http, endpoint=keyset.endpoint, seat=number, key=key, certificate=certificate)
    return found


def _serve(console: Console, cluster: Cluster) -> None:
    """Goes on serving until Ctrl-C."""
    console.print(f"\n门户 portal    {cluster.portal}")
    console.print(f"接口 API       {cluster.portal}/api/v1/docs")
    console.print(f"身份席位 identity {cluster.identity}")
    console.print("Ctrl-C 结束 to end")
    ended = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: ended.set())
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ended.wait()


@seed_app.command()
def seed(
    residents: Annotated[int, typer.Option(help="示范人口 · residents")] = 20_000,
    enterprises: Annotated[int, typer.Option(help="示范企业 · enterprises")] = 5_000,
    number: Annotated[int, typer.Option("--seed", help="随机种子 · random seed")] = 1,
    department: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="补充的部门文件:只建其表 · a further department file: makes its tables only",
        ),
    ] = None,
    rows: Annotated[
        list[str] | None, typer.Option(help="表=CSV 文件,可多次 · table=CSV file, may be given again")
    ] = None,
) -> None:
    """为各部门建库并生成示范数据 · create and fill the departments' databases, dated relative to today.

    With --department, adds that file's records to its department instead: the file goes to where gateways read additions,
    its tables are made, and --rows fills them.
    """
    settings = load_settings()
    if rows and department is None:
        raise Invalid(
            field="--rows",
            detail="--rows 须与 --department 一同给出",
            detail_en="--rows fills tables of the department file that --department names",
            remedy="--department FILE --rows table=file.csv",
        )
    with open_database(settings.database_url, settings.data_dir) as database:
        if department is not None:
            _add_records(settings, database, department, rows or [])
            return
        population = Population(residents=residents, enterprises=enterprises, seed=number)
        marker = settings.data_dir / "seeded.json"
        marker.unlink(missing_ok=True)
        typer.echo(seed_city(database, settings.keys_dir, marker, population, day=today(), profile=settings.profile))


def _add_records(settings: Settings, database: str, department: Path, rows: list[str]) -> None:
    """Puts a further department file to work and fills its tables."""
    files: list[tuple[str, Path]] = []
    for each in rows:
        table, separator, file = each.partition("=")
        if not separator or not Path(file).is_file():
            raise Invalid(
                field=f"--rows {each}",
                detail="没有这个文件",
                detail_en="there is no such file",
                remedy="--rows 表=文件.csv / --rows table=file.csv",
            )
        files.append((table, Path(file)))
    copied = add_department_file(database, settings.keys_dir, settings.adapters_dir, department, files)
    for table, count in copied.items():
        typer.echo(f"✓ {table}: {count} 行 rows")
    typer.echo(f"✓ {settings.adapters_dir / department.name}")
