"""What a gateway signs about scenarios: by its policy, after an officer has read and approved exactly this, or not at all."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest

from orchestrator.domain.canonical import from_hex
from orchestrator.domain.errors import LianbanError, Refused
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.scenario_file import load_scenario
from orchestrator.domain.vocabulary import Words
from orchestrator.gateway.client import GatewayClient
from orchestrator.gateway.definitions import retirement
from orchestrator.gateway.desk import certify_officer, revoke_officer
from orchestrator.gateway.officer import OfficerClient
from orchestrator.gateway.policy import PolicyFile
from orchestrator.gateway.proposals import APPROVAL_DAYS, LONGEST_PROPOSAL, record_retirement
from orchestrator.gateway.reading import Reading
from orchestrator.gateway.seat import Seat
from orchestrator.gateway.server import create_app
from orchestrator.protocol.jose import SigningKey
from orchestrator.protocol.officer import Duty, read_proposal_decision, sign_proposal_decision
from orchestrator.protocol.sheet import publication_digest, recover, retirement_digest
from orchestrator.scenarios import FOLDER, load_catalogue
from tests.support.consortium import Consortium, make_consortium
from tests.support.departments import SeededDepartments
from tests.support.gateway import CULTURE, MARKET, OPERATOR, TAX, make_seats, terms

pytestmark = pytest.mark.anyio

NAME = "haidian-culture-tourism"
GALLERY = (FOLDER / "open-gallery.yaml").read_text("utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The culture department's gateway with a policy file, its store and who talks to it."""

    consortium: Consortium
    seat: Seat
    policy: Path
    operator: GatewayClient
    http: httpx.AsyncClient

    def say(self, policy: str) -> None:
        """Writes the policy; lengths differ, so that it is seen however coarse the clock."""
        self.policy.write_text(f"{policy}\n# {self.policy.stat().st_size if self.policy.exists() else 0}\n", "utf-8")

    async def officer(self, *may: Duty) -> OfficerClient:
        """A new officer of the department."""
        key = SigningKey.generate()
        certificate = await certify_officer(self.seat, key.jwk, "officer-3", may=may or ("signatures",))
        view = self.consortium.seats[NAME]
        return OfficerClient(self.http, endpoint=view.keyset.endpoint, seat=CULTURE, key=key, certificate=certificate)

    async def bind(
        self, scenario: Scenario | None = None, *, asker: GatewayClient | None = None, **changes: Any
    ) -> bytes:
        """Asks for a signature of the gallery's binding."""
        scenario = scenario or self.consortium.scenario
        proposed = terms(self.consortium, version=scenario.version, **changes)
        view = self.consortium.seats[NAME]
        return await (asker or self.operator).sign_binding(view, scenario.definition(), scenario.texts(), proposed)

    async def publish(self, scenario: Scenario, revision: int | None = None) -> bytes:
        view = self.consortium.seats[NAME]
        return await self.operator.sign_publication(view, scenario.definition(), scenario.texts(), revision=revision)

    async def code(self, action: Any) -> str:
        with pytest.raises(LianbanError) as error:
            await action
        return error.value.code

    async def reading(self, officer: OfficerClient, proposal: str, against: str | None = None) -> Reading:
        answer = await officer.proposal(proposal, against=against)
        return Reading.of(answer, proposal, CULTURE, self.consortium.chain)


def changed(old: str = "&area_limit 300", new: str = "&area_limit 200") -> Scenario:
    assert old in GALLERY
    return load_scenario(GALLERY.replace(old, new), catalogue=load_catalogue())


@asynccontextmanager
async def world_of(
    consortium: Consortium, departments: SeededDepartments, admin_dsn: str, folder: Path
) -> AsyncIterator[World]:
    policy = folder / "policy.yaml"
    policy.write_text("sign: ask", "utf-8")
    seats = make_seats(consortium, departments, admin_dsn, [NAME], PolicyFile(policy))
    app = create_app(list(seats.values()), consortium.chain)
    transport = httpx.ASGITransport(app=app)
    key = consortium.keys[OPERATOR].request
    async with (
        app.router.lifespan_context(app),
        GatewayClient(OPERATOR, key, consortium.chain, transport=transport, timeout=30) as operator,
        httpx.AsyncClient(transport=transport) as http,
    ):
        yield World(consortium=consortium, seat=seats[NAME], policy=policy, operator=operator, http=http)


