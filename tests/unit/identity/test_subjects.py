from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.scenario_parts import Subject
from orchestrator.identity.client import subject_fields
from orchestrator.identity.flow import CoConsent, Entered, Person
from orchestrator.identity.needs import Role
from orchestrator.identity.pages import entered_form
from orchestrator.identity.subjects import MAX_SUBJECTS, co_consents, read_entries, rows_shown

CHEN, WANG = "110199198806120116", "110199197909200130"
GALLERY = "91110108MBXYE0016D"
PERSON = Person(number=CHEN, name="陈画", auth_time=1)


def role(given_attributes: dict[str, Any] | None = None, **fields: Any) -> Role:
    label = {"zh": "对象", "en": "subject"}
    subject = Subject.model_validate({"kind": "person", "id_type": "citizen", "label": label, **fields})
    return Role(subject=subject, principal=subject.principal is not None, given=given_attributes or {})


HANDLER = role(id="handler", principal=True)
COMPANY = role(id="company", kind="entity", id_type="uscc")
SELLERS = role(id="seller", many=True, consents=True)


def test_read_entries__all_right__normal_forms() -> None:
    form = {"company.0.id": " ９1110108mbxye0016d ", "company.0.name": " 海淀墨白画廊有限公司 "}

    entries = read_entries((HANDLER, COMPANY), form, PERSON)

    assert entries.faults == ()
    assert entries.subjects["handler"] == (Entered(type="citizen", id=CHEN, name="陈画"),)
    assert entries.subjects["company"] == (Entered(type="uscc", id=GALLERY, name="海淀墨白画廊有限公司"),)


def test_read_entries__principal_given_by_form__account_stands() -> None:
    entries = read_entries((HANDLER,), {"handler.0.id": WANG, "handler.0.name": "王外埠"}, PERSON)

    assert entries.subjects["handler"][0].id == CHEN


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({}, "company.0.id"),
        ({"company.0.id": "91110108MBXYE0016X", "company.0.name": "x"}, "company.0.id"),
        ({"company.0.id": CHEN, "company.0.name": "x"}, "company.0.id"),
        ({"company.0.id": GALLERY}, "company.0.name"),
        ({"company.0.id": GALLERY, "company.0.name": "a\nb"}, "company.0.name"),
        ({"company.0.id": GALLERY, "company.0.name": "长" * 101}, "company.0.name"),
    ],
)
def test_read_entries__faulty_field__named_with_remedy_without_value(form: dict[str, str], field: str) -> None:
    faults = read_entries((COMPANY,), form, PERSON).faults

    assert [fault.field for fault in faults] == [field]
    assert faults[0].remedy
    assert faults[0].detail != faults[0].detail_en
    assert all(value not in str(faults[0]) for value in form.values())


def test_read_entries__several_faults__all_told_at_once() -> None:
    entries = read_entries((COMPANY, SELLERS), {"seller.3.id": "1", "seller.3.name": "x"}, PERSON)

    assert {fault.field for fault in entries.faults} == {"company.0.id", "seller.3.id"}


def test_read_entries__same_person_twice_in_a_role__refused() -> None:
    form = {f"seller.{n}.{name}": value for n in (0, 1) for name, value in (("id", WANG), ("name", "王外埠"))}

    assert [fault.field for fault in read_entries((SELLERS,), form, PERSON).faults] == ["seller.1.id"]


def test_read_entries__two_kinds_of_identifier__the_one_that_fits_or_was_chosen() -> None:
    landlord = role(id="landlord", kind="other", id_type=["citizen", "uscc"])

    for identifier, kind in ((WANG, "citizen"), (GALLERY, "uscc")):
        form = {"landlord.0.id": identifier, "landlord.0.name": "x"}
        assert read_entries((landlord,), form, PERSON).subjects["landlord"][0].type == kind
    chosen = {"landlord.0.id": WANG, "landlord.0.name": "x", "landlord.0.type": "uscc"}
    assert [fault.field for fault in read_entries((landlord,), chosen, PERSON).faults] == ["landlord.0.id"]
    strange = {**chosen, "landlord.0.type": "passport"}
    assert [fault.field for fault in read_entries((landlord,), strange, PERSON).faults] == ["landlord.0.type"]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("boolean", "true", True),
        ("boolean", "yes", None),
        ("integer", "-2", -2),
        ("integer", "2.0", None),
        ("decimal", "300.01", "300.01"),
        ("decimal", "nan", None),
        ("date", "2026-02-28", "2026-02-28"),
        ("date", "2026-02-30", None),
        ("text", "一行", "一行"),
        ("text", "两\n行", None),
        ("text", "", None),
    ],
)
def test_read_entries__declared_attribute__typed_or_named(kind: str, text: str, value: Any) -> None:
    attribute = {"id": "declared", "type": kind, "label": {"zh": "申报", "en": "declared"}}
    company = role(id="company", kind="entity", id_type="uscc", attributes=[attribute])
    form = {"company.0.id": GALLERY, "company.0.name": "x", "company.0.attributes.declared": text}

    entries = read_entries((company,), form, PERSON)

    if value is None:
        assert [fault.field for fault in entries.faults] == ["company.0.attributes.declared"]
    else:
        assert entries.subjects["company"][0].attributes == {"declared": value}


def test_read_entries__attribute_answered_in_the_situation__form_cannot_change_it() -> None:
    attribute = {"id": "area", "type": "decimal", "label": {"zh": "面积", "en": "area"}, "from_question": "area"}
    company = role({"area": "280.00"}, id="company", kind="entity", id_type="uscc", attributes=[attribute])
    form = {"company.0.id": GALLERY, "company.0.name": "x", "company.0.attributes.area": "1"}

    assert read_entries((company,), form, PERSON).subjects["company"][0].attributes == {"area": "280.00"}


def test_co_consents__consenting_roles__everybody_but_the_person_who_signs() -> None:
    subjects = {"seller": (Entered(type="citizen", id=CHEN, name="a"), Entered(type="citizen", id=WANG, name="b"))}

    assert co_consents((SELLERS,), subjects, PERSON) == (CoConsent(role="seller", index=1),)


def test_rows_shown__role_of_many__one_empty_row_more() -> None:
    assert rows_shown(COMPANY, {}) == 1
    assert rows_shown(SELLERS, {}) == 2
    assert rows_shown(SELLERS, {"seller.1.id": "x"}) == 3
    assert rows_shown(SELLERS, {f"seller.{MAX_SUBJECTS - 1}.id": "x"}) == MAX_SUBJECTS


@given(st.dictionaries(st.text(max_size=30), st.text(max_size=60), max_size=8))
def test_read_entries__any_form__faults_or_subjects_never_an_exception(form: dict[str, str]) -> None:
    entries = read_entries((HANDLER, COMPANY, SELLERS), form, PERSON)

    assert entries.faults or all(entries.subjects.values())


def test_entered_form__back_to_correct__same_subjects_again() -> None:
    given_subjects = {"seller": [{"id": CHEN, "name": "a"}, {"id": WANG, "name": "b"}]}
    form = {name: str(value) for name, value in subject_fields(given_subjects).items()}
    entered = read_entries((SELLERS,), form, PERSON).subjects

    assert read_entries((SELLERS,), entered_form(entered), PERSON).subjects == entered
