"""The population: residents, families, companies and premises, drawn so that they could be a part of Haidian.

Everything is drawn from one generator seeded with seed and day, in a fixed order, so a world can be drawn again.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

from orchestrator.seeding.enterprises import draw_companies, draw_laboratories
from orchestrator.seeding.numbers import citizen_number, credit_code, organisation_part
from orchestrator.seeding.premises import draw_contracts, draw_premises
from orchestrator.seeding.words import DOTTED_NAMES, GIVEN, HOUSEHOLDS, SURNAMES
from orchestrator.seeding.world import (
    Benefit,
    Insurance,
    JobRegistration,
    Marriage,
    Permit,
    Person,
    PurchaseCheck,
    Span,
    Termination,
    World,
    months_before,
)

_FIRST_SEQUENCE = 100
"""Sequence numbers below are the cast's."""
_REASONS = ("N01", "N01", "N02", "N03", "N03", "N03", "N04", "N05", "V01", "V01", "V01", "V02", "V03")


def populate(*, day: date, residents: int, enterprises: int, seed: int) -> World:
    """A world of that many residents and enterprises, without the cast. The same arguments give the same world."""
    rng = random.Random(f"lianban {seed} {day.isoformat()}")
    world = World(day=day)
    people = _families(rng, day, residents)
    adults = [person for person in people if _age(person, day) >= 18 and person.died is None]
    world.companies = draw_companies(rng, day, adults, enterprises) if adults else []
    employers = [company.uscc for company in world.companies if company.state == "1"]
    world.people = [_working_life(rng, day, person, employers) for person in people]
    world.premises = draw_premises(rng, day, adults, world.companies)
    world.contracts = draw_contracts(rng, day, world.premises, adults)
    world.laboratories = draw_laboratories(rng, day)
    return world


@dataclass(slots=True)
class _Numbers:
    """Hands out citizen numbers, none twice."""

    used: set[tuple[date, int]]

    def draw(self, rng: random.Random, born: date, male: bool) -> str:
        while True:
            sequence = rng.randrange(_FIRST_SEQUENCE, 1000) & ~1 | male
            if sequence >= _FIRST_SEQUENCE and (born, sequence) not in self.used:
                self.used.add((born, sequence))
                return citizen_number(born, sequence)


def _age(person: Person, day: date) -> int:
    born = person.born
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def _name(rng: random.Random, surname: str | None = None) -> str:
    if surname is None and rng.random() < 0.01:
        return rng.choice(DOTTED_NAMES)
    given = "".join(rng.choice(GIVEN) for _ in range(1 if rng.random() < 0.25 else 2))
    return (surname or rng.choice(SURNAMES)) + given


def _born(rng: random.Random, day: date, youngest: int, oldest: int) -> date:
    return day - timedelta(days=rng.randrange(youngest * 365 + 366, oldest * 365))


def _families(rng: random.Random, day: date, residents: int) -> list[Person]:
    """Households of one, of two, and of two with children."""
    regions, weights = [code for code, _ in HOUSEHOLDS], [weight for _, weight in HOUSEHOLDS]
    numbers = _Numbers(set())
    people: list[Person] = []
    household = 0
    while len(people) < residents:
        household += 1
        region = rng.choices(regions, weights)[0]
        head = _person(rng, day, numbers, _born(rng, day, 18, 90), rng.random() < 0.5, region, household, "02")
        family = [head]
        age = _age(head, day)
        kind = rng.random()
        if age >= 22 and kind < 0.6:
            gap = timedelta(days=rng.randrange(-1500, 1500))
            born = min(head.born + gap, day - timedelta(days=366 * 22))
            spouse = _person(rng, day, numbers, born, head.sex == "2", region, household, "10")
            since = max(head.born, spouse.born) + timedelta(days=rng.randrange(22 * 366, 35 * 366))
            since = min(since, day - timedelta(days=1))
            family = [
                replace(head, marital="20", marriage=_marriage(spouse, since)),
                replace(spouse, marital="20", marriage=_marriage(head, since)),
            ]
            if age < 65 and rng.random() < 0.6:
                mother = max(head.born, spouse.born) + timedelta(days=24 * 366)
                for _ in range(1 if rng.random() < 0.8 else 2):
                    born = mother + timedelta(days=rng.randrange(0, 12 * 365))
                    if born < day:
                        surname = head.name[0] if "·" not in head.name else None
                        male = rng.random() < 0.51
                        relation = "20" if male else "30"
                        family.append(_person(rng, day, numbers, born, male, region, household, relation, surname))
        elif age >= 26 and kind < 0.68:
            other = Person(
                number=numbers.draw(rng, head.born, head.sex == "2"), name=_name(rng), household=region,
                card_from=day, card_until=None,
            )  # fmt: skip
            divorced = replace(_marriage(other, day - timedelta(days=rng.randrange(100, 3000))), divorced=True)
            family = [replace(head, marital="40", marriage=divorced)]
        people += family
    return people[:residents]


def _marriage(spouse: Person, since: date) -> Marriage:
    return Marriage(spouse_name=spouse.name, spouse_number=spouse.number, registered=since)


