"""Premises of the population, and the sales of some of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

from orchestrator.seeding.numbers import title_number, unit_code
from orchestrator.seeding.words import STREETS
from orchestrator.seeding.world import Company, Contract, Lease, Owner, Person, Premises, Span, UnderUse

_CENT = Decimal("0.01")
_FIRST_PARCEL = 1000
"""Parcels below are the cast's."""


def draw_premises(
    rng: random.Random, day: date, adults: Sequence[Person], companies: Sequence[Company]
) -> list[Premises]:
    """Homes of about half the adults, premises of a third of the companies, some spaces below ground."""
    premises: list[Premises] = []
    by_number = {person.number: person for person in adults}
    housed: set[str] = set()
    for person in adults:
        if person.number in housed or rng.random() >= 0.45:
            continue
        owners = [person]
        spouse = person.marriage
        if spouse is not None and not spouse.divorced and spouse.spouse_number in by_number and rng.random() < 0.7:
            owners.append(by_number[spouse.spouse_number])
        housed |= {owner.number for owner in owners}
        premises.append(_home(rng, day, len(premises), owners))
    for company in companies:
        if rng.random() < 0.33:
            premises.append(_business(rng, day, len(premises), company, companies))
    for _ in range(len(companies) // 25):
        premises.append(_below(rng, day, len(premises), rng.choice(companies)))
    return premises


def draw_contracts(
    rng: random.Random, day: date, premises: Sequence[Premises], adults: Sequence[Person]
) -> list[Contract]:
    """Sales of some homes to other people, most with the deed tax settled."""
    contracts: list[Contract] = []
    for home in premises:
        if home.nature != "商品房" or home.use != "住宅" or not home.in_force or rng.random() >= 0.04:
            continue
        buyer = rng.choice(adults)
        if buyer.number in {owner.number for owner in home.owners}:
            continue
        contracts.append(
            Contract(
                number=f"WQ{day.year}{len(contracts):08d}",
                title=home.title,
                unit=home.unit,
                sellers=tuple(sorted(owner.number for owner in home.owners)),
                buyers=(buyer.number,),
                price=(home.area * rng.randrange(45_000, 140_000)).quantize(_CENT),
                signed=day - timedelta(days=rng.randrange(2, 90)),
                in_force=rng.random() < 0.95,
                tax=rng.choices(("1", "2", "0", None), (70, 10, 15, 5))[0],
            )
        )
    return contracts


def _place(rng: random.Random, number: int) -> tuple[str, str]:
    """Unit code and address."""
    parcel, unit = divmod(number, 200)
    address = f"北京市海淀区{rng.choice(STREETS)}{parcel + 1}号院{unit // 20 + 1}号楼{unit % 20 + 1}号"
    return unit_code(_FIRST_PARCEL + parcel, unit + 1), address


def _home(rng: random.Random, day: date, number: int, owners: Sequence[Person]) -> Premises:
    unit, address = _place(rng, number)
    registered = day - timedelta(days=rng.randrange(30, 7000))
    mortgaged = rng.random() < 0.3
    return Premises(
        unit=unit,
        title=title_number(registered.year, number + 1),
        address=address,
        owners=tuple(Owner(name=person.name, number=person.number) for person in owners),
        use="住宅",
        nature=rng.choices(("商品房", "房改房", "经济适用房"), (85, 12, 3))[0],
        area=_area(rng, 35, 180),
        registered=registered,
        in_force=rng.random() < 0.98,
        mortgaged=mortgaged,
        restricted=mortgaged and rng.random() < 0.2,
        seized=rng.random() < 0.01,
        objection=rng.random() < 0.002,
        notice=rng.random() < 0.005,
        locked=rng.random() < 0.003,
        residence=rng.random() < 0.004,
    )


def _business(rng: random.Random, day: date, number: int, company: Company, companies: Sequence[Company]) -> Premises:
    unit, address = _place(rng, number)
    registered = day - timedelta(days=rng.randrange(30, 7000))
    area = _area(rng, 40, 1200)
    leases: tuple[Lease, ...] = ()
    # Most leases are not filed.
    if rng.random() < 0.2:
        since = day - timedelta(days=rng.randrange(1, 900))
        lessee = rng.choice(companies).uscc
        leases = (Lease(lessee=lessee, lessor=company.uscc, since=since, until=since + timedelta(days=1095)),)
    permit = None
    if rng.random() < 0.03:
        permit = (area, day - timedelta(days=rng.randrange(1, 600)))
    acceptance = None
    if rng.random() < 0.6:
        acceptance = (rng.random() < 0.97, area, day - timedelta(days=rng.randrange(10, 3000)))
    enforcement: tuple[tuple[str, Span], ...] = ()
    if rng.random() < 0.03:
        since = day - timedelta(days=rng.randrange(1, 400))
        until = since + timedelta(days=30)
        enforcement = ((rng.choice("123"), Span(since=since, until=until if until <= day else None)),)
    return Premises(
        unit=unit,
        title=title_number(registered.year, number + 1),
        address=address,
        owners=(Owner(name=company.name, number=company.uscc),),
        use=rng.choice(("商业", "办公", "办公", "文化", "科研")),
        area=area,
        registered=registered,
        mortgaged=rng.random() < 0.25,
        seized=rng.random() < 0.01,
        acceptance=acceptance,
        permit=permit,
        leases=leases,
        enforcement=enforcement,
    )


def _below(rng: random.Random, day: date, number: int, user: Company) -> Premises:
    """Civil defence works or an ordinary basement, without a title."""
    unit, address = _place(rng, number)
    area = _area(rng, 200, 2000)
    until = day + timedelta(days=rng.randrange(-100, 1000))
    works = rng.random() < 0.5
    use = UnderUse(
        number=f"{'RFSY' if works else 'PTDXS'}{number:06d}",
        user=user.uscc,
        level=rng.choice((-1, -1, -2, -3)),
        purpose=rng.choice(("仓储", "停车", "展览展示", "文化活动", "商业")),
        area=area,
        since=until - timedelta(days=1095),
        until=until,
        safety_passed=rng.random() < 0.93,
    )
    return Premises(
        unit=unit,
        address=address,
        use="人防工程" if works else "地下室",
        area=area,
        registered=use.since,
        civil_defence=use if works else None,
        basement=None if works else use,
    )


def _area(rng: random.Random, low: int, high: int) -> Decimal:
    return (Decimal(rng.randrange(low * 100, high * 100)) / 100).quantize(_CENT)
