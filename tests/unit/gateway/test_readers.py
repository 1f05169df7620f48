"""Who reads which claim of an answer: for every evidence item of every scenario that ships, with every seat's key tried."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest

from orchestrator.domain.errors import Refused
from orchestrator.domain.readers import Reading, readings
from orchestrator.gateway.answering import answer, recipients_of
from orchestrator.gateway.gate import Admitted
from orchestrator.gateway.seat import Seat
from orchestrator.protocol.answer import read_answer
from orchestrator.protocol.question import Question
from orchestrator.protocol.sealing import answer_info, unseal
from orchestrator.scenarios import load_catalogue, scenario_files, shipped
from tests.support.consortium import Consortium, make_consortium
from tests.support.search import Searcher, needles_of

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000


@cache
def consortium(scenario: str) -> Consortium:
    return make_consortium(scenario)


@cache
def all_readings() -> dict[str, tuple[Reading, ...]]:
    """By scenario."""
    catalogue = load_catalogue()
    return {file.stem: readings(shipped(file.stem, catalogue), catalogue) for file in scenario_files()}


def evidence() -> Iterator[Any]:
    """Scenario and reading of everything that is asked of a gateway."""
    for scenario, found in all_readings().items():
        for reading in found:
            if not reading.in_mandate:
                yield pytest.param(scenario, reading, id=f"{scenario} {reading.item}")


@pytest.mark.parametrize(("scenario", "reading"), evidence())
async def test_answer__each_evidence_that_ships__opens_to_its_readers_alone(scenario: str, reading: Reading) -> None:
    found = consortium(scenario)
    item, provider = found.scenario.item(reading.item), found.provider(reading.item)
    question = Question(mandate="0x" + "11" * 32, item=item.id, index=0, purpose=item.purpose)
    admitted = Admitted(
        question=question,
        mandate=cast(Any, None),
        binding=found.binding,
        scenario=found.scenario,
        item=item,
        commitment="0x" + "22" * 32,
        subject=cast(Any, None),
        others={},
    )
    values = {claim.key: f"marker<{claim.key}>" for claim in item.claims}
    envelope = answer(
        admitted,
        values,
        await recipients_of([admitted], found.chain),
        attempt=1,
        seat=cast(Seat, SimpleNamespace(number=provider, keys=found.keys[provider])),
        now=NOW,
    )
    jwk = found.seat(provider).keyset.key("evidence")
    opened = {claim.key for claim in reading.open}
    assert read_answer(envelope, jwk).claims == {key: values[key] for key in opened}
    seats = dict(zip(found.scenario.approvers, found.binding.approvers, strict=True))
    sealed = {seats[role]: {claim.key for claim in claims} for role, claims in reading.sealed.items()}
    assert opened | set().union(*sealed.values()) == values.keys()
    for seat, keys in found.keys.items():
        claims = read_answer(envelope, jwk, private=keys.sealing, seat=seat).claims
        assert claims == {key: values[key] for key in opened | sealed.get(seat, set())}
        for reader, blob in envelope.sealed.items():
            if seat != int(reader):
                with pytest.raises(Refused):
                    unseal(keys.sealing, blob, info=answer_info(question.id, 1, int(reader)))
    shown = Searcher(needle for value in values.values() for needle in needles_of(value)).search(
        "envelope", orjson.dumps(envelope.payload())
    )
    assert {each.marker for each in shown} == {values[key] for key in opened}


async def test_readings__scenarios_that_ship__orchestrator_reads_no_value_of_a_record() -> None:
    """Predicates steer a case. The one open value says by what a patent was matched, and has three possible words."""
    values = {
        (reading.item, claim.key)
        for found in all_readings().values()
        for reading in found
        for claim in reading.open
        if claim.kind != "predicate"
    }
    assert values == {("E20.company", "matched_by")}
    assert set(load_catalogue().evidence("E20").claim("matched_by").values) == {"uscc", "name", "former-name"}
