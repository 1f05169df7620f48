"""An approver for tests: the real gateway over a real store, asked by the operator, with providers whose answers a test writes.

What providers say is a `Book`: real answers, signed by the providers' real keys and sealed to the approvers, handed out by a
transport in place of the providers' gateways, so that a test can let one be late, wrong, unreachable or dishonest.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
from fastapi import FastAPI

from orchestrator.domain.canonical import b64, canonical, from_hex, to_hex
from orchestrator.domain.case import Status
from orchestrator.domain.conditions import holds
from orchestrator.domain.identifiers import bank_card_problem
from orchestrator.domain.merkle import DossierTree, Leaf
from orchestrator.domain.scenario_parts import EvidenceItem
from orchestrator.domain.situations import read_situation
from orchestrator.gateway.adapter import load_adapters
from orchestrator.gateway.client import GatewayClient
from orchestrator.gateway.desk import certify_officer
from orchestrator.gateway.officer import OfficerClient
from orchestrator.gateway.records import Records
from orchestrator.gateway.seat import AdapterFiles, Seat
from orchestrator.gateway.server import create_app
from orchestrator.gateway.store import Store, prepare_stores
from orchestrator.protocol.answer import AnswerEnvelope, build_answer
from orchestrator.protocol.jose import SigningKey, jws_hash, peek_jws
from orchestrator.protocol.mandate import Mandate, case_id, salted_hash
from orchestrator.protocol.material import PADDING, Material, SealedForm, SealedMaterial, seal_form, seal_material
from orchestrator.protocol.question import Question
from orchestrator.protocol.sealing import material_info, seal
from orchestrator.protocol.verdict import Verdict, read_verdict
from orchestrator.scenarios import department_files
from tests.support.consortium import GALLERY_ITEMS, GALLERY_SUBJECTS, Consortium, make_consortium

OPERATOR = 0
USUAL: Mapping[str, Any] = {}
"""Stands for the form of the service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What somebody applies with in one scenario when nothing stands in the way."""

    scenario: str
    items: Sequence[str]
    """Evidence that the mandate covers."""
    subjects: Mapping[str, Sequence[tuple[str, str, str, Mapping[str, Any]]]]
    situation: Mapping[str, Any]
    form: Mapping[str, Any]
    materials: Sequence[Material] = ()


@dataclass(slots=True, kw_only=True)
class Filed:
    """A case as the orchestrator carries it. A test may bend any part before it is sent."""

    id: str
    mandates: list[str]
    values: dict[str, Any]
    salt: str
    form: SealedForm | None
    materials: list[SealedMaterial]
    sequence: int = 1

    @property
    def newest(self) -> str:
        """The newest mandate."""
        return self.mandates[-1]

    def body(self, **changes: Any) -> dict[str, Any]:
        """The case in the body of a request."""
        return {
            "case": self.id,
            "sequence": self.sequence,
            "mandates": list(self.mandates),
            "situation": {"values": self.values, "salt": self.salt},
            "form": None if self.form is None else self.form.model_dump(mode="json"),
            "materials": [material.model_dump(mode="json") for material in self.materials],
        } | changes


@dataclass(slots=True)
class Book:
    """What providers answer: question to envelope, and who is down."""

    answers: dict[str, AnswerEnvelope] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    """Department ids that cannot be reached."""
    asked: list[tuple[str, int]] = field(default_factory=list)
    """Department and number of questions of every request."""

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        department = request.url.path.split("/")[1]
        if department in self.down:
            raise httpx.ConnectError("down")
        questions = peek_jws(orjson.loads(request.content)["request"])[1]["questions"]
        self.asked.append((department, len(questions)))
        found = [self.answers[question].payload() for question in questions if question in self.answers]
        return httpx.Response(200, content=orjson.dumps({"answers": found}))


@dataclass(slots=True, kw_only=True)
class Approvers:
    """The approvers of one binding in one gateway, and everybody who talks to them."""

    consortium: Consortium
    app: FastAPI
    seats: dict[int, Seat]
    book: Book
    operator: GatewayClient
    service: Service

    @property
    def lead(self) -> int:
        """The seat that leads."""
        return self.consortium.binding.approvers[0]

    def file(
        self,
        *,
        situation: Mapping[str, Any] | None = None,
        form: Mapping[str, Any] | SealedForm | None = USUAL,
        materials: Sequence[Material | SealedMaterial] | None = None,
        answered: bool = True,
        **changes: Any,
    ) -> Filed:
        """A new case with its grant; every planned question is answered favourably unless told otherwise."""
        salt = secrets.token_bytes(32)
        situation = self.service.situation if situation is None else situation
        sealed, sealed_form = self._sealed(form, materials)
        fields = {"form": sealed_form.hash if sealed_form else None} | changes
        jws = self._mandate(situation, salt, **fields)
        case = Filed(
            id=case_id(jws),
            mandates=[jws],
            values=dict(situation),
            salt=b64(salt),
            form=sealed_form,
            materials=sealed,
        )
        if answered:
            self.answer(case)
        return case

    def amend(
        self,
        case: Filed,
        *,
        situation: Mapping[str, Any] | None = None,
        form: Mapping[str, Any] | SealedForm | None = USUAL,
        materials: Sequence[Material | SealedMaterial] | None = None,
        kind: str = "amendment",
        **changes: Any,
    ) -> Filed:
        """The case with one more mandate: a supplement, a change of situation or a withdrawal."""
        values, salt = dict(situation or case.values), secrets.token_bytes(32)
        sealed, sealed_form = self._sealed(form, materials)
        following: dict[str, Any] = {
            "form": sealed_form.hash if sealed_form else None,
            "kind": kind,
            "case": case.id,
            "previous": jws_hash(case.newest),
            "sub": peek_jws(case.newest)[1]["sub"],
        }
        jws = self._mandate(values, salt, **(following | changes))
        return replace(
            case,
            mandates=[*case.mandates, jws],
            values=values,
            salt=b64(salt),
            form=sealed_form,
            materials=[*case.materials, *sealed],
        )

    def _mandate(self, situation: Mapping[str, Any], salt: bytes, **changes: Any) -> str:
        return self.consortium.mandate(
            self.service.subjects, self.service.items, situation=situation, situation_salt=salt, **changes
        )

    def _sealed(
        self,
        form: Mapping[str, Any] | SealedForm | None,
        materials: Sequence[Material | SealedMaterial] | None,
    ) -> tuple[list[SealedMaterial], SealedForm | None]:
        sealed = [
            material if isinstance(material, SealedMaterial) else seal_material(material, self.recipients())
            for material in (self.service.materials if materials is None else materials)
        ]
        if form is None or isinstance(form, SealedForm):
            return sealed, form
        return sealed, seal_form(self.service.form if form is USUAL else form, sealed, self.recipients())

    def recipients(self) -> dict[int, dict[str, Any]]:
        """Sealing keys of the approvers."""
        return {seat: self.consortium.seat(seat).keyset.key("sealing") for seat in self.consortium.binding.approvers}

    def planned(self, case: Filed) -> list[EvidenceItem]:
        """What is asked to decide the case."""
        situation = read_situation(self.consortium.scenario, case.values)
        items = [self.consortium.scenario.item(name) for name in self.service.items]
        return [item for item in items if item.source == "gateway" and holds(item.when, situation)]

    def question(self, case: Filed, item: str, *, index: int = 0, purpose: Any = "decide") -> Question:
        """A question of the case's newest mandate."""
        return Question(mandate=jws_hash(case.newest), item=item, index=index, purpose=purpose)

    def answer(self, case: Filed, **claims: Any) -> None:
        """Answers every planned question, predicates by true, values by a text; `claims` say otherwise by their key."""
        for item in self.planned(case):
            self.say(case, item.id, **{name: value for name, value in claims.items() if name in _keys(item)})

    def say(
        self,
        case: Filed,
        name: str,
        *,
        attempt: int = 1,
        age: int = 0,
        lasts: int | None = None,
        key: SigningKey | None = None,
        subject: str | None = None,
        without: Iterable[str] = (),
        about: Filed | None = None,
        purpose: Any = "decide",
        **claims: Any,
    ) -> AnswerEnvelope:
        """Puts an answer to one question into the book.

        `age` is how many seconds ago it was signed, `key` another signing key, `subject` another commitment, `without`
        claims that are left out, `about` another case whose question is answered in its place.
        """
        item = self.consortium.scenario.item(name)
        provider = self.consortium.provider(name)
        mandate = Mandate.model_validate(peek_jws(case.newest)[1])
        _, identity, subject_name, _ = self.service.subjects[item.subject][0]
        usual = VALUES | {"full_name": subject_name, "entity_name": subject_name, "uscc": identity} | claims
        values = {
            claim.key: usual.get(claim.key, f"«{claim.key}»" if claim.sealed_to else True)
            for claim in item.claims
            if claim.key not in without
        }
        open_claims = {c.key: values[c.key] for c in item.claims if not c.sealed_to and c.key in values}
        sealed: dict[int, dict[str, Any]] = {}
        roles = self.consortium.scenario.approvers
        for claim in item.claims:
            for role in claim.sealed_to:
                if claim.key in values:
                    seat = self.consortium.binding.approvers[roles.index(role)]
                    sealed.setdefault(seat, {})[claim.key] = values[claim.key]
        iat = int(time.time()) - age
        envelope = build_answer(
            self.question(about or case, name, purpose=purpose),
            attempt=attempt,
            iss=provider,
            subject=subject or mandate.slot(item.subject, 0).commitment,
            iat=iat,
            exp=iat + (item.max_age if lasts is None else lasts),
            key=key or self.consortium.keys[provider].evidence,
            open_claims=open_claims,
            sealed_claims=sealed,
            recipients=self.recipients(),
        )
        self.book.answers[self.question(case, name, purpose=purpose).id] = envelope
        return envelope

    async def verdicts(self, *cases: Filed | Mapping[str, Any], seat: int | None = None) -> dict[str, Any]:
        """What an approver answers to a request for verdicts."""
        bodies = [case.body() if isinstance(case, Filed) else dict(case) for case in cases]
        return await self.operator.verdicts(self.consortium.seat(self.lead if seat is None else seat), bodies)

    async def verdict(self, case: Filed, *, seat: int | None = None) -> tuple[Verdict, str]:
        """One case's verdict, read with the seat's key, and as it was signed."""
        number = self.lead if seat is None else seat
        answer = await self.verdicts(case, seat=number)
        assert answer["refused"] == []
        jws = answer["verdicts"][0]["verdict"]
        return read_verdict(jws, self.consortium.seat(number).keyset.key("evidence")), jws

    async def refused(self, case: Filed | Mapping[str, Any], *, seat: int | None = None) -> tuple[str, list[str]]:
        """Code and items of a refusal to give a verdict on one case."""
        answer = await self.verdicts(case, seat=seat)
        assert answer["verdicts"] == []
        (entry,) = answer["refused"]
        return entry["code"], entry.get("items", [])

    def transition(self, case: Filed, status: Status, verdicts: Sequence[str], **changes: Any) -> dict[str, Any]:
        """A case in the body of a request for a sheet: mandates and verdicts closed into a new dossier."""
        contents = [("mandate", jws_hash(jws)) for jws in case.mandates]
        contents += [("verdict", jws_hash(jws)) for jws in verdicts]
        before = changes.pop("before", [])
        known = {(leaf["kind"], leaf["content"]) for leaf in before}
        leaves = [*before, *(leaf(kind, content) for kind, content in contents if (kind, content) not in known)]
        body: dict[str, Any] = {
            "case": case.id,
            "sequence": case.sequence,
            "status": int(status),
            "binding": self.consortium.binding.number,
            "leaves": leaves,
            "verdicts": list(verdicts),
            "mandates": list(case.mandates),
            "order": None,
        } | changes
        return {"root": root_of(body["leaves"])} | body

    async def sheets(self, *transitions: Mapping[str, Any], seat: int | None = None) -> dict[str, Any]:
        """What an approver answers to a request for one sheet."""
        (sheet,) = await self.operator.sheets(self.consortium.seat(self.lead if seat is None else seat), transitions)
        return sheet

    async def sheet_refused(self, transition: Mapping[str, Any], *, seat: int | None = None) -> str:
        """Code of a refusal to sign one transition."""
        answer = await self.sheets(transition, seat=seat)
        assert (answer["signed"], answer["signature"]) == ([], "")
        (entry,) = answer["refused"]
        return str(entry["code"])

    async def officer(self, seat: int | None = None, *, days: int = 30, name: str = "officer-17") -> Officer:
        """A certified officer of an approver, with key and certificate."""
        number = self.lead if seat is None else seat
        key = SigningKey.generate()
        certificate = await certify_officer(self.seats[number], key.jwk, name, days=days)
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app))
        endpoint = self.consortium.seat(number).keyset.endpoint
        client = OfficerClient(http, endpoint=endpoint, seat=number, key=key, certificate=certificate)
        return Officer(client=client, key=key, certificate=certificate, http=http, endpoint=endpoint)

    def client(self, number: int) -> GatewayClient:
        """A client of another seat than the operator's."""
        transport = httpx.ASGITransport(app=self.app)
        return GatewayClient(number, self.consortium.keys[number].request, self.consortium.chain, transport=transport)


