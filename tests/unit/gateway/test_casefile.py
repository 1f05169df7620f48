"""A case as the approver's gateway takes it: everything that must fit the mandate, and the answers that it fetches itself."""

from __future__ import annotations

import secrets
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.domain.canonical import b64, to_hex
from orchestrator.domain.errors import Invalid
from orchestrator.gateway.verdicts import MOST_CASES
from orchestrator.protocol.jose import SigningKey, peek_jws
from orchestrator.protocol.mandate import ChainRef, Mandate
from orchestrator.protocol.material import SealedForm, SealedMaterial, seal_form, seal_material
from tests.support.approver import OPERATOR, Approvers, Filed, sealed_as
from tests.support.services import GALLERY, paper

pytestmark = pytest.mark.anyio

FILED: dict[str, Filed] = {}
"""One case for all examples of a property."""

TAX = 6
COM_06 = "COM-06-culture-tourism"
"""An answer that came did not verify."""


@pytest.fixture(autouse=True)
def _all_up(gallery: Approvers) -> None:
    gallery.book.down.clear()


async def refusal(gallery: Approvers, body: dict[str, Any]) -> str:
    """Why a case is refused, while another one beside it gets its verdict."""
    good = gallery.file()
    answer = await gallery.verdicts(body, good)
    assert [entry["case"] for entry in answer["verdicts"]] == [good.id]
    (entry,) = answer["refused"]
    assert entry["case"] == body["case"]
    return str(entry["code"])


# ---- what does not fit the mandate


async def test_case__mandate_forged__refused(gallery: Approvers) -> None:
    forged = gallery.file(key=gallery.consortium.keys[OPERATOR].request, answered=False)
    assert await refusal(gallery, forged.body()) == "forged-mandate"


async def test_case__token_that_is_no_mandate__refused(gallery: Approvers) -> None:
    for token in ("", "a.b.c", "授权书"):
        assert await refusal(gallery, gallery.file().body(mandates=[token])) == "forged-mandate"


async def test_case__no_mandate__refused(gallery: Approvers) -> None:
    assert await refusal(gallery, gallery.file().body(mandates=[])) == "no-mandate"


async def test_case__mandate_of_another_case__refused(gallery: Approvers) -> None:
    one, other = gallery.file(), gallery.file()
    assert await refusal(gallery, one.body(mandates=other.mandates)) == "wrong-case"


async def test_case__mandates_do_not_follow__refused(gallery: Approvers) -> None:
    one, other = gallery.file(), gallery.amend(gallery.file())
    assert await refusal(gallery, one.body(mandates=[*one.mandates, other.newest])) == "broken-chain"
    assert await refusal(gallery, other.body(mandates=other.mandates[1:])) == "broken-chain"


async def test_case__mandate_for_another_chain__refused(gallery: Approvers) -> None:
    ledger = gallery.consortium.chain.domain("CaseLedger")
    for elsewhere in (
        ChainRef(id=ledger.chain_id + 1, ledger=ledger.contract),
        ChainRef(id=ledger.chain_id, ledger="0x" + "12" * 20),
    ):
        assert await refusal(gallery, gallery.file(chain=elsewhere).body()) == "wrong-chain"


async def test_case__mandate_under_unknown_binding__refused(gallery: Approvers) -> None:
    assert await refusal(gallery, gallery.file(binding=77, answered=False).body()) == "unknown-binding"


async def test_case__mandate_withdrawn__refused(gallery: Approvers) -> None:
    withdrawn = gallery.amend(gallery.file(), kind="withdrawal")
    assert await refusal(gallery, withdrawn.body()) == "mandate-not-in-force"


async def test_case__mandate_names_another_version__refused(gallery: Approvers) -> None:
    other = gallery.file(version=to_hex(secrets.token_bytes(32)))
    assert await refusal(gallery, other.body()) == "mandate-not-in-force"


async def test_case__mandate_expired__refused(gallery: Approvers) -> None:
    now = int(time.time())
    assert await refusal(gallery, gallery.file(iat=now - 900, exp=now - 1).body()) == "expired"
    assert await refusal(gallery, gallery.file(iat=now + 900).body()) == "not-yet-valid"


