"""The Celery application. Tasks are thin: they load ids and call one service."""

import os

from celery import Celery, signals

from config import acting_tasks  # noqa: F401  the audit log knows which task it was
from config.broker import use
from config.environment import refuse_without_servers
from config.watching import tasks  # noqa: F401  whoever sends a task or runs one is watched

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

use()
app = Celery("tollmeter")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.celeryd_init.connect
@signals.beat_init.connect
def _needs_servers(**_: object) -> None:
    from django.conf import settings

    refuse_without_servers(settings.SERVER_FAULTS)
