"""What can be wrong with a scenario beyond its shape, found all at once.

Each check yields `Problem`s with the path of the part at fault. Nothing here reads files: `scenario_file` turns paths into
lines and columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from orchestrator.domain.catalogue import Catalogue, EvidenceType, ParameterKind
from orchestrator.domain.cells import Input, brought
from orchestrator.domain.conditions import literals, names
from orchestrator.domain.decision_table import check_rows
from orchestrator.domain.errors import Invalid
from orchestrator.domain.scenario import Draft
from orchestrator.domain.scenario_parts import Claim, Entry, EvidenceItem, Question
from orchestrator.domain.scenario_problem import Path, Problem, problem
from orchestrator.domain.scenario_reach import situation_problems
from orchestrator.domain.scenario_rules import IDENTITY_CLAIMS, identity_items
from orchestrator.domain.shape import nearest
from orchestrator.domain.situations import all_conditions, read_value

RESERVED = frozenset({"q", "form", "material", "param", "derived", "case", "issue", "holder"})
"""Words that begin the names of inputs and so cannot be subject roles."""
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
ISSUE_SOURCES = frozenset({"issue.number", "issue.date", "issue.issuer", "case.day"})


def problems(draft: Draft, inputs: Sequence[Input], catalogue: Catalogue) -> list[Problem]:
    """Every problem of a scenario whose common rows are in place; empty when it may be published."""
    found = [
        *_duplicates(draft),
        *_entries(draft),
        *_references(draft),
        *_claims(draft, catalogue),
        *_conditions(draft),
        *_rules(draft, inputs),
        *_sources(draft, inputs),
    ]
    # Situations can be gone through only once the conditions make sense.
    return found or [*situation_problems(draft, inputs)]


def _duplicates(draft: Draft) -> Iterator[Problem]:
    for collection in ("subjects", "questions", "materials", "evidence", "parameters", "derived", "steps", "pushes"):
        yield from _twice((collection,), [part.id for part in getattr(draft, collection)])
    for n, subject in enumerate(draft.subjects):
        yield from _twice(("subjects", n, "attributes"), [attribute.id for attribute in subject.attributes])
        if subject.id in RESERVED:
            yield problem(
                ("subjects", n, "id"), "角色名是保留字", "This role name is reserved", "换一个名称 / rename it"
            )
    for n, question in enumerate(draft.questions):
        yield from _twice(("questions", n, "options"), [option.id for option in question.options])
        yield from _twice(("questions", n, "fields"), [entry.id for entry in question.fields])
    for n, material in enumerate(draft.materials):
        yield from _twice(("materials", n, "fields"), [entry.id for entry in material.fields])
    # Not only within one approver's table: a row's id is what reasons and texts go by.
    yield from _twice(("rules",), [rule.id for rule in draft.rules])
    yield from _twice(("result", "fields"), [each.id for each in draft.result.fields])
    yield from _twice(("approvers",), list(draft.approvers))
    yield from _twice(("countersign",), list(draft.countersign))
    yield from _twice(("providers",), list(draft.providers))
    seen: set[str] = set()
    for n, item in enumerate(draft.evidence):
        for m, claim in enumerate(item.claims):
            name = f"{item.subject}.{claim.key}"
            if item.purpose == "decide" and name in seen:
                yield problem(
                    ("evidence", n, "claims", m),
                    f"核验项 {name} 出现两次",
                    f"Two evidence items answer {name}",
                    "用 as 另取名称 / give one another name with `as`",
                )
            if item.purpose == "decide":
                seen.add(name)


def _entries(draft: Draft) -> Iterator[Problem]:
    """What is asked of people can be answered, and the one who signs in is a person."""
    places: list[tuple[Path, Question | Entry]] = []
    for n, question in enumerate(draft.questions):
        places.append((("questions", n), question))
        places += [(("questions", n, "fields", m), entry) for m, entry in enumerate(question.fields)]
        if question.fields and question.type != "list":
            yield problem(("questions", n, "fields"), "只有列表才有字段", "Only a list has fields", "type: list")
        if question.type == "bank_account":
            yield from _bank_account(draft, question, ("questions", n))
    for n, material in enumerate(draft.materials):
        places += [(("materials", n, "fields", m), entry) for m, entry in enumerate(material.fields)]
    for n, subject in enumerate(draft.subjects):
        places += [(("subjects", n, "attributes", m), entry) for m, entry in enumerate(subject.attributes)]
        if subject.principal is not None and (subject.id_type != ("citizen",) or subject.many):
            yield problem(
                ("subjects", n, "principal"),
                "办理人是一名登录的自然人",
                "The principal is one person who signs in",
                "id_type: citizen, many: false",
            )
    for path, entry in places:
        if entry.type == "enum" and not entry.options:
            yield problem((*path, "type"), "缺少选项", "An enum needs options", "options: [{id, label}]")
    for n, parameter in enumerate(draft.parameters):
        yield from _twice(("parameters", n, "values"), [each.from_.isoformat() for each in parameter.values])


def _bank_account(draft: Draft, question: Question, path: Path) -> Iterator[Problem]:
    """Only whoever pays reads an account, and the form is sealed to every approver alike."""
    if question.sees != "approver":
        yield problem(
            (*path, "sees"), "银行账户只向审批部门公开", "A bank account is for the approver alone", "sees: approver"
        )
    if len(draft.approvers) > 1:
        yield problem(
            (*path, "type"),
            "有多个审批部门的场景不能询问银行账户:表单向所有审批部门公开",
            "A scenario with several approvers cannot ask for a bank account: all of them read the form",
            "由付款部门单独的场景询问 / ask in a scenario that the payer alone approves",
        )


def _twice(path: Path, ids: list[str]) -> Iterator[Problem]:
    for n, name in enumerate(ids):
        if name in ids[:n]:
            yield problem((*path, n), f"编号重复:{name}", f"{name} is given twice", "换一个编号 / choose another id")


def _references(draft: Draft) -> Iterator[Problem]:
    roles = {subject.id for subject in draft.subjects}
    items = {item.id: item for item in draft.evidence}
    questions = {question.id: question for question in draft.questions}
    for n, item in enumerate(draft.evidence):
        at = ("evidence", n)
        for role, path in ((item.subject, (*at, "id")), *((r, (*at, "with", s)) for s, r in item.with_.items())):
            if role not in roles:
                yield _unknown(path, "核验对象", "subject role", role, roles)
        if item.source == "mandate":
            if item.provider != "identity":
                yield problem((*at, "provider"), "应为 identity", "The identity seat states this", "identity")
        elif item.provider not in draft.providers:
            yield _unknown((*at, "provider"), "数据提供部门", "provider", item.provider, set(draft.providers))
        if item.on_recall == "suspend" and (item.source, item.purpose) != ("gateway", "decide"):
            yield problem(
                (*at, "on_recall"),
                "证照不依据这项数据,召回它不能中止证照效力",
                "No credential rests on this, so its recall suspends none",
                "删除 on_recall / remove it",
            )
        for m, claim in enumerate(item.claims):
            for approver in claim.sealed_to:
                if approver not in draft.approvers:
                    path = (*at, "claims", m, "sealed_to")
                    yield _unknown(path, "审批部门", "approver", approver, set(draft.approvers))
    for n, role in enumerate(draft.countersign):
        if role not in draft.approvers:
            yield _unknown(("countersign", n), "审批部门", "approver", role, set(draft.approvers))
    used = {item.provider for item in draft.evidence}
    for n, provider in enumerate(draft.providers):
        if provider not in used:
            yield problem(
                ("providers", n), "没有核验数据来自该部门", "Nothing is asked of this provider", "删除 / remove"
            )
    replaced: dict[str, str] = {}
    for n, material in enumerate(draft.materials):
        for m, name in enumerate(material.replaced_by):
            path = ("materials", n, "replaced_by", m)
            if name not in items or items[name].purpose != "decide":
                decide = {item.id for item in draft.evidence if item.purpose == "decide"}
                yield _unknown(path, "核验数据", "evidence item", name, decide)
            elif replaced.setdefault(name, material.id) != material.id:
                yield problem(
                    path,
                    "一项核验数据只能替代一种材料",
                    "An evidence item replaces one material only",
                    "拆分核验数据 / split the evidence item",
                )
    materials = {material.id for material in draft.materials}
    if draft.agent.allowed and draft.agent.when is None and draft.agent.power_of_attorney is None:
        yield problem(
            ("agent", "allowed"),
            "允许代办的,须写明授权材料或何时为代办",
            "Where an agent is allowed, name the material that proves it or say when an agent acts",
            "power_of_attorney 或 when / power_of_attorney, or when",
        )
    if draft.agent.power_of_attorney is not None and draft.agent.power_of_attorney not in materials:
        yield _unknown(("agent", "power_of_attorney"), "材料", "material", draft.agent.power_of_attorney, materials)
    if draft.result.holder not in roles:
        yield _unknown(("result", "holder"), "核验对象", "subject role", draft.result.holder, roles)
    for n, subject in enumerate(draft.subjects):
        for m, attribute in enumerate(subject.attributes):
            if attribute.from_question is not None and attribute.from_question not in questions:
                path = ("subjects", n, "attributes", m, "from_question")
                yield _unknown(path, "问题", "question", attribute.from_question, set(questions))
    for n, material in enumerate(draft.materials):
        if material.answered_by is not None and material.answered_by not in questions:
            yield _unknown(("materials", n, "answered_by"), "问题", "question", material.answered_by, set(questions))
    for n, push in enumerate(draft.pushes):
        sources = roles | {f"q.{question.id}" for question in draft.questions if question.sees == "orchestrator"}
        for key, source in push.prefill.items():
            if push.target is None or source not in sources:
                path = ("pushes", n, "prefill", key)
                yield _unknown(
                    path, "核验对象或问题", "subject role or question", source, sources if push.target else set()
                )


def _unknown(path: Path, zh: str, en: str, name: str, known: set[str]) -> Problem:
    return problem(path, f"没有这样的{zh}:{name}", f"There is no {en} {name}", nearest(name, known))


def _claims(draft: Draft, catalogue: Catalogue) -> Iterator[Problem]:
    for n, item in enumerate(draft.evidence):
        try:
            kind = catalogue.evidence(item.type)
        except Invalid as error:
            yield problem(("evidence", n, "id"), error.detail, error.detail_en, error.remedy)
            continue
        if (kind.source == "mandate") != (item.source == "mandate"):
            yield problem(
                ("evidence", n), f"source 应为 {kind.source}", f"Its source is {kind.source}", "source: mandate / 删除"
            )
        subject = next((each for each in draft.subjects if each.id == item.subject), None)
        if subject is not None and (strange := set(subject.id_type) - set(kind.subjects)):
            yield problem(
                ("evidence", n, "id"),
                f"{item.type} 不能核验 {'、'.join(sorted(strange))}",
                f"{item.type} is not about a {' or '.join(sorted(strange))}",
                " / ".join(kind.subjects),
            )
        for m, claim in enumerate(item.claims):
            yield from _claim(draft, item, claim, kind, ("evidence", n, "claims", m))
        slots = {slot for claim in item.claims if claim.claim in kind.claims for slot in kind.claims[claim.claim].slots}
        for slot in sorted(set(item.with_) - slots):
            yield _unknown(("evidence", n, "with", slot), "对象位", "slot", slot, slots)
    for item in identity_items(draft):
        missing = [name for name in IDENTITY_CLAIMS if name not in {claim.claim for claim in item.claims}]
        if missing:
            yield problem(
                ("evidence", draft.evidence.index(item), "claims"),
                f"通用规则需要核验项 {'、'.join(missing)}",
                f"The common rows need {', '.join(missing)}",
                "补充 / add them",
            )


def _claim(draft: Draft, item: EvidenceItem, claim: Claim, kind: EvidenceType, path: Path) -> Iterator[Problem]:
    try:
        known = kind.claim(claim.claim)
    except Invalid as error:
        yield problem(path, error.detail, error.detail_en, error.remedy)
        return
    for name in known.params:
        if name not in claim.params:
            yield problem(path, f"缺少参数 {name}", f"The parameter {name} is missing", f"params: {{{name}: …}}")
    for name, value in claim.params.items():
        if name not in known.params and name not in known.optional:
            yield _unknown((*path, "params", name), "参数", "parameter", name, {*known.params, *known.optional})
        else:
            kind_of = {**known.params, **known.optional}[name]
            yield from _param(draft, item, value, kind_of, (*path, "params", name))
    for slot, types in known.slots.items():
        role = item.with_.get(slot)
        if role is None:
            yield problem(path, f"缺少对象 {slot}", f"{claim.claim} needs with: {slot}", f"with: {{{slot}: …}}")
            continue
        other = next((subject for subject in draft.subjects if subject.id == role), None)
        if other is not None and (strange := set(other.id_type) - set(types)):
            yield problem(
                (*path[:2], "with", slot),
                f"{slot} 不能是 {'、'.join(sorted(strange))}",
                f"{slot} cannot be a {' or '.join(sorted(strange))}",
                " / ".join(types),
            )
    if known.type not in ("predicate", "code") and not claim.sealed_to and item.source == "gateway":
        yield problem(
            path,
            "只有是否类和代码类核验项可以对编排方公开",
            "Only a predicate or a code may be open to the orchestrator",
            "sealed_to: […]",
        )


def _param(draft: Draft, item: EvidenceItem, value: Any, kind: ParameterKind, path: Path) -> Iterator[Problem]:
    """A claim's parameter refers to something that there is, and has the kind of value that the department expects."""
    values = [value]
    if isinstance(value, dict):
        subject = next((each for each in draft.subjects if each.id == item.subject), None)
        attributes = {attribute.id for attribute in subject.attributes} if subject is not None else set()
        known = {"parameter": {parameter.id for parameter in draft.parameters}, "attribute": attributes}
        if len(value) != 1 or not set(value) <= set(known):
            yield problem(path, "参数引用不正确", "Not a reference", "{parameter: …} / {attribute: …}")
            return
        ((source, name),) = value.items()
        if name not in known[source]:
            yield _unknown(path, "参数", source, str(name), known[source])
            return
        if source == "attribute":
            return  # whatever is declared there
        values = [dated.value for each in draft.parameters if each.id == name for dated in each.values]
    for each in values:
        if not _is_param(each, kind):
            zh, en, example = _PARAMS[kind]
            yield problem(path, f"该参数应为{zh}", f"This parameter takes {en}", example)


