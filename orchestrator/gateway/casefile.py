"""A case as an approver gets it, verified: mandates, situation, form and materials; and the answers it fetches itself.

The orchestrator only carries the file. Everything in it is either signed by the identity seat, hashed into what is signed,
or fetched from the provider here, so that an answer cannot be dropped, swapped or dressed up on the way.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import structlog

from orchestrator.domain.canonical import unb64
from orchestrator.domain.conditions import holds
from orchestrator.domain.errors import Invalid, LianbanError, Refused
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.scenario_parts import EvidenceItem
from orchestrator.domain.situations import read_form, read_situation
from orchestrator.gateway.client import GatewayClient
from orchestrator.gateway.contested import Contested, read_contests
from orchestrator.gateway.gate import Presented, Reason
from orchestrator.gateway.mandates import MandateReader, MandatesRead
from orchestrator.gateway.seat import Seat
from orchestrator.protocol.answer import Answer, AnswerEnvelope, read_answer
from orchestrator.protocol.contest import Carried
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.protocol.mandate import DEVELOPMENT_METHOD, Mandate, check_chain, open_subject, salted_hash
from orchestrator.protocol.material import Material, MaterialRef, SealedForm, SealedMaterial, open_form, open_material
from orchestrator.protocol.ports import BindingView, ChainView, SeatView, provider_of, seat_knowing
from orchestrator.protocol.question import question_id
from orchestrator.protocol.sealing import SealingKey
from orchestrator.protocol.wire import CLOCK_SKEW, Hex32, Listed, Name, Sequence16, WireModel
from orchestrator.rules.inputs import CaseFacts

log = structlog.get_logger(__name__)


class SaltedSituation(WireModel):
    """The applicant's open answers and the salt of their hash."""

    values: dict[str, Any]
    salt: str


class CaseFile(WireModel):
    """A case as the orchestrator hands it over."""

    case: Hex32
    sequence: Sequence16
    mandates: list[str]
    """Compact JWS, oldest first."""
    situation: SaltedSituation
    form: SealedForm | None
    materials: list[SealedMaterial]
    given_up: Listed[Name] = ()
    """Items whose provider has been down for so long that nobody waits for a new answer. A fresh one counts all the same."""
    contests: Listed[Carried] = ()
    """What the applicant contests, with the departments' replies; providers are asked for these too."""


@dataclass(slots=True, kw_only=True)
class OpenCase:
    """A verified case with what this approver may read of it. Personal: never logged."""

    file: CaseFile
    mandates: list[Mandate]
    binding: BindingView
    scenario: Scenario
    role: str
    """The approver role that this seat plays."""
    situation: dict[str, Any]
    form: dict[str, Any]
    materials: dict[str, Material]
    listed: tuple[MaterialRef, ...]
    """What the form lists: the materials that count."""
    answers: dict[tuple[str, int], Answer | None] = field(default_factory=dict)
    """Item and subject index to the newest answer; None when nothing came."""
    envelopes: dict[tuple[str, int], AnswerEnvelope] = field(default_factory=dict)
    """What the provider handed out, whatever came of it."""
    verified: bool = True
    """False when an answer failed verification."""
    stale: list[str] = field(default_factory=list)
    """Items whose newest answer is too old."""
    contests: list[Contested] = field(default_factory=list)
    """What the applicant contests, verified, oldest first."""
    unreached: list[str] = field(default_factory=list)
    """Items whose provider this seat did not reach, and that somebody still waits for."""

    @property
    def mandate(self) -> Mandate:
        """The newest mandate."""
        return self.mandates[-1]

    @property
    def mandate_hash(self) -> str:
        """Hash of the newest mandate."""
        return jws_hash(self.file.mandates[-1])

    def items(self) -> list[EvidenceItem]:
        """What was asked to decide: planned in this situation and covered by the mandate."""
        return [
            item
            for item in self.scenario.evidence
            if item.purpose == "decide"
            and item.source == "gateway"
            and holds(item.when, self.situation)
            and any(grant.item == item.id for grant in self.mandate.evidence)
        ]

    def questions(self) -> list[tuple[str, EvidenceItem, int, int]]:
        """(question id, item, subject index, provider's seat) of everything asked."""
        found = []
        for item in self.items():
            seat = provider_of(item, self.scenario, self.binding)
            for index in range(len(self.mandate.subjects.get(item.subject, ()))):
                found.append((question_id(self.mandate_hash, item.id, index, "decide"), item, index, seat))
        return found

    def earlier_questions(self) -> list[tuple[str, int]]:
        """(question id, provider's seat) of what was asked under mandates that an amendment replaced: contests of these
        answers still count."""
        found = []
        for jws, mandate in zip(self.file.mandates[:-1], self.mandates[:-1], strict=True):
            for grant in mandate.evidence:
                item = next((each for each in self.scenario.evidence if each.id == grant.item), None)
                if item is None or item.purpose != "decide" or item.source != "gateway":
                    continue
                for index in range(len(mandate.subjects.get(item.subject, ()))):
                    found.append((question_id(jws_hash(jws), item.id, index, "decide"), grant.seat))
        return found

    def facts(self) -> CaseFacts:
        """What the rules read."""
        claims: dict[str, list[Mapping[str, Any] | None]] = {}
        for (item, _), answer in sorted(self.answers.items()):
            claims.setdefault(item, []).append(None if answer is None else answer.claims)
        claims |= self._face()
        return CaseFacts(
            day=date.fromisoformat(self.mandate.day),
            situation=self.situation,
            form=self.form,
            claims=claims,
            materials=self._brought(),
            verified=self.verified,
        )

    def _face(self) -> dict[str, list[Mapping[str, Any] | None]]:
        """What the identity seat wrote into the mandate itself (E04)."""
        face = self.mandate.face
        stated = None if face is None else {"face_matches": face.matches, "liveness_passed": face.liveness}
        return {
            item.id: [stated]
            for item in self.scenario.evidence
            if item.source == "mandate" and holds(item.when, self.situation)
        }

    def _brought(self) -> dict[str, Mapping[str, Any]]:
        brought: dict[str, Mapping[str, Any]] = {}
        for name, material in self.materials.items():
            declared = {each.id: each for each in self.scenario.material(name).fields}
            brought[name] = {key: value for key, value in material.fields.items() if key in declared}
        for each in self.scenario.materials:
            if each.answered_by is not None and each.answered_by in self.form:
                brought[each.id] = {}
        return brought