async def test_case__identity_seat_suspended__refused(gallery: Approvers) -> None:
    identity, case = gallery.consortium.binding.identity, gallery.file()
    gallery.consortium.chain.suspend(identity)
    try:
        assert await gallery.refused(case) == ("identity-suspended", [])
    finally:
        gallery.consortium.chain.suspend(identity, active=True)


async def test_case__asker_is_not_the_operator__refused(gallery: Approvers) -> None:
    case = gallery.file()
    async with gallery.client(TAX) as tax:
        answer = await tax.verdicts(gallery.consortium.seat(gallery.lead), [case.body()])
    assert [entry["code"] for entry in answer["refused"]] == ["asker-not-named"]


async def test_case__situation_is_not_the_mandates__refused(gallery: Approvers) -> None:
    case = gallery.file()
    for situation in (
        {"values": case.values | {"decoration_area_m2": "280.01"}, "salt": case.salt},
        {"values": case.values, "salt": b64(secrets.token_bytes(32))},
        {"values": case.values, "salt": b64(b"short")},
        {"values": case.values, "salt": "no base64"},
        {"values": {}, "salt": case.salt},
    ):
        assert await refusal(gallery, case.body(situation=situation)) == "wrong-situation"


async def test_case__form_is_not_the_mandates__refused(gallery: Approvers) -> None:
    case = gallery.file()
    other = seal_form({**GALLERY.form, "sells_relics": True}, [], gallery.recipients()).model_dump(mode="json")
    assert await refusal(gallery, case.body(form=None)) == "wrong-form"
    assert await refusal(gallery, case.body(form=other)) == "wrong-form"
    # Another content under the right hash does not open to what the hash says.
    assert await refusal(gallery, case.body(form=other | {"hash": case.form.hash})) == "cannot-open"  # type: ignore[union-attr]


async def test_case__form_without_this_seat__refused(gallery: Approvers) -> None:
    case = gallery.file()
    form = case.body()["form"]
    assert await refusal(gallery, case.body(form=form | {"sealed": {}})) == "not-for-this-seat"


async def test_case__form_of_another_shape__refused_others_go_on(gallery: Approvers) -> None:
    # Whoever applies makes the form: a faulty one must not stop those that travel with it.
    documents: list[Any] = [{"values": {}}, {"values": [], "materials": []}, {"values": {}, "materials": [{"id": 7}]}]
    for document in documents:
        digest, sealed = sealed_as("form", document, gallery.recipients())
        assert await refusal(gallery, gallery.file(form=SealedForm(hash=digest, sealed=sealed)).body()) == "bad-form"


async def test_case__form_answers_are_not_the_scenarios__refused(gallery: Approvers) -> None:
    for form in ({"extra": 1}, {**GALLERY.form, "sells_relics": "no"}, {**GALLERY.form, "extra": 1}):
        assert await refusal(gallery, gallery.file(form=form).body()) == "form-incomplete"


async def test_case__no_form_where_one_is_due__refused(gallery: Approvers) -> None:
    # Rules over form.* would find nothing asked, and hit nothing.
    assert await refusal(gallery, gallery.file(form=None).body()) == "form-incomplete"


async def test_case__listed_material_did_not_come__refused(gallery: Approvers) -> None:
    case = gallery.file(materials=[paper("premises-proof")])
    assert await refusal(gallery, case.body(materials=[])) == "material-missing"
    another = seal_material(paper("premises-proof"), gallery.recipients())
    assert await refusal(gallery, case.body(materials=[another.model_dump(mode="json")])) == "material-missing"


async def test_case__material_swapped_under_its_hash__refused(gallery: Approvers) -> None:
    case = gallery.file(materials=[paper("premises-proof")])
    another = seal_material(paper("premises-proof"), gallery.recipients()).model_dump(mode="json")
    assert await refusal(gallery, case.body(materials=[another | {"hash": case.materials[0].hash}])) == "cannot-open"


