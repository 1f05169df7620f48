"""Texts for people, kept apart from what decides.

A scenario is one tree; what people read in it are `Text` leaves in Chinese and English. `split` takes them out into a flat
document of their own, addressed by path, and `join` puts them back, so that a corrected typo changes the texts' hash and
not the version.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.domain.errors import Invalid


class Part(BaseModel):
    """A frozen piece of a scenario; a field that is not declared is a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Text(Part):
    """What a person reads, in both languages; never part of what decides."""

    zh: str = Field(min_length=1, max_length=2000)
    en: str = Field(min_length=1, max_length=4000)


def split(part: BaseModel) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    """A part as (document without texts, texts by path). Defaults are left out of the document.

    A path is `/`-separated: field names, and for the items of a list their `id`, or their position when they have none.
    """
    texts: dict[str, dict[str, str]] = {}
    return _split_part(part, "", texts), texts


def _split_part(part: BaseModel, path: str, texts: dict[str, dict[str, str]]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        key = field.alias or name
        if isinstance(value, Text):
            texts[f"{path}{key}"] = {"zh": value.zh, "en": value.en}
        elif field.is_required() or value != field.get_default(call_default_factory=True):
            document[key] = _split_value(value, f"{path}{key}/", texts)
    return document


def _split_value(value: Any, path: str, texts: dict[str, dict[str, str]]) -> Any:
    if isinstance(value, BaseModel):
        return _split_part(value, path, texts)
    if isinstance(value, tuple | list):
        return [_split_value(item, f"{path}{_key(item, n)}/", texts) for n, item in enumerate(value)]
    if isinstance(value, Mapping):
        return {str(key): _split_value(item, f"{path}{key}/", texts) for key, item in value.items()}
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _key(item: Any, position: int) -> str:
    name = getattr(item, "id", None)
    if name is None and isinstance(item, Mapping):
        name = item.get("id")
    return str(position) if name is None else str(name)


def join(document: Mapping[str, Any], texts: Mapping[str, Any]) -> dict[str, Any]:
    """The tree of a document with its texts put back in place. Raises Invalid for a text that belongs nowhere."""
    tree: dict[str, Any] = _copy(document)
    for path, text in texts.items():
        *steps, last = str(path).split("/")
        place: Any = tree
        for step in steps:
            place = _descend(place, step)
        if not isinstance(place, dict) or last in place:
            raise Invalid(
                field=f"texts.{path}",
                detail="文本没有对应的位置",
                detail_en="This text belongs to no part of the definition",
                remedy="请重新发布文本 / publish the texts of this definition again",
            )
        place[last] = text
    return tree


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copy(item) for item in value]
    return value


def _descend(place: Any, step: str) -> Any:
    if isinstance(place, dict):
        # A part whose only content is texts leaves no trace in the document.
        return place.setdefault(step, {})
    if isinstance(place, list):
        for n, item in enumerate(place):
            if _key(item, n) == step:
                return item
    return None