_PARAMS: dict[ParameterKind, tuple[str, str, str]] = {
    "text": ("文字", "a text", '"110108"'),
    "texts": ("文字列表", "a list of texts", "[a, b]"),
    "integer": ("整数", "a whole number", "30"),
    "decimal": ("数字", "a number", "300 / 0.05"),
}


def _is_param(value: Any, kind: ParameterKind) -> bool:
    match kind:
        case "text":
            return isinstance(value, str)
        case "texts":
            return isinstance(value, list | tuple) and bool(value) and all(isinstance(each, str) for each in value)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "decimal":
            return (isinstance(value, int) and not isinstance(value, bool)) or (
                isinstance(value, str) and _NUMBER.fullmatch(value) is not None
            )


def _conditions(draft: Draft) -> Iterator[Problem]:
    questions = {question.id: question for question in draft.questions}
    order = [question.id for question in draft.questions]
    for path, condition in all_conditions(draft):
        for name in sorted(names(condition)):
            question = questions.get(name)
            if question is None:
                yield _unknown((*path, name), "问题", "question", name, set(questions))
                continue
            if question.sees != "orchestrator" or not question.required:
                yield problem(
                    (*path, name),
                    f"条件不能依赖问题 {name}",
                    f"A condition cannot rest on {name}: it is optional or sealed to the approvers",
                    "sees: orchestrator, required: true",
                )
            if path[0] == "questions" and name in order[int(path[1]) :]:
                yield problem((*path, name), "条件只能依赖前面的问题", "A question can rest on earlier ones only", name)
            for literal in literals(condition, name):
                if not _fits(question, literal):
                    yield problem(
                        (*path, name),
                        f"“{literal}”不是该问题的答案",
                        f"{literal!r} is no answer to this question",
                        " / ".join(option.id for option in question.options) or question.type,
                    )
            if question.type not in ("decimal", "integer", "money", "date") and _is_ordered(condition, name):
                yield problem((*path, name), "该问题不能比较大小", "This question knows no order", "eq / ne")