async def test_case__material_that_the_scenario_does_not_know__refused(gallery: Approvers) -> None:
    assert await refusal(gallery, gallery.file(materials=[paper("horoscope")]).body()) == "material-unknown"


async def test_case__material_of_another_shape__refused_others_go_on(gallery: Approvers) -> None:
    for document in ({}, {"id": "premises-proof", "content": 7}, {"id": "other", "content": "", "fields": {}}):
        digest, sealed = sealed_as("premises-proof", document, gallery.recipients())
        material = SealedMaterial(id="premises-proof", hash=digest, sealed=sealed)
        assert await refusal(gallery, gallery.file(materials=[material]).body()) == "wrong-material"


async def test_verdicts__more_cases_than_a_batch_holds__refused(gallery: Approvers) -> None:
    case = gallery.file().body()
    with pytest.raises(Invalid) as error:
        await gallery.verdicts(*[case] * (MOST_CASES + 1))
    assert error.value.field == "cases"


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    where=st.sampled_from(["situation", "form", "materials", "mandates", "given_up"]),
    what=st.recursive(
        st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
        max_leaves=6,
    ),
)
async def test_case__any_part_replaced_by_anything__said_no_in_our_own_words(
    gallery: Approvers, where: str, what: Any
) -> None:
    body = FILED.setdefault("case", gallery.file()).body(**{where: what})
    try:
        answer = await gallery.verdicts(body)
    except Invalid:  # the field was named; anything else than our own kinds of errors fails the test
        return
    assert len(answer["verdicts"]) + len(answer["refused"]) == 1


# ---- answers: fetched by this seat itself, each verified


async def test_answers__one_request_for_each_provider(gallery: Approvers) -> None:
    gallery.book.asked.clear()
    cases = [gallery.file() for _ in range(3)]
    await gallery.verdicts(*cases)
    providers = [department for department, _ in gallery.book.asked]
    assert len(providers) == len(set(providers)) == 5
    assert sum(count for _, count in gallery.book.asked) == 3 * len(gallery.planned(cases[0]))


async def test_answers__good__used_with_sealed_claims(gallery: Approvers) -> None:
    verdict, _ = await gallery.verdict(gallery.file())
    assert (verdict.outcome, verdict.rows) == ("approve", ("GAL-99",))
    assert len(verdict.answers) == 8


@pytest.mark.parametrize(
    "bend",
    [
        pytest.param({"subject": "0x" + "77" * 32}, id="another subject"),
        pytest.param({"key": SigningKey.generate()}, id="not the provider's key"),
        pytest.param({"without": ["full_name"]}, id="a sealed claim is left out"),
        pytest.param({"without": ["identity_matches"]}, id="an open claim is left out"),
    ],
)
async def test_answers__do_not_verify__not_used_and_said_so(gallery: Approvers, bend: dict[str, Any]) -> None:
    case = gallery.file()
    gallery.say(case, "E01.handler", **bend)
    verdict, _ = await gallery.verdict(case)
    assert COM_06 in verdict.rows
    assert verdict.outcome == "return"
    assert gallery.question(case, "E01.handler").id not in {answer.question for answer in verdict.answers}


async def test_answers__signed_by_the_operator__not_used(gallery: Approvers) -> None:
    case = gallery.file()
    gallery.say(case, "E01.handler", key=gallery.consortium.keys[OPERATOR].evidence)
    assert COM_06 in (await gallery.verdict(case))[0].rows


async def test_answers__of_another_case__not_used(gallery: Approvers) -> None:
    case, other = gallery.file(), gallery.file()
    envelope = gallery.book.answers[gallery.question(other, "E01.handler").id]
    mine = gallery.question(case, "E01.handler").id
    gallery.book.answers[mine] = envelope.model_copy(update={"question": mine})
    assert COM_06 in (await gallery.verdict(case))[0].rows


async def test_answers__of_the_mandate_before__do_not_count(gallery: Approvers) -> None:
    case = gallery.amend(gallery.file())
    verdict, _ = await gallery.verdict(case)
    assert verdict.answers == ()
    assert verdict.outcome == "return"


