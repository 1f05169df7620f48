"""`lianban deploy --network` and `ape run deploy` as a person types them, on a node of its own chain id."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.devnet.processes import LIANBAN
from orchestrator.ledger.accounts import chain_account
from orchestrator.ledger.artifacts import CONTRACTS
from orchestrator.ledger.compiler import ROOT
from orchestrator.ledger.deployments import Deployment, require_deployment
from orchestrator.protocol.keyset import SigningAccount
from tests.support.commands import Said, run
from tests.support.onchain import ask, automining_node, read
from tests.support.rpc_proxy import Moment, rpc_proxy

VETO_BLOCKS = 201_600
SENDING = "eth_sendRawTransaction"


@pytest.fixture(scope="module")
def node_url() -> Iterator[str]:
    with automining_node() as url:
        yield url


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A data folder, a network file in it, and an account without any transaction."""

    node_url: str
    folder: Path
    council: str

    @property
    def network(self) -> Path:
        return self.folder / "networks" / "city.yaml"

    @property
    def file(self) -> Path:
        return self.folder / "deployments" / "city.json"

    def write(self, **changes: Any) -> None:
        """Writes the network file, with changes; None leaves a field out."""
        fields = {
            "chain_id": int(ask(self.node_url, "eth_chainId"), 16),
            "node": "${CITY_NODE}",
            "account": "deployer",
            "council": self.council,
            "veto_blocks": VETO_BLOCKS,
            "block_seconds": 6,
            "confirmations": 0,
            "deployment": "../deployments/city.json",
        }
        self.network.parent.mkdir(exist_ok=True)
        written = {name: value for name, value in (fields | changes).items() if value is not None}
        self.network.write_text("".join(f"{name}: {json.dumps(value)}\n" for name, value in written.items()))

    def deploy(self, *options: str, node_url: str | None = None) -> Said:
        return run(self.folder, "deploy", "--network", self.network, *options, CITY_NODE=node_url or self.node_url)

    def deployment(self) -> Deployment:
        return require_deployment(self.file)

    def deployer(self) -> SigningAccount:
        return chain_account(self.folder / "keys" / "deployer", (self.folder / "passphrase").read_text().strip())

    def sent(self) -> int:
        return int(ask(self.node_url, "eth_getTransactionCount", self.deployer().address, "latest"), 16)


@pytest.fixture
def place(node_url: str) -> Iterator[Place]:
    folder = Path(tempfile.mkdtemp(prefix="lianban-test-"))
    place = Place(node_url=node_url, folder=folder, council=SigningAccount.generate().address)
    place.write()
    yield place
    shutil.rmtree(folder)


def test_deploy__network__the_council_s_and_again_nothing_is_sent(place: Place) -> None:
    first = place.deploy()
    assert first.code == 0, first.text
    made = place.deployment()
    assert {made.consortium, made.catalog, made.ledger} <= set(first.text.split())
    assert read(place.node_url, "Consortium", made.consortium, "owner") == (place.council.lower(),)
    assert read(place.node_url, "Consortium", made.consortium, "vetoBlocks") == (VETO_BLOCKS,)
    again = place.deploy()
    assert again.code == 0, again.text
    assert "deployed and verified" in again.text
    assert (place.deployment(), place.sent()) == (made, len(CONTRACTS))


def test_deploy__dry_run__says_in_words_what_then_happens_and_sends_nothing(place: Place) -> None:
    said = place.deploy("--dry-run")
    assert said.code == 0, said.text
    assert place.sent() == 0
    assert not place.file.parent.exists()
    for word in (
        "nothing is sent",
        place.deployer().address,
        place.council,
        "14 天 days",
        "gas is free",
        "3 transactions",
    ):
        assert word in said.text
    assert "can veto in time" not in said.text
    assert place.deploy().code == 0
    made = place.deployment()
    assert {made.consortium, made.catalog, made.ledger} <= set(said.text.split())


def test_deploy__dry_run_with_a_veto_of_seconds__warned(place: Place) -> None:
    place.write(veto_blocks=1)
    assert "no seat's people can veto in time" in place.deploy("--dry-run").text


