"""Every kind of key is rotated while questions are in flight: none is lost, none wrongly refused.

Real gateways over PostgreSQL, a real chain that goes on making blocks, and `lianban keys rotate` as a department runs it. Gateway
and asker each see the chain through a view of their own, up to three seconds old: staler than any process's.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestrator import cli_keys
from orchestrator.domain.canonical import from_hex
from orchestrator.domain.errors import LianbanError, Refused
from orchestrator.gateway.client import GatewayClient
from orchestrator.gateway.server import create_app
from orchestrator.ledger.deployments import write_deployment
from orchestrator.ledger.poster import HeadPart, Poster
from orchestrator.ledger.rotation import Rotation
from orchestrator.ledger.rpc import Rpc
from orchestrator.ledger.view import LedgerView
from orchestrator.protocol.answer import AnswerEnvelope, read_answer
from orchestrator.protocol.jose import jws_hash, peek_jws, sign_jws
from orchestrator.protocol.keyfolder import FolderKeys, load_seat_keys, save_seat_keys
from orchestrator.protocol.keyset import SeatKeys, SigningAccount
from orchestrator.protocol.mandate import Mandate, open_subject
from orchestrator.protocol.question import Question
from orchestrator.protocol.sheet import head_digest
from orchestrator.protocol.wire import CLOCK_SKEW
from orchestrator.settings import load_settings
from tests.support.consortium import GALLERY_ITEMS
from tests.support.departments import SeededDepartments
from tests.support.gateway import OPERATOR, POLICE, SEATED, documents, make_seats, terms
from tests.support.onchain import OnChain, ask, automining_node, on_chain
from tests.support.signing_node import account_of, signing_node

pytestmark = pytest.mark.anyio

ROTATED = {
    "evidence": "haidian-market-supervision",
    "sealing": "beijing-natural-resources",
    "chain": "haidian-housing-construction",
    "request": "haidian-government-services",
    "identity": "beijing-public-security",
}
"""Kind to the department whose key of it is rotated, all at the same time. The chain key moves to an external signer."""


@dataclass(slots=True, kw_only=True)
class Running:
    """A consortium whose departments have key folders, with an asker."""

    chain: OnChain
    folders: Path
    passphrase: str
    client: GatewayClient
    view: LedgerView
    """As the asker sees the chain."""
    identity: FolderKeys
    old: dict[int, SeatKeys]
    signer: str
    """The URL of a node that holds a key."""
    first: str = ""
    """A mandate from before every rotation."""
    answers: list[tuple[int, AnswerEnvelope]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    async def mandate(self) -> str:
        """A new mandate, signed and sealed as the identity seat's process sees the chain now."""
        self.identity.follow(await self.view.seat(POLICE))
        there = self.chain.consortium
        seats = {seat.keyset.id: seat for seat in await self.view.seats()}
        return replace(there, seats={**there.seats, **seats}).mandate(key=self.identity.identity)

    async def ask(self, mandate: str) -> None:
        """Asks every item of its department and checks each answer as the orchestrator does."""
        by_seat: dict[int, list[Question]] = {}
        for item in GALLERY_ITEMS:
            question = Question(mandate=jws_hash(mandate), item=item, index=0, purpose="decide")
            by_seat.setdefault(self.chain.consortium.provider(item), []).append(question)
        await asyncio.gather(*(self._ask(number, questions, mandate) for number, questions in by_seat.items()))

    async def _ask(self, number: int, questions: list[Question], mandate: str) -> None:
        try:
            found = await self.client.ask(await self.view.seat(number), questions, [mandate])
            seat = await self.view.seat(number)
            for envelope in found.answers:
                answer = read_answer(envelope, seat.key_of("evidence", envelope.answer))
                self.answers.append((number, envelope))
                if answer.result != "answered":
                    self.problems.append(f"{number} refused {answer.item}: {answer.reason}")
        except LianbanError as error:
            self.problems.append(f"{number}: {error.code} {error.detail_en}")

    async def look(self, number: int) -> Any:
        """A seat by the newest block."""
        await self.view.refresh()
        return await self.view.seat(number)


@asynccontextmanager
async def blocks(url: str) -> AsyncIterator[None]:
    """A block every quarter of a second for the block."""

    async def tick() -> None:
        async with Rpc(url) as rpc:
            while True:
                await rpc.call("evm_mine")
                await asyncio.sleep(0.25)

    ticking = asyncio.create_task(tick())
    try:
        yield
    finally:
        ticking.cancel()


