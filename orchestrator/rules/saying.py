"""A decision in words, in Chinese and English: the reasons of its rows, and what would have had to be otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.domain.catalogue import Catalogue
from orchestrator.domain.cells import UNKNOWN
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.vocabulary import Words
from orchestrator.domain.wording import Wording

WRAPPER_REASONS: Mapping[str, Words] = {
    "COM-06": Words(
        "核验数据未通过校验,请提交对应材料或稍后重试",
        "Evidence failed verification; bring the material or retry later",
    ),
    "COM-07": Words("未查询到相关记录,请补充所列材料", "No record found; please bring the materials listed"),
    "COM-08": Words("核验信息不完整,转人工", "Incomplete evidence; an officer looks at it"),
}
"""Reasons of the rows that every scenario has and no table lists."""


def reason_words(scenario: Scenario, row: str) -> Words:
    """The published reason of a row; its id where there is none."""
    reason = next((each.reason for each in scenario.rules if each.id == row), None)
    if reason is None:
        return WRAPPER_REASONS.get(row, Words(row, row))
    return Words(reason.zh, reason.en)


def change_words(
    scenario: Scenario,
    catalogue: Catalogue | None,
    *,
    row: str,
    input: str,
    to: Sequence[str],
    but: Sequence[str],
) -> Words:
    """A change of one input and what would have come of it for the row."""
    wording = Wording(scenario, catalogue)
    name = wording.input_name(input) or Words(input, input)
    kind = next((each.type for each in scenario.inputs if each.name == input), "string")
    values = [wording.literal(input, value) for value in to or but]
    zh, en = "或".join(each.zh for each in values), " or ".join(each.en for each in values)
    if tuple(but) == (UNKNOWN,):
        given = Words(f"如能查明“{name.zh}”", f"“{name.en}” were known")
    elif not to:
        given = Words(f"如“{name.zh}”不是{zh}", f"“{name.en}” were anything but {en}")
    elif kind in ("number", "date"):
        given = Words(f"如“{name.zh}”为 {zh}(最接近的值)", f"“{name.en}” were {en} (the nearest value)")
    else:
        given = Words(f"如“{name.zh}”为{zh}", f"“{name.en}” were {en}")
    approving = next((each.otherwise for each in scenario.rules if each.id == row), False)
    if approving:
        return Words(f"{given.zh},结果会不同", f"The outcome would have been another if {given.en}")
    return Words(f"{given.zh},则不适用本条", f"This would not have applied if {given.en}")
