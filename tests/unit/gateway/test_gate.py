"""The necessity gate: every reason to refuse, and that nothing else is refused."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import Any

import pytest

from orchestrator.domain.canonical import to_hex
from orchestrator.domain.case import Status
from orchestrator.gateway.gate import Admitted, Circumstances, Presented, Reason, judge
from orchestrator.protocol.jose import jws_hash
from orchestrator.protocol.mandate import ChainRef, Mandate, case_id, sign_mandate
from orchestrator.protocol.question import Question
from orchestrator.protocol.sealing import SealingKey
from orchestrator.protocol.sheet import Domain
from tests.support.consortium import GALLERY_ITEMS, Consortium, make_consortium

MARKET, POLICE, CULTURE, OPERATOR, TAX = 1, 2, 3, 0, 6
DAY = 86_400


@pytest.fixture(scope="module")
def consortium() -> Consortium:
    return make_consortium()


@dataclass
class Ask:
    """A question put to one seat, with circumstances that a test may bend."""

    consortium: Consortium
    jws: str
    seat: int
    question: Question
    given: Circumstances

    def but(self, **changes: Any) -> Admitted | Reason:
        """The gate's word when these circumstances differ."""
        return judge(self.question, dataclasses.replace(self.given, **changes), self.key)

    @property
    def key(self) -> SealingKey:
        return self.consortium.keys[self.seat].sealing

    def asked(self, **changes: Any) -> Admitted | Reason:
        """The gate's word when the question differs."""
        return judge(dataclasses.replace(self.question, **changes), self.given, self.key)


def ask_about(consortium: Consortium, jws: str, item: str = "E05.company", seat: int | None = None) -> Ask:
    binding = consortium.binding
    number = consortium.provider(item) if seat is None else seat
    mandate = Mandate.parse(jws, consortium.seat(binding.identity).keyset.key("identity"))
    given = Circumstances(
        now=int(time.time()),
        own=consortium.seat(number),
        asker=consortium.seat(OPERATOR),
        ledger=consortium.chain.domain("CaseLedger"),
        mandates={jws_hash(jws): Presented(mandate=mandate, case=mandate.case or case_id(jws))},
        bindings={binding.number: binding},
        identities={binding.identity: consortium.seat(binding.identity)},
        scenarios={binding.version: consortium.scenario},
        replaced={},
        statuses={},
        push_days=90,
    )
    question = Question(mandate=jws_hash(jws), item=item, index=0, purpose="decide")
    return Ask(consortium=consortium, jws=jws, seat=number, question=question, given=given)


@pytest.fixture
def ask(consortium: Consortium) -> Ask:
    return ask_about(consortium, consortium.mandate())


@pytest.mark.parametrize("item", GALLERY_ITEMS)
def test_judge__everything_good__admitted_with_opened_subjects(consortium: Consortium, item: str) -> None:
    asked = ask_about(consortium, consortium.mandate(), item)
    admitted = asked.but()
    assert isinstance(admitted, Admitted)
    assert admitted.item.id == item
    assert admitted.subject.commitment == admitted.commitment
    assert admitted.others.keys() == admitted.item.with_.keys()


def test_judge__predicate_about_two__other_subject_opened(consortium: Consortium) -> None:
    admitted = ask_about(consortium, consortium.mandate(), "E05.company.representative").but()
    assert isinstance(admitted, Admitted)
    assert [subject.name for subject in admitted.others["person"]] == ["陈画"]


def test_judge__approver_asks__admitted(ask: Ask) -> None:
    assert isinstance(ask.but(asker=ask.consortium.seat(CULTURE)), Admitted)


def test_judge__no_mandate__unknown_mandate(ask: Ask) -> None:
    assert ask.but(mandates={}) is Reason.UNKNOWN_MANDATE


@pytest.mark.parametrize("reason", [Reason.FORGED_MANDATE, Reason.UNKNOWN_BINDING])
def test_judge__mandate_found_bad__its_reason(ask: Ask, reason: Reason) -> None:
    assert ask.but(mandates={ask.question.mandate: reason}) is reason


def test_judge__case_withdrawn__withdrawn_whatever_replaced_it(ask: Ask) -> None:
    case = ask.given.mandates[ask.question.mandate]
    assert isinstance(case, Presented)
    assert ask.but(withdrawn=frozenset({case.under})) is Reason.WITHDRAWN
    assert ask.but(withdrawn=frozenset({case.under}), replaced={ask.question.mandate: "amendment"}) is Reason.WITHDRAWN
    assert isinstance(ask.but(withdrawn=frozenset({(b"\x11" * 32, case.under[1])})), Admitted)