@pytest.fixture
async def world(departments: SeededDepartments, pg_admin_dsn: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world_of(make_consortium(), departments, pg_admin_dsn, tmp_path) as world:
        yield world


def published(world: World, scenario: Scenario) -> Scenario:
    """The scenario, on chain."""
    world.consortium.chain.publish(scenario.version, scenario.id, scenario.texts_hash, CULTURE)
    return scenario


# ---- the policy


async def test_sign__policy_ask__waits_for_an_officer_then_the_same_request_is_signed(world: World) -> None:
    with pytest.raises(Refused) as error:
        await world.bind()
    assert error.value.code == "awaiting-officer"
    assert "同一命令" in error.value.remedy
    officer = await world.officer()
    (waits,) = await officer.proposals()
    assert (waits["kind"], waits["scenario"], waits["asker"]) == ("binding", "open-gallery", OPERATOR)
    assert await world.code(world.bind()) == "awaiting-officer"
    assert len(await officer.proposals()) == 1  # asking again is no other proposal
    await officer.decide_proposal(waits["hash"], "approve", "与现行规定一致")
    assert await officer.proposals() == []
    signature = await world.bind()
    assert len(signature) == 65
    assert await world.bind(valid_until=int(time.time()) + 60) != signature  # another expiry, the same proposal


async def test_sign__policy_auto_or_never__at_once_or_not_at_all(world: World) -> None:
    world.say("sign: {open-gallery: auto}")
    assert len(await world.bind()) == 65
    world.say("sign: {open-gallery: never}")
    assert await world.code(world.bind()) == "policy"
    assert await world.code(world.publish(world.consortium.scenario)) == "policy"
    assert await world.code(world.operator.sign_retirement(world.consortium.seats[NAME], 1)) == "policy"
    assert await (await world.officer()).proposals() == []
    world.say("sign: {open-gallery: neve}")
    assert await world.code(world.bind()) == "policy-faulty"


async def test_sign__policy_by_role_and_region__the_rest_waits(world: World) -> None:
    # The department approves and provides: as a provider alone it would sign unasked.
    world.say("sign: {open-gallery: {auto: {roles: [provider]}}}")
    assert await world.code(world.bind()) == "awaiting-officer"
    world.say("sign: {open-gallery: {auto: {roles: [provider, approver], regions: ['110105']}}}")
    assert await world.code(world.bind()) == "awaiting-officer"
    assert len(await world.bind(region="110105")) == 65
    assert await world.code(world.publish(world.consortium.scenario)) == "awaiting-officer"
    world.say("sign: {open-gallery: {auto: {roles: [publisher]}, otherwise: never}}")
    assert await world.code(world.bind()) == "policy"
    signature = await world.publish(world.consortium.scenario)
    scenario, domain = world.consortium.scenario, world.consortium.chain.domain("Catalog")
    version, texts = from_hex(scenario.version), from_hex(scenario.texts_hash)
    digest = publication_digest(domain, scenario.id, version, texts, CULTURE)
    assert recover(digest, signature) == world.consortium.seats[NAME].signer


# ---- exactly what was approved


async def test_approval__anything_else__waits_again(world: World) -> None:
    officer = await world.officer()
    assert await world.code(world.bind()) == "awaiting-officer"
    (waits,) = await officer.proposals()
    await officer.decide_proposal(waits["hash"], "approve", "ok")
    await world.bind()
    binding = world.consortium.binding
    assert await world.code(world.bind(region="110105")) == "awaiting-officer"
    swapped = [TAX if seat == MARKET else seat for seat in binding.providers]
    assert await world.code(world.bind(providers=swapped)) == "awaiting-officer"
    other = published(world, changed())
    assert await world.code(world.bind(other)) == "awaiting-officer"
    assert await world.code(world.publish(world.consortium.scenario)) == "awaiting-officer"
    assert await world.code(world.operator.sign_retirement(world.consortium.seats[NAME], 1)) == "awaiting-officer"
    words = published(world, changed("en: Open a gallery", "en: Open an art gallery"))
    assert words.version == world.consortium.scenario.version
    assert await world.code(world.bind(words)) == "awaiting-officer"
    assert await world.code(world.bind()) == "not-published"  # these texts are no longer those of the version
    hashes = {each["hash"] for each in await officer.proposals()}
    assert len(hashes) == 6
    assert waits["hash"] not in hashes


async def test_bind__signature_to_be_used_much_later__refused(world: World) -> None:
    world.say("sign: auto")
    late = int(time.time()) + LONGEST_PROPOSAL + 60
    assert await world.code(world.bind(valid_until=late)) == "invalid"


async def test_bind__version_not_published__refused(world: World) -> None:
    world.say("sign: auto")
    assert await world.code(world.bind(changed())) == "not-published"


async def test_approval__texts_revision__of_that_number_alone(world: World) -> None:
    officer = await world.officer()
    words = changed("en: Open a gallery", "en: Open an art gallery")
    assert await world.code(world.publish(words, 1)) == "awaiting-officer"
    (waits,) = await officer.proposals()
    assert (waits["kind"], waits["revision"]) == ("texts", 1)
    await officer.decide_proposal(waits["hash"], "approve", "错字")
    assert len(await world.publish(words, 1)) == 65
    assert await world.code(world.publish(words, 2)) == "awaiting-officer"
    assert await world.code(world.publish(words)) == "awaiting-officer"


async def test_approval__after_its_days__counts_no_more(world: World) -> None:
    officer = await world.officer()
    assert await world.code(world.bind()) == "awaiting-officer"
    (waits,) = await officer.proposals()
    await officer.decide_proposal(waits["hash"], "approve", "ok")
    await world.bind()
    await world.seat.store.rows(
        "update proposal_decision set at = at - make_interval(days => %s, secs => 1)", [APPROVAL_DAYS]
    )
    assert await world.code(world.bind()) == "awaiting-officer"
    assert [each["hash"] for each in await officer.proposals()] == [waits["hash"]]


async def test_decline__reason_told_and_may_be_reconsidered(world: World) -> None:
    officer = await world.officer()
    assert await world.code(world.bind()) == "awaiting-officer"
    (waits,) = await officer.proposals()
    await officer.decide_proposal(waits["hash"], "decline", "住所不应向外提供")
    assert await officer.proposals() == []
    with pytest.raises(Refused, match="住所不应向外提供") as error:
        await world.bind()
    assert error.value.code == "declined"
    await officer.decide_proposal(waits["hash"], "approve", "已说明用途")
    await world.bind()
    await officer.decide_proposal(waits["hash"], "decline", "收回")
    assert await world.code(world.bind()) == "declined"
    said = (await officer.proposal(waits["hash"]))["decisions"]
    assert [each["outcome"] for each in said] == ["decline", "approve", "decline"]
    key = world.consortium.seats[NAME].keyset.key("evidence")
    for each in said:  # every word is the officer's own signature
        read, certificate = read_proposal_decision(each["decision"], each["certificate"], seat=CULTURE, jwk=key)
        assert (read.proposal, read.outcome, certificate.sub) == (waits["hash"], each["outcome"], "officer-3")


# ---- what the officer reads


async def test_reading__first_time__all_of_it_then_what_changed_since_it_was_signed(world: World) -> None:
    officer = await world.officer()
    assert await world.code(world.bind()) == "awaiting-officer"
    (waits,) = await officer.proposals()
    first = await world.reading(officer, waits["hash"])
    names = {
        seat.number: Words(seat.keyset.name["zh"], seat.keyset.name["en"]) for seat in world.consortium.seats.values()
    }
    assert first.before is None
    text = "\n".join(change.sentences().zh for change in first.changes(names))
    assert "规则 GAL-09" in text
    assert "海淀区市场监督管理局" in text
    await officer.decide_proposal(waits["hash"], "approve", "ok")
    await world.bind()
    other = published(world, changed())
    assert await world.code(world.bind(other, region="110105")) == "awaiting-officer"
    (waits,) = await officer.proposals()
    second = await world.reading(officer, waits["hash"])
    assert second.before is not None
    assert second.before.version == world.consortium.scenario.version
    sections = [change.section for change in second.changes(names, load_catalogue())]
    assert set(sections) == {"seats", "evidence", "rules", "materials", "deadline", "steps"}
    text = "\n".join(change.sentences().zh for change in second.changes(names))
    assert "地区由 110108 改为 110105" in text
    # Against the version itself nothing changes; one that the seat has never seen it does not have.
    same = await world.reading(officer, waits["hash"], other.version)
    assert [change.section for change in same.changes(names) if change.section != "seats"] == []
    assert await world.code(officer.proposal(waits["hash"], against="0x" + "11" * 32)) == "not-found"
    assert await world.code(officer.proposal("0x" + "11" * 32)) == "not-found"


@pytest.mark.parametrize(
    "bend",
    [
        lambda answer, other: answer.update(definition=other.definition()),
        lambda answer, other: answer.update(definition=other.definition(), texts=other.texts()),
        lambda answer, other: answer["proposal"].update(version=other.version),
        lambda answer, other: answer["proposal"].update(seat=MARKET),
        lambda answer, other: answer["proposal"].update(chain=1),
        lambda answer, other: answer["texts"]["texts"]["name"].update(zh="别的名称"),
        lambda answer, other: answer["before"].update(definition=other.definition()),
    ],
)
async def test_reading__gateway_shows_something_else__refused(
    world: World, bend: Callable[[dict[str, Any], Scenario], Any]
) -> None:
    world.say("sign: auto")
    await world.bind()
    world.say("sign: ask")
    assert await world.code(world.bind(published(world, changed()))) == "awaiting-officer"
    officer = await world.officer()
    (waits,) = await officer.proposals()
    answer = await officer.proposal(waits["hash"])
    assert Reading.of(answer, waits["hash"], CULTURE, world.consortium.chain).before is not None
    bend(answer, changed("max_age: 7d", "max_age: 8d"))
    assert await world.code(_of(answer, waits["hash"], world)) == "not-as-hashed"


async def _of(answer: dict[str, Any], proposal: str, world: World) -> Reading:
    return Reading.of(answer, proposal, CULTURE, world.consortium.chain)


# ---- who may say it


async def test_decision__not_by_an_officer_for_signatures__refused(world: World) -> None:
    assert await world.code(world.bind()) == "awaiting-officer"
    reader = await world.officer()
    (waits,) = await reader.proposals()
    for_cases = await world.officer("cases")
    for action in (
        for_cases.proposals(),
        for_cases.proposal(waits["hash"]),
        for_cases.decide_proposal(waits["hash"], "approve", "x"),
        reader.queue(),
    ):
        assert await world.code(action) == "not-the-duty"
    assert await (await world.officer("cases", "signatures")).queue() == []
    ended = await world.officer()
    assert await revoke_officer(world.seat, ended._key.kid)
    assert await world.code(ended.decide_proposal(waits["hash"], "approve", "x")) == "officer-revoked"
    assert await world.code(world.bind()) == "awaiting-officer"


async def test_decision__signed_by_another_key__refused(world: World) -> None:
    assert await world.code(world.bind()) == "awaiting-officer"
    one, other = await world.officer(), await world.officer()
    (waits,) = await one.proposals()
    said: Literal["approve"] = "approve"
    foreign = sign_proposal_decision(proposal=waits["hash"], outcome=said, reason="x", iat=1, key=other._key)
    assert await world.code(one._post("proposals/decisions", {"decision": foreign})) == "bad-signature"
    old = sign_proposal_decision(proposal=waits["hash"], outcome=said, reason="x", iat=1, key=one._key)
    assert await world.code(one._post("proposals/decisions", {"decision": old})) == "expired"
    assert await world.code(one._post("proposals/decisions", {})) == "invalid"
    assert await world.code(world.bind()) == "awaiting-officer"


# ---- retirement


async def test_retirement__asked_by_the_operator__by_the_same_policy(world: World) -> None:
    view, chain = world.consortium.seats[NAME], world.consortium.chain
    assert await world.code(world.operator.sign_retirement(view, 1)) == "awaiting-officer"
    officer = await world.officer()
    (waits,) = await officer.proposals()
    assert (waits["kind"], waits["binding"]) == ("retirement", 1)
    reading = await world.reading(officer, waits["hash"])
    assert (reading.proposal.scenario, reading.scenario, reading.changes({})) == ("open-gallery", None, ())
    await officer.decide_proposal(waits["hash"], "approve", "不再参与")
    signature = await world.operator.sign_retirement(view, 1)
    assert recover(retirement_digest(chain.domain("Catalog"), 1, CULTURE), signature) == view.signer


async def test_retirement__by_the_department_itself__the_same_is_not_signed_again_unasked(world: World) -> None:
    world.say("sign: auto")
    await world.bind()
    chain = world.consortium.chain
    proposal = await retirement(await chain.binding(1), CULTURE, chain)
    digest = retirement_digest(chain.domain("Catalog"), 1, CULTURE)
    until = await record_retirement(proposal, digest, world.seat.store)
    assert until is not None  # what was signed before may still be used
    assert 0 < until.timestamp() - time.time() <= LONGEST_PROPOSAL
    await world.seat.store.rows("update signing set signed_at = now() - make_interval(secs => %s)", [LONGEST_PROPOSAL])
    assert await record_retirement(proposal, digest, world.seat.store) is None
    assert await world.code(world.bind()) == "awaiting-officer"
    assert len(await world.bind(region="110105")) == 65  # elsewhere nothing has ended
    officer = await world.officer()
    (waits,) = await officer.proposals()
    await officer.decide_proposal(waits["hash"], "approve", "重新参与")
    await world.bind()
    # An approval does not outlive the next retirement.
    await record_retirement(proposal.model_copy(update={"binding": 2}), b"\1" * 32, world.seat.store)
    assert await world.code(world.bind()) == "awaiting-officer"


async def test_retirement__signed_unasked_for_the_operator__binds_again_unasked(world: World) -> None:
    world.say("sign: auto")
    await world.operator.sign_retirement(world.consortium.seats[NAME], 1)
    assert len(await world.bind()) == 65


async def test_wait__too_many__refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.gateway.proposals.MOST_WAITING", 1)
    assert await world.code(world.bind()) == "awaiting-officer"
    assert await world.code(world.bind(region="110105")) == "too-many"
    assert await world.code(world.bind()) == "awaiting-officer"
