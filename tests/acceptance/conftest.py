"""One running consortium for all acceptance tests: real database, node, contracts, gateways, identity seat, portal.

`cluster` starts it once and publishes and binds the seven scenarios; `world` adds what tests work with: applicants,
officers, staff tokens, and what the orchestrator itself holds (its keys and its database).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from orchestrator.devnet.anvil import open_node
from orchestrator.devnet.cluster import Cluster, open_cluster, publish_all
from orchestrator.devnet.progress import Steps
from orchestrator.seeding.city import Population
from orchestrator.settings import load_settings
from tests.support.line import Line
from tests.support.recording import Recording
from tests.support.world import ALONE, PACE, World, open_world

MEMORY = Path("/dev/shm")
"""Where there is enough of it, the databases lie in memory: seventeen departments' are twelve thousand files."""

ROOM = 4 << 30


@pytest.fixture(scope="session")
def data_dir() -> Iterator[Path]:
    """The cluster's data folder: give it to a command as LIANBAN_DATA_DIR and it works on the running cluster."""
    # Not in pytest's own temporary folder: the database server runs under another account.
    memory = MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM else None
    with tempfile.TemporaryDirectory(prefix="lianban-acceptance-", dir=memory) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def node_line(data_dir: Path) -> Iterator[Line]:
    """The line between all services and the node: `with node_line.cut():` makes the node unreachable."""
    with open_node(None, data_dir, block_seconds=1) as node:
        address = urlsplit(node)
        with Line(str(address.hostname), int(address.port or 0)) as line:
            yield line


@pytest.fixture(scope="session")
def recording(data_dir: Path) -> Iterator[Recording]:
    """Who can listen to the cluster's processes: `with recording.on():` everything that they say to each other is kept."""
    recording = Recording(data_dir / "traffic")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in recording.environment.items():
            patch.setenv(name, value)
        yield recording


@pytest.fixture(scope="session")
def cluster(data_dir: Path, node_line: Line, recording: Recording) -> Iterator[Cluster]:
    """Everything running over a small population, with the seven scenarios published and bound."""
    settings = load_settings(data_dir=data_dir, node_url=f"http://127.0.0.1:{node_line.port}", **PACE)
    steps = Steps()
    population = Population(residents=300, enterprises=60)
    with open_cluster(settings, steps=steps, population=population, alone=ALONE) as opened:
        publish_all(opened.settings, steps)
        yield opened


@pytest.fixture(scope="session")
async def world(cluster: Cluster) -> AsyncIterator[World]:
    """The cluster with its people."""
    async with open_world(cluster) as opened:
        yield opened
