"""Where the database is."""

from typing import Any

from psycopg.conninfo import conninfo_to_dict


def database(url: str) -> dict[str, Any]:
    """Django's settings of a database from a libpq URL; without one, libpq's own defaults."""
    parts = conninfo_to_dict(url)
    named = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    settings: dict[str, Any] = {key: parts.pop(part, "") or "" for key, part in named.items()}
    settings["NAME"] = settings["NAME"] or "tollmeter"
    return settings | {
        "ENGINE": "django.db.backends.postgresql",
        # Unsaid, Django turns prepared statements off. They are for those that ask (meters/statements.py).
        "OPTIONS": parts | {"connect_timeout": parts.get("connect_timeout") or 5, "prepare_threshold": 5},
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
    }
