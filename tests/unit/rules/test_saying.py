"""Decisions in words: whatever a row reads has a name that a person can read, in every scenario that ships."""

from __future__ import annotations

import re

import pytest

from orchestrator.domain.wording import Wording
from orchestrator.rules.saying import change_words
from orchestrator.scenarios import load_catalogue, scenario_files, shipped


@pytest.mark.parametrize("name", [path.stem for path in scenario_files()])
def test_change_words__every_input_of_every_row__named_in_chinese_and_without_an_id(name: str) -> None:
    scenario, catalogue = shipped(name, load_catalogue()), load_catalogue()
    read = {column for rule in scenario.rules for alternative in rule.when for column in alternative}
    assert read
    for column in sorted(read):
        words = change_words(scenario, catalogue, row="X", input=column, to=("true",), but=())
        said = re.fullmatch(r"如“(.+)”为.+,则不适用本条", words.zh)
        assert said, words
        assert re.search("[\u4e00-\u9fff]", said[1]), words
        assert not re.search(r"[a-z]+[._][a-z_]+", words.zh + words.en), words


def test_change_words__what_is_worked_out__told_by_what_it_is_worked_out_from() -> None:
    scenario, catalogue = shipped("unemployment-benefit-claim", load_catalogue()), load_catalogue()
    words = change_words(
        scenario, catalogue, row="UBC-09", input="derived.account_holder_is_claimant", to=("true",), but=()
    )
    assert words.zh == "如“本人银行账户(户名、开户行、账号):户名与申领人:姓名相同”为是,则不适用本条"
    assert words.en.endswith(": holder is the same as Claimant: Full name” were yes")


def test_literal__choice_of_a_material_s_field__by_its_label() -> None:
    wording = Wording(shipped("open-exhibition-hall", load_catalogue()))
    assert wording.literal("material.hygiene-test-report.result", "pass").zh == "“合格”"
    assert wording.literal("material.hygiene-test-report.issued_on", "2026-02-13").zh == "2026-02-13"