@dataclass(frozen=True, slots=True, kw_only=True)
class Officer:
    """An officer's client with what it signs by."""

    client: OfficerClient
    key: SigningKey
    certificate: str
    http: httpx.AsyncClient
    endpoint: str


def paper(name: str, **fields: Any) -> Material:
    """A material as an applicant brings it."""
    return Material(
        id=name, filename=f"{name}.pdf", media_type="application/pdf", content=name.encode(), fields=dict(fields)
    )


GALLERY = Service(
    scenario="open-gallery",
    items=GALLERY_ITEMS,
    subjects=GALLERY_SUBJECTS,
    situation={
        "decoration_area_m2": "280.00",
        "handler_household": "beijing",
        "handled_by": "self",
        "premises_tenure": "owned",
    },
    form={"legal_representative": "陈画", "sells_relics": False, "imports_exports": False},
)
"""A gallery of up to 300 m² in owned premises, handled by its legal representative from Beijing."""

HALL = Service(
    scenario="open-exhibition-hall",
    items=(
        "E05.company",
        "E05.company.representative",
        "E06.company",
        "E01.handler",
        "E09.premises",
        "E13.premises",
        "E17.premises",
        "E18.laboratory",
    ),
    subjects={
        **GALLERY_SUBJECTS,
        "premises": [("unit", "110108900900GB00001F00000001", "", {})],
        "laboratory": [("laboratory", "CMA-1", "", {"report_date": "2026-01-10"})],
    },
    situation={"premises_space": "above-ground", "handled_by": "self"},
    form={
        "floor_area_m2": "500.00",
        "person_in_charge": "陈画",
        "uses_central_air": False,
        "fire_route": "commitment",
    },
    materials=[paper("hygiene-test-report", issued_on=(date.today() - timedelta(days=20)).isoformat(), result="pass")],
)
"""An exhibition hall above ground, which fire rescue (lead) and health decide together."""

