"""Following a log from head to head: every head that a seat signed, wherever it turned up, must be of one log that only grew.

The anchored heads are the spine: the ledger has checked that each extends the one before. Whatever else the seat signed is held
against the spine, and the entries that the gateway shows are hashed anew up to every one of these heads. The chain is read
before the gateway is asked, so that an honest gateway is never behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from orchestrator.audit import telling
from orchestrator.audit.entries import Reading, changed_entry, read_entries
from orchestrator.audit.evidence import Evidence, contradicts
from orchestrator.audit.memory import Memory, Seen
from orchestrator.audit.statements import Promise, Source, Statement, Word
from orchestrator.domain.errors import Invalid, LianbanError, Refused, Unavailable
from orchestrator.ledger.publiclog import PublicLog
from orchestrator.protocol.loghead import SignedHead
from orchestrator.protocol.querylog import LogTree, full_tree, leaf_hash, verify_consistency, verify_inclusion
from orchestrator.verify.report import Report, moment

FRESH: Final = 300
"""Seconds by which a dated statement that is given as new may differ from the auditor's clock."""

MAXIMAL_DELAY: Final = 24 * 3600
"""Seconds after which what a seat has signed must be under an anchored head."""

ORDER: Final = (Source.SHOWN, Source.SEEN, Source.KEPT, Source.PROMISED, Source.CHAIN)
"""Which of two statements of one size is held against the other, after anchored heads."""

Key = tuple[int, bytes]
"""Size and root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What an auditor goes by."""

    word: Word
    log: PublicLog
    now: int
    """Seconds since 1970."""
    within: int = MAXIMAL_DELAY
    memory: Memory | None = None
    promises: Sequence[Promise] = ()
    heads: Sequence[SignedHead] = ()
    """Heads that an operator keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What came of it."""

    report: Report
    lies: tuple[Evidence, ...]
    memory: Memory | None
    """What to remember; None when not all was in order, so that the next run starts from the same place."""
    size: int | None
    """Of the log now; None when the gateway did not say."""
    read: int
    """How many entries were hashed anew."""
    kept: int
    """How many answers are in the anchored log, as promised."""


async def follow(given: Given) -> Followed:
    """Follows one seat's log. Never raises for what the gateway does: that is what the report is about."""
    return await _Walk(given).done()


