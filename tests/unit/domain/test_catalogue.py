"""The catalogue: what it takes from department documents, and what it refuses."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from stdnum.cn import uscc

from orchestrator.domain.catalogue import Catalogue, owner_of, parse_document
from orchestrator.domain.errors import Invalid
from orchestrator.scenarios import load_catalogue

DOCUMENT: dict[str, Any] = {
    "department": {
        "id": "haidian-water",
        "seat": 40,
        "name": {"zh": "海淀区水务局", "en": "Haidian Water Bureau"},
        "level": "district",
        "parent": None,
        "vertical": False,
        "uscc": "11110108MBXY0001XG",
        "region": "110108",
        "hosted_by": "haidian-water",
    },
    "evidence": {
        "E90": {
            "slug": "water-account",
            "name": {"zh": "用水账户", "en": "Water account"},
            "records": ["R90"],
            "subjects": ["title"],
            "absence": "unknown",
            "record": "select s.n from subject s",
            "claims": {
                "paid_up_since": {
                    "name": {"zh": "无欠费", "en": "Paid up"},
                    "type": "predicate",
                    "params": {"days": "integer"},
                    "with": {"person": ["citizen"]},
                    "sql": "true",
                }
            },
        }
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The document with one field set, or removed when the value is `...`."""
    document = copy.deepcopy(DOCUMENT)
    *steps, last = path.split(".")
    place = document
    for step in steps:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return document


def test_from_documents__one_department__evidence_with_claims_params_and_slots() -> None:
    catalogue = Catalogue.from_documents([DOCUMENT])

    evidence = catalogue.evidence("E90")
    claim = evidence.claim("paid_up_since")
    assert (evidence.department, evidence.source, evidence.subjects) == ("haidian-water", "record", ("title",))
    assert (claim.id, claim.type, dict(claim.params)) == ("paid_up_since", "predicate", {"days": "integer"})
    assert dict(claim.slots) == {"person": ("citizen",)}
    assert catalogue.department("haidian-water").seat == 40


def test_from_documents__extension__belongs_to_the_department_it_extends() -> None:
    extension = {"extends": "haidian-water", "evidence": {"E91": DOCUMENT["evidence"]["E90"]}}

    catalogue = Catalogue.from_documents([extension, DOCUMENT])

    assert catalogue.evidence("E91").department == "haidian-water"


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("department.seat", 256, "department.seat"),
        ("department.region", "海淀", "department.region"),
        ("department.id", "Haidian Water", "department.id"),
        ("department.colour", "blue", "department.colour"),
        ("evidence.E90.absence", ..., "haidian-water.evidence.E90.absence"),
        ("evidence.E90.subjects", ["horoscope"], "haidian-water.evidence.E90.subjects.0"),
        ("evidence.E90.subjects", [], "haidian-water.evidence.E90.subjects"),
        ("evidence.E90.claims", {}, "haidian-water.evidence.E90.claims"),
        ("evidence.E90.name.en", "", "haidian-water.evidence.E90.name.en"),
        (
            "evidence.E90.claims.paid_up_since.type",
            "mood",
            "haidian-water.evidence.E90.claims.paid_up_since.type",
        ),
        (
            "evidence.E90.claims.paid_up_since.params",
            {"days": "weeks"},
            "haidian-water.evidence.E90.claims.paid_up_since.params.days",
        ),
    ],
)
def test_from_documents__malformed__invalid_names_the_field(path: str, value: Any, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        Catalogue.from_documents([changed(path, value)])

    assert caught.value.field == field
    assert caught.value.remedy


@pytest.mark.parametrize(
    "documents",
    [
        [DOCUMENT, DOCUMENT],
        [DOCUMENT, changed("department.id", "another-one")],
        [DOCUMENT, {"extends": "haidian-water", "evidence": DOCUMENT["evidence"]}],
        [{"extends": "nobody", "evidence": {}}],
    ],
    ids=["same department", "same seat", "same evidence", "extends nobody"],
)
def test_from_documents__conflicting__invalid(documents: list[dict[str, Any]]) -> None:
    with pytest.raises(Invalid):
        Catalogue.from_documents(documents)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("department: {id: x", "line 1"),
        ("a: 1\nb: [\n", "line 3"),
        ("- 1", "department"),
        ("evidence: {}", "department"),
        ("department: {}\nextends: x", "department"),
    ],
)
def test_parse_document__not_a_department_document__invalid(text: str, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_document(text)

    assert caught.value.field == field


def test_catalogue__unknown_ids__invalid_says_what_there_is() -> None:
    catalogue = Catalogue.from_documents([DOCUMENT])

    with pytest.raises(Invalid):
        catalogue.evidence("E01")
    with pytest.raises(Invalid, match="没有部门"):
        catalogue.department("nobody")
    with pytest.raises(Invalid) as caught:
        catalogue.evidence("E90").claim("colour")
    assert "paid_up_since" in caught.value.remedy


def test_load_catalogue__shipped__seventeen_departments_and_all_evidence() -> None:
    catalogue = load_catalogue()

    assert sorted(department.seat for department in catalogue.departments.values()) == list(range(17))
    assert {f"E{number:02d}" for number in range(1, 32)} <= set(catalogue.evidence_types)
    assert all(uscc.is_valid(department.uscc) for department in catalogue.departments.values())
    assert all(department.uscc[8:12] == "MBXY" for department in catalogue.departments.values())
    assert {each.id for each in catalogue.departments.values() if each.vertical} == {
        "beijing-tax",
        "haidian-fire-rescue",
    }
    assert catalogue.evidence("E04").source == "mandate"
    for department in catalogue.departments.values():
        assert department.hosted_by in catalogue.departments


@pytest.mark.parametrize("document", [{}, {"department": {"seat": 3}}, {"department": 7}, {"extends": ""}])
def test_owner_of__names_no_department__invalid(document: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        owner_of(document)
    assert caught.value.field == "department.id"