REGISTRATION = Service(
    scenario="employment-unemployment-registration",
    items=("E25.applicant", "E28.applicant"),
    subjects={"applicant": [("citizen", "110199199607180153", "孙足月", {})]},
    situation={"direction": "unemployment", "holds_registration_certificate": False, "household": "beijing"},
    form={},
)
"""A registration of unemployment, of which only what its pushes ask is covered."""

CARD = next(f"622202020011223{digit}" for digit in "0123456789" if bank_card_problem(f"622202020011223{digit}") is None)
"""A bank card number that nobody has."""

BENEFIT = Service(
    scenario="unemployment-benefit-claim",
    items=("E01.claimant", "E27.claimant", "E28.claimant", "E25.claimant", "E24.claimant", "E26.claimant"),
    subjects={"claimant": [("citizen", "110199199607180153", "孙足月", {})]},
    situation={},
    form={
        "bank_account": {"holder": "孙足月", "bank": "某银行海淀支行", "number": CARD},
        "pay_to_social_security_card": False,
    },
)
"""A claim of unemployment benefit; a mandate needs `face` beside it."""

VALUES: dict[str, Any] = {
    "contribution_months": 26,
    "building_area": "280.00",
    "covered_area": "280.00",
}
"""What values say unless a test says otherwise."""