def test_judge__case_withdrawn_by_another_identity_seat__admitted(ask: Ask) -> None:
    case = ask.given.mandates[ask.question.mandate]
    assert isinstance(case, Presented)
    assert isinstance(ask.but(withdrawn=frozenset({(case.under[0], TAX)})), Admitted)


def test_judge__binding_gone__unknown_binding(ask: Ask) -> None:
    assert ask.but(bindings={}) is Reason.UNKNOWN_BINDING


def test_judge__other_chain_or_ledger__wrong_chain(ask: Ask) -> None:
    ledger = ask.given.ledger
    assert ask.but(ledger=Domain(chain_id=ledger.chain_id + 1, contract=ledger.contract)) is Reason.WRONG_CHAIN
    assert ask.but(ledger=Domain(chain_id=ledger.chain_id, contract="0x" + "ab" * 20)) is Reason.WRONG_CHAIN


def test_judge__ledger_in_other_spelling__admitted(consortium: Consortium) -> None:
    contract = consortium.chain.domain("CaseLedger").contract
    chain = ChainRef(id=consortium.chain.chain_id, ledger="0x" + contract[2:].upper())
    assert isinstance(ask_about(consortium, consortium.mandate(chain=chain)).but(), Admitted)


def test_judge__mandate_of_other_version__wrong_version(consortium: Consortium) -> None:
    jws = consortium.mandate(version=to_hex(b"\x01" * 32))
    assert ask_about(consortium, jws).but() is Reason.WRONG_VERSION


def test_judge__version_not_held__unknown_version(ask: Ask) -> None:
    assert ask.but(scenarios={}) is Reason.UNKNOWN_VERSION


def test_judge__binding_retired__only_running_cases(ask: Ask) -> None:
    bindings = {1: dataclasses.replace(ask.consortium.binding, live=False)}
    assert ask.but(bindings=bindings) is Reason.BINDING_RETIRED
    running = {case_id(ask.jws): Status.ACCEPTED}
    assert isinstance(ask.but(bindings=bindings, statuses=running), Admitted)


def test_judge__seat_suspended__refused(ask: Ask) -> None:
    def suspended(number: int) -> Any:
        return dataclasses.replace(ask.consortium.seat(number), active=False)

    assert ask.but(asker=suspended(OPERATOR)) is Reason.ASKER_SUSPENDED
    assert ask.but(own=suspended(MARKET)) is Reason.SEAT_SUSPENDED
    assert ask.but(identities={POLICE: suspended(POLICE)}) is Reason.IDENTITY_SUSPENDED


def test_judge__asker_not_of_binding__refused(ask: Ask) -> None:
    assert ask.but(asker=ask.consortium.seat(TAX)) is Reason.ASKER_NOT_NAMED


def test_judge__provider_asks_another_provider__refused(ask: Ask) -> None:
    assert ask.but(asker=ask.consortium.seat(POLICE)) is Reason.ASKER_NOT_NAMED


def test_judge__asker_not_authorised_by_applicant__refused(consortium: Consortium) -> None:
    jws = consortium.mandate(askers=(CULTURE,))
    assert ask_about(consortium, jws).but() is Reason.ASKER_NOT_LISTED


def test_judge__mandate_replaced__withdrawn_or_superseded(ask: Ask) -> None:
    assert ask.but(replaced={ask.question.mandate: "withdrawal"}) is Reason.WITHDRAWN
    assert ask.but(replaced={ask.question.mandate: "amendment"}) is Reason.SUPERSEDED


def test_judge__withdrawal_itself__withdrawn(consortium: Consortium) -> None:
    jws = consortium.following(consortium.mandate(), "withdrawal")
    assert ask_about(consortium, jws).but() is Reason.WITHDRAWN


def test_judge__amendment__admitted(consortium: Consortium) -> None:
    jws = consortium.following(consortium.mandate(), "amendment")
    assert isinstance(ask_about(consortium, jws).but(), Admitted)


def test_judge__at_the_edges_of_its_time__refused_outside(ask: Ask) -> None:
    presented = ask.given.mandates[ask.question.mandate]
    assert isinstance(presented, Presented)
    start, end = presented.mandate.iat, presented.mandate.exp
    assert isinstance(ask.but(now=start - 30), Admitted)
    assert ask.but(now=start - 31) is Reason.NOT_YET_VALID
    assert isinstance(ask.but(now=end - 1), Admitted)
    assert ask.but(now=end) is Reason.EXPIRED


def test_judge__item_unknown__refused(ask: Ask) -> None:
    assert ask.asked(item="E99.company") is Reason.UNKNOWN_ITEM