def _fits(question: Question, literal: Any) -> bool:
    try:
        value = int(literal) if question.type == "integer" and not isinstance(literal, bool) else literal
        read_value(question.id, question.model_copy(update={"min": None, "max": None}), value)
    except (Invalid, ValueError):
        return False
    return True


def _is_ordered(condition: tuple[Any, ...], name: str) -> bool:
    cells = [alternative[name] for alternative in condition if name in alternative]
    return any(isinstance(cell, dict) and set(cell) - {"ne"} for cell in cells)


def _rules(draft: Draft, inputs: Sequence[Input]) -> Iterator[Problem]:
    place = {rule.id: n for n, rule in enumerate(draft.rules)}
    for fault in check_rows(draft.rules, inputs):
        path: Path = ("rules", place[fault.row]) if fault.row else ("rules",)
        if fault.input is not None:
            where: Path = ("when", fault.input) if fault.row else (fault.input,)
            if fault.row and (material := draft.rules[place[fault.row]].material) and fault.input == brought(material):
                where = ("material",)
            path = (*path, *where)
        zh, en = (f"{fault.input}:{fault.zh}", f"{fault.input}: {fault.en}") if fault.input else (fault.zh, fault.en)
        yield problem(path, zh, en, fault.remedy)
    for approver in draft.approvers:
        if not any(rule.approver == approver and rule.outcome == "approve" for rule in draft.rules):
            yield problem(
                ("rules", approver),
                f"{approver} 没有准予的规则",
                f"{approver} has no row that approves",
                "outcome: approve",
            )
    claims = draft.claims()
    for n, rule in enumerate(draft.rules):
        if rule.approver not in draft.approvers:
            yield _unknown(("rules", n), "审批部门", "approver", rule.approver, set(draft.approvers))
        for name in sorted(rule.reads()):
            if name in claims and (sealed := claims[name][1].sealed_to) and rule.approver not in sealed:
                yield problem(
                    ("rules", n, "when", name),
                    f"{rule.approver} 不能阅读 {name}",
                    f"{name} is not sealed to {rule.approver}",
                    "sealed_to",
                )


