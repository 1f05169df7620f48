"""The files of a person's own pages, checked without them: offline with the seats' keys, and against what the chain has."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from orchestrator.domain.canonical import b64, from_hex
from orchestrator.domain.errors import Invalid
from orchestrator.gateway.client import GatewayClient
from orchestrator.ledger.proofs import Proofs
from orchestrator.protocol.ports import SeatView
from orchestrator.protocol.querylog import Head, verify_inclusion
from orchestrator.scenarios import load_catalogue
from orchestrator.verify.looks import Looks, check_looks
from orchestrator.verify.papers import read_paper
from orchestrator.verify.report import Mark, Report
from orchestrator.verify.trust import KeptKeys, Trust
from orchestrator.verify.withdrawals import Withdrawal, check_withdrawal
from tests.support.consortium import Consortium
from tests.support.gateway import MARKET, POLICE, Gateway, ask
from tests.support.mydata import Identity, identity_over

pytestmark = pytest.mark.anyio

CHEN = "110199198806120116"
POLICE_NAME = load_catalogue().department("beijing-public-security").name.en


class LedgerStandIn:
    """What `Proofs` answers, from heads that a test sets: `verifyLogEntry` itself is tested against the contract."""

    def __init__(self) -> None:
        self.heads: dict[int, list[Head]] = {}

    async def anchored(self, seat: int) -> Head | None:
        return self.heads.get(seat, [None])[-1]

    async def was_anchored(self, head: Head) -> bool:
        return head in self.heads.get(head.seat, [])

    async def in_log(self, head: Head, index: int, leaf: bytes, path: Sequence[bytes]) -> bool:
        return verify_inclusion(leaf, index, head.size, path, head.root)


@pytest.fixture
async def identity(consortium: Consortium, gateway: Gateway, pg_admin_dsn: str) -> AsyncIterator[Identity]:
    async with identity_over(consortium, gateway, pg_admin_dsn, {CHEN: "陈画"}) as opened:
        yield opened


def read(folder: Path, content: Any) -> Any:
    file = folder / "paper.json"
    file.write_bytes(orjson.dumps(content))
    return read_paper(file)


async def saved(consortium: Consortium, operator: GatewayClient, identity: Identity) -> dict[str, Any]:
    """A list of who looked, with one question on chain and one that is not yet."""
    jws = consortium.mandate()
    await ask(consortium, operator, jws, "E05.company.representative")
    await ask(consortium, operator, jws, "E01.handler")
    head = await operator.head(consortium.seat(POLICE))
    identity.heads.heads[POLICE] = Head(seat=POLICE, size=head.size, root=from_hex(head.root))
    await ask(consortium, operator, jws, "E02.handler")
    async with identity.person(CHEN) as person:
        return await person.act("save")


def marks(report: Report, of: Mark) -> list[str]:
    return [each.en for each in report.findings if each.mark is of]


async def test_looks__as_saved__signatures_offline_and_heads_on_chain(
    consortium: Consortium, operator: GatewayClient, identity: Identity, tmp_path: Path
) -> None:
    content = await saved(consortium, operator, identity)
    paper = read(tmp_path, content)
    assert isinstance(paper, Looks)
    ledger = consortium.chain.domain("CaseLedger")
    kept = KeptKeys.of(ledger, 1, await consortium.chain.seats())

    blind = await check_looks(paper, Trust(now=1))
    offline = await check_looks(paper, Trust(now=1, kept=kept))
    node = LedgerStandIn()
    node.heads[POLICE] = [identity.heads.heads[POLICE]]
    online = await check_looks(paper, Trust(now=1, chain=consortium.chain, proofs=cast(Proofs, node)))

    assert marks(blind, Mark.PROVEN) == []
    assert blind.conclusion is Mark.UNCHECKED
    assert any(POLICE_NAME in each for each in marks(offline, Mark.PROVEN))
    assert any("no node" in each for each in marks(offline, Mark.UNCHECKED))
    assert any("anchored on chain" in each for each in marks(online, Mark.PROVEN))
    assert any("not anchored yet" in each for each in marks(online, Mark.UNCHECKED))
    for report in (blind, offline, online):
        assert marks(report, Mark.WRONG) == []
        assert any("without logging it" in each for each in marks(report, Mark.NOT_PROVEN))
        assert CHEN not in "\n".join(report.lines())

    node.heads[POLICE] = []
    gone = await check_looks(paper, Trust(now=1, chain=consortium.chain, proofs=cast(Proofs, node)))
    assert any("not on chain" in each for each in marks(gone, Mark.WRONG))


async def test_looks__log_anchored_further_since__asked_for_the_path(
    consortium: Consortium, operator: GatewayClient, identity: Identity, tmp_path: Path
) -> None:
    paper = read(tmp_path, await saved(consortium, operator, identity))
    later = await operator.head(consortium.seat(POLICE))
    node = LedgerStandIn()
    node.heads[POLICE] = [
        identity.heads.heads[POLICE], Head(seat=POLICE, size=later.size, root=from_hex(later.root))
    ]  # fmt: skip

    async def path(seat: SeatView, index: int, head: Head) -> list[bytes]:
        return list(await operator.inclusion(seat, index, head.size))

    trust = Trust(now=1, chain=consortium.chain, proofs=cast(Proofs, node))
    report = await check_looks(paper, trust, path=path)
    assert marks(report, Mark.WRONG) == []
    assert not any(POLICE_NAME in each for each in marks(report, Mark.UNCHECKED) if "anchored" in each)

    async def lying(seat: SeatView, index: int, head: Head) -> list[bytes]:
        return (await path(seat, index, head))[::-1]

    assert marks(await check_looks(paper, trust, path=lying), Mark.WRONG)


async def test_looks__changed_anywhere__wrong(
    consortium: Consortium, operator: GatewayClient, identity: Identity, tmp_path: Path
) -> None:
    content = await saved(consortium, operator, identity)
    place = next(i for i, each in enumerate(content["seats"]) if each["seat"] == POLICE)
    other = next(i for i, each in enumerate(content["seats"]) if each["seat"] == MARKET)

    def part(changed: Any) -> Any:
        return changed["seats"][place]["parts"][0]

    def flipped(text: str, at: int) -> str:
        return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]

    changes: list[Callable[[Any], Any]] = [
        lambda it: part(it)["told"].update(statement=flipped(part(it)["told"]["statement"], 400)),
        lambda it: part(it).update(access=flipped(part(it)["access"], 300)),
        lambda it: part(it)["told"]["batches"].pop(),
        lambda it: part(it)["told"]["batches"].__setitem__(0, flipped(part(it)["told"]["batches"][0], 200)),
        lambda it: part(it)["told"]["requests"].pop(),
        lambda it: part(it)["told"]["paths"].pop(),
        lambda it: part(it)["told"]["paths"][0].update(size=part(it)["told"]["paths"][0]["size"] + 1),
        lambda it: part(it)["told"]["head"].update(root="0x" + "11" * 32),
        lambda it: it["seats"][place].update(parts=it["seats"][other]["parts"]),
        lambda it: it["subject"].update(id="110199199203040027"),
        lambda it: it["subject"].update(salt=b64(b"\0" * 32)),
        lambda it: it["chain"].update(id=1),
    ]
    for number, change in enumerate(changes):
        changed = copy.deepcopy(content)
        change(changed)
        report = await check_looks(read(tmp_path, changed), Trust(now=1, chain=consortium.chain))
        assert report.conclusion is Mark.WRONG, number
    for broken in ({**content, "seats": 1}, {**content, "subject": {}}, {"format": "lianban-looks-1"}):
        with pytest.raises(Invalid):
            read(tmp_path, broken)


async def test_withdrawal__acknowledged__holds_and_changed_does_not(
    consortium: Consortium, identity: Identity, operator: GatewayClient, tmp_path: Path
) -> None:
    case = await identity.signed(consortium.mandate(), CHEN)
    identity.lines.cut.add("beijing-public-security")
    async with identity.person(CHEN) as person:
        await person.act("withdraw", case=case)
        await identity.courier.deliver_due()
        content = await person.act("receipt", case=case)
    paper = read(tmp_path, content)
    assert isinstance(paper, Withdrawal)
    later = await operator.head(consortium.seat(MARKET))
    node = LedgerStandIn()
    node.heads[MARKET] = [Head(seat=MARKET, size=later.size, root=from_hex(later.root))]

    async def path(seat: SeatView, index: int, head: Head) -> list[bytes]:
        return list(await operator.inclusion(seat, index, head.size))

    trust = Trust(now=1, chain=consortium.chain, proofs=cast(Proofs, node))
    report = await check_withdrawal(paper, trust, path=path)
    assert marks(report, Mark.WRONG) == []
    assert any("the ledger confirms" in each for each in marks(report, Mark.PROVEN))
    assert any("have not acknowledged" in each for each in marks(report, Mark.UNCHECKED))
    assert any("contradicts it" in each for each in marks(report, Mark.NOT_PROVEN))
    kept = KeptKeys.of(consortium.chain.domain("CaseLedger"), 1, await consortium.chain.seats())
    assert len(marks(await check_withdrawal(paper, Trust(now=1, kept=kept)), Mark.PROVEN)) == 1 + len(
        paper.acknowledgements
    )
    assert (await check_withdrawal(paper, Trust(now=1))).conclusion is Mark.UNCHECKED

    changes: list[Callable[[Any], Any]] = [
        lambda it: it["acknowledgements"][0].update(at=it["acknowledgements"][0]["at"] - 1),
        lambda it: it["acknowledgements"][0].update(index=it["acknowledgements"][0]["index"] + 1),
        lambda it: it["acknowledgements"][0].update(seat=POLICE),
        lambda it: it["acknowledgements"][0]["head"].update(size=it["acknowledgements"][0]["head"]["size"] + 1),
        lambda it: it.update(mandate=consortium.mandate()),
        lambda it: it.update(mandate=it["mandate"][:-8] + "AAAAAAAA"),
        lambda it: it["chain"].update(ledger="0x" + "11" * 20),
    ]
    for change in changes:
        changed = copy.deepcopy(content)
        change(changed)
        assert (await check_withdrawal(read(tmp_path, changed), trust, path=path)).conclusion is Mark.WRONG
