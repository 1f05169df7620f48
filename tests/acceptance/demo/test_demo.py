"""`lianban demo --once --json FILE`: what it writes, when it fails, and that a real server and node serve as well."""

from __future__ import annotations

import dataclasses
import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from orchestrator.demo.figures import FILE as FIGURES
from orchestrator.demo.figures import SituationFigures, differences
from orchestrator.demo.report import situation_figures
from orchestrator.devnet.cluster import today
from orchestrator.domain.case import Status
from tests.support.commands import Said, run
from tests.support.demonstration import PATIENCE, Demonstration

pytestmark = pytest.mark.timeout(PATIENCE)

HASH = re.compile(r"0x[0-9a-f]{64}")
ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
SCENARIO = {
    "id": str,
    "situation": str,
    "materials_before": int,
    "materials_after": int,
    "time_before": int,
    "time_after": int,
    "time_unit": str,
    "trips": int,
    "cases": list,
}
CASE = {
    "id": str,
    "outcome": str,
    "status_on_chain": int,
    "dossier_root": str,
    "transaction": str,
    "evidence": list,
    "materials_submitted": list,
    "seconds": float,
}
SEVEN = {
    "enterprise-establishment",
    "real-estate-registration",
    "zgc-high-tech-certification",
    "employment-unemployment-registration",
    "unemployment-benefit-claim",
    "open-gallery",
    "open-exhibition-hall",
}
PUSHED = {("employment-unemployment-registration", "unemployment-benefit-claim")}


def has_shape(value: dict[str, Any], shape: dict[str, type]) -> bool:
    return set(value) == set(shape) and all(type(value[name]) is kind for name, kind in shape.items())


def test_demo__over_a_server_and_a_node_of_ones_own__exit_code_zero(finished_demo: Demonstration) -> None:
    assert finished_demo.said.code == 0, finished_demo.said.text[-4000:]
    assert "every stated figure came out" in finished_demo.said.text
    # It used what it was pointed to and made no server or node of its own.
    assert not (finished_demo.data_dir / "postgres").exists()
    assert not (finished_demo.data_dir / "anvil").exists()
    with psycopg.connect(finished_demo.settings["LIANBAN_DATABASE_URL"]) as connection:
        names = {row[0] for row in connection.execute("select datname from pg_database")}
    assert {"orchestrator", "dept_beijing_public_security", "dept_haidian_culture_tourism"} <= names
    # And it has ended: nothing listens any more.
    ports = json.loads((finished_demo.data_dir / "ports.json").read_text())
    assert not [name for name, port in ports.items() if name != "portal" and answers(port)]


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_demo_json__its_shape__as_the_issue_has_it(finished_demo: Demonstration) -> None:
    document = finished_demo.document
    assert set(document) == {"scenarios", "mean_materials_reduction", "chain"}
    assert all(has_shape(each, SCENARIO) for each in document["scenarios"])
    for case in finished_demo.cases:
        assert has_shape(case, CASE), case
        assert HASH.fullmatch(case["id"])
        assert HASH.fullmatch(case["dossier_root"])
        assert HASH.fullmatch(case["transaction"])
        assert case["seconds"] > 0
        assert all(has_shape(each, {"provider": str, "type": str}) for each in case["evidence"])
        assert all(isinstance(each, str) for each in case["materials_submitted"])
        assert case["outcome"] == Status(case["status_on_chain"]).name.lower()
    assert len({case["id"] for case in finished_demo.cases}) == len(finished_demo.cases)
    chain = document["chain"]
    assert set(chain) == {"chain_id", "contracts"}
    assert type(chain["chain_id"]) is int
    assert set(chain["contracts"]) == {"Consortium", "Catalog", "CaseLedger"}
    assert all(ADDRESS.fullmatch(each) for each in chain["contracts"].values())


def test_demo_json__every_scenario__passes_brings_material_and_is_stopped(finished_demo: Demonstration) -> None:
    by_scenario: dict[str, list[dict[str, Any]]] = {}
    for each in finished_demo.document["scenarios"]:
        by_scenario.setdefault(each["id"], []).extend(each["cases"])
    assert set(by_scenario) == SEVEN
    for name, cases in by_scenario.items():
        assert len(cases) >= 3, name
        outcomes = {case["outcome"] for case in cases}
        assert "approved" in outcomes, name
        assert outcomes & {"refused", "returned", "accepted"}, name


