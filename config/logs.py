"""How the processes log; what a line looks like, and what may stand in it, is in `watching/`."""

from typing import Any

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
FORMATTERS = {"text": "config.watching.logs.TextFormatter", "json": "config.watching.logs.JsonFormatter"}
OWN = ("config", "meters", "pricing", "invoices", "portal", "tollmeter")
# These tell of each thing that they have done.
TALKATIVE = ("celery", "httpx", "django.server")


def logging_settings(level: str, form: str = "text", *, access: bool = False) -> dict[str, Any]:
    """Django's LOGGING. `access`: a line for each request."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": FORMATTERS[form]}},
        "handlers": {"stderr": {"class": "config.watching.logs.StandardError", "formatter": "line"}},
        # What others say below INFO quotes whatever they are at.
        "root": {"handlers": ["stderr"], "level": _at_least("INFO", level)},
        "loggers": {
            **{name: {"level": level} for name in OWN},
            **{name: {"level": _at_least("WARNING", level)} for name in TALKATIVE},
            "axes": {"level": _at_least("ERROR", level)},
            "tollmeter.access": {"level": _at_least("INFO", level) if access else "CRITICAL"},
            # A request that is refused has its line in the access log.
            "django.request": {"level": _at_least("ERROR" if access else "WARNING", level)},
        },
    }


def _at_least(least: str, level: str) -> str:
    return max(least, level, key=LEVELS.index)
