"""Telling the holder of a credential what becomes of it: beside the case's story, in the notices that they see first."""

from __future__ import annotations

from typing import Final, Literal

from orchestrator.domain.vocabulary import Words
from orchestrator.pipeline.context import Context
from orchestrator.store import applications
from orchestrator.store.cases import CaseRow

What = Literal["recalled", "suspended", "reinstated", "revoked"]

TEXTS: Final[dict[What, Words]] = {
    "recalled": Words(
        "有部门召回了“{name}”所依据的一项数据,审批部门正在复核,您无需操作。决定目前不变",
        "A department took back data under “{name}”. The approvers are looking at it again; you need do nothing, and the "
        "decision stands meanwhile",
    ),
    "suspended": Words(
        "“{name}”所依据的一项数据被提供部门召回,自上链起效力中止,暂不能使用。审批部门正在复核,结果将在此告知",
        "A department took back data under “{name}”: it is suspended from now on and does not count. The approvers are "
        "looking at it again; you will be told here",
    ),
    "reinstated": Words("复核完毕,“{name}”恢复效力", "The review is done: “{name}” counts again"),
    "revoked": Words(
        "“{name}”已被撤销,不再有效。理由见办件页面", "“{name}” was revoked and counts no more. The case page says why"
    ),
}


async def tell(context: Context, case: CaseRow, what: What, occasion: str) -> None:
    """Puts a notice before the holder, once for each occasion (the step's number, or the recall's hash)."""
    name = (await context.definitions.get(case.version)).result.name
    said = TEXTS[what]
    async with context.pool.connection() as connection:
        await applications.add_notice(
            connection,
            subject=case.subject,
            case_id=case.id,
            push=f"{what}:{occasion}",
            target=None,
            texts={"zh": said.zh.format(name=name.zh), "en": said.en.format(name=name.en)},
            prefill={"answers": {}, "subjects": {}},
        )
