"""Mounts everything. The Celery application is made here so that a task sent from any process finds its broker."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
