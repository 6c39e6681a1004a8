"""What tests of the doctor ask."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from config.doctor.findings import Finding, State
from meters.models import Heartbeat

BEAT, WORKER = Heartbeat.Kind.BEAT, Heartbeat.Kind.WORKER
Look = Callable[[], Finding]


def sees(look: Look, state: State, words: str, remedy: str = "") -> None:
    found = look()
    assert (found.state, words in found.saw, remedy in found.remedy) == (state, True, True), found
    assert bool(found.remedy) == (state != State.OK)


def execute(statement: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def ago(**span: int) -> datetime:
    return timezone.now() - timedelta(**span)
