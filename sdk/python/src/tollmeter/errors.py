"""What can go wrong, as exceptions: raised by calls, and given to `on_error` where nobody waits for an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx


class TollmeterError(Exception):
    """All that this package raises, and all that `on_error` is given."""


class Closed(TollmeterError):
    """The client was closed, so nothing more can be recorded with it."""


class QueueFull(TollmeterError):
    """As many facts wait as the queue may hold, and `when_full` is "raise"; this one was not recorded."""


class Unreachable(TollmeterError):
    """No answer came, or none that can be read. To `on_error`, `retry_in` says in how many seconds the next try is."""

    def __init__(self, detail: str, *, retry_in: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_in = retry_in


class Problem(TollmeterError):
    """The server refused, with a problem document (RFC 9457).

    `code` is stable and made for programs, `detail` a sentence for people, and `errors` names each fault of the input
    by a JSON pointer. To `on_error`, `retry_in` says in how many seconds it is tried again; None: never.
    """

    def __init__(self, status: int, document: Mapping[str, Any], *, retry_in: float | None = None) -> None:
        self.status = status
        self.code = str(document.get("code", ""))
        self.title = str(document.get("title", ""))
        self.detail = str(document.get("detail", ""))
        # What is between here and the server has errors of its own form.
        errors = document.get("errors")
        some = errors if isinstance(errors, list) else []
        self.errors: list[Mapping[str, Any]] = [fault for fault in some if isinstance(fault, dict)]
        self.retry_in = retry_in
        faults = "".join(
            f" {fault.get('pointer') or fault.get('parameter', '')}: {fault.get('detail', '')}" for fault in self.errors
        )
        super().__init__(f"{status} {self.code or self.title}: {self.detail}{faults}")


class FactRejected(TollmeterError):
    """The server took the batch and not this fact. `outcome` is "rejected", or "conflict" where another fact with the
    same id had come before, and counts."""

    def __init__(self, fact: bytes, outcome: Mapping[str, Any]) -> None:
        self.fact = fact
        self.id = str(outcome.get("id", ""))
        self.outcome = str(outcome.get("outcome", ""))
        self.meter = str(outcome.get("meter", ""))
        self.code = str(outcome.get("code", ""))
        self.pointer = str(outcome.get("pointer", ""))
        self.detail = str(outcome.get("detail", ""))
        super().__init__(f"The fact {self.id} was not counted: {self.code or self.outcome}. {self.detail}".rstrip())


class FactsDropped(TollmeterError):
    """Facts are lost: the queue was full, or the client was closed before they could be sent."""

    def __init__(self, count: int, why: str) -> None:
        super().__init__(f"{count} facts are lost: {why}")
        self.count = count
        self.why = why


class SpoolFailed(TollmeterError):
    """The spool's file cannot be read or written. A fact that could not be stored waits in memory instead."""


def problem_of(response: httpx.Response, *, retry_in: float | None = None) -> Problem:
    """The refusal as a Problem, also where something in between answered with another kind of document."""
    try:
        document = response.json()
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        where = response.headers.get("Location")
        said = f"It refers to {where}; is the address right?" if where else response.text[:200].strip()
        document = {"title": response.reason_phrase, "detail": said}
    return Problem(response.status_code, document, retry_in=retry_in)
