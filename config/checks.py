"""What `manage.py check --deploy` says beside what stops a start: choices that are allowed and worth a second look."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core import checks

KEPT_HERE = ("console", "dummy", "filebased", "locmem")
# Where nobody listens on the way.
HERE = ("", "localhost", "127.0.0.1", "::1")


@checks.register(checks.Tags.security, deploy=True)
def choices(app_configs: Any, **options: Any) -> Sequence[checks.CheckMessage]:
    found: list[checks.CheckMessage] = []
    if settings.PLAIN_HTTP:
        found.append(
            checks.Warning(
                "PLAIN_HTTP is true: passwords, sessions and keys are sent as they are.",
                hint="Only in a network that nobody else can listen to. Otherwise put TLS in front and set HTTPS=true.",
                id="tollmeter.W001",
            )
        )
    if settings.EMAIL_BACKEND.startswith(tuple(f"django.core.mail.backends.{kind}." for kind in KEPT_HERE)):
        found.append(
            checks.Warning(
                "EMAIL_BACKEND sends no mails: bills and links to sign in reach nobody.",
                hint="Set EMAIL_HOST, and take EMAIL_BACKEND out.",
                id="tollmeter.W002",
            )
        )
    if settings.EMAIL_HOST not in HERE and not settings.EMAIL_USE_TLS and not settings.EMAIL_USE_SSL:
        found.append(
            checks.Warning(
                "Mails go to the mail server without TLS, links to sign in among them.",
                hint="Set EMAIL_USE_TLS=true or EMAIL_USE_SSL=true, or send by a mail server on this machine.",
                id="tollmeter.W003",
            )
        )
    return found
