"""Around every task: the id of the request that sent it, which the message carries; its line in the log, and
its seconds."""

import logging
from logging.config import dictConfig
from time import perf_counter
from typing import Any

from celery import Task
from celery.signals import before_task_publish, setup_logging, task_postrun, task_prerun, worker_ready
from celery.states import FAILURE, SUCCESS
from django.conf import settings

from meters import request_id

# In the headers of a message.
HEADER = "tollmeter_request_id"
# Faster ones are told only where somebody wants to know everything: the beat sends some every two seconds.
SLOW_SECONDS = 1.0
logger = logging.getLogger("tollmeter.tasks")


@before_task_publish.connect
def send_along(headers: dict[str, Any], **_: Any) -> None:
    if known := request_id.current():
        headers[HEADER] = known


@task_prerun.connect
def take_up(task: "Task[Any, Any]", task_id: str, **_: Any) -> None:
    # Where no request has sent it, its own id is what it goes by.
    token = request_id.begin(task.request.get(HEADER) or task_id)
    task.request.update(tollmeter=(token, perf_counter()))


@task_postrun.connect
def put_down(task: "Task[Any, Any]", state: str | None, **_: Any) -> None:
    if taken_up := task.request.get("tollmeter"):
        token, began = taken_up
        seconds = perf_counter() - began
        outcome = {SUCCESS: "success", FAILURE: "failure"}.get(state or "", "other")
        # Here, as settings come before figures, and this module before settings.
        from config.watching.figures import TASKS

        TASKS.labels(task.name, outcome).observe(seconds)
        level = logging.INFO if seconds >= SLOW_SECONDS else logging.DEBUG
        logger.log(level, "%s", state, extra={"marks": {"state": state, "seconds": round(seconds, 6)}})
        request_id.end(token)


@setup_logging.connect
def log_alike(**_: Any) -> None:
    """Worker and beat log as the web server does; with a receiver here Celery sets up nothing of its own."""
    dictConfig(settings.LOGGING)


@worker_ready.connect
def tell_figures(**_: Any) -> None:
    """Of a worker that no web server stands beside."""
    from config.watching.figures import serve

    if settings.METRICS_LISTEN:
        serve(settings.METRICS_LISTEN)
