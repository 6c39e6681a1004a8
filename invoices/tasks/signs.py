"""Celery's part of signs of life."""

from celery import Task, shared_task

from invoices.exporting import files
from meters import heartbeats
from meters.models import Heartbeat


@shared_task(bind=True)
def sign_of_life(task: "Task[[], None]") -> None:
    """The worker that runs it is alive, and sees the folder of exports."""
    name = task.request.hostname or "worker"
    heartbeats.note(Heartbeat.Kind.WORKER, name)
    files.leave_sign(name)
