"""Cursors go there and back, and nothing else is taken for one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.api.cursors import cursor_of, read_cursor
from orchestrator.domain.errors import Invalid

MOMENTS = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=8))]))


@given(moment=MOMENTS, name=st.text(max_size=80))
def test_read_cursor__made_by_us__the_entry_it_stands_behind(moment: datetime, name: str) -> None:
    assert read_cursor(cursor_of(moment, name)) == (moment, name)


def test_read_cursor__none__the_beginning() -> None:
    assert read_cursor(None) is None


@given(text=st.text(max_size=60))
def test_read_cursor__anything_else__named_as_faulty(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_cursor(text)
    assert caught.value.field == "cursor"
