"""What is counted for Prometheus, of bills and of what goes out."""

from prometheus_client import Counter

from meters.figures import registry

_webhooks = Counter("tollmeter_webhooks", "Tries to deliver a webhook, by outcome.", ["outcome"], registry=registry)
_mails = Counter("tollmeter_mails", "Tries to send a mail, by outcome.", ["outcome"], registry=registry)
# `retried`: it will be tried again; `failed`: it is given up.
OUTCOMES = ("delivered", "retried", "failed")
WEBHOOKS = {outcome: _webhooks.labels(outcome) for outcome in OUTCOMES}
MAILS = {outcome: _mails.labels(outcome) for outcome in OUTCOMES}

_failures = Counter(
    "tollmeter_work_failures",
    "Customers or invoices that a task could not deal with, by work.",
    ["work"],
    registry=registry,
)
WORK = ("onboard", "rerate", "open_invoices", "close", "recalculate", "expire_grants", "follow_rule", "tell", "other")
FAILURES = {work: _failures.labels(work) for work in WORK}


def failed(work: str) -> None:
    FAILURES[work if work in FAILURES else "other"].inc()
