"""Receipts without a node: what their Merkle paths show, and that anything else in them is noticed or left open."""

from __future__ import annotations

import asyncio
import copy
import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.domain.canonical import tagged, to_hex
from orchestrator.domain.dossier import Dossier, new_leaf
from orchestrator.domain.errors import Invalid
from orchestrator.protocol.answer import AnswerEnvelope
from orchestrator.protocol.credential import Presentation
from orchestrator.verify.papers import Receipt, read_paper
from orchestrator.verify.receipts import check_leaves, check_receipt
from orchestrator.verify.report import Mark, Report
from orchestrator.verify.trust import Trust
from tests.support.consortium import Consortium

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def document(consortium: Consortium) -> dict[str, Any]:
    """A receipt as the portal hands it out."""
    mandate = secrets.token_bytes(32)
    contents = [("mandate", mandate), ("credential", secrets.token_bytes(32))]
    contents += [("answer", secrets.token_bytes(32)) for _ in range(5)]
    dossier = Dossier(tuple(new_leaf(kind, to_hex(content)) for kind, content in contents))
    tree, ledger = dossier.tree(), consortium.chain.domain("CaseLedger")
    return {
        "format": "lianban-receipt-1",
        "case": to_hex(tagged("lianban.case.v1", mandate)),
        "chain": {"id": ledger.chain_id, "ledger": ledger.contract},
        "steps": [
            {"step": str(status << 56 | place << 40 | 1), "root": root, "transaction": "0x" + f"{place}" * 64}
            for place, (status, root) in enumerate([(2, "0x" + "ab" * 32), (3, to_hex(tree.root))], start=1)
        ],
        "leaves": [
            {
                "value": [leaf.kind, to_hex(leaf.salt), to_hex(leaf.content)],
                "proof": [to_hex(node) for node in tree.proof(leaf)],
            }
            for leaf in dossier.entries[:2]
        ],
    }


def says(report: Report, mark: Mark, words: str) -> bool:
    return any(each.mark is mark and words in f"{each.zh} {each.en}" for each in report.findings)


async def test_receipt__offline__paths_and_case_proven_chain_open(document: dict[str, Any], offline: Trust) -> None:
    report = await check_receipt(Receipt.parse(document), offline)
    assert report.conclusion is Mark.UNCHECKED
    assert says(report, Mark.PROVEN, "case's id comes from a mandate")
    assert says(report, Mark.PROVEN, "2 entries are under the dossier root")
    assert says(report, Mark.UNCHECKED, "no node")
    assert ("第 2 步", "step 2", f"已批准 approved  0x{'2' * 64}") in report.shown


async def test_receipt__of_another_ledger__wrong(document: dict[str, Any], offline: Trust) -> None:
    for chain in ({"id": 1, "ledger": document["chain"]["ledger"]}, {**document["chain"], "ledger": "0x" + "12" * 20}):
        report = await check_receipt(Receipt.parse(document | {"chain": chain}), offline)
        assert (report.conclusion, says(report, Mark.WRONG, "another chain")) == (Mark.WRONG, True)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_receipt__a_digit_of_leaf_path_or_root_changed__wrong(
    document: dict[str, Any], offline: Trust, data: st.DataObject
) -> None:
    changed = copy.deepcopy(document)
    leaf = changed["leaves"][data.draw(st.sampled_from([0, 1]))]
    places: list[tuple[Any, Any]] = [(leaf["value"], 1), (leaf["value"], 2), (changed["steps"][1], "root")]
    places += [(leaf["proof"], number) for number in range(len(leaf["proof"]))]
    holder, name = data.draw(st.sampled_from(places))
    at = data.draw(st.integers(2, 65))
    digit = data.draw(st.sampled_from([each for each in "0123456789abcdef" if each != holder[name][at]]))
    holder[name] = holder[name][:at] + digit + holder[name][at + 1 :]
    report = asyncio.run(check_receipt(Receipt.parse(changed), offline))
    assert report.conclusion is Mark.WRONG


async def test_receipt__mandate_of_another_case__not_said_to_open_it(document: dict[str, Any], offline: Trust) -> None:
    report = await check_receipt(Receipt.parse(document | {"case": "0x" + "77" * 32}), offline)
    assert not says(report, Mark.PROVEN, "case's id comes from")


async def test_leaves__offline__under_the_root_or_wrong(document: dict[str, Any], offline: Trust) -> None:
    receipt = Receipt.parse(document)
    for leaves, mark in ((receipt.leaves, Mark.UNCHECKED), ([(receipt.leaves[0][0], ())], Mark.WRONG)):
        report = Report("", "")
        await check_leaves(report, receipt, leaves, offline)
        assert [each.mark for each in report.findings] == [mark]


@pytest.mark.parametrize(
    "change",
    [
        {"steps": []},
        {"steps": [{"step": "1", "root": "0x" + "11" * 32, "transaction": "0x" + "11" * 32}]},
        {"case": "0x12"},
        {"chain": {"id": 1, "ledger": "0x12"}},
        {"chain": None},
        {"leaves": [{"value": ["passport", "0x" + "11" * 32, "0x" + "11" * 32], "proof": []}]},
        {"leaves": [{"value": ["mandate", "0x11", "0x" + "11" * 32], "proof": []}]},
        {"leaves": [{"value": ["mandate", "0x" + "11" * 32, "0x" + "11" * 32], "proof": ["0x11"]}]},
        {"format": "lianban-receipt-2"},
    ],
)
def test_read_paper__receipt_not_as_specified__refused(
    document: dict[str, Any], tmp_path: Path, change: dict[str, Any]
) -> None:
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps(document), "utf-8")
    assert isinstance(read_paper(file), Receipt)
    file.write_text(json.dumps(document | change), "utf-8")
    with pytest.raises(Invalid, match="nothing that can be checked"):
        read_paper(file)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"{}", b"[]", b"1", b"null", b'"a"', b"%PDF-1.7\n%%EOF", b"~", b"hello"]
)
def test_read_paper__anything_else__refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "thing"
    file.write_bytes(content)
    with pytest.raises(Invalid):
        read_paper(file)


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=200))
def test_read_paper__any_bytes__a_paper_or_refused(tmp_path_factory: Any, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "bytes"
    file.write_bytes(content)
    try:
        assert isinstance(read_paper(file), Presentation | Receipt | AnswerEnvelope)
    except Invalid:
        return


def test_report__only_limits__not_proven() -> None:
    report = Report("", "")
    report.not_proven("甲", "a")
    assert report.conclusion is Mark.UNCHECKED
