"""What `lianban verify` says of credentials: nothing that was changed, borrowed, expired or revoked passes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.domain.case import Status
from orchestrator.domain.errors import Invalid, LianbanError, Unavailable
from orchestrator.protocol.credential import Presentation
from orchestrator.protocol.jose import SigningKey
from orchestrator.protocol.keybinding import bind
from orchestrator.protocol.keyset import Keyset, generate_seat_keys
from orchestrator.verify.credentials import FRESH, Reader, check_credential
from orchestrator.verify.report import Mark, Report
from orchestrator.verify.trust import KeptKeys, Trust
from tests.support.consortium import Consortium, make_consortium
from tests.support.credentials import CASE, NOW, Issued, by, claims, gallery_type

pytestmark = pytest.mark.anyio
BANK = Reader(audience="bank", nonce="n-1")


async def check(shown: Presentation, trust: Trust, reader: Reader | None = None) -> Report:
    return await check_credential(shown, trust, reader=reader, types=[gallery_type()])


def says(report: Report, mark: Mark, words: str) -> bool:
    return any(each.mark is mark and words in f"{each.zh} {each.en}" for each in report.findings)


async def test_check__approved_and_bound__all_proven_and_limits_said(made: Issued, online: Trust) -> None:
    shown = bind(
        made.whole.choose(["holder_name", "licence_identifier"]), made.holder, audience="bank", nonce="n-1", now=NOW
    )
    report = await check(shown, online, BANK)
    assert report.conclusion is Mark.PROVEN, list(report.lines())
    assert (report.zh, report.en) == (
        "电子证照 艺术品经营单位备案证明",
        "credential: Certificate of filing of an art business",
    )
    assert [(zh, value) for zh, _, value in report.shown][-1] == ("持证主体", "海淀墨白画廊有限公司")
    for words in ("by its key of that day", "GB/T 36904", "shown by its holder", "approved", "leads the approvers"):
        assert says(report, Mark.PROVEN, words), words
    for words in ("15 more claims", "give --receipt", "that department answers for"):
        assert says(report, Mark.NOT_PROVEN, words), words


async def test_check__with_kept_keys_only__signature_yes_standing_unchecked(made: Issued, offline: Trust) -> None:
    report = await check(made.whole, offline)
    assert report.conclusion is Mark.UNCHECKED
    assert says(report, Mark.PROVEN, "一字未改")
    assert says(report, Mark.UNCHECKED, "no node")
    assert says(report, Mark.NOT_PROVEN, "who shows it need not be its holder")


async def test_check__nothing_at_hand__unchecked(made: Issued) -> None:
    report = await check(made.whole, Trust(now=NOW))
    assert (report.conclusion, len(report.findings)) == (Mark.UNCHECKED, 1)


@pytest.mark.parametrize(
    ("status", "mark"), [(each, Mark.PROVEN if each is Status.APPROVED else Mark.WRONG) for each in Status]
)
async def test_check__status_on_chain__only_approved_counts(
    consortium: Consortium, made: Issued, online: Trust, status: Status, mark: Mark
) -> None:
    consortium.chain.settle(CASE, status, 3, consortium.binding.number)
    assert (await check(made.whole, online)).conclusion is mark


async def test_check__suspended__does_not_count_now_and_may_count_again(
    consortium: Consortium, made: Issued, online: Trust
) -> None:
    consortium.chain.settle(CASE, Status.SUSPENDED, 2, consortium.binding.number)
    report = await check(made.whole, online)
    assert report.conclusion is Mark.WRONG
    assert says(report, Mark.WRONG, "does not count now and may count again")
    consortium.chain.settle(CASE, Status.APPROVED, 3, consortium.binding.number)
    assert (await check(made.whole, online)).conclusion is Mark.PROVEN


async def test_check__issuer_of_another_role__not_the_lead(consortium: Consortium, lead: int, online: Trust) -> None:
    other = next(seat for seat in consortium.binding.providers if seat != lead)
    report = await check(by(consortium, other).whole, online)
    assert report.conclusion is Mark.WRONG
    assert says(report, Mark.WRONG, "not the lead")


async def test_check__in_the_name_of_another_seat__signature_wrong(
    consortium: Consortium, lead: int, online: Trust
) -> None:
    other = next(seat for seat in consortium.binding.providers if seat != lead)
    forged = by(consortium, lead, key=consortium.keys[other].evidence)
    assert says(await check(forged.whole, online), Mark.WRONG, "signature or content")
    assert says(await check(by(consortium, lead, seat=250).whole, online), Mark.WRONG, "no such")


async def test_check__of_another_chain_or_contract__wrong(consortium: Consortium, lead: int, online: Trust) -> None:
    for changes in ({"chain_id": 1}, {"ledger": "0x" + "99" * 20}):
        report = await check(by(consortium, lead, **changes).whole, online)
        assert says(report, Mark.WRONG, "another chain or contract")


async def test_check__term__by_the_readers_clock(consortium: Consortium, lead: int, online: Trust) -> None:
    made = by(consortium, lead, exp=NOW + 1000)
    assert (await check(made.whole, online)).conclusion is Mark.PROVEN
    for moment in (NOW + 1000, NOW - 400):
        assert (await check(made.whole, replace(online, now=moment))).conclusion is Mark.WRONG


@pytest.mark.parametrize(
    "changes",
    [
        {"licence_identifier": "1.2.156.3005.2.11110108MBXY00036B001.11110108MBXY00036B.2020000001.001.M"},
        {"licence_identifier": "1.2.156.3005.2"},
        {"licence_type_code": "11110108MBXY00036B002"},
        {"issuer_code": "91110108MBXYE0016D"},
    ],
)
async def test_check__header_disagrees_with_itself_or_the_seat__wrong(
    consortium: Consortium, lead: int, online: Trust, changes: dict[str, str]
) -> None:
    made = by(consortium, lead)
    assert (await check(made.whole, online)).conclusion is Mark.PROVEN
    faulty = by(consortium, lead, more=claims(consortium.seat(lead).keyset.uscc) | changes)
    assert (await check(faulty.whole, online)).conclusion is Mark.WRONG


async def test_check__holder__binding_for_this_reader_now_or_wrong(made: Issued, online: Trust) -> None:
    def bound(key: SigningKey = made.holder, **changes: Any) -> Presentation:
        return bind(made.whole, key, **{"audience": "bank", "nonce": "n-1", "now": NOW} | changes)

    assert (await check(bound(), online, BANK)).conclusion is Mark.PROVEN
    assert says(await check(bound(), online), Mark.NOT_PROVEN, "--audience")
    bad = [
        made.whole,
        bound(SigningKey.generate()),
        bound(audience="shop"),
        bound(nonce="n-0"),
        bound(now=NOW - FRESH - 60),
        bound(now=NOW + 600),
        Presentation(jwt=made.whole.jwt, disclosures=(), binding=bound().binding),
    ]
    for shown in bad:
        assert (await check(shown, online, BANK)).conclusion is Mark.WRONG


async def test_check__bound_to_no_key__said(consortium: Consortium, lead: int, online: Trust) -> None:
    made = by(consortium, lead, holder=None)
    assert says(await check(made.whole, online), Mark.NOT_PROVEN, "whoever has the file")
    shown = bind(made.whole, made.holder, audience="bank", nonce="n-1", now=NOW)
    assert (await check(shown, online, BANK)).conclusion is Mark.WRONG


async def test_check__issuers_key_rotated_since__by_the_key_of_its_day(lead: int) -> None:
    world = make_consortium()
    seat = world.binding.approvers[0]
    world.chain.settle(CASE, Status.APPROVED, 1, world.binding.number)
    old, later = by(world, seat), by(world, seat, iat=NOW + 50)  # beyond what clocks may differ by
    keys = generate_seat_keys()
    fields = {name: getattr(world.seat(seat).keyset, name) for name in Keyset.__slots__ if name != "keys"}
    world.chain.admit(Keyset(**fields, keys=tuple(keys.public_jwks())), keys, at=NOW + 10)
    trust = Trust(now=NOW + 60, chain=world.chain)
    assert (await check(old.whole, trust)).conclusion is Mark.PROVEN
    assert (await check(later.whole, trust)).conclusion is Mark.WRONG
    world.chain.suspend(seat)
    assert says(await check(old.whole, trust), Mark.NOT_PROVEN, "suspended now")


async def test_check__node_gone__unchecked_never_proven(made: Issued, online: Trust) -> None:
    class Gone:
        def __getattr__(self, name: str) -> Any:
            return getattr(online.chain, name)

        async def status_of(self, case: str) -> Any:
            raise Unavailable("节点没有应答", detail_en="no answer")

    report = await check(made.whole, replace(online, chain=Gone()))  # type: ignore[arg-type]
    assert (report.conclusion, says(report, Mark.UNCHECKED, "no answer")) == (Mark.UNCHECKED, True)


async def test_check__type_metadata_not_at_hand__common_names_and_said(made: Issued, online: Trust) -> None:
    report = await check_credential(made.whole, online, types=[gallery_type() + b" ", b"{}"])
    assert says(report, Mark.NOT_PROVEN, "type metadata")
    assert ("legal_representative", "", "陈画") in report.shown


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_check__one_character_changed__never_proven(made: Issued, online: Trust, data: st.DataObject) -> None:
    text = bind(made.whole, made.holder, audience="bank", nonce="n-1", now=NOW).text()
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("ABcd0189-_~."))
    changed = text[:place] + other + text[place + 1 :]
    if changed == text:
        return
    try:
        report = asyncio.run(check(Presentation.parse(changed), online, BANK))
    except LianbanError:
        return
    assert report.conclusion is Mark.WRONG, list(report.lines())


def test_kept_keys__written_and_read__the_same_seats(offline: Trust, tmp_path: Path) -> None:
    kept = offline.kept
    assert kept is not None
    file = tmp_path / "keys.json"
    file.write_bytes(kept.document())
    assert KeptKeys.read(file) == kept
    for text in (
        "",
        "[]",
        "{}",
        kept.document().decode().replace("lianban-keys-1", "x"),
        '{"format": "lianban-keys-1"}',
    ):
        file.write_text(text)
        with pytest.raises(Invalid):
            KeptKeys.read(file)
