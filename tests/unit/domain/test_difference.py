"""The difference between two versions in words: nothing when they are equal, every single change of a document said."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from orchestrator.domain.canonical import canonical
from orchestrator.domain.difference import Change, compare
from orchestrator.domain.errors import Invalid
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.scenario_file import load_scenario
from orchestrator.domain.texts import Text
from orchestrator.domain.vocabulary import NOUNS, SECTIONS, Words, label_of
from orchestrator.domain.wording import Seating, duration
from orchestrator.scenarios import FOLDER, load_catalogue, scenario_files, shipped

SHIPPED = [path.stem for path in scenario_files()]


catalogue = cache(load_catalogue)


@cache
def scenario(name: str) -> Scenario:
    return shipped(name, catalogue())


def gallery_with(old: str, new: str) -> Scenario:
    text = (FOLDER / "open-gallery.yaml").read_text("utf-8")
    assert old in text
    return load_scenario(text.replace(old, new), catalogue=catalogue())


def said(changes: tuple[Change, ...]) -> str:
    return "\n".join(text for change in changes for text in change.sentences())


def gallery_difference(old: str, new: str) -> tuple[Change, ...]:
    return compare(scenario("open-gallery"), gallery_with(old, new), catalogue=catalogue())


# ---- words


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("      - {claim: domicile, sealed_to: [culture-tourism]}\n", "",
         ("删除 核验数据 E05.company", "“住所”〔domicile〕", "由〔market-supervision〕提供", "dropped: evidence E05.company")),
        (
            "      - entity_in_operation\n",
            "      - entity_in_operation\n      - {claim: industry_code, sealed_to: [culture-tourism]}\n",
            ("新增", "行业代码", "仅可由其阅读 〔culture-tourism〕", "readable only by"),
        ),
        ("approvers: [culture-tourism]", "approvers: [culture-tourism]\ncountersign: [culture-tourism]",
         ("经办人决定须第二人复核的审批部门由 无 改为 〔culture-tourism〕", "Where a second officer countersigns: none → [culture")),
        ("max_age: 7d", "max_age: 7d\n    on_recall: suspend",
         ("应答被召回时的证照由 照常有效,由审批部门复核 改为 效力中止,由审批部门复核", "counts, while the approvers look again → is suspended")),
        ("kind: statute\n      act: {zh: 市场主体登记管理条例,", "kind: consent\n      act: {zh: 市场主体登记管理条例,",
         ("依据:种类由 法定 改为 经本人同意", "by statute → by consent")),
        ("居民身份证法第十四条", "居民身份证法", ("“居民身份证法第十四条” 改为 “居民身份证法”",)),
        ("max_age: 7d", "max_age: 8d", ("应答有效时长由 7 天 改为 8 天", "7 days → 8 days")),
        ("when: {company.entity_in: false}\n      outcome: return", "when: {company.entity_in: false}\n      outcome: manual",
         ("规则 GAL-02:结果由 退回补正 改为 转人工", "return → an officer decides")),
        ("when: {form.sells_relics: true}", "when: {form.sells_relics: false}",
         ("规则 GAL-07", "“是否经营文物”〔form.sells_relics〕为是 改为 “是否经营文物”〔form.sells_relics〕为否")),
        ("handled_by: self}, value: 2, unit", "handled_by: self}, value: 3, unit",
         ("承诺办理期限", "时 2 个工作日", "时 3 个工作日", "3 working days when")),
        ("  - id: owners-consent\n    name: {zh: 利害关系业主一致同意证明, en: Consent of the owners concerned}",
         "  - id: owners-consent\n    name: {zh: 利害关系业主一致同意证明, en: Consent of the owners concerned}\n    when: {handled_by: self}",
         ("材料“利害关系业主一致同意证明”〔owners-consent〕:适用条件由 任何情况 改为",)),
        ("en: Open a gallery", "en: Open an art gallery", ("场景名称", "“Open a gallery” → “Open an art gallery”")),
    ],
)  # fmt: skip
def test_compare__one_thing_changed__said_in_both_languages(old: str, new: str, words: tuple[str, ...]) -> None:
    text = said(gallery_difference(old, new))
    for each in words:
        assert each in text, text


def test_compare__rule_added__condition_outcome_and_reason_are_read() -> None:
    row = """    - id: GAL-17
      when: {q.decoration_area_m2: {gt: 1000}, company.entity_in_operation: [false, unknown]}
      outcome: refuse
      confirm: true
      reason: {zh: 面积过大, en: Too large}
    - id: GAL-99
