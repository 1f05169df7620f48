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
from pathlib import Path
from typing import Any

import httpx
import orjson
from fastapi import FastAPI

from orchestrator.domain.canonical import b64, canonical, from_hex, to_hex
from orchestrator.domain.case import Status
from orchestrator.domain.conditions import holds
from orchestrator.domain.merkle import DossierTree, Leaf
from orchestrator.domain.scenario_parts import EvidenceItem
from orchestrator.domain.situations import read_situation
from orchestrator.domain.suite import hash_of
from orchestrator.gateway.adapter import load_adapters
from orchestrator.gateway.client import GatewayClient
from orchestrator.gateway.desk import certify_officer
from orchestrator.gateway.officer import OfficerClient
from orchestrator.gateway.records import Records
from orchestrator.gateway.seat import AdapterFiles, Seat
from orchestrator.gateway.server import create_app
from orchestrator.gateway.store import Store, prepare_stores
from orchestrator.protocol.answer import AnswerEnvelope, build_answer
from orchestrator.protocol.contest import Carried
from orchestrator.protocol.jose import SigningKey, jws_hash, peek_jws
from orchestrator.protocol.mandate import Mandate, case_id, salted_hash
from orchestrator.protocol.material import PADDING, Material, SealedForm, SealedMaterial, seal_form, seal_material
from orchestrator.protocol.querylog import LogTree, entry, leaf_hash
from orchestrator.protocol.question import Question
from orchestrator.protocol.sealing import material_info, seal
from orchestrator.protocol.sheet import head_digest
from orchestrator.protocol.verdict import Verdict, read_verdict
from orchestrator.scenarios import department_files
from tests.support.consortium import Consortium, make_consortium
from tests.support.services import VALUES, Service

OPERATOR = 0
USUAL: Mapping[str, Any] = {}
"""Stands for the form of the service."""


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
    """What providers answer: question to envelope, and who is down. What is handed out stands in the provider's log."""

    consortium: Consortium
    answers: dict[str, AnswerEnvelope] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    """Department ids that cannot be reached."""
    asked: list[tuple[str, int]] = field(default_factory=list)
    """Department and number of questions of every request."""
    logs: dict[str, LogTree] = field(default_factory=dict)
    """By department."""
    contests: dict[str, list[Carried]] = field(default_factory=dict)
    """What a provider hands out as contests of a question."""

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        department = request.url.path.split("/")[1]
        if department in self.down:
            raise httpx.ConnectError("down")
        questions = peek_jws(orjson.loads(request.content)["request"])[1]["questions"]
        self.asked.append((department, len(questions)))
        found = [self.answers[question] for question in questions if question in self.answers]
        tree, batch = self.logs.setdefault(department, LogTree()), to_hex(secrets.token_bytes(32))
        first = tree.size
        tree.append([leaf_hash(entry(batch, each.question, each.attempt)) for each in found])
        answers = [
            each.with_log(first + position, tree.inclusion_proof(first + position), batch).payload()
            for position, each in enumerate(found)
        ]
        number = self.consortium.seats[department].number
        digest = head_digest(self.consortium.chain.domain("CaseLedger"), number, tree.size, tree.root())
        signature = to_hex(self.consortium.keys[number].chain.sign_hash(digest))
        head = {"seat": number, "size": tree.size, "root": to_hex(tree.root()), "signature": signature}
        contests = [each.model_dump() for question in questions for each in self.contests.get(question, [])]
        return httpx.Response(200, content=orjson.dumps({"answers": answers, "head": head, "contests": contests}))


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
        """A new case with its grant; every planned question is answered favourably unless told otherwise.

        `materials` are brought besides the service's own, or in the place of the one of the same id.
        """
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
        given = {material.id for material in materials or ()}
        sealed = [
            material if isinstance(material, SealedMaterial) else seal_material(material, self.recipients())
            for material in (*(materials or ()), *(each for each in self.service.materials if each.id not in given))
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

    async def transition(self, case: Filed, status: Status, verdicts: Sequence[str], **changes: Any) -> dict[str, Any]:
        """A case in the body of a request for a sheet: mandates and verdicts with what they name closed into a new dossier,
        and the credential of an approval, if the lead issues one."""
        contents: list[tuple[str, str]] = []
        for jws in case.mandates:
            mandate = peek_jws(jws)[1]
            contents += [("mandate", jws_hash(jws)), ("situation", mandate["situation"])]
            contents += [("form", mandate["form"])] if mandate["form"] else []
        for jws in verdicts:
            verdict = peek_jws(jws)[1] if jws.count(".") == 2 else {}
            contents += [("verdict", jws_hash(jws)), *(("answer", each["hash"]) for each in verdict.get("answers", []))]
            contents += [(f"material:{each['id']}", each["hash"]) for each in verdict.get("materials", [])]
            for each in verdict.get("contests", []):
                contents += [("contest", each["contest"]), *([("reply", each["reply"])] if each["reply"] else [])]
        if status == Status.APPROVED:
            body = case.body(verdicts=list(verdicts))
            answer = await self.operator.credentials(self.consortium.seat(self.lead), [body])
            contents += [("credential", to_hex(hash_of(each["credential"].encode()))) for each in answer["credentials"]]
        contents = list(dict.fromkeys(contents))
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
    book = Book(consortium)
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
