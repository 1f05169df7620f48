"""The difference between two versions of a scenario, in plain words: what an officer reads before the seat signs.

Two scenarios are compared part by part and field by field, over everything that their documents say; nothing has to be
foreseen for it to show. A change says in Chinese and in English what was and what is. What only people read (a corrected
typo) is told apart from what decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson
from pydantic import BaseModel

from orchestrator.domain.canonical import canonical
from orchestrator.domain.catalogue import Catalogue
from orchestrator.domain.cells import Input
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.scenario_parts import Act, Claim, DatedValue, EvidenceItem
from orchestrator.domain.texts import Text
from orchestrator.domain.vocabulary import SECTIONS, Words, label_of
from orchestrator.domain.wording import Seating, Wording

Mark = Literal["+", "-", "~"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that is otherwise than before."""

    section: str
    """Key of `vocabulary.SECTIONS`: the field of the scenario that it is in, or `seats`."""
    place: Words
    """The part that it is about, and of that the field: `规则 GAL-09:适用条件`."""
    was: Words | None
    """None for what is new."""
    now: Words | None
    """None for what is dropped."""
    decides: bool
    """False for what only people read: it makes no new version."""

    @property
    def mark(self) -> Mark:
        """Added, dropped or changed."""
        return "+" if self.was is None else "-" if self.now is None else "~"

    def sentences(self) -> Words:
        """The change as one sentence in each language."""
        zh, en = self.place
        match self.was, self.now:
            case None, Words() as now:
                return Words(f"新增 {_pair(zh, now.zh)}", f"added: {_pair(en, now.en, ': ')}")
            case Words() as was, None:
                return Words(f"删除 {_pair(zh, was.zh)}", f"dropped: {_pair(en, was.en, ': ')}")
            case Words() as was, Words() as now:
                return Words(f"{zh}由 {was.zh} 改为 {now.zh}", f"{en}: {was.en} → {now.en}")
        raise ValueError("a change says what was or what is")


def _pair(place: str, said: str, by: str = ":") -> str:
    return by.join(part for part in (place, said) if part)


def compare(
    old: Scenario | None,
    new: Scenario,
    *,
    catalogue: Catalogue | None = None,
    seated_before: Seating | None = None,
    seated: Seating | None = None,
) -> tuple[Change, ...]:
    """Every change from `old` to `new`, by section; everything that `new` says when there is nothing to compare with.

    Empty exactly when both have the same definition and texts, and the same seating where one is given.
    """
    then = Wording(_as_published(old), catalogue, seated_before or seated) if old is not None else None
    now = Wording(_as_published(new), catalogue, seated or seated_before)
    changes = [*_seats(seated_before if old is not None else None, seated), *_scenarios(then, now)]
    order = {section: place for place, section in enumerate(SECTIONS)}
    return tuple(sorted(changes, key=lambda change: (not change.decides, order[change.section])))


def _as_published(scenario: Scenario) -> Scenario:
    """The scenario as it is read back from its documents, in which equal values look alike."""
    definition, texts = canonical(scenario.definition()), canonical(scenario.texts())
    return Scenario.from_documents(orjson.loads(definition), orjson.loads(texts))


def _scenarios(then: Wording | None, now: Wording) -> Iterator[Change]:
    for name in Scenario.model_fields:
        if name == "format":  # there is one
            continue
        before, after = getattr(then.scenario, name) if then else None, getattr(now.scenario, name)
        here = _Place(section=name, then=then or now, now=now, title=Words("", ""))
        if name == "inputs":
            yield from here.inputs(before or (), after)
        elif isinstance(after, tuple) and name not in ("approvers", "countersign", "providers"):
            yield from here.lists(before or (), after)
        elif isinstance(after, BaseModel) and not isinstance(after, Text) and before is not None:
            yield from here.parts(before, after)
        else:
            yield from here.field(now.scenario, name, before, after, there=then is not None)


