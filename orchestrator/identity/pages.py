"""Pages as documents: one description of each step, from which both the HTML page and the JSON answer are made.

A view is `{step, title, paragraphs, groups: [{label, fields}], notice, consents, actions, errors, action, csrf}`; every
text is `{zh, en}`. Because programs get the same view and post the same fields to the same address as a browser, there
is no second way in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from orchestrator.domain.errors import Invalid, LianbanError
from orchestrator.domain.scenario_parts import Attribute
from orchestrator.identity.accounts import DEVELOPMENT_PASSCODE
from orchestrator.identity.face import ALTERNATIVES, MAX_TRIES, FaceCheck
from orchestrator.identity.flow import Entered, Flow, MandateRequest, Person, Step
from orchestrator.identity.mandates import MANDATE_DAYS
from orchestrator.identity.needs import Needs, Role
from orchestrator.identity.notice import NoticeLine, Words
from orchestrator.identity.subjects import ID_LABELS, NAMED, id_label, rows_shown
from orchestrator.protocol.jose import thumbprint

View = dict[str, Any]
MYDATA_PATH: Final = "/mydata"
"""Where a person's own pages are: `mydata.py`."""

TITLES: Final[dict[str, Words]] = {
    "sign-in": {"zh": "登录", "en": "Sign in"},
    "subjects": {"zh": "填写核验对象", "en": "Whom and what the application is about"},
    "co-consent": {"zh": "等待其他当事人同意", "en": "Waiting for the consent of others"},
    "notice": {"zh": "授权告知", "en": "What you authorise"},
    "face": {"zh": "人脸识别(可选)", "en": "Face check (optional)"},
    "confirm": {"zh": "确认并签署", "en": "Confirm and sign"},
    "consented": {"zh": "已同意", "en": "You have agreed"},
    "stopped": {"zh": "无法继续", "en": "This cannot go on"},
    "declined": {"zh": "已拒绝", "en": "You have refused"},
}

KINDS: Final[dict[str, Words]] = {
    "grant": {"zh": "授权办理", "en": "authorise the handling"},
    "amendment": {"zh": "变更授权", "en": "amend the authorisation"},
    "withdrawal": {"zh": "撤回申请", "en": "withdraw the application"},
    "contest": {"zh": "对核验数据提出异议", "en": "contest what a department said for"},
}


def sign_in_view(*, development: bool, number: str = "") -> View:
    """Number and passcode."""
    paragraphs = []
    if development:
        paragraphs.append(
            {
                "zh": f"开发环境:测试账户的密码均为 {DEVELOPMENT_PASSCODE}",
                "en": f"Development: the passcode of every test account is {DEVELOPMENT_PASSCODE}",
            }
        )
    fields = [
        _field("number", "text", ID_LABELS["citizen"], value=number, autocomplete="username"),
        _field("passcode", "password", {"zh": "密码", "en": "passcode"}, autocomplete="current-password"),
    ]
    return _view(Step.SIGN_IN, paragraphs, groups=[{"label": None, "fields": fields}], actions=[_SIGN_IN, _CANCEL])


def subjects_view(needs: Needs, person: Person, form: Mapping[str, str]) -> View:
    """One group of fields for each row of each role."""
    groups = []
    for role in needs.roles:
        for index in range(rows_shown(role, form)):
            groups.append(_subject_group(role, index, person, form))
    actions = [_NEXT]
    if any(role.subject.many for role in needs.roles):
        actions.append(_action("more", "添加一行", "Add a row", primary=False))
    paragraphs = [
        {
            "zh": "以下信息只加密发给需要核验的部门,门户看不到证件号码。",
            "en": "This goes encrypted to the departments that check it; the portal sees no identifier.",
        }
    ]
    return _view(Step.SUBJECTS, paragraphs, groups=groups, actions=[*actions, _CANCEL])


def entered_form(subjects: Mapping[str, Sequence[Entered]] | None) -> dict[str, str]:
    """The fields of a form that was entered before, for correcting it."""
    form: dict[str, str] = {}
    for role, listed in (subjects or {}).items():
        for index, entered in enumerate(listed):
            form[f"{role}.{index}.type"] = entered.type
            form[f"{role}.{index}.id"] = entered.id
            form[f"{role}.{index}.name"] = entered.name
            for name, value in entered.attributes.items():
                text = str(value).lower() if isinstance(value, bool) else str(value)
                form[f"{role}.{index}.attributes.{name}"] = text
    return form


def co_consent_view(flow: Flow, needs: Needs, links: Sequence[str]) -> View:
    """The links for the others, and who has agreed. A link goes to its person by any way the applicant likes."""
    consents = []
    for consent, link in zip(flow.consents, links, strict=True):
        entered = (flow.subjects or {})[consent.role][consent.index]
        state = "agreed" if consent.at is not None else "refused" if consent.refused else "waiting"
        consents.append(
            {
                "role": consent.role,
                "index": consent.index,
                "label": _words(needs.scenario.subject(consent.role).label),
                "name": entered.name,
                "url": link,
                "state": state,
            }
        )
    paragraphs = [
        {
            "zh": "请把链接发给下列人员,由本人登录并同意。全部同意后继续。",
            "en": "Send each link to its person, who signs in and agrees. Go on when all have agreed.",
        }
    ]
    actions = [_action("refresh", "刷新", "Refresh"), _BACK, _CANCEL]
    return _view(Step.CO_CONSENT, paragraphs, consents=consents, actions=actions)