def test_deploy__node_not_there__its_host_named_and_nothing_else_of_its_address(place: Place) -> None:
    said = place.deploy(node_url="http://user:secret@127.0.0.1:1/key")
    assert said.code == 1
    assert "and 127.0.0.1:1\n" in said.text
    assert "secret" not in said.text
    assert "/key" not in said.text


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_deploy__killed_between_transactions__goes_on(place: Place, number: int, moment: Moment) -> None:
    """kill -9 just before and just after the node takes each of the three transactions."""
    process: list[subprocess.Popen[bytes]] = []
    seen = 0

    def watch(method: str, now: Moment) -> None:
        nonlocal seen
        seen += method == SENDING and now == "before"
        if method == SENDING and now == moment and seen == number:
            process[0].kill()
            process[0].wait()

    with rpc_proxy(place.node_url, watch) as url:
        environment = {"LIANBAN_DATA_DIR": str(place.folder), "CITY_NODE": url}
        process.append(
            subprocess.Popen(
                [*LIANBAN, "deploy", "--network", str(place.network)],
                env={**os.environ, **environment},
                stdout=subprocess.DEVNULL,
            )
        )
        assert process[0].wait(120) == -9
    assert not place.file.exists()
    plan = json.loads(place.file.with_name("city-plan.json").read_text())
    resumed = place.deploy()
    assert resumed.code == 0, resumed.text
    assert "unfinished deployment" in resumed.text
    made = place.deployment()
    assert place.sent() == len(CONTRACTS)
    assert plan["nonces"] == [0, 1, 2]
    assert read(place.node_url, "CaseLedger", made.ledger, "catalog") == (made.catalog.lower(),)
    assert [path.name for path in place.file.parent.iterdir()] == ["city.json"]


def test_deploy__chain_id_not_the_file_s__refused_and_nothing_sent(place: Place) -> None:
    place.write(chain_id=4242)
    for options in ((), ("--dry-run",)):
        said = place.deploy(*options)
        assert said.code == 1
        assert "expected chain 4242" in said.text
    assert place.sent() == 0
    assert not place.file.parent.exists()


def test_deploy__chain_under_the_file_changed__refused(place: Place) -> None:
    """The addresses of one chain, a node of another: nothing is deployed a second time."""
    assert place.deploy().code == 0
    deployed = json.loads(place.file.read_text())
    place.file.write_text(json.dumps(deployed | {"chain_id": 4242}))
    said = place.deploy()
    assert said.code == 1
    assert "city.json is of chain 4242" in said.text
    assert place.sent() == len(CONTRACTS)


def test_deploy__foreign_code_or_wiring_on_chain__refused_by_name(place: Place) -> None:
    assert place.deploy().code == 0
    made = place.deployment()
    ledger, catalog = (ask(place.node_url, "eth_getCode", each, "latest") for each in (made.ledger, made.catalog))
    other = ledger.replace(made.catalog[2:].lower(), "0" * 39 + "1")
    for code, words in ((catalog, "is not this release's CaseLedger"), (other, "CaseLedger.catalog is 0x")):
        ask(place.node_url, "anvil_setCode", made.ledger, code)
        said = place.deploy()
        assert said.code == 1
        assert words in said.text
    assert place.sent() == len(CONTRACTS)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("veto_blocks", 0, "1 … 4294967295"),
        ("council", "0x" + "00" * 20, "not filled in"),
        ("node", None, "缺少字段"),
        ("speed", 3, "chain_id, node, account"),
    ],
)
def test_deploy__field_wrong__one_line_names_it_and_one_the_remedy(
    place: Place, field: str, value: Any, words: str
) -> None:
    place.write(**{field: value})
    said = place.deploy()
    assert said.code == 2
    assert said.text.startswith(f"✗ city.yaml:{field}:")
    assert words in said.text
    assert len(said.text.strip().splitlines()) == 2


def test_deploy__node_s_variable_not_set__named(place: Place) -> None:
    said = run(place.folder, "deploy", "--network", place.network)
    assert said.code == 2
    assert "export CITY_NODE" in said.text


def ape(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("ape"), "run", "deploy", "--account", "TEST::0", *arguments],
        env={**os.environ, "APE_DATA_FOLDER": str(ROOT / ".cache" / "ape"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
    )


def test_ape_run_deploy__local_chain__all_three_and_nothing_kept() -> None:
    before = sorted(ROOT.glob("deploy/**/*.json"))
    said = ape("--network", "ethereum:local:test")
    assert said.returncode == 0, said.stdout + said.stderr
    for name in ("consortium", "catalog", "ledger"):
        assert f"{name:<11}0x" in said.stdout
    assert sorted(ROOT.glob("deploy/**/*.json")) == before


def test_ape_run_deploy__for_a_network_of_another_chain_id__refused(place: Place) -> None:
    said = ape("--network", "ethereum:local:test", "--for", str(place.network))
    assert said.returncode == 1
    assert "nothing was sent" in said.stderr
    assert not place.file.exists()
