"""The Celery application. Tasks are thin: they load ids and call one service."""

import os

from celery import Celery

from config.watching import tasks  # noqa: F401  whoever sends a task or runs one is watched

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("tollmeter")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