def test_judge__item_of_other_provider__refused(ask: Ask) -> None:
    assert ask.asked(item="E01.handler") is Reason.NOT_THIS_PROVIDER


def test_judge__item_not_in_mandate__not_authorised(consortium: Consortium) -> None:
    jws = consortium.mandate(items=["E06.company"])
    assert ask_about(consortium, jws).but() is Reason.NOT_AUTHORISED


def test_judge__item_granted_at_other_seat__not_authorised(consortium: Consortium) -> None:
    mandate = Mandate.parse(consortium.mandate(), consortium.seat(POLICE).keyset.key("identity"))
    moved = tuple(grant.model_copy(update={"seat": TAX}) for grant in mandate.evidence)
    assert ask_about(consortium, consortium.mandate(evidence=moved)).but() is Reason.NOT_AUTHORISED


def test_judge__push_of_item_for_deciding__wrong_purpose(ask: Ask) -> None:
    assert ask.asked(purpose="push") is Reason.WRONG_PURPOSE


def test_judge__subject_index_out_of_range__refused(ask: Ask) -> None:
    assert ask.asked(index=1) is Reason.NO_SUCH_SUBJECT


def reworked(consortium: Consortium, **slot_changes: Any) -> str:
    """A mandate, well signed, whose company slot is changed as only a colluding identity seat could."""
    identity = consortium.seat(POLICE).keyset.key("identity")
    mandate = Mandate.parse(consortium.mandate(), identity)
    slot = mandate.subjects["company"][0].model_copy(update=slot_changes)
    changed = mandate.model_copy(update={"subjects": {**mandate.subjects, "company": (slot,)}})
    return sign_mandate(changed, consortium.keys[POLICE].identity)


def test_judge__subject_not_sealed_to_this_seat__refused(consortium: Consortium) -> None:
    assert ask_about(consortium, reworked(consortium, sealed={})).but() is Reason.NOT_FOR_THIS_SEAT


def test_judge__commitment_to_somebody_else__wrong_subject(consortium: Consortium) -> None:
    asked = ask_about(consortium, reworked(consortium, commitment="0x" + "11" * 32))
    assert asked.but() is Reason.WRONG_SUBJECT


def test_judge__sealed_subject_of_another_mandate__cannot_open(consortium: Consortium) -> None:
    other = Mandate.parse(consortium.mandate(), consortium.seat(POLICE).keyset.key("identity"))
    asked = ask_about(consortium, reworked(consortium, sealed=other.subjects["company"][0].sealed))
    assert asked.but() is Reason.CANNOT_OPEN


def test_judge__key_of_other_seat__cannot_open(ask: Ask) -> None:
    assert judge(ask.question, ask.given, ask.consortium.keys[TAX].sealing) is Reason.CANNOT_OPEN


def pushed(ask: Ask) -> Ask:
    """The same question under purpose `push`, of a scenario that asks the item for it."""
    scenario = ask.consortium.scenario
    evidence = tuple(
        item.model_copy(update={"purpose": "push"}) if item.id == ask.question.item else item
        for item in scenario.evidence
    )
    scenarios = {scenario.version: scenario.model_copy(update={"evidence": evidence})}
    given = dataclasses.replace(ask.given, scenarios=scenarios)
    return dataclasses.replace(ask, question=dataclasses.replace(ask.question, purpose="push"), given=given)


@pytest.mark.parametrize("status", list(Status))
def test_judge__push__only_on_approved_cases(ask: Ask, status: Status) -> None:
    verdict = pushed(ask).but(statuses={case_id(ask.jws): status})
    assert isinstance(verdict, Admitted) == (status is Status.APPROVED)
    assert isinstance(verdict, Admitted) or verdict is Reason.NOT_APPROVED


def test_judge__push_after_its_window__refused(ask: Ask) -> None:
    push = pushed(ask)
    approved = {case_id(ask.jws): Status.APPROVED}
    assert isinstance(push.but(statuses=approved, now=push.given.now + 89 * DAY), Admitted)
    assert push.but(statuses=approved, now=push.given.now + 91 * DAY) is Reason.PUSH_OVER


def test_judge__push_item_asked_for_deciding__wrong_purpose(ask: Ask) -> None:
    assert pushed(ask).asked(purpose="decide") is Reason.WRONG_PURPOSE


def test_judge__item_that_the_mandate_itself_answers__not_this_provider(ask: Ask) -> None:
    scenario = ask.consortium.scenario
    evidence = tuple(item.model_copy(update={"source": "mandate"}) for item in scenario.evidence)
    scenarios = {scenario.version: scenario.model_copy(update={"evidence": evidence})}
    assert ask.but(scenarios=scenarios) is Reason.NOT_THIS_PROVIDER