async def open_cases(
    files: Sequence[CaseFile], *, seat: Seat, chain: ChainView, reader: MandateReader, asker: SeatView, now: int
) -> dict[str, OpenCase | LianbanError]:
    """Verifies and opens many cases; a faulty one yields its error and stops no other."""
    read = await reader.read([jws for file in files for jws in file.mandates], chain)
    opened: dict[str, OpenCase | LianbanError] = {}
    for file in files:
        try:
            mandates = mandates_of(file.case, file.mandates, read, chain)
            opened[file.case] = await _open(file, mandates, read, seat=seat, asker=asker, now=now)
        except LianbanError as error:
            opened[file.case] = error
        await asyncio.sleep(0)
    return opened


def mandates_of(case: str, tokens: Sequence[str], read: MandatesRead, chain: ChainView) -> list[Mandate]:
    """The mandates of a case, which all hold, follow one another and are for this ledger.

    Raises Refused: the reason why a mandate does not hold, "no-mandate", "wrong-case", "wrong-chain", "broken-chain".
    """
    signed: list[tuple[str, Mandate]] = []
    for jws in tokens:
        verdict = read.verdicts.get(jws_hash(jws)) if jws.isascii() else Reason.FORGED_MANDATE
        if not isinstance(verdict, Presented):
            raise Refused("授权书无效", detail_en="a mandate does not hold", code=str(verdict))
        signed.append((jws, verdict.mandate))
    if not signed:
        raise Refused("没有授权书", detail_en="there is no mandate", code="no-mandate")
    if check_chain(signed) != case:
        raise Refused("授权书不属于该办件", detail_en="the mandates are of another case", code="wrong-case")
    newest, ledger = signed[-1][1], chain.domain("CaseLedger")
    if (newest.chain.id, newest.chain.ledger.lower()) != (ledger.chain_id, ledger.contract.lower()):
        raise Refused("授权书属于其他链", detail_en="the mandate is for another ledger", code="wrong-chain")
    return [mandate for _, mandate in signed]


async def _open(
    file: CaseFile, mandates: list[Mandate], read: MandatesRead, *, seat: Seat, asker: SeatView, now: int
) -> OpenCase:
    newest = mandates[-1]
    binding = read.bindings[newest.binding]
    if asker.number != binding.operator or seat.number not in binding.approvers:
        raise Refused("双方与该落地不符", detail_en="the binding does not name both seats so", code="asker-not-named")
    if newest.version != binding.version or newest.kind == "withdrawal":
        raise Refused("授权书不能用于审批", detail_en="the mandate cannot be decided on", code="mandate-not-in-force")
    newest.require_current(now)
    if not read.identities[binding.identity].active:
        raise Refused("身份认证席位已停用", detail_en="the identity seat is not active", code="identity-suspended")
    case = await assemble(file, mandates, binding, seat)
    require_consents(newest, case.scenario, case.situation, seat=seat.number, key=seat.keys.sealing)
    _check_face(newest, case.scenario, seat)
    return case


