"""`lianban demo --once` as somebody runs it who has a PostgreSQL server and a node already: one run for all that look at it.

Server and node are started by hand, outside of the demo's data folder, and named by one setting each. They outlive the demo, so
what it left there can be looked at from outside, also through a portal that is started again on nothing but them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

import orchestrator
from orchestrator.devnet.anvil import EmbeddedAnvil
from orchestrator.devnet.postgres import EmbeddedPostgres
from orchestrator.devnet.processes import LIANBAN
from tests.support.commands import Said, run

RESIDENTS, ENTERPRISES = 120, 30
LONGEST = 600
"""Seconds that the demo may take on a machine that does other things, too."""
PATIENCE = 2 * LONGEST
"""For the test that comes first, in whose time the fixture runs the demo: `pytest.mark.timeout`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """What a run of the demo left behind."""

    said: Said
    seconds: float
    document: dict[str, Any]
    """What `--json` wrote."""
    data_dir: Path
    settings: dict[str, str]
    """The two settings that point to server and node."""
    node: str
    portal: str
    auditor: dict[str, str]
    """Headers of an auditor at the portal."""
    edited: Said
    """A second run over the same data, of two applicants, with a scenario file edited: the gallery takes three days."""

    @property
    def cases(self) -> list[dict[str, Any]]:
        """Every case of the document."""
        return [case for scenario in self.document["scenarios"] for case in scenario["cases"]]


@contextmanager
def demonstration() -> Iterator[Demonstration]:
    """Runs the demo once; afterwards, for the block, only server, node and a portal run."""
    with tempfile.TemporaryDirectory(prefix="lianban-demonstration-") as folder:
        place = Path(folder)
        place.chmod(0o755)
        database, node = EmbeddedPostgres(place / "server"), EmbeddedAnvil(place / "node")
        try:
            settings = {"LIANBAN_DATABASE_URL": database.start(), "LIANBAN_NODE_URL": node.start()}
            data_dir, file = place / "var", place / "result.json"
            population = ("--residents", RESIDENTS, "--enterprises", ENTERPRISES)
            began = time.monotonic()
            said = run(data_dir, "demo", "--once", "--json", file, *population, seconds=LONGEST, **settings)
            seconds = time.monotonic() - began
            document = json.loads(file.read_text("utf-8")) if file.exists() else {}
            edited = run(
                data_dir, "demo", "--once", *population, tree=_edited(place / "tree"), seconds=LONGEST, **settings
            )
            # Ports and addresses as the demo kept them; nothing else of it runs any more.
            ports = json.loads((data_dir / "ports.json").read_text())
            place_of = {
                "LIANBAN_PORTAL_PORT": str(ports["portal"]),
                "LIANBAN_IDENTITY_PORT": str(ports["identity"]),
            }
            token = run(data_dir, "principal", "auditor", "outside", **settings, **place_of).text.split()[-1]
            with _portal(data_dir, {**settings, **place_of}, int(ports["portal"])) as portal:
                yield Demonstration(
                    said=said,
                    seconds=seconds,
                    document=document,
                    data_dir=data_dir,
                    settings=settings,
                    node=settings["LIANBAN_NODE_URL"],
                    portal=portal,
                    auditor={"authorization": f"Bearer {token}"},
                    edited=edited,
                )
        finally:
            node.stop()
            database.stop()


def _edited(tree: Path) -> Path:
    """A copy of the package in which the gallery is promised in three days, and only two applicants take part."""
    package = Path(orchestrator.__file__).parent
    shutil.copytree(package, tree / "orchestrator", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(package.parent / "deploy" / "networks", tree / "deploy" / "networks")
    scenarios = tree / "orchestrator" / "scenarios"
    gallery = scenarios / "open-gallery.yaml"
    text = gallery.read_text("utf-8")
    assert text.count("handled_by: self}, value: 2,") == 1
    gallery.write_text(text.replace("handled_by: self}, value: 2,", "handled_by: self}, value: 3,"), "utf-8")
    demo = yaml.safe_load((scenarios / "demo.yaml").read_text("utf-8"))
    some = [each for each in demo["applicants"] if each["id"] in ("gallery-passes", "registration-passes")]
    (scenarios / "demo.yaml").write_text(yaml.safe_dump({"applicants": some}, allow_unicode=True), "utf-8")
    return tree


@contextmanager
def _portal(data_dir: Path, environment: dict[str, str], port: int) -> Iterator[str]:
    process = subprocess.Popen(
        [*LIANBAN, "portal"],
        env={**os.environ, "LIANBAN_DATA_DIR": str(data_dir), **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                if httpx.get(f"{url}/api/v1/health", trust_env=False).is_success:
                    break
            except httpx.TransportError:
                pass
            assert process.poll() is None, "the portal ended"
            time.sleep(0.1)
        else:
            raise AssertionError("the portal does not answer")
        yield url
    finally:
        process.terminate()
        process.wait(20)
