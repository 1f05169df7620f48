"""The cast as it is on the day of seeding."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from orchestrator.seeding.cast import (
    Cast,
    CastCompany,
    CastContract,
    CastInsurance,
    CastPerson,
    CastPremises,
    CastSpan,
)
from orchestrator.seeding.world import (
    Benefit,
    Company,
    Contract,
    HitechCertificate,
    Insurance,
    JobRegistration,
    Laboratory,
    Lease,
    Marriage,
    Owner,
    Patent,
    Permit,
    Person,
    Premises,
    PurchaseCheck,
    Span,
    TaxReturn,
    Termination,
    UnderUse,
    World,
    months_before,
)

_TRADES = {
    "art": ("F5246", ("工艺美术品及收藏品零售（象牙及其制品除外）", "组织文化艺术交流活动")),
    "exhibition": ("L7284", ("会议及展览服务", "广告设计、代理")),
    "technology": ("I6510", ("软件开发", "技术服务、技术开发、技术咨询、技术交流、技术转让、技术推广")),
}
_DAYS = frozenset(
    {"issued", "until", "ended", "reported", "registered", "cancelled", "checked", "set_on", "since", "day"}
)
_EMPLOYER = "91110108MBXYE0235P"


def cast_world(cast: Cast, day: date) -> World:
    """Everything of the cast, with its days counted from `day`. Raises Invalid for a key that names nobody."""
    world = World(day=day)
    world.people = [_person(cast, person, day) for person in cast.people.values()]
    world.companies = [_company(cast, company, day) for company in cast.companies.values()]
    world.premises = [_premises(cast, premises, day) for premises in cast.premises.values()]
    world.contracts = [_contract(cast, contract, day) for contract in cast.contracts.values()]
    world.laboratories = [
        Laboratory(
            number=lab.number,
            name=lab.name,
            issued=_on(day, lab.issued),
            until=_on(day, lab.until),
            state="1" if lab.until >= 0 else "2",
        )
        for lab in cast.laboratories.values()
    ]
    return world


def _on(day: date, days: int) -> date:
    return day + timedelta(days=days)


def _dated(fields: Mapping[str, Any], day: date) -> dict[str, Any]:
    """A group of fields with its days counted from `day`, and its numbers made exact."""
    values: dict[str, Any] = {}
    for name, value in fields.items():
        if name in _DAYS and value is not None:
            values[name] = _on(day, value)
        elif name == "area":
            values[name] = Decimal(value)
        else:
            values[name] = value
    return values


def _span(span: CastSpan | None, day: date) -> Span | None:
    if span is None:
        return None
    return Span(
        since=_on(day, span.since), until=None if span.until is None else _on(day, span.until), cause=span.cause
    )


def _insurance(insurance: CastInsurance, day: date) -> Insurance:
    months = months_before(day, insurance.paid, skip=insurance.skip)
    if insurance.earlier:
        months = months_before(day, insurance.earlier, skip=insurance.skip + insurance.paid + 6) + months
    return Insurance(
        months=months,
        arrears=months_before(day, insurance.arrears, skip=insurance.skip - insurance.arrears),
        insured=insurance.insured,
        pension=insurance.pension,
        employer=_EMPLOYER,
    )


def _marriage(cast: Cast, person: CastPerson, day: date) -> Marriage | None:
    if person.spouse is None:
        return None
    name, number = cast.owner(person.spouse)
    return Marriage(spouse_name=name, spouse_number=number, registered=_on(day, -1800), divorced=person.divorced)


def _person(cast: Cast, person: CastPerson, day: date) -> Person:
    termination = None
    if person.termination is not None:
        termination = Termination(employer=_EMPLOYER, **_dated(person.termination, day))
    return Person(
        number=person.number,
        name=person.name,
        registered_name=person.registered_name,
        household=person.household,
        in_register=person.in_register,
        former_name=person.former_name,
        moved=None if person.moved is None else _on(day, person.moved),
        moved_from=person.moved_from,
        marital=person.marital,
        relation=person.relation,
        died=None if person.died is None else _on(day, person.died),
        card_from=_on(day, person.card.begin),
        card_until=None if person.card.until is None else _on(day, person.card.until),
        permit=None if person.permit is None else Permit(**_dated(person.permit, day)),
        insurance=None if person.insurance is None else _insurance(person.insurance, day),
        registration=None if person.registration is None else JobRegistration(**_dated(person.registration, day)),
        termination=termination,
        benefit=None if person.benefit is None else Benefit(**_dated(person.benefit, day)),
        marriage=_marriage(cast, person, day),
        purchase=None if person.purchase is None else PurchaseCheck(**_dated(person.purchase, day)),
        barred=_span(person.barred, day),
        debtor=_span(person.debtor, day),
        shop=person.shop,
    )


def _company(cast: Cast, company: CastCompany, day: date) -> Company:
    representative, number = cast.owner(company.representative)
    industry, scope = _TRADES[company.trade]
    returns: tuple[TaxReturn, ...] = ()
    if company.returns is not None:
        # Last year's return is what applicants refer to; in spring it may not be due yet, and these have filed early.
        ago = company.return_years_ago
        filed = min(date(day.year - ago + 1, 3, 1), day)
        returns = (TaxReturn(year=day.year - ago, filed=filed, **company.returns),)
    hitech = None
    if company.hitech is not None:
        hitech = HitechCertificate(**{"name": company.name, **_dated(company.hitech, day)})
    patents = tuple(
        Patent(
            number=patent.number,
            title=patent.title,
            owner_name=patent.name or company.name,
            uscc=company.uscc if patent.uscc else "",
            kind="1",
            applied=date(int(patent.number[2:6]), 5, 6),
            granted=date(int(patent.number[2:6]) + 2, 9, 8),
        )
        for patent in company.patents
    )
    return Company(
        uscc=company.uscc,
        name=company.name,
        representative=representative,
        representative_number=number,
        scope=scope,
        industry=industry,
        established=_on(day, company.established),
        state=company.state,
        district=company.district,
        address="北京市朝阳区演示路1号" if company.district == "110105" else "北京市海淀区演示路1号",
        abnormal=_span(company.abnormal, day),
        serious=_span(company.serious, day),
        culture=_span(company.culture, day),
        tax_state=company.tax_state,
        overdue=company.overdue,
        returns=returns,
        hitech=hitech,
        patents=patents,
    )


def _owners(cast: Cast, premises: CastPremises) -> tuple[Owner, ...]:
    owners = (cast.owner(key) for key in premises.owners)
    return tuple(Owner(name=premises.owner_name or name, number=number) for name, number in owners)


def _under_use(cast: Cast, fields: dict[str, Any], area: Decimal, day: date) -> UnderUse:
    values = {"since": _on(day, -300), "area": area, **_dated(fields, day)}
    return UnderUse(**{**values, "user": cast.owner(values["user"])[1]})


def _premises(cast: Cast, premises: CastPremises, day: date) -> Premises:
    acceptance = permit = None
    if premises.acceptance is not None:
        values = _dated(premises.acceptance, day)
        acceptance = (values["passed"], values["area"], values["day"])
    if premises.permit is not None:
        values = _dated(premises.permit, day)
        permit = (values["area"], values["day"])
    leases: tuple[Lease, ...] = ()
    if premises.lease is not None:
        values = _dated(premises.lease, day)
        parties = {role: cast.owner(values[role])[1] for role in ("lessee", "lessor")}
        leases = (Lease(**{**values, **parties}),)
    enforcement: tuple[tuple[str, Span], ...] = ()
    if premises.enforcement is not None:
        values = _dated(premises.enforcement, day)
        enforcement = ((values["kind"], Span(since=values["since"])),)
    under = {
        name: None if fields is None else _under_use(cast, fields, premises.area, day)
        for name, fields in (("civil_defence", premises.civil_defence), ("basement", premises.basement))
    }
    return Premises(
        unit=premises.unit,
        title=premises.title,
        address=f"北京市海淀区演示路{int(premises.unit[14:19])}号楼{int(premises.unit[20:])}号",
        owners=_owners(cast, premises),
        use=premises.use,
        nature=premises.nature,
        area=premises.area,
        registered=_on(day, -2000),
        in_force=premises.in_force,
        mortgaged=premises.mortgaged,
        restricted=premises.restricted,
        seized=premises.seized,
        objection=premises.objection,
        notice=premises.notice,
        locked=premises.locked,
        residence=premises.residence,
        acceptance=acceptance,
        permit=permit,
        leases=leases,
        enforcement=enforcement,
        civil_defence=under["civil_defence"],
        basement=under["basement"],
    )


def _contract(cast: Cast, contract: CastContract, day: date) -> Contract:
    premises = cast.premises[contract.premises]
    return Contract(
        number=contract.number,
        title=premises.title,
        unit=premises.unit,
        sellers=tuple(sorted(cast.owner(key)[1] for key in contract.sellers)),
        buyers=tuple(sorted(cast.owner(key)[1] for key in contract.buyers)),
        price=contract.price,
        signed=_on(day, -8),
        in_force=contract.in_force,
        tax=contract.tax,
    )
