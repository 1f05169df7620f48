"""A dry run of an adapter: what the records hold about one subject, what each claim makes of it, and who would see that.

Nothing is logged, signed or sent: there is no question, no key and no store here. Errors name the place in the adapter and
keep the database's own words, since the reader is the department itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg
from psycopg_pool import PoolTimeout

from orchestrator.domain.errors import Invalid, LianbanError
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.scenario_parts import Claim, EvidenceItem
from orchestrator.gateway.adapter import Adapter, SqlEvidence
from orchestrator.gateway.connectors.connector import SourceFault
from orchestrator.gateway.records import Ask, ClaimAsk, Looked, Party, Records, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One claim in one item of one scenario, and whoever would read its value."""

    scenario: str
    item: str
    claim: str
    value: Value
    """The value that would be answered; None as well when a parameter is missing here (`lacks`)."""
    lacks: str = ""
    """A parameter without a value in this dry run."""
    orchestrator: bool
    """Whether it is disclosed to the orchestrator, since it steers the case."""
    approvers: tuple[str, ...]
    """Roles of the approvers that read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What a dry run of one evidence type found."""

    evidence: str
    looked: Looked
    claims: Mapping[str, Value | LianbanError]
    """Every claim that could be computed, or why it could not."""
    seen: tuple[Seen, ...]
    unasked: tuple[str, ...]
    """Claims that no scenario asks for: nobody would see them."""


async def try_evidence(
    records: Records,
    evidence: SqlEvidence,
    subject: Party,
    others: Mapping[str, Sequence[Party]],
    params: Mapping[str, Any],
    scenarios: Iterable[Scenario],
    today: date,
) -> Tried:
    """One evidence type about one subject. `params` are values for parameters by name, for claims on their own.

    Raises Invalid, naming the place in the adapter or in `sources.yaml`, for whatever keeps it from being answered.
    """
    place = f"{records.adapter.department.id}.evidence.{evidence.id}"
    first = Ask(evidence=evidence.id, claims=(), subject=subject, others=others)
    try:
        await records.check(evidence.id)
        looked = await records.look(first, today)
    except Invalid as error:
        # The check names evidence and claim; the file has them in its evidence section.
        wrong = error.field.partition(".")[2]
        raise _told(f"{place}.claims.{wrong}.sql", error) from error
    except SourceFault as error:
        raise _told(_source_place(records.adapter, error.field), error) from error
    except (psycopg.Error, PoolTimeout) as error:
        raise _sql_fault(f"{place}.record", error) from None

    values: dict[str, Value | LianbanError] = {}
    for claim in evidence.claims.values():
        given = {name: params[name] for name in (*claim.params, *claim.optional) if name in params}
        lacks = next((name for name in claim.params if name not in given), None)
        if lacks is not None:
            values[claim.id] = _lacking(claim.id, lacks)
        else:
            values[claim.id] = await _value(
                records, evidence, first, ClaimAsk(key="v", claim=claim.id, params=given), today
            )
    seen = [one async for one in _seen(records, evidence, first, scenarios, today)]
    asked = {one.claim for one in seen}
    return Tried(
        evidence=evidence.id,
        looked=looked,
        claims=values,
        seen=tuple(seen),
        unasked=tuple(claim for claim in evidence.claims if claim not in asked),
    )


async def _seen(
    records: Records, evidence: SqlEvidence, ask: Ask, scenarios: Iterable[Scenario], today: date
) -> AsyncIterator[Seen]:
    for scenario, item, claim in _asked(evidence, scenarios):
        params, lacks = _params(scenario, claim, ask.subject, today)
        value: Value = None
        if not lacks:
            found = await _value(records, evidence, ask, ClaimAsk(key="v", claim=claim.claim, params=params), today)
            lacks, value = (str(found), None) if isinstance(found, LianbanError) else ("", found)
        yield Seen(
            scenario=scenario.id,
            item=item.id,
            claim=claim.claim,
            value=value,
            lacks=lacks,
            orchestrator=not claim.sealed_to,
            approvers=claim.sealed_to or scenario.approvers,
        )


def _asked(evidence: SqlEvidence, scenarios: Iterable[Scenario]) -> Iterator[tuple[Scenario, EvidenceItem, Claim]]:
    for scenario in scenarios:
        for item in scenario.evidence:
            if item.type == evidence.id:
                for claim in item.claims:
                    if claim.claim in evidence.claims:
                        yield scenario, item, claim


async def _value(
    records: Records, evidence: SqlEvidence, ask: Ask, claim: ClaimAsk, today: date
) -> Value | LianbanError:
    one = Ask(evidence=ask.evidence, claims=(claim,), subject=ask.subject, others=ask.others)
    place = f"{records.adapter.department.id}.evidence.{evidence.id}.claims.{claim.claim}.sql"
    try:
        return await records.compute(one, today)
    except (psycopg.Error, PoolTimeout) as error:
        return _sql_fault(place, error)
    except LianbanError as error:
        return error


def _params(scenario: Scenario, claim: Claim, subject: Party, today: date) -> tuple[dict[str, Any], str]:
    """A claim's parameters on that day, and the first that has no value."""
    params: dict[str, Any] = {}
    for name, value in claim.params.items():
        if isinstance(value, dict) and value.keys() == {"parameter"}:
            try:
                params[name] = scenario.parameter(str(value["parameter"]), today)
            except Invalid:
                return {}, f"{value['parameter']} ({today.isoformat()})"
        elif isinstance(value, dict) and value.keys() == {"attribute"}:
            params[name] = subject.attributes.get(str(value["attribute"]))
        else:
            params[name] = value
    return params, ""


def _source_place(adapter: Adapter, field: str) -> str:
    """A fault's field from the top of the adapter's file: faults of sources begin with the table."""
    table = field.partition(".")[0]
    for name, record in adapter.records.items():
        if table in record.tables:
            return f"{adapter.department.id}.records.{name}.tables.{field}"
    return field


def _told(field: str, error: LianbanError) -> Invalid:
    return Invalid(
        field=field,
        code="dry-run",
        detail=error.detail,
        detail_en=error.detail_en,
        remedy=error.remedy or "docs/adapter.md",
    )


def _sql_fault(field: str, error: Exception) -> Invalid:
    words = getattr(getattr(error, "diag", None), "message_primary", None) or type(error).__name__
    return Invalid(
        field=field,
        code="dry-run",
        detail="SQL 未能执行",
        detail_en=f"the SQL does not run on this record: {words}",
        remedy="奇异数据应得 null 而非出错,见 docs/adapter.md / odd data must give null, not an error: docs/adapter.md",
    )


def _lacking(claim: str, name: str) -> Invalid:
    return Invalid(
        field=f"--param {name}",
        code="dry-run",
        detail=f"{claim} 需要参数 {name}",
        detail_en=f"{claim} needs the parameter {name}",
        remedy=f"--param {name}=…",
    )
