"""Answers without a node: the department's signature, what the envelope shows, and nothing changed."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.domain.canonical import to_hex
from orchestrator.domain.dossier import Dossier, new_leaf
from orchestrator.domain.errors import LianbanError
from orchestrator.protocol.answer import AnswerEnvelope, build_answer
from orchestrator.protocol.jose import jws_hash
from orchestrator.protocol.question import Question
from orchestrator.verify.answers import check_answer
from orchestrator.verify.papers import Receipt
from orchestrator.verify.report import Mark, Report
from orchestrator.verify.trust import Trust
from tests.support.consortium import Consortium

pytestmark = pytest.mark.anyio
POLICE = 2


@pytest.fixture(scope="module")
def envelope(consortium: Consortium) -> AnswerEnvelope:
    """An answer with an open and a sealed claim."""
    now, item = int(time.time()), "E01.handler"
    lead = consortium.binding.approvers[0]
    made = build_answer(
        Question(mandate="0x" + "11" * 32, item=item, index=0, purpose="decide"),
        iss=POLICE,
        attempt=1,
        subject="0x" + "22" * 32,
        iat=now - 5,
        exp=now + 600,
        open_claims={"handler.alive": "true"},
        sealed_claims={lead: {"handler.full_name": "陈画"}},
        recipients={lead: consortium.seat(lead).keyset.key("sealing")},
        key=consortium.keys[POLICE].evidence,
    )
    return made.with_log(3, [b"\x01" * 32], "0x" + "33" * 32)


def says(report: Report, mark: Mark, words: str) -> bool:
    return any(each.mark is mark and words in f"{each.zh} {each.en}" for each in report.findings)


async def test_answer__offline__who_and_what_proven_whom_and_log_not(envelope: AnswerEnvelope, offline: Trust) -> None:
    report = await check_answer(envelope, offline)
    assert report.conclusion is Mark.UNCHECKED  # the log needs a node
    assert says(report, Mark.PROVEN, "signed by seat 2")
    assert ("handler.alive", "", "true") in report.shown
    assert "陈画" not in "\n".join(report.lines())
    for words in ("whom it is about", "is sealed to seat", "the latest answer"):
        assert says(report, Mark.NOT_PROVEN, words), words
    assert (await check_answer(envelope, Trust(now=0))).conclusion is Mark.UNCHECKED


async def test_answer__with_a_dossier__in_it_or_wrong(
    consortium: Consortium, envelope: AnswerEnvelope, offline: Trust
) -> None:
    ledger = consortium.chain.domain("CaseLedger")
    for content, found in ((jws_hash(envelope.answer), True), ("0x" + "55" * 32, False)):
        dossier = Dossier((new_leaf("mandate", "0x" + "44" * 32), new_leaf("answer", content)))
        tree = dossier.tree()
        receipt = Receipt.parse(
            {
                "case": "0x" + "66" * 32,
                "chain": {"id": ledger.chain_id, "ledger": ledger.contract},
                "steps": [
                    {"step": str(3 << 56 | 1 << 40 | 1), "root": to_hex(tree.root), "transaction": "0x" + "77" * 32}
                ],
                "leaves": [
                    {
                        "value": [each.kind, to_hex(each.salt), to_hex(each.content)],
                        "proof": [to_hex(node) for node in tree.proof(each)],
                    }
                    for each in dossier.entries
                ],
            }
        )
        report = await check_answer(envelope, offline, receipt=receipt)
        assert says(report, Mark.UNCHECKED, "receipt's dossier root") is found
        assert says(report, Mark.WRONG, "not in the dossier given") is not found


@pytest.mark.parametrize(
    "changes", [{"attempt": 2}, {"question": "0x" + "99" * 32}, {"sealed": {}}, {"disclosures": ("AA",)}]
)
async def test_answer__envelope_is_not_what_was_signed__wrong(
    envelope: AnswerEnvelope, offline: Trust, changes: dict[str, object]
) -> None:
    assert (await check_answer(envelope.model_copy(update=changes), offline)).conclusion is Mark.WRONG


async def test_answer__by_a_seat_that_is_not_there_or_another_key__wrong(
    consortium: Consortium, envelope: AnswerEnvelope, offline: Trust
) -> None:
    kept = offline.kept
    assert kept is not None
    without = {number: seat for number, seat in kept.seats.items() if number != POLICE}
    swapped = kept.seats | {POLICE: kept.seats[1]}
    for seats in (without, swapped):
        trust = replace(offline, kept=replace(kept, seats=seats))
        assert (await check_answer(envelope, trust)).conclusion is Mark.WRONG


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_answer__one_character_changed__never_signed(
    envelope: AnswerEnvelope, offline: Trust, data: st.DataObject
) -> None:
    payload = envelope.payload()
    del payload["log"]  # what it says is checked against the chain
    text = json.dumps(payload)
    place = data.draw(st.integers(0, len(text) - 1))
    changed = text[:place] + data.draw(st.sampled_from("ABcd0189-_")) + text[place + 1 :]
    try:
        found = AnswerEnvelope.parse(json.loads(changed))
        if found.payload() == payload | {"log": None}:
            return
        report = asyncio.run(check_answer(found, offline))
    except (ValueError, LianbanError):
        return
    assert report.conclusion is Mark.WRONG


async def test_answer__token_cannot_be_read__told_as_altered_not_as_a_missing_seat(
    envelope: AnswerEnvelope, offline: Trust
) -> None:
    header, payload, signature = envelope.answer.split(".")
    report = await check_answer(envelope.model_copy(update={"answer": f"{header}.!{payload}.{signature}"}), offline)
    assert report.conclusion is Mark.WRONG
    assert says(report, Mark.WRONG, "who signed it cannot be read")