def _person(
    rng: random.Random, day: date, numbers: _Numbers, born: date, male: bool, region: str, household: int,
    relation: str, surname: str | None = None,
) -> Person:  # fmt: skip
    age = (day - born).days // 365
    issued = day - timedelta(days=rng.randrange(1, 3600))
    term = timedelta(days=7305 if age > 25 else 3652)
    until: date | None = issued + term
    if age >= 50:
        until = None
    elif rng.random() < 0.01:
        until = day - timedelta(days=rng.randrange(1, 400))
        issued = until - term
    moved = moved_from = None
    if rng.random() < 0.25:
        moved = max(day - timedelta(days=rng.randrange(1, 9000)), born)
        moved_from = rng.choice(("130100", "130600", "410100", "370100", "110105", "110114"))
    permit = None
    if not region.startswith("11") and age >= 16 and rng.random() < 0.8:
        until_permit = day + timedelta(days=rng.randrange(-60, 365))
        permit = Permit(
            region="110108" if rng.random() < 0.9 else "110114",
            issued=until_permit - timedelta(days=365),
            until=until_permit,
        )
    name = _name(rng, surname)
    purchase = None
    if age >= 25 and rng.random() < 0.02:
        checked = day - timedelta(days=rng.randrange(1, 120))
        good = rng.random() < 0.85
        purchase = PurchaseCheck(
            eligible=good, checked=checked, until=checked + timedelta(days=90), cause="" if good else "家庭已有两套住房"
        )
    return Person(
        number=numbers.draw(rng, born, male),
        name=name,
        # Registers write the middle dot in every way there is.
        registered_name=name.replace("·", rng.choice("·•．")) if "·" in name else None,
        household=region,
        former_name=name[0] + rng.choice(GIVEN) if rng.random() < 0.01 else "",
        moved=moved,
        moved_from=moved_from or "",
        card_from=issued,
        card_until=until,
        household_no=f"{household:09d}",
        relation=relation,
        permit=permit,
        purchase=purchase,
        died=day - timedelta(days=rng.randrange(1, 2000)) if age >= 70 and rng.random() < 0.05 else None,
        barred=_span(rng, day, 0.004, rng.choice(("01", "02", "03"))) if age >= 18 else None,
        debtor=_span(rng, day, 0.01) if age >= 18 else None,
    )


def _span(rng: random.Random, day: date, chance: float, cause: str = "") -> Span | None:
    """Something that began within three years; for two in three it is over, or has an end."""
    if rng.random() >= chance:
        return None
    since = day - timedelta(days=rng.randrange(1, 1000))
    until = since + timedelta(days=1095) if cause else (day if rng.random() < 0.3 else None)
    return Span(since=since, until=until, cause=cause)


def _working_life(rng: random.Random, day: date, person: Person, employers: list[str]) -> Person:
    """Work, insurance, unemployment and pension, as far as a person has come."""
    age = _age(person, day)
    if age < 18 or person.died is not None or not employers:
        return person
    employer = rng.choice(employers)
    base = Decimal(rng.randrange(6000, 30000)).quantize(Decimal("0.01"))
    retired = age >= (60 if person.sex == "1" else 55)
    fate = rng.random()
    if retired:
        if fate < 0.1:
            return person
        insurance = Insurance(months=months_before(day, 12, skip=24), pension=True, employer=employer, base=base)
        return replace(person, insurance=insurance)
    years = max(1, min(age - 20, 6))
    if fate < 0.70:
        months = rng.randrange(1, years * 12 + 1)
        insurance = Insurance(months=months_before(day, months), insured=True, employer=employer, base=base)
        return replace(person, insurance=insurance)
    if fate < 0.80:
        return _unemployed(rng, day, person, employer, base, years)
    if fate < 0.83:
        shop = credit_code("92", "110108", organisation_part("MBXYD", rng.randrange(29_791)))
        return replace(person, shop=shop)
    return person


def _unemployed(rng: random.Random, day: date, person: Person, employer: str, base: Decimal, years: int) -> Person:
    ended = day - timedelta(days=rng.randrange(5, 400))
    skip = (day.year - ended.year) * 12 + day.month - ended.month
    paid = months_before(day, rng.randrange(3, years * 12 + 4), skip=max(skip - 1, 0))
    arrears = months_before(day, 1, skip=max(skip - 1, 0) + len(paid)) if rng.random() < 0.05 else ()
    insurance = Insurance(months=paid, arrears=arrears, employer=employer, base=base)
    # Employers report up to fifteen days late, and a few never do.
    reported = ended + timedelta(days=rng.randrange(1, 16))
    termination = None
    if reported <= day and rng.random() < 0.92:
        termination = Termination(code=rng.choice(_REASONS), ended=ended, reported=reported, employer=employer)
    registration = benefit = None
    registered = ended + timedelta(days=rng.randrange(1, 60))
    if registered <= day and rng.random() < 0.6:
        registration = JobRegistration(registered=registered, seeking=rng.random() < 0.97)
        if len(paid) >= 12 and rng.random() < 0.4:
            months = min(24, 3 * (len(paid) // 12))
            used = min(months, (day - registered).days // 30)
            state = "3" if used == months else "1"
            benefit = Benefit(set_on=registered, months=months, paid=used, state=state)
    return replace(person, insurance=insurance, termination=termination, registration=registration, benefit=benefit)