def _sources(draft: Draft, inputs: Sequence[Input]) -> Iterator[Problem]:
    """Results, derived inputs and pushes take values from inputs that exist; no open claim is asked for nothing."""
    records = {
        f"form.{question.id}.{part}"
        for question in draft.questions
        for part in (
            ("holder", "bank", "number", "last_four")
            if question.type == "bank_account"
            else [entry.id for entry in question.fields]
        )
    } | {f"form.{question.id}" for question in draft.questions if question.type in ("list", "bank_account")}
    known = {each.name for each in inputs} | ISSUE_SOURCES | records
    tables = {parameter.id for parameter in draft.parameters}
    for n, derived in enumerate(draft.derived):
        for m, name in enumerate(derived.of):
            if name not in known:
                yield _unknown(("derived", n, "of", m), "输入项", "input", name, known)
        if (derived.op in ("any_in", "step")) != (derived.parameter in tables):
            yield _unknown(("derived", n, "parameter"), "参数", "parameter", str(derived.parameter), tables)
    for n, each in enumerate(draft.result.fields):
        if each.source not in known:
            yield _unknown(("result", "fields", n, "source"), "输入项", "input", each.source, known)
    if draft.result.validity.until is not None and draft.result.validity.until not in known:
        yield _unknown(("result", "validity", "until"), "输入项", "input", draft.result.validity.until, known)
    every = set(draft.claims())
    for n, push in enumerate(draft.pushes):
        for name in sorted(names(push.given) - every):
            yield _unknown(("pushes", n, "if", name), "核验项", "claim", name, every)
    read = {name for rule in draft.rules for name in rule.reads()}
    read |= {name for derived in draft.derived for name in derived.of}
    read |= {name for push in draft.pushes for name in names(push.given)}
    for n, item in enumerate(draft.evidence):
        for m, claim in enumerate(item.claims):
            if not claim.sealed_to and f"{item.subject}.{claim.key}" not in read:
                yield problem(
                    ("evidence", n, "claims", m),
                    f"没有规则用到 {claim.key},不得询问",
                    f"Nothing uses {claim.key}, so it must not be asked",
                    "删除或在规则中使用 / remove it or use it in a rule",
                )