async def assemble(file: CaseFile, mandates: list[Mandate], binding: BindingView, seat: Seat) -> OpenCase:
    """A case from its file: the contents are those that the newest mandate names, and what is sealed to this seat is open.

    Raises Refused when one is another, or does not open; whether anybody may decide on it is not asked here.
    """
    newest = mandates[-1]
    found = await seat.scenarios.of([binding.version], seat.store)
    if binding.version not in found:
        raise Refused("本席位没有该场景版本", detail_en="this seat lacks the version", code="unknown-version")
    scenario = found[binding.version]
    if _situation_hash(file.situation) != newest.situation:
        raise Refused("情形与授权书不符", detail_en="the situation is not the mandate's", code="wrong-situation")
    situation = read_situation(scenario, file.situation.values)
    form, listed = _form(file, newest, scenario, situation, seat)
    return OpenCase(
        file=file,
        mandates=mandates,
        binding=binding,
        scenario=scenario,
        role=scenario.approvers[binding.approvers.index(seat.number)],
        situation=situation,
        form=form,
        listed=listed,
        materials=_materials(file, listed, scenario, seat),
    )


def require_consents(
    mandate: Mandate, scenario: Scenario, situation: Mapping[str, Any], *, seat: int, key: SealingKey
) -> None:
    """Raises Refused("consent-missing") unless everybody in a consenting role, but for whoever signed, has consented."""

    def identified(role: str, index: int) -> tuple[str, str]:
        subject = open_subject(mandate, role, index, seat=seat, key=key)
        return subject.type, subject.id

    given = {(consent.role, consent.index) for consent in mandate.consents}
    lacking = [
        (role.id, index)
        for role in scenario.subjects
        if role.consents and holds(role.when, situation)
        for index in range(len(mandate.subjects.get(role.id, ())))
        if (role.id, index) not in given
    ]
    if not lacking:
        return
    signers = {
        identified(role.id, 0)
        for role in scenario.subjects
        if role.principal is not None and holds(role.principal, situation) and role.id in mandate.subjects
    }
    if any(identified(role, index) not in signers for role, index in lacking):
        raise Refused("有当事人尚未同意", detail_en="somebody has not consented", code="consent-missing")


def _check_face(mandate: Mandate, scenario: Scenario, seat: Seat) -> None:
    """Raises Refused unless the face check, if there was one, was fresh when the mandate was signed, and a real one where
    this gateway works in production."""
    face = mandate.face
    if face is None:
        return
    if seat.production and face.method == DEVELOPMENT_METHOD:
        raise Refused(
            "生产环境不接受开发用人脸识别",
            detail_en="a development face check does not count in production",
            code="development-face-check",
        )
    longest = min((item.max_age for item in scenario.evidence if item.source == "mandate"), default=0)
    if not -CLOCK_SKEW <= mandate.iat - face.checked_at <= longest:
        raise Refused(
            "人脸识别结果已过时效", detail_en="the face check was too old at signing", code="stale-face-check"
        )


def _situation_hash(situation: SaltedSituation) -> str | None:
    try:
        return salted_hash(unb64(situation.salt), situation.values)
    except ValueError:  # no salt of 32 bytes, or values that canonical JSON cannot say
        return None


def _form(
    file: CaseFile, mandate: Mandate, scenario: Scenario, situation: Mapping[str, Any], seat: Seat
) -> tuple[dict[str, Any], tuple[MaterialRef, ...]]:
    if (file.form.hash if file.form else None) != mandate.form:
        raise Refused("表单与授权书不符", detail_en="the form is not the mandate's", code="wrong-form")
    content = None if file.form is None else open_form(file.form, seat=seat.number, key=seat.keys.sealing)
    try:
        values = read_form(scenario, situation, {} if content is None else content.values)
    except Invalid as error:
        raise Refused(
            f"表单不完整或有误({error.field}):{error.detail}",
            detail_en=f"the form is incomplete or wrong ({error.field}): {error.detail_en}",
            code="form-incomplete",
        ) from error
    return values, () if content is None else tuple(content.materials)


