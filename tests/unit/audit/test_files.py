"""What an audit reads from files: only what it wrote itself, or what a seat signed; everything else is refused by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.audit.evidence import check, read_file
from orchestrator.audit.memory import Memory
from orchestrator.audit.promises import read_promises
from orchestrator.audit.statements import Word
from orchestrator.domain.errors import Invalid
from orchestrator.protocol.answer import AnswerEnvelope, build_answer
from orchestrator.protocol.question import Question
from orchestrator.protocol.sheet import Domain
from orchestrator.verify.report import Mark
from tests.unit.audit.test_follow import KEYS, LEDGER, NOW, SEAT, VIEW, Log, an_entry, audit, word


def envelope(issuer: int = SEAT, key: Any = None) -> AnswerEnvelope:
    """An answer that stands first in a log of two, as its gateway sends it."""
    question = Question(mandate="0x" + "11" * 32, item="E05.company", index=0, purpose="decide")
    made = build_answer(
        question,
        attempt=1,
        iss=issuer,
        subject="0x" + "22" * 32,
        iat=NOW - 50,
        exp=NOW + 50,
        key=key or KEYS.evidence,
        open_claims={"entity_in_operation": True},
    )
    log = Log([an_entry(0), an_entry(1)])
    return made.with_log(0, log.tree(2).inclusion_proof(0), f"0x{0:064x}")


def remembered() -> Memory:
    log = Log([an_entry(index) for index in range(7)])
    memory = audit(log, word([log.head(4)])).memory
    assert memory is not None
    return memory


# ---- evidence


def test_evidence__same_lie_found_again__stays_the_file_that_it_was(tmp_path: Path) -> None:
    log = Log([an_entry(index) for index in range(5)])
    bent = Log([an_entry(9), *log.entries[1:]])
    other = Log([an_entry(8), *log.entries[1:]])
    heads = word([log.head(5)])
    (lie,) = audit(bent, heads).lies
    file = lie.keep(tmp_path, heads)
    written = file.read_bytes()

    again = replace(lie, statements=tuple(replace(each, at=each.at + 3600) for each in lie.statements))

    assert again.keep(tmp_path, heads) == file
    assert file.read_bytes() == written
    (another,) = audit(other, heads).lies
    assert another.keep(tmp_path, heads) != file


# ---- memory


@settings(max_examples=20)
@given(size=st.integers(1, 40), anchored=st.integers(1, 40))
def test_memory__kept_and_read__the_same(tmp_path_factory: pytest.TempPathFactory, size: int, anchored: int) -> None:
    log = Log([an_entry(index) for index in range(size)])
    memory = audit(log, word([log.head(min(size, anchored))])).memory
    assert memory is not None
    file = tmp_path_factory.mktemp("memory") / "deeper" / "memory.json"
    memory.keep(file)
    assert Memory.read(file, LEDGER, SEAT) == memory
    assert (memory.waiting is None) == (anchored >= size)


def test_memory__none_of_another_or_altered__none_or_invalid(tmp_path: Path) -> None:
    file = tmp_path / "memory.json"
    assert Memory.read(file, LEDGER, SEAT) is None
    memory = remembered()
    memory.keep(file)
    for ledger, seat in ((Domain(chain_id=78, contract=LEDGER.contract), SEAT), (LEDGER, SEAT + 1)):
        with pytest.raises(Invalid):
            Memory.read(file, ledger, seat)
    content = orjson.loads(memory.document())
    for altered in (
        content | {"nodes": content["nodes"][:-1]},
        content | {"nodes": ["0x" + "00" * 32, *content["nodes"][1:]]},
        content | {"block": "100"},
        content | {"newest": None},
        content | {"newest": content["newest"] | {"head": content["newest"]["head"] | {"size": 6}}},
        content | {"format": "lianban-log-memory-0"},
        [],
    ):
        file.write_bytes(orjson.dumps(altered))
        with pytest.raises(Invalid) as error:
            Memory.read(file, LEDGER, SEAT)
        assert error.value.field == str(file)


# ---- promises


def test_read_promises__each_form_that_answers_come_in__those_of_the_seat(tmp_path: Path) -> None:
    plain, head = envelope(), Log([an_entry(0), an_entry(1)]).head()
    kept, other = plain.with_head(head), envelope(issuer=SEAT + 1)
    file = tmp_path / "answers.json"
    for content, holds in (
        (kept.payload(), True),
        ([other.payload(), kept.payload()], True),
        ({"mandates": [], "answers": [kept.payload(), other.payload()]}, True),
        ({"answers": [plain.payload()], "head": head.model_dump(mode="json")}, True),
        (plain.payload(), False),
    ):
        file.write_bytes(orjson.dumps(content))
        (promise,) = read_promises(file, VIEW)
        assert (promise.question, promise.attempt, promise.at) == (plain.question, 1, NOW - 50)
        assert (promise.place.head is not None) == holds
        assert not promise.holds  # its own question is not what that log has at its place


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b'{"answers": []}',
        b'{"answers": {}}',
        b'{"answers": [{}], "head": {}}',
        orjson.dumps(envelope(issuer=SEAT + 1).payload()),
        orjson.dumps(envelope(key=KEYS.request).payload()),
    ],
)
def test_read_promises__none_of_the_seat__invalid_naming_the_file(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "answers.json"
    file.write_bytes(content)
    with pytest.raises(Invalid) as error:
        read_promises(file, VIEW)
    assert error.value.field == "answers.json"


# ---- evidence


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=40) | st.just(b"{}") | st.just(b'{"format": "lianban-log-evidence-1"}'))
def test_read_file__rubbish__invalid(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "evidence.json"
    file.write_bytes(content)
    with pytest.raises(Invalid) as error:
        read_file(file)
    assert error.value.code == "not-evidence"


def rewritten() -> tuple[Word, dict[str, Any]]:
    """Evidence of a rewrite with the seat as the chain has it."""
    log = Log([an_entry(index) for index in range(6)])
    heads = word([log.head(5)])
    (lie,) = audit(Log([an_entry(0), an_entry(77), *log.entries[2:]]), heads).lies
    return heads, orjson.loads(orjson.dumps(lie.document(heads)))


def test_check__nodes_or_signature_or_time_of_another__not_proven() -> None:
    heads, content = rewritten()
    assert check(content, heads, now=NOW).conclusion is Mark.PROVEN
    old, new = content["statements"]
    nodes = content["nodes"]
    for altered in ([], nodes[:-1], nodes[1:], ["0x" + "00" * 32, *nodes[1:]], [*nodes, nodes[0]]):
        assert check(content | {"nodes": altered}, heads, now=NOW).conclusion is Mark.UNCHECKED
    other = Log([an_entry(9)]).head().signature
    for statements in (
        [old, new | {"signature": other}],
        [old | {"transaction": "0x" + "11" * 32}, new],
        [old, new | {"dated": other}],
        [{"size": 5, "root": old["root"], "source": "seen"}, new],
        [old | {"root": new["root"]}, new],
    ):
        assert check(content | {"statements": statements}, heads, now=NOW).conclusion is Mark.WRONG
    elsewhere = content["chain"] | {"id": 78}
    assert check(content | {"chain": elsewhere}, heads, now=NOW).conclusion is Mark.WRONG


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=st.data())
def test_check__one_character_of_evidence_changed__never_another_proof(tmp_path: Path, data: st.DataObject) -> None:
    heads, evidence = rewritten()
    text = orjson.dumps(evidence | {"zh": "", "en": ""}).decode()
    place = data.draw(st.integers(0, len(text) - 1))
    changed = text[:place] + data.draw(st.sampled_from("0a9fZ-_")) + text[place + 1 :]
    if changed == text:
        return
    file = tmp_path / "evidence.json"
    file.write_text(changed)
    try:
        content = read_file(file)
    except Invalid:
        return
    report = check(content, heads, now=NOW)
    told = [content[name] for name in ("kind", "statements", "nodes", "chain", "seat")]
    same = told == [orjson.loads(text)[name] for name in ("kind", "statements", "nodes", "chain", "seat")]
    # What it can change is the name of the kind, the department, where a statement was found: nothing that is signed.
    assert report.conclusion is not Mark.PROVEN or same or _signed(content) == _signed(orjson.loads(text))


def _signed(content: dict[str, Any]) -> list[Any]:
    return [content["nodes"], *([each.get("size"), each.get("root")] for each in content["statements"])]
