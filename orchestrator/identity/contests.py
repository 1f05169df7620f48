"""Contests at the identity seat: what is contested stands in the definition, and is signed under the case's newest mandate.

The portal says which answer is meant; the seat sees to it that the person is the one who signed the mandate, shows the
claims by their names with the department and the last day for a reply, and signs nothing else.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from orchestrator.domain.calendar import Calendar
from orchestrator.domain.catalogue import Catalogue
from orchestrator.domain.errors import Invalid
from orchestrator.domain.plan import correction_due
from orchestrator.domain.situations import read_situation
from orchestrator.identity.flow import ContestRequest, Flow, MandateRequest
from orchestrator.identity.mandates import Signed, beijing_day
from orchestrator.identity.needs import Item, Needs
from orchestrator.identity.notice import Words, notice_line
from orchestrator.identity.seat import Context, out_of_step
from orchestrator.protocol.contest import Contest, sign_contest
from orchestrator.protocol.jose import SigningKey, jws_hash
from orchestrator.protocol.mandate import ChainRef
from orchestrator.protocol.question import question_id
from orchestrator.protocol.wire import seat_ref

_REMEDY: Final = "更正后重新提交请求 / correct it and push again"


def check_contest(details: MandateRequest, needs: Needs) -> None:
    """Raises Invalid, naming the field, unless what a request contests is what a department was asked to decide its case."""
    if details.contest is None:
        return
    item = _item(details.contest, needs).item
    unknown = set(details.contest.claims) - {claim.key for claim in item.claims}
    if unknown or len(set(details.contest.claims)) != len(details.contest.claims):
        raise Invalid(
            field="contest.claims",
            detail="该核验项不含所列内容,或重复列出",
            detail_en="this evidence has no such claim, or one is named twice",
            remedy=_REMEDY,
        )
    if details.contest.answer.question != _question(details, details.contest):
        raise Invalid(
            field="contest.answer",
            detail="所指应答不是对该核验项的应答",
            detail_en="the answer is to another question than this item's",
            remedy=_REMEDY,
        )


def due(context: Context, day: date, calendar: Calendar) -> date:
    """The last day for a reply to a contest that is signed on `day`."""
    scenario = context.needs.scenario
    situation = read_situation(scenario, context.request.situation.values)
    return correction_due(scenario, situation, day=day, calendar=calendar)


def make_contest(flow: Flow, context: Context, *, sub: str, now: int, calendar: Calendar) -> Contest:
    """The contest that a finished flow stands for."""
    request = context.request
    contested = request.contest
    if contested is None or request.case is None or request.previous is None:
        raise out_of_step()
    binding, ledger, day = context.place.binding, context.place.ledger, beijing_day(now)
    return Contest(
        iss=seat_ref(binding.identity),
        aud=seat_ref(_item(contested, context.needs).seat),
        iat=now,
        jti=flow.jti,
        case=request.case,
        mandate=request.previous,
        chain=ChainRef(id=ledger.chain_id, ledger=ledger.contract),
        binding=binding.number,
        version=flow.version,
        sub=sub,
        item=contested.item,
        index=contested.index,
        claims=contested.claims,
        answer=contested.answer,
        statement=contested.statement,
        day=day,
        reply_by=due(context, date.fromisoformat(day), calendar).isoformat(),
    )


def signed_contest(contest: Contest, key: SigningKey) -> Signed:
    """The contest signed by the identity key, with its hash and its case."""
    jws = sign_contest(contest, key)
    return Signed(jws=jws, hash=jws_hash(jws), case=contest.case)


def contest_words(context: Context, catalogue: Catalogue, reply_by: date) -> list[Words]:
    """What is contested, of whom, and until when there is a reply, as the person reads it before signing."""
    contested = context.request.contest
    if contested is None:
        return []
    need = _item(contested, context.needs)
    names = {seat: context.name(seat) for seat in context.place.seats}
    line = notice_line(context.needs, need, names, catalogue)
    said = [name for claim, name in zip(need.item.claims, line.claims, strict=True) if claim.key in contested.claims]
    code = contested.statement[2:14]
    return [
        {
            "zh": f"异议对象:{line.asked_of['zh']}关于“{line.about['zh']}”的{line.evidence['zh']}:"
            + "、".join(name["zh"] for name in said),
            "en": f"Contested: what {line.asked_of['en']} said of “{line.about['en']}”, {line.evidence['en']}: "
            + ", ".join(name["en"] for name in said),
        },
        {
            "zh": f"该部门应于 {reply_by.isoformat()} 前(含当日)答复,其间本办件暂停计时。",
            "en": f"The department replies by {reply_by.isoformat()}, inclusive; the case's clock stands meanwhile.",
        },
        {
            "zh": f"异议理由只有该部门能阅读,校验码 {code}:应与您的客户端所示一致。",
            "en": f"Only that department can read why. Check code {code}: it must be the one that your own client shows.",
        },
    ]


def _item(contested: ContestRequest, needs: Needs) -> Item:
    for need in needs.items:
        if need.item.id == contested.item and need.item.purpose == "decide" and need.item.source == "gateway":
            return need
    raise Invalid(
        field="contest.item",
        detail="本办件没有向部门核验该项",
        detail_en="no department is asked this to decide the case",
        remedy=_REMEDY,
    )


def _question(details: MandateRequest, contested: ContestRequest) -> str:
    return question_id(details.previous or "", contested.item, contested.index, "decide")
