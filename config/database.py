"""Where the database is."""

from typing import Any

from psycopg.conninfo import conninfo_to_dict

# A database host that is gone without a word is noticed within a minute, in place of a quarter of an hour.
LOST = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 30_000}


def database(url: str) -> dict[str, Any]:
    """Django's settings of a database from a libpq URL; without one, libpq's own defaults."""
    parts = conninfo_to_dict(url)
    named = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    settings: dict[str, Any] = {key: parts.pop(part, "") or "" for key, part in named.items()}
    settings["NAME"] = settings["NAME"] or "tollmeter"
    return settings | {
        "ENGINE": "django.db.backends.postgresql",
        # Unsaid, Django turns prepared statements off. They are for those that ask (meters/statements.py).
        "OPTIONS": LOST | parts | {"connect_timeout": parts.get("connect_timeout") or 5, "prepare_threshold": 5},
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
    }


def limit(settings: dict[str, Any], seconds: int) -> None:
    """Has the database give up what takes it longer, waiting for locks included, on connections that are made from
    here on; 0: nothing."""
    if seconds:
        options = settings["OPTIONS"]
        options["options"] = f"{options.get('options') or ''} -c statement_timeout={seconds}s".strip()