def _materials(file: CaseFile, listed: Sequence[MaterialRef], scenario: Scenario, seat: Seat) -> dict[str, Material]:
    """The materials that the form lists; anything else that came along does not count."""
    known = {material.id for material in scenario.materials}
    carried = {(each.id, each.hash): each for each in file.materials}
    opened = {}
    for each in listed:
        if each.id not in known:
            raise Refused("场景没有这种材料", detail_en="the scenario has no such material", code="material-unknown")
        sealed = carried.get((each.id, each.hash))
        if sealed is None:
            raise Refused("缺少表单所列材料", detail_en="a listed material did not come along", code="material-missing")
        opened[each.id] = open_material(sealed, seat=seat.number, key=seat.keys.sealing)
    return opened


async def fetch_answers(
    cases: Sequence[OpenCase], *, seat: Seat, chain: ChainView, client: GatewayClient, now: int
) -> None:
    """Fetches the newest answer to every question of the cases, one request per provider, and verifies each.

    What has not been answered is None: unknown to the rules. So is what a provider that cannot be reached was asked, and
    its items stand in `unreached` unless the case's file gives them up. Contests of these answers come along.
    """
    handed: dict[str, list[Carried]] = defaultdict(list)
    by_case = {question: case for case in cases for question in _contestable(case)}
    earlier: dict[int, list[str]] = defaultdict(list)
    for case in cases:
        for question, provider in case.earlier_questions():
            earlier[provider].append(question)
    by_seat: dict[int, list[tuple[OpenCase, str, EvidenceItem, int]]] = defaultdict(list)
    for case in cases:
        for question, item, index, provider in case.questions():
            case.answers[item.id, index] = None
            by_seat[provider].append((case, question, item, index))

    async def one(provider: int, asked: list[tuple[OpenCase, str, EvidenceItem, int]]) -> None:
        try:
            view = await chain.seat(provider)
            latest = await client.latest(view, [*(question for _, question, _, _ in asked), *earlier[provider]])
            view = await seat_knowing(chain, view, "evidence", [each.answer for each in latest.answers])
        except LianbanError as error:
            log.warning("provider-not-reached", seat=provider, questions=len(asked), code=error.code)
            for case, _, item, _ in asked:
                if item.id not in case.file.given_up:
                    case.unreached.append(item.id)
            return
        found = {envelope.question: envelope for envelope in latest.answers}
        for carried in latest.contests:
            question = peek_jws(carried.contest)[1].get("answer", {}).get("question")
            if question in by_case:
                handed[by_case[question].file.case].append(carried)
        for position, (case, question, item, index) in enumerate(asked):
            if question in found:
                take(case, found[question], item, index, view, seat, now)
            if position % 64 == 63:
                await asyncio.sleep(0)

    await asyncio.gather(*(one(provider, by_seat[provider]) for provider in {*by_seat, *earlier}))
    for case in cases:
        await read_contests(case, handed[case.file.case], chain)


def _contestable(case: OpenCase) -> list[str]:
    """The ids of every question of the case, under any of its mandates."""
    return [*(question for question, *_ in case.questions()), *(question for question, _ in case.earlier_questions())]


def take(
    case: OpenCase, envelope: AnswerEnvelope, item: EvidenceItem, index: int, provider: SeatView, seat: Seat, now: int
) -> None:
    """Verifies one answer and puts it into the case: `verified` falls when it does not hold, `stale` names its item when it
    is too old at `now`."""
    case.envelopes[item.id, index] = envelope
    try:
        answer = read_answer(
            envelope, provider.key_of("evidence", envelope.answer), private=seat.keys.sealing, seat=seat.number
        )
        slot = case.mandate.slot(item.subject, index)
        fits = (answer.mandate, answer.item, answer.index, answer.purpose, answer.subject, answer.iss) == (
            case.mandate_hash,
            item.id,
            index,
            "decide",
            slot.commitment,
            provider.number,
        )
        mine = {claim.key for claim in item.claims if not claim.sealed_to or case.role in claim.sealed_to}
        if answer.result == "answered" and (not fits or not mine <= answer.claims.keys()):
            raise Refused("应答与问题不符", detail_en="the answer does not fit its question", code="wrong-answer")
    except LianbanError as error:
        log.warning("answer-not-verified", seat=provider.number, item=item.id, code=error.code)
        case.verified = False
        return
    if answer.result == "refused":
        return
    if not answer.fresh(now, item.max_age):
        if item.id in case.file.given_up:
            return
        case.stale.append(item.id)
    case.answers[item.id, index] = answer
