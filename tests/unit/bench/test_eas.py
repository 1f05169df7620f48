from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from orchestrator.bench.eas import attestations, load_package
from orchestrator.domain.errors import Unavailable


def test_load_package__installed__creation_code_and_abi_of_both_contracts() -> None:
    package = load_package()
    assert package.version
    assert len(package.eas.code) > 10_000
    assert package.eas.abi.topic("Attested")
    assert package.registry.abi.topic("Registered")


def test_load_package__missing__unavailable_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="EAS") as caught:
        load_package(tmp_path)
    assert caught.value.code == "eas-missing"
    assert "make setup" in caught.value.remedy


def test_load_package__incomplete__unavailable(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"version": "1.9.0"}')
    with pytest.raises(Unavailable):
        load_package(tmp_path)


def test_attestations__of_cases__four_evidences_and_two_approvals_each() -> None:
    made = list(attestations(7))
    by_case = Counter((each.recipient, each.schema) for each in made)
    assert len({each.recipient for each in made}) == 7
    assert sorted(by_case.values()) == [2] * 7 + [4] * 7
    assert {schema for (_, schema), number in by_case.items() if number == 4} == {0}
    assert len({each.data for each in made}) == 42
    assert {len(each.data) for each in made} == {32}
