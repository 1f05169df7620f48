"""What the departments know about: people, companies, premises, contracts and laboratories, as seeding describes them.

One `World` holds what all departments would know together. Only seeding ever sees it whole: `rows.py` deals it out into
each department's own tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """A Beijing residence permit."""

    region: str
    issued: date
    until: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Insurance:
    """What the social insurance fund knows of a person."""

    months: tuple[str, ...] = ()
    """Months paid for unemployment insurance, YYYYMM."""
    arrears: tuple[str, ...] = ()
    """Months that the employer owes."""
    insured: bool = False
    """An employer pays at present."""
    pension: bool = False
    employer: str = ""
    base: Decimal = Decimal("9000.00")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRegistration:
    """An entry in the register of the employed and unemployed."""

    registered: date
    cancelled: date | None = None
    kind: str = "1"
    """1 unemployed, 2 employed."""
    seeking: bool = True
    certificate: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Termination:
    """The end of an employment as the employer reported it."""

    code: str
    ended: date
    reported: date
    employer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Benefit:
    """An unemployment benefit that was set."""

    set_on: date
    months: int
    paid: int
    state: str
    """1 running, 2 stopped, 3 ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marriage:
    """A person's newest marriage registration."""

    spouse_name: str
    spouse_number: str
    registered: date
    divorced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseCheck:
    """A check whether a family may buy a home."""

    eligible: bool
    checked: date
    until: date
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Something that holds from a day on, until another day or for good, with its cause."""

    since: date
    until: date | None = None
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A resident."""

    number: str
    name: str
    household: str
    """Region of the household registration, GB/T 2260."""
    in_register: bool = True
    """False: public security has no row of this person."""
    registered_name: str | None = None
    """The name as the register writes it, where that differs from what the person writes."""
    former_name: str = ""
    moved: date | None = None
    moved_from: str = ""
    marital: str = "10"
    died: date | None = None
    card_from: date
    card_until: date | None
    """None: without term (长期)."""
    household_no: str = "000000000"
    relation: str = "02"
    permit: Permit | None = None
    insurance: Insurance | None = None
    registration: JobRegistration | None = None
    termination: Termination | None = None
    benefit: Benefit | None = None
    marriage: Marriage | None = None
    purchase: PurchaseCheck | None = None
    barred: Span | None = None
    """Barred from office; the cause is a code of R07."""
    debtor: Span | None = None
    shop: str | None = None
    """USCC of an individual business that the person runs."""

    @property
    def born(self) -> date:
        """Day of birth, as the number says."""
        return date(int(self.number[6:10]), int(self.number[10:12]), int(self.number[12:14]))

    @property
    def sex(self) -> str:
        """GB/T 2261.1: 1 male, 2 female."""
        return "1" if int(self.number[16]) % 2 else "2"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxReturn:
    """One year's corporate tax return."""

    year: int
    revenue: Decimal
    rd: Decimal
    hitech: Decimal
    filed: date


@dataclass(frozen=True, slots=True, kw_only=True)
class HitechCertificate:
    """A national high-tech certificate, under the name that the company had when it was issued."""

    number: str
    name: str
    issued: date
    until: date
    state: str = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patent:
    """A patent; `uscc` is empty in many older rows."""

    number: str
    title: str
    owner_name: str
    uscc: str
    kind: str
    applied: date
    granted: date
    in_force: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """A registered entity."""

    uscc: str
    name: str
    representative: str
    """Name of the legal representative."""
    representative_number: str
    scope: tuple[str, ...]
    industry: str
    """GB/T 4754: section letter and class code, e.g. F5246."""
    established: date
    state: str = "1"
    district: str = "110108"
    address: str = ""
    capital: Decimal = Decimal("100.000000")
    abnormal: Span | None = None
    """On the list of abnormal operations; the cause is a code 1–4, `until` the day of removal."""
    serious: Span | None = None
    culture: Span | None = None
    """On the culture market's credit list."""
    tax_state: str | None = "03"
    """None: tax knows nothing of it."""
    overdue: Decimal = Decimal(0)
    returns: tuple[TaxReturn, ...] = ()
    hitech: HitechCertificate | None = None
    patents: tuple[Patent, ...] = ()
    gallery_filed: date | None = None
    zgc_certified: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A registered owner: name and number as the title register writes them."""

    name: str
    number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A filed lease."""

    lessee: str
    lessor: str
    since: date
    until: date


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderUse:
    """A permit (civil defence works) or record (ordinary basement) to use a space below ground."""

    number: str
    user: str
    level: int
    purpose: str
    area: Decimal
    since: date
    until: date
    safety_passed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Premises:
    """A unit of real estate and everything that departments tie to its unit code."""

    unit: str
    title: str = ""
    """Empty: without a title."""
    address: str
    owners: tuple[Owner, ...] = ()
    use: str = "住宅"
    nature: str = "商品房"
    area: Decimal = Decimal("80.00")
    registered: date
    in_force: bool = True
    mortgaged: bool = False
    restricted: bool = False
    """The mortgage forbids transfer."""
    seized: bool = False
    objection: bool = False
    notice: bool = False
    locked: bool = False
    residence: bool = False
    acceptance: tuple[bool, Decimal, date] | None = None
    """Fire acceptance: passed, area covered, day."""
    permit: tuple[Decimal, date] | None = None
    """Construction permit: area, day."""
    leases: tuple[Lease, ...] = ()
    civil_defence: UnderUse | None = None
    basement: UnderUse | None = None
    enforcement: tuple[tuple[str, Span], ...] = ()
    """Fire enforcement: 1 sealed, 2 closed by order, 3 to be put right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """An online contract for an existing home, and its deed tax."""

    number: str
    title: str
    unit: str
    sellers: tuple[str, ...]
    buyers: tuple[str, ...]
    price: Decimal
    signed: date
    in_force: bool = True
    tax: str | None = "1"
    """1 paid, 2 exempt, 0 unpaid; None: tax has no voucher."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Laboratory:
    """A laboratory with a CMA certificate."""

    number: str
    name: str
    issued: date
    until: date
    state: str = "1"


@dataclass(slots=True, kw_only=True)
class World:
    """Everything there is on the day of seeding."""

    day: date
    people: list[Person] = field(default_factory=list)
    companies: list[Company] = field(default_factory=list)
    premises: list[Premises] = field(default_factory=list)
    contracts: list[Contract] = field(default_factory=list)
    laboratories: list[Laboratory] = field(default_factory=list)

    def add(self, other: World) -> None:
        """Takes in all that another world holds."""
        self.people += other.people
        self.companies += other.companies
        self.premises += other.premises
        self.contracts += other.contracts
        self.laboratories += other.laboratories


def months_before(day: date, count: int, *, skip: int = 0) -> tuple[str, ...]:
    """`count` months as YYYYMM, the last one `skip` + 1 months before the month of `day`, oldest first."""
    last = day.year * 12 + day.month - 1 - 1 - skip
    return tuple(f"{month // 12:04d}{month % 12 + 1:02d}" for month in range(last - count + 1, last + 1))
