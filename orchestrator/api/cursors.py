"""Cursors: where a list goes on. Opaque to clients, and nothing in them is secret or personal."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated

from fastapi import Query

from orchestrator.domain.canonical import b64, unb64
from orchestrator.domain.errors import Invalid

Limit = Annotated[int, Query(ge=1, le=200, description="一页的条数 / entries of a page")]
Cursor = Annotated[str | None, Query(max_length=300, description="上一页给出的 next / the `next` of the page before")]


def cursor_of(moment: datetime, name: str) -> str:
    """The cursor behind an entry."""
    return b64(json.dumps([moment.isoformat(), name]).encode())


def read_cursor(cursor: str | None) -> tuple[datetime, str] | None:
    """Moment and name of the entry that a cursor stands behind; None without a cursor. Raises Invalid for no cursor of ours."""
    if cursor is None:
        return None
    try:
        moment, name = json.loads(unb64(cursor))
        found = datetime.fromisoformat(moment)
        if not isinstance(name, str) or found.tzinfo is None:
            raise ValueError
    except (ValueError, TypeError):
        raise Invalid(
            field="cursor",
            detail="游标无效",
            detail_en="this is no cursor",
            remedy="用上一页的 next,或去掉 cursor 从头开始 / use `next` of the page before, or leave it out",
        ) from None
    return found, name