def _seats(before: Seating | None, after: Seating | None) -> Iterator[Change]:
    if after is None:
        return
    for key in dict.fromkeys((*after.places(), *(before.places() if before else ()))):
        was, now = before.places().get(key) if before else None, after.places().get(key)
        if was != now:
            yield Change(section="seats", place=key, was=was, now=now, decides=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where in the scenario a comparison is."""

    section: str
    then: Wording
    now: Wording
    title: Words
    """The part in words, with those that it is in; empty for the scenario itself."""

    def parts(self, old: BaseModel, new: BaseModel) -> Iterator[Change]:
        """What differs between two parts of the same id."""
        for name in type(new).model_fields:
            before, after = getattr(old, name), getattr(new, name)
            if _same(before, after):
                continue
            if _is_list_of_parts(before) and _is_list_of_parts(after) and (before or after) and name not in _WHOLE:
                yield from self._list_in(old, new, name, before, after)
            elif isinstance(after, BaseModel) and isinstance(before, BaseModel) and not isinstance(after, Text | Act):
                yield from self._in(label_of(type(new).__name__, name)).parts(before, after)
            else:
                yield from self.field(new, name, before, after, old)

    def _list_in(
        self, old: BaseModel, new: BaseModel, name: str, before: Sequence[BaseModel], after: Sequence[BaseModel]
    ) -> Iterator[Change]:
        if (before or after) and isinstance((before or after)[0], Claim):
            yield from self.lists(before, after, of=(old, new))
        else:
            yield from self.lists(before, after)

    def _in(self, title: Words) -> _Place:
        said = Words(f"{self.title.zh},{title.zh}", f"{self.title.en}, {title.en}") if self.title.zh else title
        return replace(self, title=said)

    def lists(
        self, old: Sequence[BaseModel], new: Sequence[BaseModel], of: tuple[BaseModel, BaseModel] | None = None
    ) -> Iterator[Change]:
        """What differs between two lists of parts: dropped, added, changed, and in another order."""
        were, are = _keyed(old), _keyed(new)
        for key, part in were.items():
            if key not in are:
                title, said = self._whole(self.then, part, of[0] if of else None)
                yield self._change(title, said, None)
        for key, part in are.items():
            if key not in were:
                title, said = self._whole(self.now, part, of[1] if of else None)
                yield self._change(title, None, said)
            elif not _same(were[key], part):
                yield from self._in(_title(self.now, part, of[1] if of else None)).parts(were[key], part)
        yield from self._order([each for each in were if each in are], [each for each in are if each in were])

    def _order(self, were: Sequence[str], are: Sequence[str]) -> Iterator[Change]:
        if were != are:
            first = next(n for n in range(len(are)) if were[n] != are[n])
            was, now = ((", ".join(names[first : first + 4])) for names in (were, are))
            label = Words(f"顺序(自第 {first + 1} 项起)", f"order (from {first + 1} on)")
            yield self._change(label, Words(was, was), Words(now, now))

    def _whole(self, wording: Wording, part: BaseModel, of: BaseModel | None) -> tuple[Words, Words]:
        """A part that came or went: what it is called and what it says."""
        # What the title says already is not said again.
        said = ("claim", "name") if isinstance(part, Claim) else ("provider", "name", "from_")
        return _title(wording, part, of), wording.described(part, but=said)

    def inputs(self, old: Sequence[Input], new: Sequence[Input]) -> Iterator[Change]:
        """What rules may read: those that came and went in one line each, since what they are is said elsewhere."""
        were, are = _keyed(old), _keyed(new)
        for wording, there, other in ((self.then, were, are), (self.now, are, were)):
            names = [wording.input(key) for key in there if key not in other]
            if names:
                said = Words("、".join(each.zh for each in names), ", ".join(each.en for each in names))
                gone = there is were
                yield self._change(Words("", ""), said if gone else None, None if gone else said)
        for key in are:
            if key in were and not _same(were[key], are[key]):
                yield from self._in(self.now.input(key)).parts(were[key], are[key])
        yield from self._order([each for each in were if each in are], [each for each in are if each in were])

    def field(
        self,
        part: BaseModel,
        name: str,
        before: Any,
        after: Any,
        old: BaseModel | None = None,
        *,
        there: bool = True,
    ) -> Iterator[Change]:
        """A field that is otherwise; nothing when it is the same. Not `there`: nothing was before."""
        if _same(before, after):
            return
        label = label_of(type(part).__name__, name)
        was, now = self.then.value(old or part, name, before), self.now.value(part, name, after)
        if was == now:  # told apart by how they are written
            was, now = _spelt(was, before), _spelt(now, after)
        elif there and was.zh == now.zh:
            was, now = (Words(f"{said.zh}(英文 {said.en})", said.en) for said in (was, now))
        elif there and was.en == now.en:
            was, now = (Words(said.zh, f"{said.en} (in Chinese {said.zh})") for said in (was, now))
        decides = not isinstance(before if before is not None else after, Text)
        yield self._change(label, was if there else None, now, decides=decides)

    def _change(self, label: Words, was: Words | None, now: Words | None, *, decides: bool = True) -> Change:
        place = Words(_pair(self.title.zh, label.zh), _pair(self.title.en, label.en, ": "))
        return Change(section=self.section, place=place, was=was, now=now, decides=decides)


_WHOLE = frozenset({"statutory", "before", "after"})
"""Lists whose order decides: said as a whole."""


def _title(wording: Wording, part: BaseModel, of: BaseModel | None) -> Words:
    if isinstance(part, Claim) and isinstance(of, EvidenceItem):
        return wording.claim(of, part)
    return wording.title(part)


def _is_list_of_parts(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(each, BaseModel) for each in value)


def _keyed(parts: Sequence[BaseModel]) -> dict[str, BaseModel]:
    """The parts by what names them; a name that comes again is numbered."""
    found: dict[str, BaseModel] = {}
    for part in parts:
        match part:
            case Claim():
                name = part.key
            case DatedValue():
                name = part.from_.isoformat()
            case Input():
                name = part.name
            case _:
                name = str(part.id) if "id" in type(part).model_fields else ""  # type: ignore[attr-defined]
        key, number = name, 2
        while key in found:
            key, number = f"{name}#{number}", number + 1
        found[key] = part
    return found


def _same(one: Any, other: Any) -> bool:
    # By how they are written: True and 1 are equal to Python, and not to who reads the document.
    return one is other or repr(one) == repr(other)


def _spelt(said: Words, value: Any) -> Words:
    return Words(f"{said.zh} {value!r}", f"{said.en} {value!r}")
