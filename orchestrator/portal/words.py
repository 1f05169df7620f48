"""What the pages say in so many words: stages, events, terms, in Chinese and English."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from orchestrator.api.cases import STATUS_NAMES
from orchestrator.domain.case import Status
from orchestrator.domain.credential_type import HEADER
from orchestrator.domain.scenario_parts import Entry, Question

BEIJING: Final = ZoneInfo("Asia/Shanghai")

Words = dict[str, str]
"""`zh` and `en`."""


def words(zh: str, en: str) -> dict[str, str]:
    """One text in both languages."""
    return {"zh": zh, "en": en}


STATUSES: Final = {int(status): words(*names) for status, names in STATUS_NAMES.items()}

STAGES: Final = {
    "intake": words("正在整理核验事项", "preparing the questions"),
    "gather": words("正在向各部门核验", "departments are answering"),
    "decide": words("审批部门正在审查", "the approvers are deciding"),
    "seal": words("正在签批并封存案卷", "the outcome is being signed"),
    "post": words("正在提交上链", "the outcome is going on chain"),
    "confirm": words("等待链上确认", "waiting for the chain"),
    "push": words("已上链，正在办结", "on chain, finishing"),
    "waiting": words("等待处理", "waiting"),
    "done": words("已办结", "closed"),
}

WAITING_FOR: Final = {
    Status.ACCEPTED: words("审批人员正在人工审查，无需您操作。", "An officer is looking at it. You need do nothing."),
    Status.RETURNED: words("请按下面的说明补正。", "Please bring what is listed below."),
    Status.SUSPENDED: words(
        "审批部门正在复核，期间证照不作数；结果会在此告知，无需您操作。",
        "The approvers are looking at it again; meanwhile the credential does not count. You will be told here and need do "
        "nothing.",
    ),
}

MEND: Final = words(
    "表单不完整，或有材料无法读取：请重新填写并提交。",
    "The form is incomplete or a material cannot be read: please fill it in again and hand it in.",
)
"""What a case waits for when no approver can decide on what it holds."""

CONTESTED: Final = words(
    "您对部门的应答有异议，正在等待该部门答复，无需您操作。",
    "You contest what a department said: its reply is awaited. You need do nothing.",
)
"""What a case waits for while a department is to reply to its applicant."""

CONTESTS: Final = {
    "new": words("正在送交部门", "on its way to the department"),
    "open": words("部门正在核实", "the department is looking into it"),
    "corrected": words("部门已更正记录", "the department has corrected its record"),
    "rejected": words("部门认为记录无误", "the department lets its record stand"),
    "unanswered": words("部门逾期未答复，由审批人员审查", "no reply in time; an officer looks at it"),
    "refused": words("部门系统未接收", "not accepted by the department's system"),
}
"""Where a contest is."""

EVENTS: Final = {
    "submitted": words("已提交，授权书已签署", "submitted; the mandate is signed"),
    "amendment": words("已补正或变更", "supplemented or changed"),
    "withdrawal": words("已申请撤回", "withdrawal asked for"),
    "consent-withdrawn": words("已撤回授权，不再询问任何部门", "consent withdrawn: no department is asked any more"),
    "department-down": words("有部门暂时未应答，系统会继续询问", "a department does not answer; it is asked again"),
    "gathered": words("各部门已应答", "the departments have answered"),
    "form-not-readable": words("表单或材料有误，无法审查", "form or materials are faulty and cannot be decided on"),
    "decided": words("审批部门已按规则审查", "the approvers have applied the rules"),
    "officer-decided": words("审批人员已作出决定", "an officer has decided"),
    "recalled": words(
        "有部门收回了本办件所依据的一项应答:未办结的重新核验,已决定的由审批部门复核",
        "a department took back an answer that this case rests on: it is asked again, or the decision is looked at again",
    ),
    "contested": words("您对部门的应答提出了异议", "you contest what a department said"),
    "contest-corrected": words(
        "部门已更正记录，重新核验", "the department has corrected its record; it is asked again"
    ),
    "contest-rejected": words("部门已答复：记录无误", "the department has replied: its record stands"),
    "contest-lapsed": words(
        "部门逾期未答复异议，由审批人员审查", "no reply to the contest in time; an officer looks at it"
    ),
    "contest-refused": words("部门系统未接收异议", "the department's system did not accept the contest"),
    "suspending": words(
        "按场景规定，证照效力将中止，直至复核完毕", "the credential is to be suspended until that is done"
    ),
    "not-suspended": words(
        "未中止效力：复核已完毕，或该证照不依据被收回的应答",
        "not suspended: it was upheld already, or does not rest on that answer",
    ),
    "upheld": words("审批部门复核后维持原决定", "an approver has looked again and lets the decision stand"),
    "revocation-ordered": words("审批部门已决定撤销", "the department has ordered the revocation"),
    "sealed": words("结果已签批，案卷已封存", "the outcome is signed, the dossier closed"),
    "posted": words("已提交上链", "sent to the chain"),
    "settled": words("链上已确认", "settled on chain"),
    "refused-by-ledger": words("账本未接受，正在重新签批", "the ledger refused it; it is being signed anew"),
    "pushed": words("已向您推送", "sent to you"),
}
"""Every kind of event in a case's story."""

