"""The gateway bench: a whole consortium on this machine, and each provider's gateway alone on a core, asked as fast as it
answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import psutil
import psycopg

from orchestrator.bench.asking import Asker, Cases, Measured, Sizes
from orchestrator.bench.casework import SCENARIO, SITUATION, open_casework
from orchestrator.bench.cores import Cores, bind, machine
from orchestrator.bench.throughput_report import Throughput, Workload
from orchestrator.devnet.cluster import FLEET, Cluster, today
from orchestrator.devnet.processes import Service
from orchestrator.devnet.progress import Steps
from orchestrator.gateway.client import GatewayClient
from orchestrator.ledger.deployments import require_deployment
from orchestrator.ledger.rpc import Rpc
from orchestrator.ledger.view import LedgerView
from orchestrator.protocol.keyfolder import load_seat_keys
from orchestrator.scenarios import shipped
from orchestrator.seeding.city import Population
from orchestrator.settings import Settings


class Bench:
    """A running consortium in which the scenario of the bench is bound under `binding`."""

    def __init__(self, cluster: Cluster, binding: int, population: Population, cores: Cores) -> None:
        self._cluster = cluster
        self._binding = binding
        self._population = population
        self._cores = cores

    async def measure(self, sizes: Sizes, steps: Steps, departments: Sequence[str] = ()) -> Throughput:
        """Measures the gateways of the departments, by default of all that the scenario asks, one after another: each is
        the only service that runs meanwhile, in a process of its own, which has seen none of the cases.

        Raises Refused when a question is refused or an answer does not hold, Unavailable when a part does not answer.
        """
        settings = self._cluster.settings
        before = machine()
        async with Rpc(settings.require_node_url()) as rpc:
            view = LedgerView(rpc, require_deployment(settings.deployment_file))
            passphrase = settings.passphrase()
            identity = load_seat_keys(settings.keys_dir / settings.identity, passphrase, {"identity"}).identity
            request = load_seat_keys(settings.keys_dir / settings.operator, passphrase, {"request"}).request
            scenario = shipped(SCENARIO)
            casework = await open_casework(view, scenario, self._binding, identity, self._population, today())
            cases = Cases(casework=casework)
            operator = casework.place.binding.operator
            seats = [casework.place.seats[number] for number in casework.providers]
            found: list[Measured] = []
            for seat in seats:
                if departments and seat.keyset.id not in departments:
                    continue
                pid = self._serve(seat.keyset.id, settings, steps)
                async with GatewayClient(operator, request, view) as client:
                    asker = Asker(client=client, seat=seat, process=psutil.Process(pid), cases=cases)
                    found.append(await asker.measure(sizes, steps))
                self._cluster.supervisor.stop(_service_name(seat.keyset.id))
            node = str(await rpc.call("web3_clientVersion"))
        return Throughput(
            measured=found,
            workload=Workload(
                scenario=scenario.id,
                situation=SITUATION,
                sizes=sizes,
                population=self._population,
                cases=len(cases.made),
            ),
            machine={**before, "node": node, **_database(settings.require_database_url())},
            cores=self._cores,
            at=datetime.now(UTC).astimezone(),
        )

    def _serve(self, department: str, settings: Settings, steps: Steps) -> int:
        """Starts a department's gateway, bound to the measured core; its process id."""
        service = Service(
            name=_service_name(department),
            arguments=("gateway", "--departments", department, "--port", str(settings.gateway_port)),
            health_url=f"http://{settings.host}:{settings.gateway_port}/health",
            environment=settings.environment(),
        )
        with steps.step(f"启动网关 {department}", "starting the gateway"):
            self._cluster.supervisor.run(service)
        pid = self._cluster.supervisor.pid(service.name)
        bind(pid, self._cores)
        return pid


def stop_the_rest(cluster: Cluster) -> None:
    """Ends every service, so that nothing but database, node and the measured gateway runs."""
    for name in ("portal", "identity", FLEET):
        cluster.supervisor.stop(name)


def _service_name(department: str) -> str:
    return f"bench-{department}"


def _database(dsn: str) -> dict[str, Any]:
    """The server's version, and whether what it calls committed is on disk."""
    with psycopg.connect(dsn) as connection:
        durable = [connection.execute(f"show {name}").fetchone() for name in ("fsync", "synchronous_commit")]
        return {
            "postgresql": connection.info.parameter_status("server_version"),
            "postgresql_durable": ("off",) not in durable,
        }
