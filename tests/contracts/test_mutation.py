"""The faults that mutation testing puts into the contracts, and what is said about those that no test can notice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.ledger.compiler import ROOT
from tests.contracts.mutation.mutants import Mutant, find_mutants
from tests.contracts.mutation.report import EXPLAINED


@pytest.fixture(scope="module")
def mutants() -> list[Mutant]:
    return find_mutants()


def test_mutants__each_of_them__differs_from_its_file_in_one_place(mutants: list[Mutant]) -> None:
    assert len({mutant.key for mutant in mutants}) == len(mutants)
    for mutant in mutants:
        source = (ROOT / mutant.file).read_text(encoding="utf-8")
        end = len(source.encode()) - mutant.start - mutant.length
        changed = mutant.applied(source).encode()
        assert changed != source.encode(), mutant
        assert changed[: mutant.start] == source.encode()[: mutant.start], mutant
        assert changed[len(changed) - end :] == source.encode()[len(source.encode()) - end :], mutant


def test_mutants__files_with_code__all_have_some(mutants: list[Mutant]) -> None:
    declared = {"contracts/types/Seats.sol", "contracts/types/Scenarios.sol", "contracts/types/Batches.sol"}
    files = {str(file.relative_to(ROOT)) for file in Path(ROOT / "contracts").glob("[!.]*/*.sol")} | {
        str(file.relative_to(ROOT)) for file in Path(ROOT / "contracts").glob("*.sol")
    }
    assert {mutant.file for mutant in mutants} == {file for file in files - declared if "interfaces" not in file}


@pytest.mark.parametrize("place", ["constructor", "_signedFor", "keccakOf", "leafOf", "rotate", "_structHash"])
def test_mutants__constructors_free_functions_and_assembly__have_some(mutants: list[Mutant], place: str) -> None:
    assert any(mutant.function == place for mutant in mutants)


def test_explained__every_survivor__is_a_mutant_of_the_contracts_as_they_are(mutants: list[Mutant]) -> None:
    there = {(mutant.file, mutant.function, mutant.before, mutant.after) for mutant in mutants}
    for group in json.loads(EXPLAINED.read_text(encoding="utf-8")):
        assert len(group["why"]) > 40
        for one in group["mutants"]:
            assert (one["file"], one["function"], one["before"], one["after"]) in there, one
