"""Network files: those that ship, what the settings add, and each wrong field by name and remedy."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.errors import Invalid
from orchestrator.ledger.networks import NETWORKS, load_network
from orchestrator.settings import PREFIX, load_settings

COUNCIL = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
GOOD: dict[str, Any] = {
    "chain_id": 2026110108,
    "node": "https://node.example:8545",
    "account": "deployer",
    "council": COUNCIL,
    "veto_blocks": 201600,
    "block_seconds": 6,
    "confirmations": 12,
    "deployment": "../deployments/city.json",
}


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "networks").mkdir()
    return tmp_path / "networks" / "city.yaml"


def write(file: Path, **changes: Any) -> str:
    content = {name: value for name, value in (GOOD | changes).items() if value is not None}
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(file)


def refused(name: str) -> Invalid:
    with pytest.raises(Invalid) as caught:
        load_network(name, load_settings())
    assert caught.value.remedy
    return caught.value


def test_load_network__all_fields__as_written(file: Path, tmp_path: Path) -> None:
    network = load_network(write(file), load_settings(data_dir=tmp_path / "data"))
    assert (network.name, network.chain_id, network.node_url) == ("city", 2026110108, "https://node.example:8545")
    assert network.account == tmp_path / "data" / "keys" / "deployer"
    assert (network.council, network.veto_blocks, network.confirmations) == (COUNCIL, 201600, 12)
    assert network.block_seconds == 6.0
    assert network.deployment_file == tmp_path / "deployments" / "city.json"


def test_load_network__devnet__as_the_settings_say(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, chain_id=7, node_url="http://node:8545", block_seconds=3)
    network = load_network("devnet", settings)
    assert (network.chain_id, network.node_url, network.council) == (7, "http://node:8545", None)
    assert (network.block_seconds, network.confirmations) == (3, 0)
    assert (network.account, network.deployment_file) == (tmp_path / "keys" / "council", settings.deployment_file)


def test_load_network__devnet_and_nothing_set__our_own_node_and_any_chain_id(tmp_path: Path) -> None:
    network = load_network("devnet", load_settings(data_dir=tmp_path))
    assert (network.chain_id, network.node_url) == (None, None)


def test_load_network__example__refused_until_its_council_is_filled_in(tmp_path: Path) -> None:
    problem = refused("consortium")
    assert problem.field == "consortium.yaml:council"
    text = (NETWORKS / "consortium.yaml").read_text(encoding="utf-8").replace("0x" + "0" * 40, COUNCIL)
    filled = tmp_path / "filled.yaml"
    filled.write_text(text, encoding="utf-8")
    network = load_network(str(filled), load_settings(node_url="http://node:8545"))
    assert network.veto_blocks * network.block_seconds == 7 * 86_400  # as its comment says


def test_load_network__no_such_name__says_which_there_are() -> None:
    problem = refused("mars")
    assert (problem.field, problem.code) == ("network", "unknown-network")
    assert "consortium, devnet" in problem.remedy


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("chain_id", "2026", "whole number"),
        ("chain_id", 0, "whole number"),
        ("chain_id", 1.5, "whole number"),
        ("chain_id", True, "whole number"),
        ("node", "node.example:8545", "http://"),
        ("node", 8545, "http://"),
        ("account", "../elsewhere", ""),
        ("account", 5, "text"),
        ("council", "0x1234", "address"),
        ("council", COUNCIL.replace("5aA", "5AA"), "checksum"),
        ("council", int(COUNCIL, 16), "quotes"),
        ("council", "0x" + "0" * 40, "not filled in"),
        ("veto_blocks", 0, ""),
        ("veto_blocks", 2**32, ""),
        ("veto_blocks", "14 days", "whole number"),
        ("block_seconds", 0, "positive"),
        ("block_seconds", "fast", "positive"),
        ("block_seconds", float("inf"), "positive"),
        ("block_seconds", float("nan"), "positive"),
        ("confirmations", -1, ""),
        ("confirmations", 1.5, "whole number"),
        ("deployment", "addresses.txt", ".json"),
    ],
)
def test_load_network__field_wrong__named_with_the_remedy(file: Path, field: str, value: Any, words: str) -> None:
    problem = refused(write(file, **{field: value}))
    assert problem.field == f"city.yaml:{field}"
    assert words in problem.detail_en
    assert "\n" not in str(problem)


@pytest.mark.parametrize("field", sorted(GOOD))
def test_load_network__field_missing__named_with_an_example(file: Path, field: str) -> None:
    problem = refused(write(file, **{field: None}))
    assert problem.field == f"city.yaml:{field}"
    assert "missing" in problem.detail_en


def test_load_network__unknown_field__says_which_there_are(file: Path) -> None:
    problem = refused(write(file, gas=5))
    assert problem.field == "city.yaml:gas"
    assert "veto_blocks" in problem.remedy


@pytest.mark.parametrize("text", ["chain_id: [", "chain_id:\t5", "- 1", "text", ""])
def test_load_network__no_network_at_all__invalid(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    assert refused(str(file)).code == "wrong-network"


@given(st.text())
def test_load_network__any_text__invalid_or_a_network(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text(text, encoding="utf-8", newline="")
    with pytest.raises(Invalid):
        load_network(str(file), load_settings())


def test_load_network__node_names_a_variable__its_value(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = write(file, node="https://user:${CITY_SECRET}@node.example")
    assert "CITY_SECRET" in refused(name).remedy
    monkeypatch.setenv("CITY_SECRET", "s3cret")
    assert load_network(name, load_settings()).node_url == "https://user:s3cret@node.example"
    monkeypatch.setenv("CITY_SECRET", "")
    assert refused(name).field == "city.yaml:node"


def test_load_network__variable_holds_no_address__refused_without_its_value(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITY_NODE", "s3cret")
    problem = refused(write(file, node="${CITY_NODE}"))
    assert "s3cret" not in f"{problem} {problem.remedy}"


def test_load_network__node_from_settings_that_have_none__refused_unless_one_brings_a_node(file: Path) -> None:
    name = write(file, node="settings")
    assert "LIANBAN_NODE_URL" in refused(name).remedy
    assert load_network(name, load_settings(), needs_node=False).chain_id == GOOD["chain_id"]


@pytest.mark.parametrize("change", [str.lower, lambda text: "0x" + text[2:].upper()])
def test_load_network__council_without_checksum__taken_with_it(file: Path, change: Any) -> None:
    network = load_network(write(file, council=change(COUNCIL)), load_settings())
    assert network.council == to_checksum_address(COUNCIL)


def test_wheel__networks__every_shipped_file_goes_along() -> None:
    project = Path(__file__).resolve().parents[3]
    build = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    carried = build["targets"]["wheel"]["force-include"]
    shipped = sorted((project / "deploy" / "networks").glob("*.yaml"))
    assert shipped
    assert carried == {f"deploy/networks/{each.name}": f"orchestrator/networks/{each.name}" for each in shipped}