async def test_answers__none_given__unknown(gallery: Approvers) -> None:
    case = gallery.file()
    del gallery.book.answers[gallery.question(case, "E05.company").id]
    verdict, _ = await gallery.verdict(case)
    assert (verdict.outcome, verdict.materials_wanted) == ("return", ("business-licence-copy",))
    assert "COM-07" in verdict.rows


async def test_answers__too_old__items_named(gallery: Approvers) -> None:
    case = gallery.file()
    gallery.say(case, "E09.premises", age=3_700, lasts=90_000)
    gallery.say(case, "E06.company", age=10, lasts=5)
    assert await gallery.refused(case) == ("stale-evidence", ["E06.company", "E09.premises"])
    # Nobody waits for the department any more: what it said once says nothing now.
    given_up = case.body(given_up=["E06.company", "E09.premises"])
    assert (await gallery.verdicts(given_up))["refused"] == []


async def test_answers__provider_down__waited_for_until_given_up(gallery: Approvers) -> None:
    case, other = gallery.file(), gallery.file()
    gallery.book.down.add("haidian-market-supervision")
    items = ["E05.company", "E05.company.representative", "E06.company"]
    assert await gallery.refused(case) == ("provider-down", items)
    assert await gallery.refused(case.body(given_up=items[:2])) == ("provider-down", items[2:])
    answer = await gallery.verdicts(case.body(given_up=items), other.body(given_up=items))
    assert [entry["case"] for entry in answer["verdicts"]] == [case.id, other.id]
    # Given up or not, an answer that can be had counts.
    gallery.book.down.clear()
    answer = await gallery.verdicts(case.body(given_up=items))
    assert answer["verdicts"][0]["case"] == case.id
    verdict, _ = await gallery.verdict(case)
    assert verdict.outcome == "approve"


async def test_answers__not_covered_by_the_mandate__not_asked_and_unknown(gallery: Approvers) -> None:
    # The applicant declined one item: its material is asked for instead.
    grants = [grant for grant in gallery.service.items if grant != "E05.company"]
    mandate = gallery.consortium.mandate(items=grants)
    case = gallery.file(evidence=Mandate.model_validate(peek_jws(mandate)[1]).evidence)
    verdict, _ = await gallery.verdict(case)
    assert gallery.question(case, "E05.company").id not in {answer.question for answer in verdict.answers}
    assert verdict.materials_wanted == ("business-licence-copy",)


# ---- materials


async def test_materials__listed__count(gallery: Approvers) -> None:
    case = gallery.file(materials=[paper("business-licence-copy")])
    del gallery.book.answers[gallery.question(case, "E05.company").id]
    verdict, _ = await gallery.verdict(case)
    assert (verdict.outcome, verdict.materials[0].id) == ("manual", "business-licence-copy")


async def test_materials__come_along_but_not_listed__do_not_count(gallery: Approvers) -> None:
    case = gallery.file()
    del gallery.book.answers[gallery.question(case, "E05.company").id]
    slipped = seal_material(paper("business-licence-copy"), gallery.recipients())
    verdict, _ = await gallery.verdict(case)
    sealed = [material.model_dump(mode="json") for material in (*case.materials, slipped)]
    answer = await gallery.verdicts(case.body(materials=sealed))
    assert verdict.outcome == "return"
    assert "business-licence-copy" not in [ref.id for ref in verdict.materials]
    assert answer["verdicts"][0]["verdict"] == (await gallery.verdict(case))[1]


async def test_materials__of_the_form_before__do_not_count(gallery: Approvers) -> None:
    case = gallery.file(materials=[paper("business-licence-copy")])
    amended = gallery.amend(case)
    gallery.answer(amended)
    del gallery.book.answers[gallery.question(amended, "E05.company").id]
    verdict, _ = await gallery.verdict(amended)
    assert verdict.outcome == "return"
    assert "business-licence-copy" not in [ref.id for ref in verdict.materials]
