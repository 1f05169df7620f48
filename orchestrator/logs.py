"""Logs: one JSON object a line on standard error, from our own code and from the libraries beneath it.

An unexpected error is told by its kind and its frames. Its message and local variables are left out everywhere: they may
quote what somebody sent or what a department answered. Our own kinds of error say nothing personal and keep their words.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict

from orchestrator.domain import errors
from orchestrator.domain.errors import LianbanError

FRAMES = 8
"""Innermost frames that are told of an error."""

_TRACEBACK = "Traceback (most recent call last)"
_FRAME = re.compile(r'^ *File "(.+)", line (\d+), in (\S+)$', re.MULTILINE)
_KIND = re.compile(r"[\w.]+")


def configure() -> None:
    """Makes this process log as described. Every command calls it before it does anything else."""
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_messages,
            structlog.processors.JSONRenderer(serializer=_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Routed()], level=logging.WARNING, force=True)


def described(error: BaseException) -> dict[str, Any]:
    """Kind and innermost frames of an error, and of what caused it. A group is told by its first member."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    told: dict[str, Any] = {"kind": type(error).__name__, "frames": frames[-FRAMES:]}
    if isinstance(error, LianbanError):
        told["detail"] = error.detail_en or error.detail
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        told["cause"] = type(cause).__name__
    return told


def _without_messages(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: what an event holds of exceptions becomes their description."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["error"] = described(error)
    for name, value in event.items():
        if isinstance(value, BaseException):
            event[name] = described(value)
    return event


class _Routed(logging.Handler):
    """Hands the records of standard logging to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(
            record.levelno,
            _text(record),
            logger=record.name,
            **({"exc_info": record.exc_info} if record.exc_info else {}),
        )


def _text(record: logging.LogRecord) -> str:
    """What a library says, without what an exception says: asyncio, for one, writes an exception's message into its own."""
    if record.exc_info and record.exc_info[1] is not None:
        return f"error in {record.name}"
    if isinstance(record.msg, BaseException):
        return _kind(record.msg)
    if isinstance(record.args, tuple):
        record.args = tuple(_kind(arg) if isinstance(arg, BaseException) else arg for arg in record.args)
    text = record.getMessage()
    return _shortened(text) if _TRACEBACK in text else text


def _shortened(text: str) -> str:
    """A traceback that came as text, as Starlette hands on what happened while it started: its frames and the error's kind."""
    frames = [f"{file}:{line} {name}" for file, line, name in _FRAME.findall(text)]
    last = text.rstrip().rsplit("\n", 1)[-1]
    kind = _KIND.match(last)
    told = last if last.startswith(f"{errors.__name__}.") else kind[0] if kind else "error"
    return " < ".join([told, *reversed(frames[-FRAMES:])])


def _kind(error: BaseException) -> str:
    """An exception as a word; the system's own reason (address in use, no such file) may be told."""
    return f"{type(error).__name__}: {error.strerror}" if isinstance(error, OSError) else type(error).__name__


def _json(event: EventDict, **_: Any) -> str:
    return orjson.dumps(event, default=lambda value: type(value).__name__).decode()
