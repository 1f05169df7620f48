from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.errors import Invalid
from orchestrator.ledger.deployments import Deployment, read_deployment, require_deployment, write_deployment

GOOD = Deployment(chain_id=7, consortium="0x" + "a1" * 20, catalog="0x" + "b2" * 20, ledger="0x" + "c3" * 20, block=1)


def test_read_deployment__written__the_same(tmp_path: Path) -> None:
    file = tmp_path / "new" / "deployment.json"
    write_deployment(file, GOOD)
    assert read_deployment(file) == GOOD
    assert require_deployment(file) == GOOD
    assert [path.name for path in file.parent.iterdir()] == ["deployment.json"]


def test_read_deployment__no_file__none(tmp_path: Path) -> None:
    assert read_deployment(tmp_path / "deployment.json") is None


def test_require_deployment__no_file__invalid_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        require_deployment(tmp_path / "deployment.json")
    assert caught.value.code == "not-deployed"
    assert "lianban deploy" in caught.value.remedy


@pytest.mark.parametrize(
    "change",
    [
        {"chain_id": "7"},
        {"chain_id": True},
        {"block": None},
        {"ledger": "0x1234"},
        {"ledger": "0x" + "zz" * 20},
        {"more": 1},
    ],
)
def test_read_deployment__field_wrong__invalid(tmp_path: Path, change: dict[str, object]) -> None:
    file = tmp_path / "deployment.json"
    file.write_text(json.dumps(asdict(GOOD) | change))
    with pytest.raises(Invalid):
        read_deployment(file)


@given(st.text())
def test_read_deployment__any_other_text__invalid(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "any.json"
    file.write_text(text, encoding="utf-8", newline="")
    with pytest.raises(Invalid):
        read_deployment(file)
