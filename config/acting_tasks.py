"""Around every task: what it writes is its own doing, beside the id of the request that sent it."""

from typing import Any

from celery import Task
from celery.signals import task_postrun, task_prerun

from meters.audit_log.actors import Actor, Kind, begin, end


@task_prerun.connect
def take_up(task: "Task[Any, Any]", task_id: str, **_: Any) -> None:
    task.request.update(tollmeter_actor=begin(Actor((Kind.TASK, task_id, task.name))))


@task_postrun.connect
def put_down(task: "Task[Any, Any]", **_: Any) -> None:
    if token := task.request.get("tollmeter_actor"):
        end(token)
