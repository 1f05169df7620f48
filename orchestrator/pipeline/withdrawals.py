"""Withdrawals that came past the portal: the applicant signed at the identity seat, which told the approvers' gateways.

An open case is sealed as withdrawn, as if the portal had carried it. A decided one stays decided; nothing is asked or pushed
under its mandate any more.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from orchestrator.domain.case import Status
from orchestrator.domain.errors import LianbanError
from orchestrator.pipeline.context import Context
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.protocol.mandate import Mandate, check_chain
from orchestrator.store import cases
from orchestrator.store.cases import CaseRow, Connection

log = structlog.get_logger()

ENDED = "consent-withdrawn"
"""The event of a decided case whose consent was withdrawn."""


async def take_withdrawals(context: Context, connection: Connection, told: Sequence[tuple[str, str]]) -> int:
    """Takes withdrawals (case, JWS); how many were news. One that does not hold, or is of nobody here, is left alone."""
    found = {case.id: case for case in await cases.many(connection, sorted({case for case, _ in told}))}
    held = await cases.mandates(connection, list(found))
    news = 0
    for case_id, jws in told:
        case = found.get(case_id)
        if case is None or jws in held[case_id]:
            continue
        try:
            await _check(context, case, held[case_id], jws)
        except LianbanError as error:
            log.warning("withdrawal-does-not-hold", case=case_id, code=error.code)
            continue
        if Status(case.status) in (Status.NONE, Status.ACCEPTED, Status.RETURNED):
            await cases.add_mandate(connection, case_id, jws_hash(jws), jws)
            await cases.withdraw(connection, case_id)
            await cases.note(connection, [(case_id, "withdrawal", {"mandate": jws_hash(jws)})])
            held[case_id].append(jws)
        elif await cases.having(connection, [case_id], ENDED):
            continue
        else:
            await cases.note(connection, [(case_id, ENDED, {"mandate": jws_hash(jws)})])
        news += 1
    return news


async def _check(context: Context, case: CaseRow, earlier: Sequence[str], jws: str) -> None:
    binding = await context.view.binding(case.binding)
    key = (await context.view.seat(binding.identity)).key_of("identity", jws)
    withdrawal = Mandate.parse(jws, key, issuer=binding.identity)
    check_chain([*((each, Mandate.model_validate(peek_jws(each)[1])) for each in earlier), (jws, withdrawal)])
