"""Intake: a submitted case gets its questions, one for each evidence item and subject that its mandate covers."""

from __future__ import annotations

from typing import Any

from orchestrator.domain.scenario import Scenario
from orchestrator.pipeline.context import Context
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.protocol.question import question_id
from orchestrator.store import cases, evidence
from orchestrator.store.cases import CaseRow, Move


def questions_of(scenario: Scenario, case_id: str, mandate: str, *, purpose: str) -> list[dict[str, Any]]:
    """Rows for the store: one question for each evidence item of `purpose` in the mandate and each subject of its role.

    The mandate was verified when it came in; what it says about itself is all that is needed here.
    """
    _, payload = peek_jws(mandate)
    digest = jws_hash(mandate)
    rows: list[dict[str, Any]] = []
    for entry in payload["evidence"]:
        item = scenario.item(entry["item"])
        if item.purpose != purpose or item.source == "mandate":
            continue
        for index in range(len(payload["subjects"].get(item.subject, []))):
            rows.append(
                {
                    "id": question_id(digest, item.id, index, purpose),
                    "case_id": case_id,
                    "mandate": digest,
                    "item": item.id,
                    "idx": index,
                    "seat": entry["seat"],
                    "purpose": purpose,
                }
            )
    return rows


async def intake(context: Context, claimed: list[CaseRow]) -> list[Move]:
    """Writes the questions of many cases at once and sends them to be gathered."""
    async with context.pool.connection() as connection:
        mandates = await cases.mandates(connection, [case.id for case in claimed])
    rows: list[dict[str, Any]] = []
    for case in claimed:
        scenario = await context.definitions.get(case.version)
        rows += questions_of(scenario, case.id, mandates[case.id][-1], purpose="decide")
    async with context.pool.connection() as connection:
        await evidence.add_questions(connection, rows)
    return [Move(case_id=case.id, stage="gather") for case in claimed]