def notice_view(needs: Needs, lines: Sequence[NoticeLine], operator: Words, approvers: Sequence[Words]) -> View:
    """Who is asked what, with agree and refuse; what rests on consent can be declined alone."""
    return _view(
        Step.NOTICE,
        _notice_paragraphs(needs, operator, approvers),
        notice=[line.document() for line in lines],
        actions=[_AGREE, _BACK, _REFUSE],
    )


def face_view(flow: Flow, check: FaceCheck) -> View:
    """The face check, with the other ways beside it."""
    left = MAX_TRIES - flow.face_tries
    paragraphs = [dict(check.label), dict(ALTERNATIVES)]
    if flow.face is not None and not flow.face.passed:
        paragraphs.insert(0, {"zh": f"未通过,还可尝试 {left} 次", "en": f"Not passed; {left} tries left"})
    actions = [_action("face", "开始人脸识别", "Start the face check")] if left > 0 else []
    return _view(Step.FACE, paragraphs, actions=[*actions, _OTHER_WAY, _CANCEL])


def confirm_view(flow: Flow, needs: Needs, request: MandateRequest, contested: Sequence[Words] = ()) -> View:
    """The last page: signing, with what is contested, if that is what is signed. `binds` is what the portal says that the applicant sent, for the applicant's own client to
    compare before it signs: a portal could otherwise put another form, or a key of its own, under the signature."""
    kind = request.kind
    name, words = _words(needs.scenario.name), KINDS[kind]
    binds: dict[str, Any] = {
        "situation": request.situation.values,
        "form": request.form.hash if request.form else None,
        "delivery": thumbprint(request.delivery),
        "holder": thumbprint(request.holder) if request.holder else None,
    }
    paragraphs = [
        {
            "zh": f"您将签署:{words['zh']}“{name['zh']}”。签署日为第 0 日。",
            "en": f"You are about to {words['en']} “{name['en']}”. The day of signing is day 0.",
        },
        *contested,
    ]
    if request.contest is not None:
        binds["contest"] = request.contest.model_dump(mode="json")
    actions = [_action("confirm", "签署", "Sign")]
    if flow.face is not None:
        result = {True: ("通过", "passed"), False: ("未通过", "not passed")}[flow.face.passed]
        paragraphs.append(
            {
                "zh": f"人脸识别{result[0]}(方式:{flow.face.method})",
                "en": f"Face check {result[1]} (method: {flow.face.method})",
            }
        )
        if not flow.face.passed:
            paragraphs.append(dict(ALTERNATIVES))
            actions.append(_OTHER_WAY)
    if kind not in ("withdrawal", "contest"):
        actions.append(_BACK)
        form, key = request.form.hash[2:14] if request.form else "-", binds["delivery"][:12]
        paragraphs.append(
            {
                "zh": f"表单校验码 {form},证照接收密钥校验码 {key}:应与您的客户端所示一致。",
                "en": f"Check codes: form {form}, key that receives the credential {key}. "
                "They must be the ones that your own client shows.",
            }
        )
    return _view(Step.CONFIRM, paragraphs, actions=[*actions, _REFUSE], binds=binds)


def consenter_view(
    needs: Needs, lines: Sequence[NoticeLine], role: str, operator: Words, approvers: Sequence[Words]
) -> View:
    """What a co-consenter reads: the same notice, and in which role they are named."""
    label = _words(needs.scenario.subject(role).label)
    paragraphs = [
        {
            "zh": f"申请人把您列为“{label['zh']}”,办理须您本人同意。",
            "en": f"The applicant names you as “{label['en']}”; this needs your own consent.",
        },
        *_notice_paragraphs(needs, operator, approvers),
    ]
    return _view(Step.NOTICE, paragraphs, notice=[line.document() for line in lines], actions=[_AGREE, _REFUSE])


def answered_view(agreed: bool) -> View:
    """The last page of a co-consenter."""
    text = (
        {"zh": "您已同意,可关闭本页。", "en": "You have agreed and may close this page."}
        if agreed
        else {"zh": "您已拒绝,申请人会看到。", "en": "You have refused; the applicant will see it."}
    )
    return _view("consented" if agreed else "declined", [text])


def error_view(error: LianbanError) -> View:
    """A page without a form: this flow cannot go on here."""
    return {**with_errors(_view("stopped", []), [error]), "action": "", "csrf": ""}


def with_errors(view: View, errors: Sequence[LianbanError]) -> View:
    """The view with what was wrong, field by field."""
    listed = [
        {
            "field": error.field if isinstance(error, Invalid) else "",
            "code": error.code,
            "detail": error.detail,
            "detail_en": error.detail_en,
            "remedy": error.remedy,
        }
        for error in errors
    ]
    return {**view, "errors": listed}


