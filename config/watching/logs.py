"""Log lines: as JSON, one object an event, or as text. Either way `discreet` says what may stand in them."""

import logging
import time
from typing import Any, TextIO

import msgspec
from celery._state import get_current_task

from config.watching import discreet
from meters import request_id

_encode = msgspec.json.Encoder().encode
# No line tells these, and each record would look them up.
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


class _Formatter(logging.Formatter):
    def formatException(self, ei: Any) -> str:  # noqa: N802
        return discreet.raised(ei[1], ei[2]) if ei[1] is not None else ""


class StandardError(logging.StreamHandler[TextIO]):
    """Writes a line at once, and once: the stream lets go of each line by itself."""

    def flush(self) -> None:
        if not getattr(self.stream, "line_buffering", False):
            super().flush()


class TextFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = f"{_instant(record.created)} {record.levelname} {record.name}: {discreet.message(record)}"
        marks: dict[str, Any] = {}
        _mark(marks, record)
        if marks:
            line += f" [{' '.join(f'{name}={value}' for name, value in marks.items())}]"
        if record.exc_info and (trace := self.formatException(record.exc_info)):
            line += f"\n{trace}"
        return line


class JsonFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, Any] = {
            "time": _instant(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": discreet.message(record),
        }
        _mark(event, record)
        if record.exc_info and (trace := self.formatException(record.exc_info)):
            event["error"] = trace
        return _encode(event).decode()


def _mark(event: dict[str, Any], record: logging.LogRecord) -> None:
    """Adds whose doing it is, and what the record says beside its message."""
    if known := request_id.current():
        event["request_id"] = known
    if (task := get_current_task()) is not None and task.request.id:
        event["task"], event["task_id"] = task.name, task.request.id
    if marks := getattr(record, "marks", None):
        event.update(marks)


_second = (0, "")


def _instant(at: float) -> str:
    """RFC 3339, in milliseconds."""
    global _second
    whole = int(at)
    held = _second
    if held[0] != whole:
        held = _second = (whole, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)))
    return f"{held[1]}.{int((at - whole) * 1000):03}Z"
