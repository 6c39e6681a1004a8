"""The Celery application. Tasks are thin: they load ids and call one service."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("tollmeter")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.autodiscover_tasks(["invoices"], related_name="backtest_tasks")
app.autodiscover_tasks(["invoices"], related_name="credit_tasks")
app.autodiscover_tasks(["invoices"], related_name="webhook_tasks")
app.autodiscover_tasks(["invoices"], related_name="mail_tasks")
app.autodiscover_tasks(["invoices"], related_name="export_tasks")
app.autodiscover_tasks(["invoices"], related_name="audit_tasks")