def _notice_paragraphs(needs: Needs, operator: Words, approvers: Sequence[Words]) -> list[Words]:
    name = _words(needs.scenario.name)
    zh, en = ("、".join(each["zh"] for each in approvers), ", ".join(each["en"] for each in approvers))
    return [
        {
            "zh": f"为办理“{name['zh']}”,{operator['zh']}与{zh}可以就下列事项询问有关部门,不得询问其他事项。",
            "en": f"To handle “{name['en']}”, {operator['en']} and {en} may ask the departments below what is listed "
            "here, and nothing else.",
        },
        {
            "zh": f"授权自签署之日起 {MANDATE_DAYS} 日内有效,您可随时在本网站的“我的数据”页({MYDATA_PATH})撤回,并查看谁查过您的数据。"
            "部门只回答问题,不提供记录副本。",
            "en": f"This holds for {MANDATE_DAYS} days. On this site's page “My data” ({MYDATA_PATH}) you may withdraw it at any time and see "
            "who looked at your data. Departments answer questions; they hand over no records.",
        },
        {
            "zh": "标有“可拒绝”的事项以您的单独同意为依据,可逐项拒绝;拒绝后改由您提交材料。",
            "en": "What is marked as declinable rests on your separate consent: decline any of it and bring the "
            "material instead.",
        },
    ]


def _subject_group(role: Role, index: int, person: Person, form: Mapping[str, str]) -> dict[str, Any]:
    prefix = f"{role.subject.id}.{index}."
    principal = role.principal and index == 0
    given = {prefix + "id": person.number, prefix + "name": person.name} if principal else {}
    required = index == 0
    fields = []
    if len(role.subject.id_type) > 1 and not principal:
        kinds = [{"value": kind, "label": id_label((kind,))} for kind in role.subject.id_type]
        value = form.get(prefix + "type", "")
        label = {"zh": "证件类型", "en": "kind of identifier"}
        fields.append(_field(prefix + "type", "select", label, value=value, required=False, options=kinds))
    fields.append(_subject_field(prefix + "id", id_label(role.subject.id_type), given, form, required))
    if NAMED.intersection(role.subject.id_type):
        fields.append(_subject_field(prefix + "name", {"zh": "姓名或名称", "en": "name"}, given, form, required))
    for attribute in role.subject.attributes:
        fields.append(_attribute_field(role, f"{prefix}attributes.{attribute.id}", attribute, form, required))
    label = _words(role.subject.label)
    if index:
        label = {"zh": f"{label['zh']} {index + 1}", "en": f"{label['en']} {index + 1}"}
    return {"label": label, "role": role.subject.id, "index": index, "fields": fields}


def _subject_field(
    name: str, label: Words, given: Mapping[str, str], form: Mapping[str, str], required: bool
) -> dict[str, Any]:
    value = given.get(name, form.get(name, ""))
    return _field(name, "text", label, value=value, readonly=name in given, required=required)


def _attribute_field(
    role: Role, name: str, attribute: Attribute, form: Mapping[str, str], required: bool
) -> dict[str, Any]:
    given = attribute.id in role.given
    value = str(role.given[attribute.id]) if given else form.get(name, "")
    options = [{"value": option.id, "label": _words(option.label)} for option in attribute.options]
    if attribute.type == "boolean":
        options = [
            {"value": "true", "label": {"zh": "是", "en": "yes"}},
            {"value": "false", "label": {"zh": "否", "en": "no"}},
        ]
    kind = "select" if options else "date" if attribute.type == "date" else "text"
    return _field(
        name,
        kind,
        _words(attribute.label),
        value=value,
        readonly=given,
        required=required and attribute.required,
        options=options,
    )


def _view(step: str, paragraphs: Sequence[Words], **parts: Any) -> View:
    empty: View = {"groups": [], "notice": [], "consents": [], "actions": [], "errors": []}
    return {"step": str(step), "title": TITLES[str(step)], "paragraphs": list(paragraphs), **empty, **parts}


def _field(name: str, kind: str, label: Words, **parts: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {"value": "", "readonly": False, "required": True, "options": [], "autocomplete": "off"}
    return {"name": name, "type": kind, "label": label, **defaults, **parts}


def _action(name: str, zh: str, en: str, *, primary: bool = True) -> dict[str, Any]:
    return {"name": name, "label": {"zh": zh, "en": en}, "primary": primary}


def _words(text: Any) -> Words:
    return {"zh": text.zh, "en": text.en}


_SIGN_IN: Final = _action("sign-in", "登录", "Sign in")
_NEXT: Final = _action("subjects", "下一步", "Next")
_AGREE: Final = _action("agree", "同意", "Agree")
_REFUSE: Final = _action("refuse", "不同意", "Refuse", primary=False)
_CANCEL: Final = _action("refuse", "取消", "Cancel", primary=False)
_BACK: Final = _action("back", "返回修改", "Go back and correct", primary=False)
_OTHER_WAY: Final = _action("other-way", "改用其他核验方式", "Use another way", primary=False)
