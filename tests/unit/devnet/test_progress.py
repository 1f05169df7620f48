from __future__ import annotations

import io

import pytest
from rich.console import Console

from orchestrator.devnet.progress import Steps


def steps_into(stream: io.StringIO) -> Steps:
    return Steps(Console(file=stream, width=200, force_terminal=False))


def test_step__done__one_line_in_both_languages_with_its_note() -> None:
    out = io.StringIO()
    with steps_into(out).step("启动数据库", "starting the database") as step:
        step.note("[port] 5")
    lines = out.getvalue().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("✓")
    for part in ("启动数据库", "starting the database", "[port] 5", " s"):
        assert part in lines[0]


def test_step__fails__marked_and_raised() -> None:
    out = io.StringIO()
    with pytest.raises(RuntimeError), steps_into(out).step("一", "one"):
        raise RuntimeError
    assert out.getvalue().startswith("✗")


def test_counted__parts_done__says_how_many() -> None:
    out = io.StringIO()
    with steps_into(out).counted("二", "two", 5) as advance:
        advance(2)
        advance(3)
    assert "5/5" in out.getvalue()
    assert out.getvalue().startswith("✓")


def test_counted__fails_midway__marked_with_what_was_done() -> None:
    out = io.StringIO()

    def fail_midway() -> None:
        with steps_into(out).counted("二", "two", 5) as advance:
            advance(2)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_midway()
    assert out.getvalue().startswith("✗")
    assert "2/5" in out.getvalue()