def sealed_as(name: str, document: Any, recipients: Mapping[int, Mapping[str, Any]]) -> tuple[str, dict[str, str]]:
    """Hash and sealed blobs of any document under a name, as nobody's client makes them."""
    salt = secrets.token_bytes(32)
    digest = salted_hash(salt, document)
    plaintext = canonical({"salt": b64(salt), "document": document})
    return digest, {
        str(seat): seal(jwk, plaintext, info=material_info(digest, name, seat), pad_to=PADDING)
        for seat, jwk in recipients.items()
    }


def leaf(kind: str, content: str) -> dict[str, str]:
    """A dossier leaf with a new salt."""
    return {"kind": kind, "salt": to_hex(secrets.token_bytes(32)), "content": content}


def root_of(leaves: Iterable[Mapping[str, str]]) -> str:
    """The root over leaves in a request."""
    return to_hex(
        DossierTree(
            Leaf(kind=each["kind"], salt=from_hex(each["salt"]), content=from_hex(each["content"])) for each in leaves
        ).root
    )


def _keys(item: EvidenceItem) -> set[str]:
    return {claim.key for claim in item.claims} | {"attempt", "age"}


@asynccontextmanager
async def open_approvers(
    service: Service, admin_dsn: str, consortium: Consortium | None = None
) -> AsyncIterator[Approvers]:
    """The approvers of a service in one gateway with new stores, under a binding of a consortium (by default their own)."""
    consortium = consortium or make_consortium(service.scenario)
    paths: dict[str, Path] = {path.stem: path for path in department_files()}
    seats: dict[int, Seat] = {}
    for number in consortium.binding.approvers:
        view = consortium.seat(number)
        alias = f"{view.keyset.id[:30]}-{secrets.token_hex(4)}"
        store = Store(prepare_stores(admin_dsn, [alias])[alias])
        adapter = load_adapters([paths[view.keyset.id]])[view.keyset.id]
        seats[number] = Seat(
            keyset=view.keyset,
            keys=consortium.keys[number],
            adapters=AdapterFiles(view.keyset.id, paths[view.keyset.id]),
            records=Records(admin_dsn, adapter),
            store=store,
        )
        seats[number].scenarios.add(consortium.scenario, consortium.scenario.version)
    app = create_app(list(seats.values()), consortium.chain)
    book = Book()
    for seat in seats.values():
        app.state.clients[seat.id] = GatewayClient(
            seat.number, seat.keys.request, consortium.chain, transport=httpx.MockTransport(book)
        )
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        GatewayClient(OPERATOR, consortium.keys[OPERATOR].request, consortium.chain, transport=transport) as operator,
    ):
        yield Approvers(consortium=consortium, app=app, seats=seats, book=book, operator=operator, service=service)
