from __future__ import annotations

import copy
import re
from datetime import date
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.canonical import canonical, to_hex
from orchestrator.domain.errors import Invalid
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.scenario_file import load_scenario
from orchestrator.domain.suite import hash_of
from orchestrator.domain.texts import join
from orchestrator.scenarios import FOLDER, load_catalogue, shipped


@cache
def gallery() -> Scenario:
    return shipped("open-gallery")


def reloaded(old: str, new: str) -> Scenario:
    text = (FOLDER / "open-gallery.yaml").read_text("utf-8")
    assert old in text
    return load_scenario(text.replace(old, new), catalogue=load_catalogue())


def test_version__definition__hash_of_its_canonical_json() -> None:
    it = gallery()
    assert it.version == to_hex(hash_of(canonical(it.definition())))
    assert re.fullmatch("0x[0-9a-f]{64}", it.texts_hash)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("en: Open a gallery", "en: Open an art gallery"),
        ("经营主体已吊销或注销", "经营主体已被吊销或注销"),
        ("zh: 装修面积(平方米)", "zh: 装修面积"),
    ],
)
def test_version__a_text_corrected__texts_hash_alone_changes(old: str, new: str) -> None:
    changed = reloaded(old, new)
    assert changed.version == gallery().version
    assert changed.texts_hash != gallery().texts_hash


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("&area_limit 300", "&area_limit 200"),
        ("居民身份证法第十四条", "居民身份证法"),
        ("value: 2, unit: working_day", "value: 3, unit: working_day"),
        ("max_age: 7d", "max_age: 8d"),
        ("sealed_to: [culture-tourism]}\n  - id: E05.company.representative", "sealed_to: [culture-tourism]}\n      - {claim: industry_code, sealed_to: [culture-tourism]}\n  - id: E05.company.representative"),
        ("when: {form.sells_relics: true}\n      outcome: return", "when: {form.sells_relics: true}\n      outcome: manual"),
    ],
)  # fmt: skip
def test_version__anything_that_decides_changed__another_version(old: str, new: str) -> None:
    changed = reloaded(old, new)
    assert changed.version != gallery().version


def test_version__comments_and_order_of_keys__same() -> None:
    assert reloaded("confirm: true\n", "confirm: true  # an officer confirms\n").version == gallery().version


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [path, *(found for key, item in value.items() for found in paths(item, (*path, key)))]
    if isinstance(value, list):
        return [path, *(found for n, item in enumerate(value) for found in paths(item, (*path, n)))]
    return [path]


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_from_documents__one_value_altered__another_version_or_refused(data: st.DataObject) -> None:
    definition = copy.deepcopy(gallery().definition())
    path = data.draw(st.sampled_from([path for path in paths(definition) if path]))
    place = definition
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = data.draw(st.sampled_from([None, "x", 7, True, [], {}, ["x"], {"x": "y"}]))
    try:
        scenario = Scenario.from_documents(definition, gallery().texts())
    except Invalid:
        return
    assert canonical(scenario.definition()) == canonical(definition)


def test_from_documents__text_that_belongs_nowhere__refused() -> None:
    texts = copy.deepcopy(gallery().texts())
    texts["texts"]["questions/nothing/label"] = {"zh": "无", "en": "none"}
    with pytest.raises(Invalid):
        Scenario.from_documents(gallery().definition(), texts)


def test_from_documents__text_missing__refused() -> None:
    texts = copy.deepcopy(gallery().texts())
    texts["texts"].pop("rules/GAL-01/reason")
    with pytest.raises(Invalid):
        Scenario.from_documents(gallery().definition(), texts)


def test_from_documents__text_that_would_overwrite_the_definition__refused() -> None:
    texts = copy.deepcopy(gallery().texts())
    texts["texts"]["deadline/before/0/value"] = {"zh": "一", "en": "one"}
    with pytest.raises(Invalid):
        Scenario.from_documents(gallery().definition(), texts)


@pytest.mark.parametrize("documents", [({}, {}), ({"inputs": []}, {"texts": {}}), ({"inputs": 3, "approvers": 1}, {})])
def test_from_documents__no_scenario__refused(documents: tuple[dict[str, Any], dict[str, Any]]) -> None:
    with pytest.raises(Invalid):
        Scenario.from_documents(*documents)


def test_join__path_through_a_missing_list_item__refused() -> None:
    with pytest.raises(Invalid):
        join({"questions": [{"id": "a"}]}, {"questions/b/label": {"zh": "乙", "en": "b"}})


def test_parameter__dated_values__that_of_the_day() -> None:
    it = shipped("unemployment-benefit-claim")
    assert it.parameter("benefit_rate", date(2020, 12, 31))[0] == [0, 1816]
    assert it.parameter("benefit_rate", date(2021, 1, 1))[0] == [0, 2034]


def test_parameter__before_its_first_day__refused() -> None:
    with pytest.raises(Invalid) as error:
        gallery().parameter("art_scope_phrases", date(2016, 3, 14))
    assert error.value.field == "parameters.art_scope_phrases"


def test_join__text_in_the_place_of_a_value__refused() -> None:
    with pytest.raises(Invalid):
        join({"value": 1}, {"value": {"zh": "一", "en": "one"}})