"""
    (change, *more) = gallery_difference("    - id: GAL-99\n", row)
    assert (more, change.mark, change.section) == ([], "+", "rules")
    zh, en = change.sentences()
    for part in (
        "规则 GAL-17",
        "大于1000",
        "经营单位:主体存续",
        "为否或未知",
        "结果 不予办理",
        "须经办人确认 是",
        "面积过大",
    ):
        assert part in zh, zh
    for part in ("rule GAL-17", "is above 1000", "is no or unknown", "outcome refuse", "Too large"):
        assert part in en, en


def test_compare__text_corrected__told_apart_from_what_decides() -> None:
    (change,) = gallery_difference("经营主体已吊销或注销", "经营主体已被吊销或注销")
    assert (change.decides, change.section, change.mark) == (False, "rules", "~")
    assert not any(each.decides for each in gallery_difference("en: Open a gallery", "en: Open an art gallery"))


def test_compare__order_of_approvers__said() -> None:
    hall = scenario("open-exhibition-hall")
    assert len(hall.approvers) > 1
    swapped = hall.model_copy(update={"approvers": tuple(reversed(hall.approvers))})
    order = [rule for role in swapped.approvers for rule in hall.rules if rule.approver == role]
    changes = compare(hall, swapped.model_copy(update={"rules": tuple(order)}))
    assert {"approvers", "rules"} == {each.section for each in changes}


def test_compare__nothing_before__everything_that_the_version_says() -> None:
    changes = compare(None, scenario("open-gallery"), catalogue=catalogue())
    assert {each.mark for each in changes} == {"+"}
    text = said(changes)
    gallery = scenario("open-gallery")
    for part in (*gallery.evidence, *gallery.rules, *gallery.materials, *gallery.questions, *gallery.steps):
        assert part.id in text
    for item in gallery.evidence:
        assert all(claim.key in text for claim in item.claims)


def seating(**changes: Any) -> Seating:
    market, police = Words("市场监管局", "Market"), Words("公安局", "Police")
    fields = {
        "region": "110108",
        "identity": police,
        "operator": Words("政务局", "Services"),
        "approvers": {"culture-tourism": Words("文旅局", "Culture")},
        "providers": {"market-supervision": market, "public-security": police},
    }
    return Seating(**(fields | changes))


def test_compare__other_seats__said_first_and_used_as_names() -> None:
    gallery, other = scenario("open-gallery"), gallery_with("max_age: 7d", "max_age: 8d")
    assert compare(gallery, gallery, seated_before=seating(), seated=seating()) == ()
    tax = seating(providers={"market-supervision": Words("税务局", "Tax")}, region="110105")
    region, provider, gone, *more = compare(gallery, other, seated_before=seating(), seated=tax)
    assert region.sentences().zh == "地区由 110108 改为 110105"
    assert provider.sentences().en == "provider [market-supervision]: Market → Tax"
    assert (gone.mark, gone.section) == ("-", "seats")
    assert [each.section for each in more] == ["evidence"]
    assert {each.mark for each in compare(None, gallery, seated=tax) if each.section == "seats"} == {"+"}
    named = said(compare(gallery, gallery_with("居民身份证法第十四条", "居民身份证法"), seated=seating()))
    assert "由公安局〔public-security〕提供" in named


@pytest.mark.parametrize(
    ("seconds", "words"), [(86_400, "1 day"), (90, "90 seconds"), (7_200, "2 hours"), (60, "1 minute")]
)
def test_duration__seconds__largest_exact_unit(seconds: int, words: str) -> None:
    assert duration(seconds).en == words


# ---- nothing is left unsaid


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A model and every model that its fields hold."""
    yield model
    for info in model.model_fields.values():
        for kind in parts_of(info.annotation):
            if isinstance(kind, type) and issubclass(kind, BaseModel) and kind is not Text:
                yield from models(kind)


def parts_of(annotation: Any) -> Iterator[Any]:
    yield annotation
    for each in get_args(annotation):
        yield from parts_of(each)


def test_vocabulary__every_part_and_field_of_a_scenario__has_words() -> None:
    found = set(models(Scenario))
    assert len(found) > 20
    for model in found:
        assert model.__name__ in NOUNS
        for name in model.model_fields:
            if name != "format":
                assert label_of(model.__name__, name)
    assert set(Scenario.model_fields) - {"format"} == set(SECTIONS) - {"seats"}


