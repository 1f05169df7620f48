"""Deals a world out into the departments' tables: one function for each table, its columns named beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from orchestrator.seeding.world import World

Row = tuple[Any, ...]
Deal = Callable[[World], Iterator[Row]]


@dataclass(frozen=True, slots=True)
class Dealt:
    """How one table is filled."""

    columns: tuple[str, ...]
    rows: Deal


TABLES: dict[str, Dealt] = {}
"""By table name."""


def _table(name: str, columns: str) -> Callable[[Deal], Deal]:
    def register(deal: Deal) -> Deal:
        TABLES[name] = Dealt(tuple(columns.split()), deal)
        return deal

    return register


def _basic(day: date | None) -> str:
    """A day as such records write it, YYYYMMDD; empty for none."""
    return "" if day is None else f"{day:%Y%m%d}"


def _flag(value: bool) -> str:
    return "1" if value else "0"


def _years_later(day: date, years: int) -> date:
    return day + timedelta(days=365 * years + years // 4)


# public security


@_table(
    "rk_czrk",
    "gmsfhm xm zym xb csrq ssxq pcs hh hb yhzgx hyzk hsql hssxqql ryzt swzxrq yxqxqsrq yxqxjzrq qfjg",
)
def _residents(world: World) -> Iterator[Row]:
    for p in world.people:
        if p.in_register:
            yield (
                p.number, p.registered_name or p.name, p.former_name, p.sex, p.number[6:14], p.household,
                p.household + "000000", p.household_no, "1", p.relation, p.marital, _basic(p.moved), p.moved_from,
                "0" if p.died is None else "1", _basic(p.died), _basic(p.card_from), _basic(p.card_until) or "长期",
                "北京市公安局",
            )  # fmt: skip


@_table("rk_jzz", "jzzbh gmsfhm jzdqh jzdxz qfrq qzyxqz zt")
def _permits(world: World) -> Iterator[Row]:
    for n, p in enumerate(world.people):
        if p.permit is not None:
            state = "1" if p.permit.until >= world.day else "3"
            place = "北京市海淀区" if p.permit.region == "110108" else "北京市"
            yield (
                f"{p.permit.region}{n:012d}", p.number, p.permit.region, place, _basic(p.permit.issued),
                _basic(p.permit.until), state,
            )  # fmt: skip


# market supervision


@_table(
    "scjg_ztjbxx",
    "pripid uniscid entname regno enttype lerep certype cerno regcap regcapcur estdate opfrom opto opscope dom"
    " domdistrict industryphy industryco regorg regstate apprdate",
)
def _entities(world: World) -> Iterator[Row]:
    for n, c in enumerate(world.companies):
        scope = f"一般项目：{'；'.join(c.scope)}。（除依法须经批准的项目外，凭营业执照依法自主开展经营活动）"
        yield (
            f"{c.district}{n:030d}", c.uscc, c.name, c.uscc[8:17], "1130", c.representative, "111",
            c.representative_number, c.capital, "156", c.established, c.established, None, scope, c.address, c.district,
            c.industry[0], c.industry[1:], f"{c.district}000", c.state, c.established,
        )  # fmt: skip


@_table("scjg_jyycml", "uniscid specause abntime decorg remexcpres remdate redecorg")
def _abnormal(world: World) -> Iterator[Row]:
    for c in world.companies:
        if c.abnormal is not None:
            removed = c.abnormal.until
            office = "海淀区市场监督管理局"
            cause = c.abnormal.cause if removed else None
            yield (
                c.uscc, c.abnormal.cause, c.abnormal.since, office, cause, removed, office if removed else None
            )  # fmt: skip


@_table("scjg_yzwf", "uniscid serillrea abntime decorg remdate")
def _serious(world: World) -> Iterator[Row]:
    for c in world.companies:
        if c.serious is not None:
            yield c.uscc, c.serious.cause, c.serious.since, "海淀区市场监督管理局", c.serious.until


@_table("scjg_rzxz", "cerno xzyy qsrq jzrq")
def _bars(world: World) -> Iterator[Row]:
    for p in world.people:
        if p.barred is not None:
            yield p.number, p.barred.cause, p.barred.since, p.barred.until


@_table("scjg_gtgsh", "cerno uniscid rolekind regstate")
def _proprietors(world: World) -> Iterator[Row]:
    for p in world.people:
        if p.shop is not None:
            yield p.number, p.shop, "2", "1"
    for c in world.companies:
        yield c.representative_number, c.uscc, "1", c.state


@_table("scjg_zzrd", "jgmc zsbh fzrq yxqz nlfw zt")
def _laboratories(world: World) -> Iterator[Row]:
    for lab in world.laboratories:
        yield lab.name, lab.number, lab.issued, lab.until, "公共场所卫生检测;室内空气质量", lab.state


# court


@_table("fy_sxbzxr", "cerno xm ah fbrq cdrq")
def _debtors(world: World) -> Iterator[Row]:
    for n, p in enumerate(world.people):
        if p.debtor is not None:
            number = f"({p.debtor.since.year})京0108执{n:05d}号"
            yield p.number, p.name, number, p.debtor.since, p.debtor.until


# natural resources


@_table(
    "bdc_fdcq",
    "bdcdyh bdcqzh zl qlrmc zjzl zjh qlbl gyfs qllx fwxz ghyt jzmj qszt djsj sfdy sfcf sfyy sfyg sfsd sfjz sfjzzr",
)
def _titles(world: World) -> Iterator[Row]:
    for m in world.premises:
        if m.title:
            shared = "0" if len(m.owners) == 1 else "1"
            flags = (m.mortgaged, m.seized, m.objection, m.notice, m.locked, m.residence, m.restricted)
            for owner in m.owners:
                kind = "008" if owner.number.startswith("9") else "111"
                yield (
                    m.unit, m.title, m.address, owner.name, kind, owner.number, "", shared, "4", m.nature, m.use,
                    m.area, "1" if m.in_force else "2", m.registered, *map(_flag, flags),
                )  # fmt: skip


# housing and construction


@_table("zj_clfwq", "wqhth bdcqzh mfzjh mafzjh cjje wqrq zt")
def _contracts(world: World) -> Iterator[Row]:
    for c in world.contracts:
        state = "1" if c.in_force else "2"
        yield c.number, c.title, ",".join(c.buyers), ",".join(c.sellers), c.price, c.signed, state


@_table("zj_gfzg", "hybh gfrzjh jtcysl hyjg bhgyy hyrq yxqz")
def _purchase_checks(world: World) -> Iterator[Row]:
    for n, p in enumerate(world.people):
        if p.purchase is not None:
            size = 1 if p.marriage is None else 2
            yield (
                f"GFZG{n:010d}", p.number, size, _flag(p.purchase.eligible), p.purchase.cause, p.purchase.checked,
                p.purchase.until,
            )  # fmt: skip


@_table("zj_zlba", "babh bdcqzh czfzjh czruscc zlqq zlqz mj zt")
def _leases(world: World) -> Iterator[Row]:
    for n, m in enumerate(world.premises):
        for k, lease in enumerate(m.leases):
            state = "1" if lease.until >= world.day else "2"
            yield f"ZLBA{n:08d}{k:02d}", m.title, lease.lessor, lease.lessee, lease.since, lease.until, m.area, state


@_table("zj_xfys", "wh xmmc dz bdcdyh jzmj lb jl rq")
def _acceptances(world: World) -> Iterator[Row]:
    for n, m in enumerate(world.premises):
        if m.acceptance is not None:
            passed, area, day = m.acceptance
            kind = "1" if area > 300 else "2"
            yield f"海建消验字〔{day.year}〕第{n:05d}号", "装修工程", m.address, m.unit, area, kind, _flag(passed), day


@_table("zj_sgxk", "sgxkzh gcmc dz bdcdyh jsdw jzmj htje fzrq")
def _construction_permits(world: World) -> Iterator[Row]:
    for n, m in enumerate(world.premises):
        if m.permit is not None:
            area, day = m.permit
            owner = m.owners[0].name if m.owners else ""
            yield (
                f"〔{day.year}〕施〔海〕装字{n:05d}号", "装修工程", m.address, m.unit, owner, area, area * 2500, day
            )  # fmt: skip


@_table("zj_ptdxs", "babh zl bdcdyh syruscc pzyt cs mj barq yxqz zt")
def _basements(world: World) -> Iterator[Row]:
    for m in world.premises:
        if m.basement is not None:
            b = m.basement
            yield b.number, m.address, m.unit, b.user, b.purpose, b.level, b.area, b.since, b.until, "1"


# civil air defence


@_table("rf_psy", "syzh gcbh zl bdcdyh syruscc pzyt cs jzmj qsrq yxqz aqjc zt")
def _civil_defence(world: World) -> Iterator[Row]:
    for m in world.premises:
        if m.civil_defence is not None:
            b = m.civil_defence
            yield (
                b.number, "RF" + m.unit[14:19], m.address, m.unit, b.user, b.purpose, b.level, b.area, b.since, b.until,
                _flag(b.safety_passed), "1",
            )  # fmt: skip


# fire


@_table("xf_jdcz", "jdswh csdz bdcdyh lx qsrq jcrq")
def _enforcement(world: World) -> Iterator[Row]:
    for n, m in enumerate(world.premises):
        for k, (kind, span) in enumerate(m.enforcement):
            number = f"海消处字〔{span.since.year}〕第{n:05d}-{k}号"
            yield number, m.address, m.unit, kind, span.since, span.until


# tax


@_table("sw_nsr", "nsrsbh nsrmc nsrzt_dm zgswj")
def _taxpayers(world: World) -> Iterator[Row]:
    for c in world.companies:
        if c.tax_state is not None:
            yield c.uscc, c.name, c.tax_state, "国家税务总局北京市海淀区税务局"


@_table("sw_qs", "nsrsbh zsxm_dm qsye jkqx")
def _overdue(world: World) -> Iterator[Row]:
    for c in world.companies:
        if c.overdue > 0:
            yield c.uscc, "10101", c.overdue, world.day - timedelta(days=40)


@_table("sw_qysds", "nsrsbh ssnd yysr yffy gxsr sbrq")
def _returns(world: World) -> Iterator[Row]:
    for c in world.companies:
        for r in c.returns:
            yield c.uscc, str(r.year), r.revenue, r.rd, r.hitech, r.filed


@_table("sw_qswspz", "pzh wqhth bdcdyh nsrzjh jsje skje jmxz_dm jkrq zt")
def _deed_tax(world: World) -> Iterator[Row]:
    for n, c in enumerate(world.contracts):
        if c.tax is not None:
            amount = (c.price * Decimal("0.01")).quantize(Decimal("0.01")) if c.tax == "1" else Decimal("0.00")
            exemption = "15011602" if c.tax == "2" else ""
            paid = None if c.tax == "0" else c.signed + timedelta(days=1)
            yield f"QSWS{n:012d}", c.number, c.unit, c.buyers[0], c.price, amount, exemption, paid, c.tax


# social insurance and human resources


def _fund_number(position: int) -> str:
    return f"{position:012d}"


@_table("ac01", "aac001 aac002 aac003 aac084")
def _insured_people(world: World) -> Iterator[Row]:
    for n, p in enumerate(world.people):
        if p.insurance is not None:
            yield _fund_number(n), p.number, p.name, _flag(p.insurance.pension)


@_table("ac02", "aac001 aae140 aac031 aac030 aac049 aab001 aab004")
def _insurances(world: World) -> Iterator[Row]:
    for n, p in enumerate(world.people):
        i = p.insurance
        if i is not None and (i.months or i.arrears):
            first = min(i.months + i.arrears)
            begin = date(int(first[:4]), int(first[4:]), 1)
            state = "1" if i.insured else ("3" if i.pension else "2")
            for kind in ("110", "210", "310"):
                # Health insurance goes on while a benefit is paid or a flexible worker pays for it.
                yield _fund_number(n), kind, "1" if kind == "310" else state, begin, begin, i.employer, ""


@_table("ac43", "aac001 aae140 aae002 aae003 aae114 aab001 ajc020")
def _contributions(world: World) -> Iterator[Row]:
    for n, p in enumerate(world.people):
        i = p.insurance
        if i is not None:
            number = _fund_number(n)
            for month in i.months:
                yield number, "210", month, month, "1", i.employer, i.base
            for month in i.arrears:
                yield number, "210", None, month, "0", i.employer, i.base


@_table("jc_syjff", "aac002 hdrq hdys yffys qsny zzny ydbz zt tfyy")
def _benefits(world: World) -> Iterator[Row]:
    for p in world.people:
        b = p.benefit
        if b is not None:
            end = b.set_on + timedelta(days=30 * b.months)
            why = "重新就业" if b.state == "2" else ""
            yield (
                p.number, b.set_on, b.months, b.paid, f"{b.set_on:%Y%m}", f"{end:%Y%m}", Decimal("2034.00"), b.state, why
            )  # fmt: skip


@_table("hr_sydj", "djh gmsfhm lb djrq zxrq zxyy zh qzyy jbjg")
def _job_registrations(world: World) -> Iterator[Row]:
    for n, p in enumerate(world.people):
        r = p.registration
        if r is not None:
            why = "" if r.cancelled is None else "就业"
            certificate = f"110108{n:010d}" if r.certificate else ""
            yield (
                f"SYDJ{n:012d}", p.number, r.kind, r.registered, r.cancelled, why, certificate, _flag(r.seeking),
                "海淀区某街道社会保障事务所",
            )  # fmt: skip


@_table("hr_jcba", "aac002 uscc dwmc htqsrq jcrq jcyy bsrq")
def _terminations(world: World) -> Iterator[Row]:
    names = {c.uscc: c.name for c in world.companies}
    for p in world.people:
        t = p.termination
        if t is not None:
            yield (
                p.number, t.employer, names.get(t.employer, "海淀某单位"), _years_later(t.ended, -3), t.ended, t.code,
                t.reported,
            )  # fmt: skip


# civil affairs


@_table("hy_djxx", "gmsfhm xm poxm posfzh djrq ywlx zt")
def _marriages(world: World) -> Iterator[Row]:
    for p in world.people:
        m = p.marriage
        if m is not None:
            yield p.number, p.name, m.spouse_name, m.spouse_number, m.registered, "2" if m.divorced else "1", "1"


# science, patents, culture, park


@_table("kj_gqy", "uscc qymc zsbh fzrq yxqz zt qxyy qxrq")
def _hitech(world: World) -> Iterator[Row]:
    for c in world.companies:
        if c.hitech is not None:
            h = c.hitech
            why, day = ("提供虚假信息", world.day - timedelta(days=90)) if h.state == "2" else ("", None)
            yield c.uscc, h.name, h.number, h.issued, h.until, h.state, why, day


@_table("zl_jbxx", "zlh zlmc zlqrmc zlqruscc zllx sqrq sqggr flzt")
def _patents(world: World) -> Iterator[Row]:
    for c in world.companies:
        for p in c.patents:
            yield p.number, p.title, p.owner_name, p.uscc, p.kind, p.applied, p.granted, _flag(p.in_force)


@_table("wl_ysp", "babh uscc dwmc dz jyfw barq zt")
def _galleries(world: World) -> Iterator[Row]:
    for n, c in enumerate(world.companies):
        if c.gallery_filed is not None:
            number = f"京海艺备{c.gallery_filed.year}{n:06d}"
            yield number, c.uscc, c.name, c.address, "艺术品经营", c.gallery_filed, "1"


@_table("wl_sxmd", "uscc lryy lrrq ycrq")
def _culture_list(world: World) -> Iterator[Row]:
    for c in world.companies:
        if c.culture is not None:
            yield c.uscc, c.culture.cause, c.culture.since, c.culture.until


@_table("zg_gxqy", "uscc zsbh fzrq yxqz zt")
def _park(world: World) -> Iterator[Row]:
    for n, c in enumerate(world.companies):
        if c.zgc_certified is not None:
            until = _years_later(c.zgc_certified, 3)
            state = "1" if until >= world.day else "3"
            yield c.uscc, f"ZGC{c.zgc_certified.year}{n:06d}", c.zgc_certified, until, state