@pytest.fixture(scope="module")
async def running(
    departments: SeededDepartments, pg_admin_dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    folder = tmp_path_factory.mktemp("keys")
    with automining_node() as url, signing_node() as signer:
        async with (
            on_chain(url, "open-gallery") as chain,
            Rpc(url) as gateways_rpc,
            Rpc(url) as askers_rpc,
        ):
            settings = load_settings(use_services_file=False, data_dir=folder)
            passphrase = settings.passphrase()
            write_deployment(settings.deployment_file, chain.deployment)
            names = {chain.consortium.seats[name].number: name for name in {*SEATED, *ROTATED.values()}}
            keys = {}
            for number, name in names.items():
                save_seat_keys(chain.consortium.keys[number], settings.keys_dir / name, passphrase)
                keys[number] = load_seat_keys(settings.keys_dir / name, passphrase)
            seats = make_seats(chain.consortium, departments, pg_admin_dsn, SEATED)
            held = [replace(seat, keys=keys[seat.number]) for seat in seats.values()]
            app = create_app(held, LedgerView(gateways_rpc, chain.deployment, max_age=3.0))
            view = LedgerView(askers_rpc, chain.deployment, max_age=3.0)
            async with (
                app.router.lifespan_context(app),
                GatewayClient(
                    OPERATOR, keys[OPERATOR], view, transport=httpx.ASGITransport(app=app), timeout=30
                ) as client,
                blocks(url),
            ):
                for seat in held:
                    there = await view.seat(seat.number)
                    await client.sign_binding(there, *documents(chain.consortium), terms(chain.consortium))
                yield Running(
                    chain=chain,
                    folders=settings.keys_dir,
                    passphrase=passphrase,
                    client=client,
                    view=view,
                    identity=load_seat_keys(settings.keys_dir / ROTATED["identity"], passphrase, {"identity"}),
                    old=dict(chain.consortium.keys),
                    signer=signer,
                )


def command(running: Running, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """`lianban keys rotate` of a kind, in a thread of its own."""
    monkeypatch.setenv("LIANBAN_DATA_DIR", str(running.folders.parent))
    monkeypatch.setenv("LIANBAN_NODE_URL", running.chain.node_url)
    return lambda kind: asyncio.to_thread(cli_keys.rotate, ROTATED[kind], kind, blocks=8, keystore=False, account=None)


async def test_rotate__every_kind_while_questions_are_in_flight__none_lost_none_refused(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotate, number = (
        command(running, monkeypatch),
        {kind: running.chain.consortium.seats[name].number for kind, name in ROTATED.items()},
    )
    before = {kind: await running.look(seat) for kind, seat in number.items()}
    service = {"kind": "json-rpc", "url": running.signer, "address": account_of(running.signer)}
    (running.folders / ROTATED["chain"] / "keys.yaml").write_text(json.dumps({"chain": service}))
    running.first = await running.mandate()
    await running.ask(running.first)
    assert running.problems == []
    rotations = asyncio.gather(*(rotate(kind) for kind in ROTATED))
    while not rotations.done():
        for mandate in (running.first, await running.mandate()):
            await running.ask(mandate)
    await rotations
    for mandate in (running.first, await running.mandate()):  # what was sealed to the replaced keys opens still
        await running.ask(mandate)

    assert running.problems == []
    after = {kind: await running.look(seat) for kind, seat in number.items()}
    for kind, seat in after.items():
        changed = {"chain"} if seat.signer != before[kind].signer else set()
        changed |= {
            use for use in ("evidence", "request", "sealing") if seat.keyset.key(use) != before[kind].keyset.key(use)
        }
        if kind == "identity":
            changed |= {"identity"} if seat.keyset.key(kind) != before[kind].keyset.key(kind) else set()
        assert changed == {kind}
    assert after["chain"].signer == account_of(running.signer)
    signers = {envelope.answer.split(".")[0] for seat, envelope in running.answers if seat == number["evidence"]}
    assert len(signers) == 2, "answers by the replaced key and by the new one"
    for seat, envelope in running.answers:  # old answers still verify
        view = await running.view.seat(seat)
        assert read_answer(envelope, view.key_of("evidence", envelope.answer)).result == "answered"


async def test_rotate__done__old_keys_count_for_nothing_new(running: Running) -> None:
    number = {kind: running.chain.consortium.seats[name].number for kind, name in ROTATED.items()}
    for kind in ("evidence", "request", "identity"):
        seat, old = await running.look(number[kind]), getattr(running.old[number[kind]], kind)
        late = seat.past[-1].until + CLOCK_SKEW + 1
        with pytest.raises(Refused) as refused:
            seat.key_of(kind, sign_jws({"iat": late}, typ="test", key=old))
        assert refused.value.code == "bad-signature"
        assert seat.key_of(kind, sign_jws({"iat": seat.past[-1].until}, typ="test", key=old))["kid"] == old.kid
    # The ledger takes a head by the new chain key and none by the old one.
    seat = await running.look(number["chain"])
    head = await running.client.head(seat)
    domain = running.chain.view.domain("CaseLedger")
    assert head.signer(domain) == seat.signer != running.old[seat.number].chain.address
    root = from_hex(head.root)
    stolen = running.old[seat.number].chain.sign_hash(head_digest(domain, seat.number, head.size, root))
    poster = Poster(running.chain.rpc, running.chain.view, SigningAccount.generate().secret)
    ask(running.chain.node_url, "anvil_setBalance", poster.address, hex(10**20))
    for nonce, (signature, size) in enumerate(((stolen, 0), (from_hex(head.signature, 65), head.size))):
        part = HeadPart(
            seat=seat.number,
            old_size=0,
            old_root=bytes(32),
            new_size=head.size,
            new_root=root,
            proof=(),
            signature=signature,
        )
        await poster.send([(await poster.sign(nonce, [], [], [part])).raw])
        await mined(running, poster.address, nonce + 1)
        assert (await poster.anchored_head(seat.number))[0] == size


async def mined(running: Running, address: str, count: int) -> None:
    """Returns when so many transactions of an account are in the chain."""
    until = time.monotonic() + 30
    while int(ask(running.chain.node_url, "eth_getTransactionCount", address, "latest"), 16) < count:
        assert time.monotonic() < until
        await asyncio.sleep(0.1)


async def test_rotate__done__folders_hold_what_is_needed_and_no_more(
    running: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, name in ROTATED.items():
        folder, seat = running.folders / name, await running.look(running.chain.consortium.seats[name].number)
        held = load_seat_keys(folder, running.passphrase)
        old = running.old[seat.number]
        assert not list(folder.glob("next/*"))
        assert held.chain.address == seat.signer
        assert [held.evidence.kid, held.request.kid, held.sealing.kid] == [
            seat.keyset.key(use)["kid"] for use in ("evidence", "request", "sealing")
        ]
        assert [key.kid for key in held.sealing.past] == ([old.sealing.kid] if kind == "sealing" else [])
    assert not (running.folders / ROTATED["chain"] / "chain.json").exists()
    command(running, monkeypatch)
    await asyncio.to_thread(cli_keys.show, ROTATED["sealing"])
    kept = f"sealing-{running.old[running.chain.consortium.seats[ROTATED['sealing']].number].sealing.kid}"
    assert kept.removeprefix("sealing-") in (shown := capsys.readouterr().out)
    assert "kept until" in shown
    await asyncio.to_thread(cli_keys.destroy, ROTATED["sealing"], at_once=False, yes=True)
    assert "nothing to destroy" in capsys.readouterr().out
    assert (running.folders / ROTATED["sealing"] / "past" / f"{kept}.pem").exists()


class Killed(Exception):
    """Stands for the end of the process."""


async def test_rotate__killed_after_the_announcement__next_run_waits_and_finishes(
    running: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = ROTATED["chain"]
    number = running.chain.consortium.seats[name].number
    before = await running.look(number)
    command(running, monkeypatch)

    async def rotate() -> None:
        await asyncio.to_thread(cli_keys.rotate, name, "evidence", blocks=20, keystore=False, account=None)

    async def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(Rotation, "wait", killed)
        with pytest.raises(Killed):
            await rotate()
    (announced,) = (running.folders / name / "next").glob("evidence-*")
    await rotate()

    shown, after = capsys.readouterr().out, await running.look(number)
    assert "finished the rotation that was interrupted: evidence" in shown
    assert after.keyset.key("evidence")["kid"] == announced.stem.removeprefix("evidence-")
    assert len(after.past) == len(before.past) + 1, "one change, not two"
    assert (
        load_seat_keys(running.folders / name, running.passphrase).evidence.kid == after.keyset.key("evidence")["kid"]
    )
    assert not list((running.folders / name).glob("next/*"))


# Whoever steals one key. Each holds the key that is in force.


def stolen(running: Running, name: str, kind: str) -> Any:
    """The key of a department that is in force, taken out of its folder with the passphrase."""
    return getattr(load_seat_keys(running.folders / name, running.passphrase), kind)


async def test_thief__of_the_evidence_key__forged_answer_is_in_no_log(running: Running) -> None:
    name, mandate = ROTATED["evidence"], await running.mandate()
    seat = await running.look(running.chain.consortium.seats[name].number)
    item = next(item for item in GALLERY_ITEMS if running.chain.consortium.provider(item) == seat.number)
    questions = [Question(mandate=jws_hash(mandate), item=item, index=0, purpose="decide")]
    batch, body = running.client.signed(seat, questions, [mandate])
    value = await running.client._send(seat, "questions", body)
    assert running.client.read(seat, batch, questions, value).answers[0].question == questions[0].id
    genuine = value["answers"][0]
    payload = peek_jws(genuine["answer"])[1] | {"attempt": genuine["attempt"] + 1}
    forged = sign_jws(payload, typ=peek_jws(genuine["answer"])[0]["typ"], key=stolen(running, name, "evidence"))
    envelope = genuine | {"answer": forged, "attempt": genuine["attempt"] + 1}
    assert read_answer(AnswerEnvelope.parse(envelope), seat.key_of("evidence", forged)), "the signature itself is good"
    with pytest.raises(Refused) as refused:
        running.client.read(seat, batch, questions, value | {"answers": [envelope]})
    assert refused.value.code == "not-logged"


async def test_thief__of_the_request_key__asks_what_a_mandate_covers_and_no_more(running: Running) -> None:
    key, there = stolen(running, ROTATED["request"], "request"), running.chain.consortium
    mandate = await running.mandate()
    forged = sign_jws(peek_jws(mandate)[1] | {"jti": "x" * 32}, typ=peek_jws(mandate)[0]["typ"], key=key)
    item = GALLERY_ITEMS[0]
    seat = await running.look(there.provider(item))
    thief = GatewayClient(OPERATOR, key, running.view, transport=running.client._http._transport, timeout=30)
    for jws, asked, reason in (
        (forged, item, "forged-mandate"),
        (mandate, "E99.company", "unknown-item"),
        (mandate, item, None),
    ):
        question = Question(mandate=jws_hash(jws), item=asked, index=0, purpose="decide")
        envelope = (await thief.ask(seat, [question], [jws])).answers[0]
        answer = read_answer(envelope, seat.key_of("evidence", envelope.answer))
        assert answer.reason == reason
        assert all(not claim.sealed_to or claim.key not in answer.claims for claim in there.scenario.item(item).claims)


async def test_thief__of_the_sealing_key__opens_what_is_sealed_to_that_seat_alone(running: Running) -> None:
    name = ROTATED["sealing"]
    key, seat = stolen(running, name, "sealing"), running.chain.consortium.seats[name].number
    mandate = Mandate.model_validate(peek_jws(await running.mandate())[1])
    opened: dict[bool, set[int]] = {True: set(), False: set()}
    for role, slots in mandate.subjects.items():
        for index, slot in enumerate(slots):
            for holder in map(int, slot.sealed):
                try:
                    open_subject(mandate, role, index, seat=holder, key=key)
                    opened[True].add(holder)
                except Refused:
                    opened[False].add(holder)
    assert opened[True] == {seat}
    assert len(opened[False]) > 1


async def test_thief__of_the_identity_key__invents_until_the_seat_is_suspended(running: Running) -> None:
    invented = running.chain.consortium.mandate(key=stolen(running, ROTATED["identity"], "identity"))
    item = next(each for each in GALLERY_ITEMS if running.chain.consortium.provider(each) not in (POLICE,))
    question = Question(mandate=jws_hash(invented), item=item, index=0, purpose="decide")
    seat = await running.look(running.chain.consortium.provider(item))
    for standing, reason in (("suspend", "identity-suspended"), ("reinstate", None)):
        await running.chain.council_sender.send("Consortium", standing, POLICE)
        await asyncio.sleep(3.2)  # as old as the gateway's view can be
        envelope = (await running.client.ask(seat, [question], [invented])).answers[0]
        assert read_answer(envelope, seat.key_of("evidence", envelope.answer)).reason == reason
