"""What can be wrong with a scenario only in some situation: contradictions, gaps, rules that nothing reaches.

Every situation that could differ is gone through (`representative_situations`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from orchestrator.domain.cells import NOT_ASKED, Input, matches, names_in, scalar
from orchestrator.domain.conditions import holds
from orchestrator.domain.errors import Invalid
from orchestrator.domain.scenario import Draft
from orchestrator.domain.scenario_problem import Path, Problem, problem
from orchestrator.domain.situations import all_conditions, representative_situations


def situation_problems(draft: Draft, inputs: Sequence[Input]) -> Iterator[Problem]:
    """Checks that need every situation that could differ: nothing contradictory, nothing unreachable."""
    try:
        situations = representative_situations(draft)
        for path, condition in all_conditions(draft):
            if path[0] != "questions":
                for situation in situations:
                    holds(condition, situation)
    except Invalid as error:
        yield problem(("questions",), error.detail, error.detail_en, error.remedy)
        return
    yield from _principals(draft, situations)
    seen: set[tuple[Path, str]] = set()
    for situation in situations:
        for found in _in_situation(draft, situation):
            if (found.path, found.en) not in seen:
                seen.add((found.path, found.en))
                yield found
    by_name = {each.name: each for each in inputs}
    contexts = [_context(draft, situation, by_name) for situation in situations]
    for n, rule in enumerate(draft.rules):
        for m, alternative in enumerate(rule.when):
            if not any(_reachable(alternative, context, by_name) for context in contexts):
                yield problem(
                    ("rules", n, "when", m),
                    f"规则 {rule.id} 在任何情形下都不会命中",
                    f"Row {rule.id} can be reached in no situation",
                    "核对条件和核验数据的 when / compare its conditions with the evidence's `when`",
                )


def _principals(draft: Draft, situations: Sequence[dict[str, Any]]) -> Iterator[Problem]:
    """Exactly one role signs in; the first situation in which it is otherwise."""
    for situation in situations:
        roles = {each.id for each in draft.subjects if holds(each.when, situation)}
        found = [each.id for each in draft.subjects if each.principal is not None and holds(each.principal, situation)]
        if len(found) != 1 or found[0] not in roles:
            named, shown = "、".join(found) or "—", _shown(draft, situation)
            yield problem(
                ("subjects",),
                f"每种情形须有且只有一个办理人;{shown} 时为:{named}",
                f"Exactly one role signs in as principal in every situation; with {shown} it is: {named}",
                "principal: true,或一个条件 / principal: true, or a condition",
            )
            return


def _in_situation(draft: Draft, situation: dict[str, Any]) -> Iterator[Problem]:
    subjects = {subject.id for subject in draft.subjects if holds(subject.when, situation)}
    if draft.result.holder not in subjects:
        yield problem(("result", "holder"), "有的情形下没有持证主体", "In some situation nobody holds the result", "")
    asked = {item.id for item in draft.evidence if holds(item.when, situation)}
    for n, item in enumerate(draft.evidence):
        if item.id in asked:
            for role in (item.subject, *item.with_.values()):
                if role not in subjects:
                    yield problem(
                        ("evidence", n),
                        f"有的情形下没有对象 {role}",
                        f"In some situation it is asked without the subject {role}",
                        "核对 when / align the conditions",
                    )
    for n, material in enumerate(draft.materials):
        needed = holds(material.when, situation)
        if needed and material.replaced_by and not asked.intersection(material.replaced_by):
            yield problem(
                ("materials", n, "replaced_by"),
                "有的情形下替代该材料的核验数据都不询问",
                "In some situation none of the evidence that replaces it is asked",
                "核对 when / align the conditions",
            )
    for kind in ("before", "after", "correction"):
        if not any(holds(term.when, situation) for term in getattr(draft.deadline, kind)):
            yield problem(
                ("deadline", kind), "有的情形没有期限", "Some situation has no term", "补充一项 / add a last term"
            )


def _shown(draft: Draft, situation: dict[str, Any]) -> str:
    """A situation as one would type it, its choices only."""
    chosen = [question.id for question in draft.questions if question.type in ("enum", "boolean")]
    pairs = [f"{name}={str(situation[name]).lower()}" for name in chosen if situation.get(name) is not None]
    return ",".join(pairs) or "…"


def _context(draft: Draft, situation: dict[str, Any], inputs: dict[str, Input]) -> dict[str, Any]:
    """What the rules see in a situation as far as it is settled: answers, and which evidence is not asked."""
    values: dict[str, Any] = {}
    for question in draft.questions:
        name = f"q.{question.id}"
        if name in inputs:
            values[name] = scalar(situation.get(question.id, NOT_ASKED), inputs[name].type)
    asked = {item.id for item in draft.evidence if holds(item.when, situation)}
    for each in inputs.values():
        if each.evidence is not None and each.evidence not in asked:
            values[each.name] = NOT_ASKED
    return values


def _reachable(alternative: dict[str, Any], context: dict[str, Any], inputs: dict[str, Input]) -> bool:
    return all(
        matches(cell, name, context)
        for name, cell in alternative.items()
        if all(other in context for other in names_in({name: cell}))
    )
