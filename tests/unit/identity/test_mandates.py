"""What a mandate needs and holds, for every situation of the scenarios that ship."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain.canonical import keccak
from orchestrator.domain.errors import Invalid
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.situations import plain_situation, representative_situations
from orchestrator.identity.flow import CoConsent, Entered, Face, Flow, MandateRequest, Person
from orchestrator.identity.mandates import Place, beijing_day, granted, make_mandate, sign
from orchestrator.identity.needs import Needs, needs_of
from orchestrator.identity.notice import notice
from orchestrator.identity.oidc import AuthorizationRequest
from orchestrator.protocol.jose import jws_hash
from orchestrator.protocol.mandate import Mandate, case_id, open_subject
from orchestrator.protocol.ports import BindingView, SeatView
from orchestrator.protocol.sealing import SealingKey
from orchestrator.protocol.sheet import Domain
from orchestrator.scenarios import read_data, scenario_files, shipped
from tests.support.identity_world import CATALOGUE, IDENTITY, KEYS, OPERATOR, ROLES, keyset

SCENARIOS: dict[str, Scenario] = {path.stem: shipped(path.stem, CATALOGUE) for path in scenario_files()}
LEDGER = Domain(chain_id=31337, contract="0x" + keccak(b"ledger")[12:].hex())
SEATS = {
    seat: SeatView(number=seat, keyset=keyset(seat), signer=KEYS[seat].chain.address, active=True) for seat in KEYS
}
NOW = 1_790_000_000
REQUEST = AuthorizationRequest(
    client="haidian-government-services",
    redirect_uri="http://p/cb",
    state="s" * 8,
    nonce="n" * 8,
    code_challenge="c" * 43,
)


def binding_of(scenario: Scenario) -> BindingView:
    return BindingView(
        number=7,
        version=scenario.version,
        region="110108",
        identity=IDENTITY,
        operator=OPERATOR,
        approvers=tuple(CATALOGUE.department(ROLES[role]).seat for role in scenario.approvers),
        providers=tuple(CATALOGUE.department(ROLES[role]).seat for role in scenario.providers),
        live=True,
    )


def finished(needs: Needs, values: dict[str, Any], **changes: Any) -> Flow:
    """A flow in which everything was entered and agreed."""
    mandate = {
        "type": "lianban-mandate",
        "kind": "grant",
        "binding": 7,
        "situation": {"values": values, "salt": "A" * 43},
        "delivery": {name: str(value) for name, value in SealingKey.generate().jwk.items()},
    }
    flow = Flow(
        id="f",
        request=REQUEST,
        mandate=MandateRequest.model_validate(mandate),
        version=needs.scenario.version,
        texts=needs.scenario.texts_hash,
        jti="jti-of-the-mandate",
        person=Person(number="110199198806120116", name="陈画", auth_time=NOW),
        subjects={
            role.subject.id: (Entered(type=role.subject.id_type[0], id=f"id of {role.subject.id}", name="名"),)
            for role in needs.roles
        },
        agreed_at=NOW,
        face=Face(matches=True, liveness=True, assurance="none", method="development", checked_at=NOW),
    )
    return flow.having(**changes)


def made(flow: Flow, needs: Needs) -> Mandate:
    assert flow.mandate is not None
    place = Place(binding=binding_of(needs.scenario), ledger=LEDGER, seats=SEATS)
    return make_mandate(flow, flow.mandate, needs, place, sub="pairwise", now=NOW)


def situations(scenario: Scenario) -> list[dict[str, Any]]:
    return [plain_situation(each) for each in representative_situations(scenario)]


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_needs_of__every_situation__one_principal_and_every_item_has_subject_and_seat(name: str) -> None:
    scenario = SCENARIOS[name]
    binding = binding_of(scenario)
    for values in situations(scenario)[:200]:
        needs = needs_of(scenario, binding, values)
        roles = {role.subject.id for role in needs.roles}

        assert sum(role.principal for role in needs.roles) == 1
        for need in needs.items:
            assert {need.item.subject, *need.item.with_.values()} <= roles, (need.item.id, values)
            assert need.seat in binding.named


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_notice__every_situation__plain_words_for_every_item(name: str) -> None:
    scenario = SCENARIOS[name]
    names = {seat: view.keyset.name for seat, view in SEATS.items()}
    for values in situations(scenario)[:50]:
        needs = needs_of(scenario, binding_of(scenario), values)
        lines = notice(needs, names, CATALOGUE)

        assert [line.item for line in lines] == [need.item.id for need in needs.items]
        for line, need in zip(lines, needs.items, strict=True):
            assert line.declinable == (need.item.basis.kind == "consent")
            assert len(line.claims) == len(need.item.claims)
            for words in (line.asked_of, line.about, line.evidence, line.basis, line.act, *line.claims):
                assert words["zh"] != words["en"]


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_make_mandate__every_situation__each_subject_opens_for_exactly_those_who_need_it(name: str) -> None:
    scenario = SCENARIOS[name]
    binding = binding_of(scenario)
    for values in situations(scenario)[:6]:
        needs = needs_of(scenario, binding, values)
        mandate = made(finished(needs, values), needs)
        for role, slots in mandate.subjects.items():
            needed = set(binding.approvers)
            for need in needs.items:
                if need.item.source == "gateway" and role in (need.item.subject, *need.item.with_.values()):
                    needed.add(need.seat)
            assert set(slots[0].sealed) == {str(seat) for seat in needed}
            for seat in needed:
                subject = open_subject(mandate, role, 0, seat=seat, key=KEYS[seat].sealing)
                assert subject.id == f"id of {role}"


def test_make_mandate__declined_item__neither_granted_nor_its_provider_told() -> None:
    values = {"holds_national_certificate": True, "accounting_year": 2025, "handled_by": "self"}
    needs = needs_of(
        SCENARIOS["zgc-high-tech-certification"], binding_of(SCENARIOS["zgc-high-tech-certification"]), values
    )
    taxed = tuple(need.item.id for need in needs.items if need.seat == 6)

    mandate = made(finished(needs, values, declined=taxed), needs)

    assert taxed
    assert not {grant.item for grant in mandate.evidence} & set(taxed)
    assert all("6" not in slot.sealed for slots in mandate.subjects.values() for slot in slots)


def test_granted__no_face_check_made__not_covered() -> None:
    scenario = SCENARIOS["unemployment-benefit-claim"]
    needs = needs_of(scenario, binding_of(scenario), {})

    assert "E04.claimant" in {need.item.id for need in granted(needs, finished(needs, {}))}
    assert "E04.claimant" not in {need.item.id for need in granted(needs, finished(needs, {}, face=None))}


def test_make_mandate__only_a_face_check__not_sealed_to_the_identity_seats_gateway() -> None:
    scenario = SCENARIOS["unemployment-benefit-claim"]
    whole = needs_of(scenario, binding_of(scenario), {})
    needs = replace(whole, items=tuple(need for need in whole.items if need.item.source == "mandate"))

    mandate = made(finished(needs, {}), needs)

    assert [grant.seat for grant in mandate.evidence] == [IDENTITY]
    assert set(mandate.subjects["claimant"][0].sealed) == {str(seat) for seat in binding_of(scenario).approvers}


def test_make_mandate__withdrawal__nobody_named_and_nothing_granted() -> None:
    scenario = SCENARIOS["unemployment-benefit-claim"]
    needs = needs_of(scenario, binding_of(scenario), {})
    flow = finished(needs, {})
    assert flow.mandate is not None
    withdrawal = flow.mandate.model_copy(
        update={"kind": "withdrawal", "case": "0x" + "01" * 32, "previous": "0x" + "02" * 32}
    )

    mandate = made(flow.having(mandate=withdrawal), needs)

    assert (mandate.subjects, mandate.evidence, mandate.consents, mandate.face) == ({}, (), (), None)
    assert sign(mandate, KEYS[IDENTITY].identity).case == "0x" + "01" * 32


def test_make_mandate__consents__time_of_each() -> None:
    scenario = SCENARIOS["unemployment-benefit-claim"]
    needs = needs_of(scenario, binding_of(scenario), {})

    mandate = made(finished(needs, {}, consents=(CoConsent(role="claimant", index=0, at=NOW - 5),)), needs)

    assert [(each.role, each.index, each.at) for each in mandate.consents] == [("claimant", 0, NOW - 5)]


def test_sign__grant__case_is_the_hash_of_the_mandate() -> None:
    scenario = SCENARIOS["unemployment-benefit-claim"]
    needs = needs_of(scenario, binding_of(scenario), {})

    signed = sign(made(finished(needs, {}), needs), KEYS[IDENTITY].identity)

    assert signed.hash == jws_hash(signed.jws)
    assert signed.case == case_id(signed.jws)
    assert Mandate.parse(signed.jws, KEYS[IDENTITY].identity.jwk, issuer=IDENTITY, now=NOW + 1).day == beijing_day(NOW)


@pytest.mark.parametrize(
    ("now", "day"), [(1_771_862_399, "2026-02-23"), (1_771_862_400, "2026-02-24"), (0, "1970-01-01")]
)
def test_beijing_day__around_midnight__the_day_there(now: int, day: str) -> None:
    assert beijing_day(now) == day


def test_needs_of__answers_not_as_asked__field_named() -> None:
    scenario = SCENARIOS["open-gallery"]
    with pytest.raises(Invalid) as error:
        needs_of(scenario, binding_of(scenario), {"decoration_area_m2": "280.00"})
    assert error.value.field


def test_situations__the_file_of_situations__all_plannable() -> None:
    for name, listed in read_data("situations.yaml").items():
        for entry in listed.values():
            answers = {key: 2025 if value == "last-year" else value for key, value in entry["answers"].items()}
            assert needs_of(SCENARIOS[name], binding_of(SCENARIOS[name]), answers).items
