"""Cases for the gateway bench: mandates as the identity seat signs them, each about another company, person and premises.

The gallery's, in a situation of the February table: eight evidences of five departments. Subjects are drawn from the
population that the departments' databases were seeded with, so most are on record.
"""

from __future__ import annotations

import itertools
import random
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from orchestrator.domain.canonical import b64
from orchestrator.domain.scenario import Scenario
from orchestrator.identity.flow import Entered, Flow, MandateRequest, Situation
from orchestrator.identity.mandates import Place, make_mandate, sign
from orchestrator.identity.needs import needs_of
from orchestrator.identity.oidc import AuthorizationRequest
from orchestrator.ledger.view import LedgerView
from orchestrator.protocol.jose import SigningKey
from orchestrator.protocol.question import Question
from orchestrator.protocol.sealing import SealingKey
from orchestrator.protocol.wire import new_jti
from orchestrator.scenarios import FOLDER, situations
from orchestrator.seeding.cast import read_cast
from orchestrator.seeding.city import Population
from orchestrator.seeding.seed import make_world

SCENARIO: Final = "open-gallery"
SITUATION: Final = "area<=300+beijing-handler"

Subjects = dict[str, tuple[Entered, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Casework:
    """Makes cases of one scenario in one situation under one binding."""

    scenario: Scenario
    place: Place
    answers: dict[str, Any]
    key: SigningKey
    """The identity seat's."""
    subjects: Iterator[Subjects]
    providers: dict[int, tuple[str, ...]]
    """Seats that are asked, and the items that each is asked for, in the order of the scenario."""

    def questions(self, mandate: str, seat: int) -> list[Question]:
        """What a seat is asked under a mandate (`0x…` hash)."""
        return [Question(mandate=mandate, item=item, index=0, purpose="decide") for item in self.providers[seat]]

    def mandate(self) -> tuple[str, str]:
        """A new case's mandate: its hash and the signed token."""
        request = MandateRequest(
            type="lianban-mandate",
            kind="grant",
            binding=self.place.binding.number,
            situation=Situation(values=self.answers, salt=b64(secrets.token_bytes(32))),
            delivery={name: value for name, value in SealingKey.generate().jwk.items() if name != "kid"},
        )
        flow = Flow(
            id=new_jti(),
            request=AuthorizationRequest(client="", redirect_uri="", state="", nonce="", code_challenge=""),
            mandate=request,
            version=self.place.binding.version,
            texts=self.scenario.texts_hash,
            jti=new_jti(),
            subjects=next(self.subjects),
        )
        needs = needs_of(self.scenario, self.place.binding, self.answers)
        mandate = make_mandate(flow, request, needs, self.place, sub=new_jti(), now=int(time.time()))
        signed = sign(mandate, self.key)
        return signed.hash, signed.jws


async def open_casework(
    view: LedgerView, scenario: Scenario, binding: int, key: SigningKey, population: Population, day: date
) -> Casework:
    """Casework under a binding that stands on chain, about the population that was seeded for `day`."""
    bound = await view.binding(binding)
    place = Place(
        binding=bound,
        ledger=view.domain("CaseLedger"),
        seats={number: await view.seat(number) for number in bound.named},
    )
    [answers] = [each.answers for each in situations(day) if (each.scenario, each.id) == (scenario.id, SITUATION)]
    providers: dict[int, tuple[str, ...]] = {}
    for need in needs_of(scenario, bound, answers).items:
        if need.item.source == "gateway":
            providers[need.seat] = (*providers.get(need.seat, ()), need.item.id)
    return Casework(
        scenario=scenario,
        place=place,
        answers=answers,
        key=key,
        subjects=_subjects(population, day),
        providers=providers,
    )


def _subjects(population: Population, day: date) -> Iterator[Subjects]:
    """Companies with their representatives, and premises with a title, over and over in ever new pairs."""
    world = make_world(
        read_cast((FOLDER / "cast.yaml").read_text("utf-8")),
        day=day,
        residents=population.residents,
        enterprises=population.enterprises,
        seed=population.seed,
    )
    people = {person.number: person for person in world.people}
    companies = [company for company in world.companies if company.representative_number in people]
    premises = [each for each in world.premises if each.title]
    draw = random.Random(population.seed)
    for company in itertools.cycle(companies):
        person, unit = people[company.representative_number], draw.choice(premises)
        yield {
            "handler": (Entered(type="citizen", id=person.number, name=person.name),),
            "company": (Entered(type="uscc", id=company.uscc, name=company.name),),
            "premises": (Entered(type="title", id=unit.title, name=unit.title, attributes={"unit": unit.unit}),),
        }
