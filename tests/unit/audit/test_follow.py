"""Following any log, with heads known from anywhere: an honest one is never accused, a bent one always caught and proven."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from orchestrator.audit.evidence import check
from orchestrator.audit.follow import Followed, Given, follow
from orchestrator.audit.memory import Memory
from orchestrator.audit.statements import Promise, Word
from orchestrator.domain.canonical import canonical, to_hex
from orchestrator.ledger.heads import ChainHead, KeyInForce, LogOnChain, Outcome
from orchestrator.ledger.publiclog import PublicLog
from orchestrator.protocol.answer import TYP as ANSWER
from orchestrator.protocol.answer import LogPlace
from orchestrator.protocol.jose import sign_jws
from orchestrator.protocol.keyset import generate_seat_keys
from orchestrator.protocol.loghead import SignedHead, sign_statement
from orchestrator.protocol.ports import SeatView
from orchestrator.protocol.querylog import LogTree, entry, leaf_hash
from orchestrator.protocol.sheet import Domain, head_digest
from orchestrator.verify.report import Mark
from tests.support.consortium import make_consortium

LEDGER = Domain(chain_id=77, contract="0x" + "ab" * 20)
NOW = 1_800_000_000
SEAT = 1
KEYS = generate_seat_keys(identity=False)


def _view() -> SeatView:
    view = make_consortium().seat(SEAT)
    keyset = type(view.keyset)(**{**_fields(view.keyset), "keys": tuple(KEYS.public_jwks())})
    return SeatView(number=SEAT, keyset=keyset, signer=KEYS.chain.address, active=True)


def _fields(keyset: Any) -> dict[str, Any]:
    return {name: getattr(keyset, name) for name in type(keyset).__slots__}


VIEW = _view()


@dataclass(slots=True)
class Log:
    """A seat's log in memory, served as a gateway serves it."""

    entries: list[bytes] = field(default_factory=list)

    def tree(self, size: int) -> LogTree:
        tree = LogTree()
        tree.append([leaf_hash(each) for each in self.entries[:size]])
        return tree

    def head(self, size: int | None = None) -> SignedHead:
        at = len(self.entries) if size is None else size
        root = self.tree(at).root()
        signature = to_hex(KEYS.chain.sign_hash(head_digest(LEDGER, SEAT, at, root)))
        return SignedHead(seat=SEAT, size=at, root=to_hex(root), signature=signature)

    def promise(self, index: int, size: int) -> Promise:
        """The answer to the question at `index`, with the head over `size`; entries are of `an_entry`."""
        batch, question = f"0x{index:064x}", f"0x{index + 1:064x}"
        answer = sign_jws({"question": question, "attempt": 1, "iat": NOW - 50}, typ=ANSWER, key=KEYS.evidence)
        path = tuple(to_hex(node) for node in self.tree(size).inclusion_proof(index))
        return Promise.read(answer, LogPlace(index=index, path=path, batch=batch, head=self.head(size)), VIEW)

    def serve(self, request: httpx.Request) -> httpx.Response:
        asked = {name: int(value) for name, value in request.url.params.items()}
        match request.url.path.rpartition("/")[2]:
            case "head":
                head = self.head()
                dated = sign_statement(LEDGER, SEAT, head.size, head.root, iat=NOW, key=KEYS.evidence)
                content: dict[str, Any] = {**head.model_dump(mode="json"), "statement": dated}
            case "consistency" if asked["second"] <= len(self.entries):
                proof = self.tree(asked["second"]).consistency_proof(asked["first"])
                content = {"proof": [to_hex(node) for node in proof]}
            case "inclusion" if asked["size"] <= len(self.entries):
                path = self.tree(asked["size"]).inclusion_proof(asked["index"])
                content = {"entry": self.entries[asked["index"]].decode(), "path": [to_hex(node) for node in path]}
            case "entries":
                page = self.entries[asked["first"] : asked["first"] + min(asked["count"], 3)]  # always in several pages
                content = {"entries": [each.decode() for each in page]}
            case _:
                return httpx.Response(422, json={"title": "…"})
        return httpx.Response(200, json=content)


def an_entry(index: int) -> bytes:
    return entry(f"0x{index:064x}", f"0x{index + 1:064x}", 1)


def word(heads: Sequence[SignedHead]) -> Word:
    """The seat with these heads anchored."""
    anchored = tuple(
        ChainHead(
            outcome=Outcome.ANCHORED,
            size=head.size,
            root=head.root,
            signature=head.signature,
            block=10 + place,
            transaction=f"0x{place:064x}",
        )
        for place, head in enumerate(heads)
    )
    chain = LogOnChain(
        seat=SEAT,
        block=100,
        heads=anchored,
        keys=(KeyInForce(signer=KEYS.chain.address, from_block=1),),
        anchored_at=NOW - 20 if anchored else None,
    )
    return Word(seat=VIEW, ledger=LEDGER, chain=chain)


