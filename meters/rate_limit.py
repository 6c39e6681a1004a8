"""Requests a second, smoothed: a leaky bucket that all web processes share through Redis.

Each request pours one unit into the bucket of its name, which leaks `limit` units a second and holds `burst(limit)`;
a request that does not fit is refused. (The same as the generic cell rate algorithm, ITU-T I.371, kept as a level
instead of a time.) Everything is counted in whole millionths of a request, so no rounding adds up.

Redis may be gone: each process then counts for itself, and looks for Redis again every two seconds.
"""

import logging
import threading
import time
from functools import lru_cache
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from meters.models import ApiKey

logger = logging.getLogger(__name__)

UNIT = 1_000_000
# Beside a fast network a limit is worth no wait: whoever waited for Redis in vain waited this long, in seconds.
TIMEOUT = 0.1
PAUSE_SECONDS = 2.0
_MAX_LEVELS = 10_000

# By the clock of Redis, so that no two machines have to agree on the time. A clock that is set back leaks nothing
# until it has caught up with itself, and the level stays within the burst.
_POUR = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local limit, burst, unit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local held = redis.call('HMGET', KEYS[1], 'level', 'at')
local level = math.max(0, (tonumber(held[1]) or 0) - math.max(0, now - (tonumber(held[2]) or now)) * limit)
local over = level + unit - burst * unit
if over > 0 then
    return math.ceil(over / limit)
end
level = level + unit
redis.call('HSET', KEYS[1], 'level', string.format('%.0f', level), 'at', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(level / limit / 1000) + 1)
return 0
"""

_lock = threading.Lock()
_levels: dict[str, tuple[int, int]] = {}
_failed = False
_paused_until = float("-inf")


def limit_of(key: ApiKey) -> int | None:
    """Requests a second that this key may send; None: any number."""
    return key.rate_limit or settings.API_RATE_LIMIT


def burst(limit: int) -> int:
    """How many requests may come at once: what a fifth of a second allows, and at least two."""
    return max(2, -(-limit // 5))


def take(name: str, *, limit: int) -> int:
    """Counts one request against `limit` a second. Answers 0, or the microseconds to wait until one fits.

    A request that is refused counts for nothing. Never fails and never waits long.
    """
    global _failed, _paused_until
    if _may_ask():
        try:
            wait = int(_pour()(keys=[f"tollmeter:rate:{name}"], args=[limit, burst(limit), UNIT]))
        except (redis.RedisError, OSError, ValueError) as error:
            with _lock:
                _failed, _paused_until = True, time.monotonic() + PAUSE_SECONDS
            logger.warning("each process limits requests for itself until Redis is back: %s", error)
        else:
            _failed = False
            return wait
    return _take_here(name, limit, time.monotonic_ns() // 1000)


def forget() -> None:
    """Forgets what this process counted and that Redis was gone."""
    global _failed, _paused_until
    with _lock:
        _failed, _paused_until = False, float("-inf")
        _levels.clear()


def _may_ask() -> bool:
    """Whether Redis is worth a try. When it was gone, one request tries it again and the others go on without."""
    global _paused_until
    if not _failed:
        return True
    with _lock:
        now = time.monotonic()
        if now < _paused_until:
            return False
        _paused_until = now + PAUSE_SECONDS
        return True


@lru_cache(maxsize=1)
def _pour() -> Any:
    # A connection that Redis closed since its last use is opened again at once; nothing is tried twice that was slow.
    client = redis.Redis.from_url(
        settings.REDIS_URL,
        socket_connect_timeout=TIMEOUT,
        socket_timeout=TIMEOUT,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
    )
    return client.register_script(_POUR)


def _take_here(name: str, limit: int, now: int) -> int:
    """The same, counted by this process; `now` in microseconds."""
    with _lock:
        level, at = _levels.get(name, (0, now))
        level = max(0, level - (now - at) * limit)
        over = level + UNIT - burst(limit) * UNIT
        if over > 0:
            return -(-over // limit)
        if len(_levels) >= _MAX_LEVELS:
            _levels.clear()
        _levels[name] = (level + UNIT, now)
        return 0