ANSWERS: Final = {
    "due": words("等待应答", "waiting"),
    "answered": words("已应答", "answered"),
    "refused": words("部门未予答复", "refused to answer"),
    "unavailable": words("部门未应答", "did not answer"),
    "brought": words("已由材料代替", "replaced by a material"),
}

OUTCOMES: Final = {
    "approve": words("准予", "approve"),
    "return": words("补正", "return"),
    "refuse": words("不予", "refuse"),
    "manual": words("转人工", "an officer decides"),
}


def term(value: int, unit: str) -> dict[str, str]:
    """A number of days; 0 is decided at once."""
    if value == 0:
        return words("即审即办", "decided at once")
    plural = "" if value == 1 else "s"
    if unit == "working_day":
        return words(f"{value} 个工作日", f"{value} working day{plural}")
    return words(f"{value} 日", f"{value} day{plural}")


def trips(least: int, most: int) -> dict[str, str]:
    """How often somebody has to come; 0 is wholly online."""
    if most == 0:
        return words("0 次（全程网办）", "none, wholly online")
    span = str(most) if least == most else f"{least}–{most}"
    return words(f"{span} 次", f"{span} trip{'' if most == 1 else 's'}")


def choices(entry: Question | Entry) -> list[tuple[str, Any]]:
    """The choices of a question of few: (value, label)."""
    if entry.type == "boolean":
        return [("true", words("是", "Yes")), ("false", words("否", "No"))]
    return [(option.id, option.label) for option in entry.options]


def moment(value: Any) -> str:
    """A point in time as people in Beijing read it; a day as it is."""
    if isinstance(value, datetime):
        return value.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")
    return str(value)


def event(kind: str) -> dict[str, str]:
    """An event's name; one that has no words yet is shown as it is rather than breaking its case's page."""
    return EVENTS.get(kind, words(kind, kind))


def event_detail(kind: str, detail: Mapping[str, Any]) -> dict[str, str] | None:
    """What an event adds to its name, if that says something to a person."""
    if kind == "gathered":
        return words(f"{detail['answered']}/{detail['asked']} 项", f"{detail['answered']} of {detail['asked']}")
    if kind == "settled":
        return dict(STATUSES[detail["status"]])
    if kind in ("recalled", "upheld"):
        return words(detail["reason"], detail["reason"])
    if kind == "contest-refused":
        return words(detail["detail"], detail["detail_en"])
    if kind == "decided":
        return dict(OUTCOMES[detail["outcome"]])
    return None


CREDENTIAL: Final = {claim: words(zh, en) for claim, (zh, en) in HEADER.items()}
"""What every credential says."""
