"""Companies and laboratories of the population."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from orchestrator.seeding.numbers import credit_code, organisation_part
from orchestrator.seeding.words import COMPANY_WORDS, STREETS, TRADES
from orchestrator.seeding.world import (
    Company,
    HitechCertificate,
    Laboratory,
    Patent,
    Person,
    Span,
    TaxReturn,
)

_CENT = Decimal("0.01")
_PATENT_WEIGHTS = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)


def draw_companies(rng: random.Random, day: date, adults: Sequence[Person], count: int) -> list[Company]:
    """That many companies, each with a legal representative among the adults."""
    taken: set[str] = set()
    serials = _Serials()
    return [_company(rng, day, rng.choice(adults), number, taken, serials) for number in range(count)]


def draw_laboratories(rng: random.Random, day: date) -> list[Laboratory]:
    """Thirty laboratories, some of which have lapsed."""
    laboratories = []
    for number in range(30):
        issued = day - timedelta(days=rng.randrange(30, 2400))
        until = issued + timedelta(days=2191)
        laboratories.append(
            Laboratory(
                number=f"{issued.year % 100:02d}0100{number:06d}",
                name=f"北京{COMPANY_WORDS[2 * number : 2 * number + 2]}检测技术有限公司",
                issued=issued,
                until=until,
                state="1" if until >= day else "2",
            )
        )
    return laboratories


class _Serials:
    """Running numbers of certificates and patents."""

    def __init__(self) -> None:
        self.certificate = 100_000
        self.patent = 100_000


def patent_number(year: int, kind: str, serial: int) -> str:
    """A patent number: ZL, year, kind, seven digits, check character (ZC 0006-2003)."""
    body = f"{year}{kind}{serial:07d}"
    check = sum(weight * int(digit) for weight, digit in zip(_PATENT_WEIGHTS, body, strict=True)) % 11
    return f"ZL{body}.{'0123456789X'[check]}"


def _company(rng: random.Random, day: date, person: Person, number: int, taken: set[str], serials: _Serials) -> Company:
    district = "110108" if rng.random() < 0.92 else rng.choice(("110105", "110102", "110114"))
    uscc = credit_code("91", district, organisation_part("MBXYF", number))
    trade, industry, scope = rng.choice(TRADES)
    place = "海淀" if district == "110108" else "北京"
    name = ""
    while not name or name in taken:
        words = "".join(
            COMPANY_WORDS[at : at + 2] for at in (rng.randrange(0, len(COMPANY_WORDS) - 1, 2) for _ in "ab")
        )
        name = f"{place}{words}{trade}有限公司"
    taken.add(name)
    established = day - timedelta(days=rng.randrange(1, 7000))
    fate = rng.random()
    state = "1" if fate < 0.92 else ("2" if fate < 0.94 else "3")
    company = Company(
        uscc=uscc,
        name=name,
        representative=person.name,
        representative_number=person.number,
        scope=scope,
        industry=industry,
        established=established,
        state=state,
        district=district,
        address=f"北京市{'海淀区' if district == '110108' else ''}{rng.choice(STREETS)}{rng.randrange(1, 200)}号",
        capital=Decimal(rng.choice((10, 50, 100, 500, 1000))).quantize(Decimal("0.000001")),
        abnormal=_listing(rng, day, established, 0.04, rng.choice("1144")),
        serious=_listing(rng, day, established, 0.003, "提交虚假材料取得登记"),
        culture=_listing(rng, day, established, 0.01, "擅自从事经营活动") if trade in ("文化", "画廊") else None,
        tax_state=_tax_state(rng, state),
        overdue=_money(rng, 1, 50_000) if rng.random() < 0.02 else Decimal(0),
        returns=_returns(rng, day, established, industry),
        gallery_filed=_after(rng, day, established, 60) if trade == "画廊" and rng.random() < 0.8 else None,
        patents=(),
    )
    if industry in ("I6510", "M7340") and state == "1":
        return _technology(rng, day, company, serials)
    return company


def _technology(rng: random.Random, day: date, company: Company, serials: _Serials) -> Company:
    """Certificates and patents of a technology company, with the faults that such registers have."""
    old_name = company.name.replace("有限公司", "股份有限公司") if rng.random() < 0.08 else company.name
    hitech = None
    if rng.random() < 0.35 and (day - company.established).days > 400:
        issued = max(day - timedelta(days=rng.randrange(1, 1300)), company.established + timedelta(days=365))
        serials.certificate += 1
        hitech = HitechCertificate(
            number=f"GR{issued.year}11{serials.certificate:06d}",
            name=old_name,
            issued=issued,
            until=issued + timedelta(days=1095),
            state="2" if rng.random() < 0.01 else "1",
        )
    patents = []
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3, 5, 8))):
        applied = company.established + timedelta(days=rng.randrange(30, 2000))
        granted = applied + timedelta(days=rng.randrange(300, 900))
        if granted < day:
            serials.patent += 1
            kind = rng.choice("1122223")
            # The older a row is, the likelier that it lacks the code and has the name of that day only.
            bare = granted.year < 2019 and rng.random() < 0.5
            patents.append(
                Patent(
                    number=patent_number(applied.year, kind, serials.patent),
                    title=f"一种{rng.choice(('数据', '图像', '语音', '通信', '检测'))}{rng.choice(('方法', '装置', '系统'))}",
                    owner_name=old_name if bare else company.name,
                    uscc="" if bare else company.uscc,
                    kind=kind,
                    applied=applied,
                    granted=granted,
                    in_force=rng.random() < 0.85,
                )
            )
    certified = _after(rng, day, company.established, 1500) if hitech is not None and rng.random() < 0.3 else None
    return replace(company, hitech=hitech, patents=tuple(patents), zgc_certified=certified)


def _listing(rng: random.Random, day: date, established: date, chance: float, cause: str) -> Span | None:
    """A listing; half of them are over, and their rows stay."""
    if rng.random() >= chance:
        return None
    since = _after(rng, day, established, 1000)
    until = since + timedelta(days=rng.randrange(1, 400)) if rng.random() < 0.5 else None
    return Span(since=since, until=until if until is not None and until <= day else None, cause=cause)


def _after(rng: random.Random, day: date, established: date, within: int) -> date:
    return established + timedelta(days=rng.randrange(0, min(within, (day - established).days) + 1))


def _tax_state(rng: random.Random, state: str) -> str | None:
    if state == "3":
        return "07"
    fate = rng.random()
    return "03" if fate < 0.96 else ("05" if fate < 0.99 else None)


def _money(rng: random.Random, low: int, high: int) -> Decimal:
    return (Decimal(rng.randrange(low * 100, high * 100)) / 100).quantize(_CENT)


def _returns(rng: random.Random, day: date, established: date, industry: str) -> tuple[TaxReturn, ...]:
    """Returns of up to three years; last year's is there once it has been filed, by the end of May."""
    technology = industry in ("I6510", "M7340")
    returns = []
    for year in range(max(established.year, day.year - 3), day.year):
        filed = date(year + 1, rng.randrange(2, 6), rng.randrange(1, 29))
        if filed <= day and rng.random() < 0.97:
            revenue = _money(rng, 10_000, 30_000_000)
            share = Decimal(rng.randrange(0, 120 if technology else 5)) / 1000
            returns.append(
                TaxReturn(
                    year=year,
                    revenue=revenue,
                    rd=(revenue * share).quantize(_CENT),
                    hitech=(revenue * Decimal("0.7")).quantize(_CENT) if technology else Decimal("0.00"),
                    filed=filed,
                )
            )
    return tuple(returns)