def audit(log: Log, known: Word, **more: Any) -> Followed:
    async def run() -> Followed:
        async with PublicLog("http://gateway.test", transport=httpx.MockTransport(log.serve)) as public:
            return await follow(Given(word=known, log=public, now=NOW, **more))

    return asyncio.run(run())


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, list[int], int | None, list[tuple[int, int]], list[int]]:
    """Size of a log, sizes that were anchored, size that was seen before, answers with index and size, kept heads."""
    size = draw(st.integers(1, 40))
    sizes = st.integers(1, size)
    anchored = sorted(set(draw(st.lists(sizes, max_size=4))))
    seen = draw(st.none() | sizes)
    answers = []
    for _ in range(draw(st.integers(0, 3))):
        under = draw(sizes)
        answers.append((draw(st.integers(0, under - 1)), under))
    answers = list(dict.fromkeys(answers))
    return size, anchored, seen, answers, draw(st.lists(sizes, max_size=2))


History = tuple[int, list[int], int | None, list[tuple[int, int]], list[int]]


def before(log: Log, anchored: Sequence[int], seen: int | None) -> Memory | None:
    """What an auditor remembers who saw the log at that size."""
    if seen is None:
        return None
    then = Log(log.entries[:seen])
    return audit(then, word([log.head(size) for size in anchored if size <= seen])).memory


@settings(max_examples=25)
@given(history=histories())
def test_follow__any_honest_log__never_accused(history: History) -> None:
    size, anchored, seen, answers, kept = history
    log = Log([an_entry(index) for index in range(size)])
    memory = before(log, anchored, seen)
    assert (memory is None) == (seen is None)
    done = audit(
        log,
        word([log.head(each) for each in anchored]),
        memory=memory,
        promises=[log.promise(*each) for each in answers],
        heads=[log.head(each) for each in kept],
    )
    assert done.lies == ()
    assert done.report.conclusion is Mark.PROVEN
    newest = max(anchored, default=0)
    assert done.kept == sum(1 for index, _ in answers if index < newest)
    assert done.memory is not None
    assert done.memory.tree().root() == log.tree(size).root()
    assert done.read == size - (seen or 0)


@settings(max_examples=25)
@given(history=histories(), data=st.data())
def test_follow__entry_changed_that_a_head_covers__caught_and_proven(history: History, data: st.DataObject) -> None:
    size, anchored, seen, answers, kept = history
    log = Log([an_entry(index) for index in range(size)])
    heads = word([log.head(each) for each in anchored])
    memory = before(log, anchored, seen)
    promises, operator = [log.promise(*each) for each in answers], [log.head(each) for each in kept]
    covered = max([*anchored, seen or 0, *(under for _, under in answers), *kept], default=0)
    assume(covered)
    changed = data.draw(st.integers(0, covered - 1))
    bent = list(log.entries)
    bent[changed] = canonical({"never": secrets.token_hex(4)})
    bent += [an_entry(1000 + each) for each in range(data.draw(st.integers(0, 3)))]
    done = audit(Log(bent), heads, memory=memory, promises=promises, heads=operator)
    assert done.report.conclusion is Mark.WRONG
    assert done.lies
    for lie in done.lies:
        assert lie.proven, lie.en
        document = lie.document(heads)
        assert check(document, heads, now=NOW).conclusion is Mark.PROVEN


@settings(max_examples=25)
@given(history=histories(), data=st.data())
def test_follow__cut_below_a_head__caught(history: History, data: st.DataObject) -> None:
    size, anchored, seen, answers, kept = history
    log = Log([an_entry(index) for index in range(size)])
    heads = word([log.head(each) for each in anchored])
    memory = before(log, anchored, seen)
    promises, operator = [log.promise(*each) for each in answers], [log.head(each) for each in kept]
    most = max([*anchored, seen or 0, *(under for _, under in answers), *kept], default=0)
    assume(most)
    cut = data.draw(st.integers(0, most - 1))
    done = audit(Log(log.entries[:cut]), heads, memory=memory, promises=promises, heads=operator)
    assert done.report.conclusion is Mark.WRONG
    assert done.lies
    # What carries a time is proven; a head that an operator keeps, or one with an older answer, carries none.
    dated = max([*anchored[-1:], seen or 0, *(index + 1 for index, _ in answers)], default=0)
    assert any(lie.proven for lie in done.lies) == (cut < dated)
