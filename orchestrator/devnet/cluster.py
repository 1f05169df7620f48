"""A whole consortium on one machine: database, node, contracts, seats, seeded departments, and every service running.

Used by `lianban demo` and by the acceptance tests. Everything is real and in its own process or database; only the machine
is shared. What is made the first time is kept in the data folder and taken up the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from orchestrator.devnet.anvil import open_node
from orchestrator.devnet.ports import Ports
from orchestrator.devnet.postgres import open_database
from orchestrator.devnet.processes import Service, Supervisor
from orchestrator.devnet.progress import Steps
from orchestrator.domain.catalogue import DepartmentProfile
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.scenario_file import load_scenario
from orchestrator.gateway.policy import POLICY_FILE
from orchestrator.gateway.store import prepare_stores
from orchestrator.ledger.accounts import chain_account
from orchestrator.ledger.admission import admit_seats
from orchestrator.ledger.deploy import deploy
from orchestrator.ledger.networks import DEVNET, load_network
from orchestrator.ledger.transactions import fund
from orchestrator.pipeline.publishing import Terms
from orchestrator.protocol.keyfolder import load_seat_keys, save_seat_keys
from orchestrator.protocol.keyset import Keyset, SeatKeys, generate_seat_keys
from orchestrator.runtime import open_runtime, prepare_store
from orchestrator.scenarios import load_catalogue, read_data, scenario_files
from orchestrator.seeding.city import Population, seed_city
from orchestrator.settings import Settings, load_settings

BEIJING = ZoneInfo("Asia/Shanghai")
FLEET = "gateways"
"""The process that seats every department without a process of its own."""
POLICY = """\
# 本机演示:各部门自动签署通过检查的场景与落地。改为 ask 则先由本部门经办人审阅,见 docs/department.md
# On a devnet departments sign what passes their checks. With ask an officer reads it first: docs/department.md
sign: auto
"""
"""What a department of a devnet lets its gateway sign, until somebody writes something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A running consortium."""

    settings: Settings
    supervisor: Supervisor
    portal: str
    identity: str
    own_process: Mapping[str, str]
    """Department to the name of the process that seats it alone."""


@contextmanager
def open_cluster(
    settings: Settings,
    *,
    steps: Steps,
    population: Population,
    alone: Collection[str] = (),
) -> Iterator[Cluster]:
    """Starts everything for the block; `alone` are departments whose gateway is a process of its own.

    Raises Unavailable naming the part that does not come up.
    """
    with (
        Supervisor(settings.logs_dir) as supervisor,
        _step(
            steps,
            "启动数据库",
            "starting PostgreSQL",
            lambda: open_database(settings.database_url, settings.data_dir),
        ) as dsn,
        _step(
            steps,
            "启动链节点",
            "starting the node",
            lambda: open_node(
                settings.node_url,
                settings.data_dir,
                block_seconds=settings.block_seconds,
                chain_id=settings.chain_id,
            ),
        ) as node,
    ):
        settings = _located(settings, dsn, node)
        seats = _admit(settings, steps, alone)
        with steps.step("建库并生成示范数据", "creating and seeding the departments' databases") as step:
            step.note(
                seed_city(
                    dsn,
                    settings.keys_dir,
                    settings.data_dir / "seeded.json",
                    population,
                    day=today(),
                    profile=settings.profile,
                )
            )
            prepare_stores(dsn, [department for department in seats if department != settings.operator])
            prepare_store(dsn)
        own = {department: f"gateway-{department}" for department in alone}
        settings.services_file.write_text(_environment_file(settings))
        try:
            with steps.step("启动身份席位、网关与门户", "starting identity seat, gateways and portal") as step:
                _start(supervisor, settings, seats, own)
                step.note(settings.portal_url())
            yield Cluster(
                settings=settings,
                supervisor=supervisor,
                portal=settings.portal_url(),
                identity=settings.identity_url(),
                own_process=own,
            )
        finally:
            supervisor.stop_all()
            settings.services_file.unlink(missing_ok=True)


@contextmanager
def _step(steps: Steps, zh: str, en: str, opened: Any) -> Iterator[Any]:
    """Opens a context as one step and keeps it open for the block."""
    manager = opened()
    with steps.step(zh, en) as step:
        value = manager.__enter__()
        if str(value).startswith("http"):
            step.note(str(value))
    try:
        yield value
    except BaseException as error:
        if not manager.__exit__(type(error), error, error.__traceback__):
            raise
    else:
        manager.__exit__(None, None, None)


def _located(settings: Settings, dsn: str, node: str) -> Settings:
    """The settings with everything that was started filled in."""
    ports = Ports(settings.data_dir / "ports.json", settings.host)
    return load_settings(
        **settings.model_dump(exclude={"database_url", "node_url", "portal_port", "identity_port", "gateway_port"}),
        database_url=dsn,
        node_url=node,
        portal_port=ports.of("portal", settings.portal_port),
        identity_port=ports.of("identity", settings.identity_port),
        gateway_port=ports.of(FLEET, settings.gateway_port),
    )


def _admit(settings: Settings, steps: Steps, alone: Collection[str]) -> dict[str, DepartmentProfile]:
    """Keys, contracts and seats: made when they are not there yet."""
    departments = dict(load_catalogue().departments)
    passphrase = settings.passphrase()
    ports = Ports(settings.data_dir / "ports.json", settings.host)
    with steps.step("准备各部门密钥", "preparing the departments' keys") as step:
        held: dict[str, SeatKeys] = {}
        for profile in departments.values():
            held[profile.id] = _keys(settings, profile.id, passphrase)
        step.note(f"{len(held)} 个席位 / seats")
    with steps.step("部署合约并接纳席位", "deploying the contracts, admitting the seats") as step:
        node = settings.require_node_url()
        council = chain_account(settings.keys_dir / "council", passphrase)
        network = load_network(DEVNET, settings)
        deployment = deploy(
            node,
            council,
            settings.deployment_file,
            veto_blocks=network.veto_blocks,
            council=network.council,
            chain_id=settings.chain_id,
        )
        for name in ("poster", "publisher"):
            fund(node, chain_account(settings.keys_dir / name, passphrase).address)
        seats = []
        for profile in departments.values():
            port = ports.of(f"gateway-{profile.id}") if profile.id in alone else settings.gateway_port
            keyset = _keyset(profile, held[profile.id], f"http://{settings.host}:{port}/{profile.id}")
            seats.append((profile.seat, held[profile.id], keyset))
        admit_seats(deployment, node, council, seats)
        step.note(f"chain {deployment.chain_id}")
    return departments


def _keys(settings: Settings, department: str, passphrase: str) -> SeatKeys:
    folder = settings.keys_dir / department
    if not (folder / "chain.json").exists():
        save_seat_keys(generate_seat_keys(identity=department == settings.identity), folder, passphrase)
    if not (folder / POLICY_FILE).exists():
        (folder / POLICY_FILE).write_text(POLICY, "utf-8")
    return load_seat_keys(folder, passphrase)


def _keyset(profile: DepartmentProfile, keys: SeatKeys, endpoint: str) -> Keyset:
    return Keyset(
        seat=profile.seat,
        id=profile.id,
        name={"zh": profile.name.zh, "en": profile.name.en},
        uscc=profile.uscc,
        region=profile.region,
        parent=profile.parent,
        vertical=profile.vertical,
        hosted_by=profile.hosted_by,
        endpoint=endpoint,
        keys=tuple(keys.public_jwks()),
    )


def _start(
    supervisor: Supervisor, settings: Settings, seats: Mapping[str, DepartmentProfile], own: Mapping[str, str]
) -> None:
    environment = settings.environment()
    host = f"http://{settings.host}"
    together = [each for each in seats if each not in own and each != settings.operator]
    services = [
        Service(
            name="identity",
            arguments=("identity",),
            health_url=f"{settings.identity_url()}/health",
            environment=environment,
        ),
        Service(
            name=FLEET,
            arguments=("gateway", "--departments", ",".join(together), "--port", str(settings.gateway_port)),
            health_url=f"{host}:{settings.gateway_port}/health",
            environment=environment,
        ),
        Service(
            name="portal",
            arguments=("portal",),
            health_url=f"{settings.portal_url()}/api/v1/health",
            environment=environment,
        ),
    ]
    ports = Ports(settings.data_dir / "ports.json", settings.host)
    for department, name in own.items():
        port = ports.of(name)
        services.append(
            Service(
                name=name,
                arguments=("gateway", "--departments", department, "--port", str(port)),
                health_url=f"{host}:{port}/health",
                environment=environment,
            )
        )
    for service in services:
        supervisor.start(service)
    supervisor.wait_healthy()


def _environment_file(settings: Settings) -> str:
    return "".join(f"{name}={value!r}\n" for name, value in settings.environment().items())


def publish_all(settings: Settings, steps: Steps, *, only: Collection[str] = ()) -> dict[str, int]:
    """Publishes and binds the scenarios that ship, or `only` those; scenario to binding number."""
    catalogue = load_catalogue()
    terms = Terms(**read_data("bindings/haidian.yaml"))
    files = [file for file in scenario_files() if not only or file.stem in only]

    async def run(done: Any) -> dict[str, int]:
        scenarios = [load_scenario(file.read_text("utf-8"), catalogue=catalogue) for file in files]
        async with open_runtime(settings) as runtime:

            async def put_to_work(scenario: Scenario) -> int:
                await runtime.publisher.publish(scenario, terms)
                number = await runtime.publisher.bind(scenario, terms)
                done(1)
                return number

            numbers = await asyncio.gather(*(put_to_work(scenario) for scenario in scenarios))
        return {scenario.id: number for scenario, number in zip(scenarios, numbers, strict=True)}

    with steps.counted("发布并落地场景", "publishing and binding the scenarios", len(files)) as done:
        return asyncio.run(run(done))


def today() -> date:
    """Today in Beijing."""
    return datetime.now(BEIJING).date()