def test_demo_json__figures__are_those_that_the_source_states(finished_demo: Demonstration) -> None:
    found = {(each["id"], each["situation"]): each for each in finished_demo.document["scenarios"]}
    stated = yaml.safe_load(FIGURES.read_text("utf-8"))
    for entry in stated["situations"]:
        each = found[entry.pop("scenario"), entry.pop("situation")]
        fewer = entry.pop("materials_fewer", None)
        assert fewer in (None, each["materials_before"] - each["materials_after"])
        assert {name: each[name] for name in entry} == entry
    assert finished_demo.document["mean_materials_reduction"] == 0.4


def test_demo_json__materials_submitted__never_more_than_asked_for_where_evidence_sufficed(
    finished_demo: Demonstration,
) -> None:
    gallery = next(
        each
        for each in finished_demo.document["scenarios"]
        if (each["id"], each["situation"]) == ("open-gallery", "area<=300+beijing-handler")
    )
    approved = [case for case in gallery["cases"] if case["outcome"] == "approved" and len(case["evidence"]) >= 6]
    assert min(len(case["materials_submitted"]) for case in approved) == gallery["materials_after"] == 2


# When a figure does not come out.


def test_demo__scenario_file_edited__exit_code_one_and_the_figure_named(finished_demo: Demonstration) -> None:
    said = finished_demo.edited
    assert said.code == 1, said.text[-3000:]
    faults = [line.strip() for line in said.text.splitlines() if line.startswith("✗")]
    # With two applicants left, most scenarios also lack the kinds that a whole demo walks; that is said as well.
    assert [line for line in faults if "≠" in line] == ["✗ open-gallery area<=300+beijing-handler: time_after 3 ≠ 2"]
    assert "every stated figure came out" not in said.text
    # A second start takes up what is there: databases of the same day, contracts, seats.
    assert "today's data kept" in said.text
    assert str(finished_demo.document["chain"]["chain_id"]) in said.text


@cache
def figures() -> tuple[SituationFigures, ...]:
    return tuple(situation_figures(today()))


def test_differences__as_shipped__none() -> None:
    assert differences([*figures()], PUSHED) == []


@pytest.mark.parametrize(
    ("scenario", "situation", "change", "said"),
    [
        ("open-gallery", "area<=300+beijing-handler", {"materials_after": 3}, "materials_after 3 ≠ 2"),
        ("open-gallery", "area<=300+beijing-handler", {"time_after": 4}, "time_after 4 ≠ 2"),
        ("open-gallery", "area<=300+beijing-handler", {"trips": 1}, "trips 1 ≠ 0"),
        ("open-exhibition-hall", "agent", {"time_unit": "calendar_day"}, "time_unit calendar_day ≠ working_day"),
        ("zgc-high-tech-certification", "no-national-certificate", {"materials_after": 4}, "materials_fewer"),
        ("unemployment-benefit-claim", "any", {"trips": 2}, "trips 2 > 1"),
    ],
)
def test_differences__one_figure_off__named(scenario: str, situation: str, change: dict[str, Any], said: str) -> None:
    changed = [
        dataclasses.replace(each, **change) if (each.scenario, each.situation) == (scenario, situation) else each
        for each in figures()
    ]
    wrong = differences(changed, PUSHED)
    assert any(line.startswith(f"{scenario} {situation}: ") and said in line for line in wrong), wrong


def test_differences__push_not_seen_or_mean_off__named() -> None:
    assert "没有推送" in differences([*figures()], set())[0]
    off = [
        dataclasses.replace(each, materials_before=each.materials_before + 1) if each.february else each
        for each in figures()
    ]
    assert any(line.startswith("mean_materials_reduction") for line in differences(off, PUSHED))


def test_demo__server_or_node_not_there__says_which_setting(finished_demo: Demonstration, tmp_path: Path) -> None:
    wrong = {
        "LIANBAN_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/postgres",
        "LIANBAN_NODE_URL": "http://127.0.0.1:1",
    }

    def tried(setting: str) -> Said:
        # With the other one in order, so that only this setting can be meant.
        return run(tmp_path / setting, "demo", "--once", **{**finished_demo.settings, setting: wrong[setting]})

    with ThreadPoolExecutor() as pool:
        for setting, said in zip(wrong, pool.map(tried, wrong), strict=True):
            assert said.code == 1
            assert f"→ 检查 {setting}" in said.text
            assert "Traceback" not in said.text