@dataclass(slots=True)
class _Walk:
    given: Given
    report: Report = field(default_factory=lambda: Report("查询日志", "query log"))
    lies: list[Evidence] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    bare: list[Promise] = field(default_factory=list)
    """Answers whose place nobody signed."""
    reference: dict[int, Statement] = field(default_factory=dict)
    """By size, the statement that others of that size are held against."""
    fits: set[Key] = field(default_factory=set)
    against: dict[Key, tuple[Statement, tuple[bytes, ...]]] = field(default_factory=dict)
    """Heads that do not fit, each with the statement that it contradicts and the nodes that show it."""
    reading: Reading | None = None
    kept: int = 0

    async def done(self) -> Followed:
        shown = await self._look()
        self._gather(shown)
        self._forks()
        if shown is not None:
            self._shrinks(shown)
            await self._hold(shown)
        due = self._promises(shown)
        for promise in self.bare:
            await self._bare(promise)
        self._waiting()
        self._tell(shown, due)
        return Followed(
            report=self.report,
            lies=tuple(self.lies),
            memory=self._remembered(shown),
            size=shown.size if shown else None,
            read=self.reading.agreed - self._start.size if self.reading else 0,
            kept=self.kept,
        )

    # ---- what there is

    async def _look(self) -> Statement | None:
        """What the gateway shows now, once the seat's keys have verified it."""
        word = self.given.word
        try:
            content = await self.given.log.head()
            head = SignedHead.parse(content)
            dated = str(content.get("statement"))
            at = word.said_at(dated, head.size, head.root)
        except Unavailable as error:
            self.report.unchecked(f"日志未能查到:{error.detail}", f"the log cannot be asked: {error.detail_en}")
            return None
        except (Refused, Invalid) as error:
            self.report.wrong(
                f"网关没有给出该席位签署的日志头:{error.detail}",
                f"the gateway does not show a head that the seat signed: {error.detail_en}",
            )
            return None
        key = word.chain.signed_by(head, word.ledger)
        if key is None:
            self.report.wrong("网关所示日志头不是该席位签署的", "the head that is shown is not signed by the seat")
            return None
        if key != word.chain.keys[-1]:
            self.report.unchecked(
                "网关所示日志头由已更换的链上密钥签署:它可能尚未换上新密钥,请稍后再审",
                "the head that is shown is signed by a chain key that was replaced: the gateway may have to take the new one",
            )
        if abs(at - self.given.now) > FRESH:
            self.report.wrong(
                f"网关给出的是 {moment(at)} 的日志头,不是现在的",
                f"the gateway shows a head of {moment(at)}, not of now",
            )
            return None
        return Statement.signed(head, Source.SHOWN, dated=dated, at=at)

    def _gather(self, shown: Statement | None) -> None:
        """Collects every statement there is; an empty log says nothing."""
        given, chain = self.given, self.given.word.chain
        found = [Statement.brought(head, chain.anchored_at if head == chain.newest else None) for head in chain.heads]
        if given.memory is not None:
            found += [_again(seen) for seen in (given.memory.newest, given.memory.waiting) if seen is not None]
        for promise in given.promises:
            head = promise.place.head
            if head is not None and promise.holds and chain.signed_by(head, given.word.ledger) is not None:
                found.append(Statement.signed(head, Source.PROMISED, promise=promise, at=promise.at))
            else:
                self.bare.append(promise)
        found += [
            Statement.signed(head, Source.KEPT)
            for head in given.heads
            if chain.signed_by(head, given.word.ledger) is not None
        ]
        if shown is not None:
            found.append(shown)
        self.statements = [each for each in dict.fromkeys(found) if each.size]

    @property
    def _start(self) -> LogTree:
        return self.given.memory.tree() if self.given.memory else LogTree()

    @property
    def _turned(self) -> bool:
        """Whether the log that is shown is not the one that was anchored, or that was shown before."""
        fixed = (each for each in self.statements if each.anchored or each.source in (Source.SHOWN, Source.SEEN))
        return any(_key(each) in self.against for each in fixed)

    @property
    def _anchored(self) -> int:
        newest = self.given.word.chain.newest
        return newest.size if newest else 0

    def _lie(self, evidence: Evidence) -> None:
        self.lies.append(evidence)
        self.report.wrong(evidence.zh, evidence.en)

    # ---- what does not fit

    def _forks(self) -> None:
        for each in sorted(self.statements, key=lambda each: (not each.anchored, ORDER.index(each.source))):
            first = self.reference.setdefault(each.size, each)
            if first.root != each.root and _key(each) not in self.against:
                self.against[_key(each)] = first, ()
                self._lie(telling.forked(first, each))

    def _shrinks(self, shown: Statement) -> None:
        larger = [each for each in self.statements if each.size > shown.size and each.promise is None]
        if larger:
            most = max(larger, key=lambda each: (contradicts(each, shown, ()), each.size))
            self.against[_key(shown)] = most, ()
            self._lie(telling.shrunk(most, shown))

    async def _hold(self, shown: Statement) -> None:
        """Holds every statement against the entries that are shown, and where those do not reach, against proofs."""
        spine = sorted(
            (each for each in self.reference.values() if each.anchored or each.source in (Source.SHOWN, Source.SEEN)),
            key=lambda each: each.size,
        )
        if _key(shown) not in self.against:
            await self._read(spine, shown)
        before = len(self.lies)
        newest = next((each for each in reversed(spine) if each.anchored), None)
        # One anchored head stands for those before it: the ledger has linked them.
        leading = [each for each in spine if each is newest or each.source is Source.SEEN]
        reading = self.reading
        if reading is None or reading.failed is not None:
            await self._prove(leading, (), shown)  # nothing that was read leads to the head that is shown
        else:
            memory = self.given.memory
            found = memory.block if memory is not None else 0
            known = [each for each in self.statements if each.anchored_by(found)]
            self.fits |= {_key(each) for each in known} - self.against.keys()
        if reading is not None:
            right = {_key(each) for each in self.statements if reading.roots.get(each.size) == each.root}
            self.fits |= right - self.against.keys()
        await self._prove([*leading, *(each for each in self.statements if not each.anchored)], spine, shown)
        if reading is not None and reading.failed is not None and len(self.lies) == before:
            await self._entries(reading, reading.failed)

    async def _prove(self, some: Sequence[Statement], spine: Sequence[Statement], shown: Statement) -> None:
        """Asks for the proofs that are still owed for some statements: of those that the ledger has, none."""
        for each in some:
            settled = _key(each) in self.fits or _key(each) in self.against
            if settled or each.size >= shown.size or self._also_anchored(each):
                continue
            later = [other for other in spine if other.size > each.size and not (each.anchored and other.anchored)]
            await self._link(each, {_key(other): other for other in (shown, *later[:1])})

    def _also_anchored(self, each: Statement) -> bool:
        """Whether a head from elsewhere is one that the ledger has."""
        reference = self.reference[each.size]
        return not each.anchored and reference.anchored and reference.root == each.root

    async def _read(self, spine: Sequence[Statement], shown: Statement) -> None:
        must = {each.size: each.root for each in spine if each.size <= shown.size}
        also = [size for size in self.reference if size <= shown.size]
        try:
            self.reading = await read_entries(self.given.log, self._start, must, also)
        except Unavailable as error:
            self.report.unchecked(f"记录未能读到:{error.detail}", f"the entries cannot be read: {error.detail_en}")

    async def _entries(self, reading: Reading, failed: int) -> None:
        """The heads agree with each other, but the entries do not with them."""
        head = self.reference[failed]
        try:
            index = await changed_entry(self.given.log, reading.agreed, head.size, head.root)
        except Unavailable:
            index = None
        first = reading.agreed if index is None else index
        asked = f"{self.given.log.url}/log/entries?first={first}&count={head.size - first}"
        self._lie(telling.changed(head, index, asked))

    async def _link(self, old: Statement, later: Mapping[Key, Statement]) -> None:
        """Asks for the proof that a later head extends an older one: of the smallest of `later`, and if that cannot be shown of
        the others. A gateway that has turned to another log cannot prove anything of the one before, true or not."""
        found: tuple[Statement, tuple[bytes, ...]] | None = None
        for new in sorted(later.values(), key=lambda each: each.size):
            try:
                proof = await self.given.log.consistency(old.size, new.size)
            except LianbanError as error:
                if error.code == "gateway-down":
                    self.report.unchecked(error.detail, error.detail_en)
                    return
                proof = []
            if verify_consistency(old.size, old.root, new.size, new.root, proof):
                if found is None:
                    self.fits.add(_key(old))
                    return
                continue
            nodes = await self._nodes(old, new, proof)
            if contradicts(old, new, nodes):
                found = new, nodes
                break
            found = found or (new, nodes)
        if found is not None and not contradicts(old, *found) and self._turned:
            self.report.unchecked(
                f"网关现在是另一份日志,{old.size} 条的日志头({telling.where(old)[0]})无从证明",
                f"the gateway has another log now: nothing can be proven of the head of {old.size} ({telling.where(old)[1]})",
            )
        elif found is not None:
            self.against[_key(old)] = found
            if old.promise is None:
                self._lie(telling.rewritten(old, *found, self._owed(old, found[0])))

    async def _nodes(self, old: Statement, new: Statement, proof: list[bytes]) -> tuple[bytes, ...]:
        """The proof's nodes with the first one written out, which a proof leaves to the reader when it is a full tree."""
        if old.size & (old.size - 1):
            return tuple(proof)
        try:
            text, path = await self.given.log.inclusion(old.size - 1, new.size)
        except LianbanError:
            return ()
        return (full_tree(leaf_hash(text.encode()), old.size - 1, path), *proof)

    def _owed(self, old: Statement, new: Statement) -> str:
        return f"{self.given.log.url}/log/consistency?first={old.size}&second={new.size}"

    # ---- what was promised

    def _promises(self, shown: Statement | None) -> int:
        """Judges the promises, those of one head together. Returns how many are still to be anchored."""
        together: dict[Key, list[Statement]] = {}
        for each in self.statements:
            if each.promise is not None:
                together.setdefault(_key(each), []).append(each)
        due = 0
        for key, some in together.items():
            first, reference = some[0], self.reference[key[0]]
            if key in self.against:
                other, nodes = self.against[key]
                self._lie(telling.broken(first, other, nodes, len(some), self._owed(first, other)))
            elif shown is not None and first.size > shown.size:
                least = max(some, key=lambda each: each.had)  # the one that shows most entries gone
                self._lie(telling.broken(least, shown, (), len(some), self._owed(shown, least)))
            elif reference.anchored or (key in {*self.fits, _shown_key(shown)} and not self._turned):
                kept = [each for each in some if each.had <= self._anchored]
                self.kept += len(kept)
                late = [each for each in some if each.had > self._anchored and self._late(each.at)]
                if late:
                    self._lie(telling.overdue(late[0], self.given.within, len(late)))
                due += len(some) - len(kept) - len(late)
            else:
                named, named_en = telling.answer(first, len(some))
                self.report.unchecked(f"{named}未能核对", f"{named_en} not checked")
        return due

    async def _bare(self, promise: Promise) -> None:
        """An answer whose place nobody signed: it must be logged all the same, but only its carrier says where."""
        self.report.unchecked(
            f"对 {promise.question[:10]}… 的应答没有附该席位签署的日志头,其位置无人签署",
            f"the answer to {promise.question[:10]}… has no head that the seat signed: nobody signed its place",
        )
        index = promise.place.index
        head = min(
            (each for each in self.reference.values() if each.anchored and each.size > index),
            key=lambda each: each.size,
            default=None,
        )
        if head is None:
            return
        try:
            _, path = await self.given.log.inclusion(index, head.size)
        except LianbanError as error:
            if error.code == "gateway-down":
                return
            path = []
        if verify_inclusion(promise.leaf, index, head.size, path, head.root):
            self.kept += 1
        else:
            asked = f"{self.given.log.url}/log/inclusion?index={index}&size={head.size}"
            self._lie(telling.misplaced(promise.question, index, head, asked))

    def _waiting(self) -> None:
        """What was shown to this auditor itself is a promise too: it comes under an anchored head in time."""
        waiting = self.given.memory.waiting if self.given.memory else None
        if waiting is not None and waiting.head.size > self._anchored and self._late(waiting.at):
            self._lie(telling.overdue(_again(waiting), self.given.within, 0))

    def _late(self, at: int | None) -> bool:
        return at is not None and self.given.now > at + self.given.within

    # ---- what is told and remembered

    def _tell(self, shown: Statement | None, due: int) -> None:
        word, report, memory = self.given.word, self.report, self.given.memory
        name = word.seat.keyset.name
        report.shown.append((f"席位 seat {word.seat.number}", f"{name['zh']} {name['en']}", word.seat.keyset.id))
        report.shown.append(("网关", "gateway", self.given.log.url))
        if shown is not None and shown.at is not None:
            report.shown.append(("现有", "entries now", f"{shown.size}  {moment(shown.at)}"))
        if word.chain.anchored_at is not None:
            heads = len(word.chain.anchored)
            telling.anchored(report, heads, self._anchored, word.chain.anchored_at, self.given.now)
        else:
            report.not_proven("还没有锚定的日志头", "no head is anchored yet")
        if shown is not None and self._complete(shown):
            known = {_key(each) for each in self.statements}
            anchored = {_key(each) for each in self.statements if each.anchored}
            made = known & {*self.fits, *anchored, _key(shown)} - self.against.keys()
            telling.read(report, shown.size - self._start.size, shown.size, len(made), len(known))
            if memory is not None:
                telling.remembered(report, memory.newest.head.size, memory.newest.at)
        telling.promises(report, self.kept, due, self.given.within)
        telling.not_proven(report)

    def _complete(self, shown: Statement) -> bool:
        """Whether the entries made every root up to the one that is shown, and nothing contradicts it."""
        read = self.reading is not None and self.reading.agreed == shown.size
        return read and _key(shown) not in self.against

    def _remembered(self, shown: Statement | None) -> Memory | None:
        if shown is None or not shown.size or not self._complete(shown):
            return None
        assert self.reading is not None
        word, before = self.given.word, self.given.memory.waiting if self.given.memory else None
        newest = _seen(shown, word.seat.number)
        waiting = before if before is not None and before.head.size > self._anchored else newest
        return Memory(
            ledger=word.ledger,
            seat=word.seat.number,
            block=word.chain.block,
            nodes=tuple(self.reading.tree.frontier().values()),
            newest=newest,
            waiting=waiting if waiting.head.size > self._anchored else None,
        )


def _key(said: Statement) -> Key:
    return said.size, said.root


def _shown_key(shown: Statement | None) -> Key | None:
    return _key(shown) if shown is not None else None


def _again(seen: Seen) -> Statement:
    """A head that was remembered, as a statement."""
    return Statement.signed(seen.head, Source.SEEN, dated=seen.dated, at=seen.at)


def _seen(shown: Statement, seat: int) -> Seen:
    """A head that is shown, to be remembered."""
    assert shown.signature is not None
    assert shown.dated is not None
    assert shown.at is not None
    root = "0x" + shown.root.hex()
    head = SignedHead(seat=seat, size=shown.size, root=root, signature=shown.signature)
    return Seen(head=head, dated=shown.dated, at=shown.at)