@pytest.mark.parametrize("name", SHIPPED)
def test_compare__equal__nothing(name: str) -> None:
    there = scenario(name)
    again = Scenario.from_documents(orjson.loads(canonical(there.definition())), orjson.loads(canonical(there.texts())))
    assert compare(there, again) == ()


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of every leaf, and of every member of a list or map that could go."""
    if path:
        yield path
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from leaves(item, (*path, key))


OTHERS = (
    "approve", "return", "refuse", "manual", "statute", "consent", "public", "always", "sometimes", "never", "ours",
    "law", "decide", "push", "orchestrator", "approver", "working_day", "calendar_day", "boolean", "text", "date",
    "string", "number", "tri", "person", "entity", "2020-02-29",
)  # fmt: skip
"""What a fixed word may be changed into, so that the document stays one."""


def bent(value: Any, draw: random.Random) -> list[Any]:
    """Other values for a leaf, some of which may leave the document readable."""
    match value:
        case bool():
            return [not value]
        case int():
            return [value + 1, 0 if value else 7, value * 60]
        case str():
            ends = [f"{value}x", f"{value}2", value[:-1], f"{value[:-2]}0 ", value.replace("300", "301"), f'"{value}"']
            swaps = [
                value.replace("false", "true"),
                value.replace('"true"', '"false"'),
                value.replace("unknown", "not_asked"),
            ]
            quoted = [value.replace(f'"{one}"', f'"{other}"') for one in OTHERS[:4] for other in OTHERS[:4]]
            likely = [each for each in (*swaps, *quoted, *ends[4:]) if each != value]
            return [*draw.sample(likely, min(3, len(likely))), draw.choice(ends[:4]), *draw.sample(OTHERS, 3)]
    return []


def changed(document: Any, path: tuple[Any, ...], draw: random.Random) -> Iterator[Any]:
    """The document with one place changed, left out, or (in a list) doubled or moved to the front."""

    def copy() -> tuple[Any, Any, Any]:
        made = orjson.loads(orjson.dumps(document))
        place = made
        for step in path[:-1]:
            place = place[step]
        return made, place, path[-1]

    made, place, key = copy()
    for other in bent(place[key], draw):
        made, place, key = copy()
        place[key] = other
        yield made
    made, place, key = copy()
    del place[key]
    yield made
    if isinstance(place, list) and key:
        made, place, key = copy()
        place.insert(0, place.pop(key))
        yield made


def check(name: str, path: tuple[Any, ...], draw: random.Random, *, texts: bool = False) -> int:
    """Changes one place of a scenario's documents in every way; how many of those made a scenario, each said in words."""
    there = scenario(name)
    definition, words = there.definition(), there.texts()
    made = 0
    for document in changed(words if texts else definition, path, draw):
        try:
            other = Scenario.from_documents(*((definition, document) if texts else (document, words)))
        except Invalid:
            continue  # no gateway would take it
        made += 1
        if (other.version, other.texts_hash) == (there.version, there.texts_hash):
            assert compare(there, other) == ()
            continue
        changes = compare(there, other) if made % 2 else compare(other, there)
        assert changes, (path, document)
        assert any(each.decides for each in changes) == (other.version != there.version)
        for each in changes:
            zh, en = each.sentences()
            assert "" not in (zh, en)
            assert each.was != each.now
    return made


@given(st.data())
def test_compare__any_place_of_any_definition_changed__said(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(SHIPPED))
    path = data.draw(st.sampled_from(places(name)))
    check(name, path, random.Random(data.draw(st.integers(0, 2**32))))


@pytest.mark.parametrize("name", SHIPPED)
def test_compare__texts_changed__said(name: str) -> None:
    draw = random.Random(name)
    paths = [path for path in leaves(scenario(name).texts()) if len(path) == 3]
    assert sum(check(name, path, draw, texts=True) for path in draw.sample(paths, 4)) > 4


@cache
def places(name: str) -> list[tuple[Any, ...]]:
    return list(leaves(scenario(name).definition()))


def test_check__draws__do_make_scenarios() -> None:
    """The tests above would hold if nothing that is drawn could be read."""
    draw = random.Random(3)
    made = [check(name, path, draw) for name in SHIPPED for path in draw.sample(places(name), 5)]
    assert sum(count > 0 for count in made) > 7
