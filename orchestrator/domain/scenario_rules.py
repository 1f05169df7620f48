"""What every scenario's rules have in common, and the inputs that rules may read.

The common rows are generated: identity rows for each subject role whose identity is asked (COM-01 to COM-04), the agent's
power of attorney (COM-05), evidence that failed verification (COM-06), materials that are due and were not brought (COM-09).
COM-07 and COM-08, on what is unknown, are the rules engine's own (`rules/engine.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from orchestrator.domain.catalogue import Catalogue
from orchestrator.domain.cells import Input, InputType, brought
from orchestrator.domain.errors import Invalid
from orchestrator.domain.scenario import Draft
from orchestrator.domain.scenario_parts import Entry, EvidenceItem, Material, Rule
from orchestrator.domain.texts import Text

IDENTITY = "E01"
"""The evidence type that tells who a person is."""
IDENTITY_CLAIMS = ("identity_matches", "former_name_matches", "alive", "id_card_valid")
"""E01.base: what the common rows need of every person whose identity is asked."""
CHANGE_PROOF = "identity-change-proof"
"""The common material that COM-02 asks for."""

_FIELD_TYPES: dict[str, InputType] = {
    "boolean": "boolean",
    "enum": "string",
    "text": "string",
    "integer": "number",
    "decimal": "number",
    "money": "number",
    "date": "date",
}
_CLAIM_TYPES: dict[str, InputType] = {
    "predicate": "tri",
    "text": "string",
    "code": "string",
    "date": "date",
    "integer": "number",
    "decimal": "number",
}
DERIVED_TYPES: dict[str, InputType] = {
    "latest": "date",
    "any_in": "tri",
    "same_name": "tri",
    "step": "number",
    "valid_bank_account": "tri",
}


def _entry(name: str, kind: str, zh: str, en: str) -> Entry:
    return Entry.model_validate({"id": name, "type": kind, "label": {"zh": zh, "en": en}})


POWER_OF_ATTORNEY_FIELDS = (
    _entry("states_matter", "boolean", "写明委托事项", "States the matter"),
    _entry("states_powers", "boolean", "写明委托权限", "States the powers"),
    _entry("signed", "boolean", "委托人已签名或盖章", "Signed by the principal"),
    _entry("valid_until", "date", "委托期限至", "Valid until"),
)
"""What is declared with every power of attorney."""


def with_common(draft: Draft) -> Draft:
    """The scenario with the common material, the fields of a power of attorney and the common rows added."""
    materials = []
    for material in draft.materials:
        if material.id == draft.agent.power_of_attorney:
            material = material.model_copy(update={"fields": (*POWER_OF_ATTORNEY_FIELDS, *material.fields)})
        materials.append(material)
    rules = tuple(_common_rules(draft))
    if any(rule.material == CHANGE_PROOF for rule in rules):
        name = Text(zh="户籍(姓名)变更证明", en="Proof of the change of name or household")
        materials.append(Material(id=CHANGE_PROOF, name=name, given_by_request=True))
    return draft.model_copy(update={"materials": tuple(materials), "rules": (*rules, *draft.rules)})


def identity_items(draft: Draft) -> tuple[EvidenceItem, ...]:
    """The evidence items by which identities are checked."""
    return tuple(item for item in draft.evidence if item.type == IDENTITY and item.purpose == "decide")


def _common_rules(draft: Draft) -> Iterator[Rule]:
    lead = draft.approvers[0]
    for item in identity_items(draft):
        yield from _identity_rules(draft, item, lead)
    if (material := draft.agent.power_of_attorney) is not None:
        field = f"material.{material}."
        lacking = [{f"{field}{name}": False} for name in ("states_matter", "states_powers", "signed")]
        yield _rule(
            "COM-05",
            lead,
            [*lacking, {f"{field}valid_until": {"lt": {"input": "case.day"}}}],
            "return",
            "授权委托书未写明事项、权限或期限",
            "The power of attorney lacks matter, scope or term",
        )
    for approver in draft.approvers:
        yield _rule(
            f"COM-06-{approver}",
            approver,
            [{"case.evidence_verified": False}],
            "return",
            "核验数据未通过校验,请提交对应材料或稍后重试",
            "Evidence failed verification; bring the material or retry later",
        )
    for each in draft.materials:
        if not (each.given_by_request or each.replaced_by or each.answered_by):
            yield _missing_rule(draft, each, lead)


def _missing_rule(draft: Draft, material: Material, approver: str) -> Rule:
    """The row that asks for a material which no evidence stands in for, wherever it is due. One that evidence replaces is
    asked for when that evidence is not there (COM-07)."""
    types = {f"q.{question.id}": _FIELD_TYPES.get(question.type) for question in draft.questions}
    return _rule(
        f"COM-09-{material.id}",
        approver,
        [
            {brought(material.id): False}
            | {name: _rule_cell(cell, types.get(name)) for name, cell in _over_questions(alternative)}
            for alternative in material.when
        ],
        "return",
        f"缺少材料:{material.name.zh},请补交",
        f"Missing: {material.name.en}; please bring it",
        material=material.id,
        otherwise=False,  # whatever the material's id ends in
    )


def _over_questions(alternative: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((f"q.{name}", cell) for name, cell in alternative.items())


def _rule_cell(cell: Any, kind: InputType | None) -> Any:
    """A condition's cell as a row's: conditions write exact decimals as text, rows as numbers."""
    if kind != "number":
        return cell
    if isinstance(cell, Mapping):
        return {bound: _rule_cell(limit, kind) for bound, limit in cell.items()}
    if isinstance(cell, list | tuple):
        return [_rule_cell(item, kind) for item in cell]
    try:
        return Decimal(cell) if isinstance(cell, str) else cell
    except InvalidOperation:
        return cell  # the checker says that it is no number


def _identity_rules(draft: Draft, item: EvidenceItem, approver: str) -> Iterator[Rule]:
    keys = {claim.claim: f"{item.subject}.{claim.key}" for claim in item.claims}
    if not set(IDENTITY_CLAIMS) <= set(keys):
        return  # the checker says what is missing
    label = next((subject.label for subject in draft.subjects if subject.id == item.subject), None)
    zh, en = (label.zh, label.en) if label is not None else (item.subject, item.subject)
    suffix = item.id.removeprefix(f"{IDENTITY}.").replace("_", "-").replace(".", "-")
    matches, former, alive, card = (keys[claim] for claim in IDENTITY_CLAIMS)
    yield _rule(
        f"COM-01-{suffix}",
        approver,
        [{matches: False, former: True}],
        "manual",
        f"{zh}:姓名为曾用名,请经办人核对变更记录",
        f"{en}: the name given is a former name; officer compares the change record",
    )
    yield _rule(
        f"COM-02-{suffix}",
        approver,
        [{matches: False, former: [False, "unknown"]}],
        "return",
        f"{zh}:姓名与公民身份号码不一致,请核对后重新填写或提交户籍变更证明",
        f"{en}: name and citizen number do not match; correct them or bring proof of change",
        material=CHANGE_PROOF,
    )
    yield _rule(
        f"COM-03-{suffix}",
        approver,
        [{alive: False}],
        "refuse",
        f"{zh}:该身份已注销",
        f"{en}: this identity has been cancelled",
        confirm=True,
    )
    yield _rule(
        f"COM-04-{suffix}",
        approver,
        [{card: False}],
        "return",
        f"{zh}:居民身份证已过有效期,请换领后办理",
        f"{en}: the id card has expired; renew it first",
    )


def _rule(row: str, approver: str, when: list[Any], outcome: str, zh: str, en: str, **more: Any) -> Rule:
    reason = {"zh": zh, "en": en}
    return Rule.model_validate(
        {"id": row, "approver": approver, "when": when, "outcome": outcome, "reason": reason, **more}
    )


def rule_inputs(draft: Draft, catalogue: Catalogue) -> tuple[Input, ...]:
    """Everything that rules may read, typed, in a fixed order. A claim that the catalogue lacks is left out."""
    return tuple(_inputs(draft, catalogue))


def _inputs(draft: Draft, catalogue: Catalogue) -> Iterator[Input]:
    yield Input(name="case.day", type="date")
    yield Input(name="case.evidence_verified", type="boolean")
    for question in draft.questions:
        if question.type in _FIELD_TYPES:
            prefix = "q" if question.sees == "orchestrator" else "form"
            yield Input(name=f"{prefix}.{question.id}", type=_FIELD_TYPES[question.type])
    replaces = {item: material.id for material in draft.materials for item in material.replaced_by}
    for item in draft.evidence:
        if item.purpose == "decide":
            for claim in item.claims:
                kind = claim_kind(catalogue, item, claim.claim)
                if kind is not None:
                    name = f"{item.subject}.{claim.key}"
                    yield Input(name=name, type=_CLAIM_TYPES[kind], evidence=item.id, material=replaces.get(item.id))
    for material in draft.materials:
        yield Input(name=f"material.{material.id}", type="boolean")
        for field in material.fields:
            yield Input(name=f"material.{material.id}.{field.id}", type=_FIELD_TYPES[field.type])
    for parameter in draft.parameters:
        kinds = {_scalar_type(dated.value) for dated in parameter.values}
        if len(kinds) == 1 and (kind := kinds.pop()) is not None:
            yield Input(name=f"param.{parameter.id}", type=kind)
    for derived in draft.derived:
        yield Input(name=f"derived.{derived.id}", type=DERIVED_TYPES[derived.op])


def claim_kind(catalogue: Catalogue, item: EvidenceItem, claim: str) -> str | None:
    """The kind that the catalogue gives a claim; None when it has no such evidence or claim."""
    try:
        return catalogue.evidence(item.type).claim(claim).type
    except Invalid:
        return None


def _scalar_type(value: Any) -> InputType | None:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "number"
    if isinstance(value, str):
        return "number" if value.lstrip("-").replace(".", "", 1).isdigit() else "string"
    return None
