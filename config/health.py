"""Whether the product can work: its database and its broker answer."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import redis
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from redis.backoff import NoBackoff
from redis.retry import Retry

SECONDS = 2


def brief_database() -> "psycopg.Connection[Any]":
    """A connection of its own, for who asks whether it is well: a pooled one that hangs has no limit of time."""
    parameters: dict[str, Any] = connection.get_connection_params()
    parameters["connect_timeout"] = SECONDS
    parameters["options"] = f"{parameters.get('options') or ''} -c statement_timeout={SECONDS * 1000}"
    # Each statement for itself: behind one that took too long the next can be asked.
    return psycopg.connect(**parameters, autocommit=True)


def brief_broker() -> redis.Redis:
    # One try: the client's own repeats would make an answer out of what took far longer than the limit.
    return redis.Redis.from_url(
        settings.CELERY_BROKER_URL,
        socket_connect_timeout=SECONDS,
        socket_timeout=SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def ask_database() -> None:
    with brief_database() as database:
        database.execute("SELECT 1")


def ask_broker() -> None:
    with brief_broker() as broker:
        broker.ping()


def outcome(ask: Callable[[], None]) -> str:
    """In one word: what went wrong may name hosts, users or passwords, and everybody can read this answer."""
    try:
        ask()
    except (psycopg.Error, redis.RedisError, OSError, ValueError):
        return "failed"
    return "ok"


@csrf_exempt  # so that a POST is told 405, not that it lacks a token
@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """200 when database and broker answer within two seconds, 503 naming the part that does not."""
    with ThreadPoolExecutor(2) as both:
        database, broker = both.map(outcome, (ask_database, ask_broker))
    healthy = database == broker == "ok"
    content = {"status": "ok" if healthy else "failed", "database": database, "broker": broker}
    return JsonResponse(content, status=200 if healthy else 503)
