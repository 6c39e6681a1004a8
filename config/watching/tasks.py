"""Around every task: the id of the request that sent it, which the message carries."""

from typing import Any

from celery import Task
from celery.signals import before_task_publish, task_postrun, task_prerun

from meters import request_id

# In the headers of a message.
HEADER = "tollmeter_request_id"


@before_task_publish.connect
def send_along(headers: dict[str, Any], **_: Any) -> None:
    if known := request_id.current():
        headers[HEADER] = known


@task_prerun.connect
def take_up(task: "Task[Any, Any]", task_id: str, **_: Any) -> None:
    # Where no request has sent it, its own id is what it goes by.
    task.request.update(tollmeter_token=request_id.begin(task.request.get(HEADER) or task_id))


@task_postrun.connect
def put_down(task: "Task[Any, Any]", **_: Any) -> None:
    if token := task.request.get("tollmeter_token"):
        request_id.end(token)
