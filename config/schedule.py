"""What the beat sends, and when."""

from typing import Any

from celery.schedules import crontab

CELERY_BEAT_SCHEDULE: dict[str, Any] = {
    # The sweep finds whatever no message came for. `expires` keeps ticks from piling up without a worker.
    "sweep": {"task": "invoices.tasks.bills.sweep", "schedule": 2.0, "options": {"expires": 4}},
    # One that waits is as good as the one behind it: what counts is that a worker had time for one.
    "sign-of-life": {"task": "invoices.tasks.signs.sign_of_life", "schedule": 10.0, "options": {"expires": 20}},
    "close-periods": {"task": "invoices.tasks.bills.close_periods", "schedule": 10.0, "options": {"expires": 20}},
    "continue-backtests": {
        "task": "invoices.tasks.backtests.continue_backtests",
        "schedule": 10.0,
        "options": {"expires": 20},
    },
    # Once a night: the task asks the rows whether it is time.
    "keep-audits": {"task": "invoices.tasks.audits.keep_audits", "schedule": 60.0, "options": {"expires": 120}},
    "continue-exports": {
        "task": "invoices.tasks.exports.continue_exports",
        "schedule": 10.0,
        "options": {"expires": 20},
    },
    "forget-old-exports": {
        "task": "invoices.tasks.exports.forget_old_exports",
        "schedule": crontab(minute=47, hour="3"),
    },
    "follow-credits": {
        "task": "invoices.tasks.prepaid.follow_credits",
        "schedule": 60.0,
        "options": {"expires": 120},
    },
    "send-webhooks": {
        "task": "invoices.tasks.webhooks.send_webhooks",
        "schedule": 2.0,
        "options": {"expires": 4},
    },
    "send-mails": {"task": "invoices.tasks.mails.send_mails", "schedule": 5.0, "options": {"expires": 10}},
    "answer-link-requests": {
        "task": "portal.tasks.answer_link_requests",
        "schedule": 2.0,
        "options": {"expires": 4},
    },
    "forget-old-sign-ins": {"task": "portal.tasks.forget_old_sign_ins", "schedule": crontab(minute=57, hour="3")},
    "forget-old-webhooks": {
        "task": "invoices.tasks.webhooks.forget_old_webhooks",
        "schedule": crontab(minute=37, hour="3"),
    },
    "forget-old-refusals": {"task": "meters.tasks.forget_old_refusals", "schedule": crontab(minute=27, hour="3")},
    "seal-audit-log": {"task": "meters.tasks.seal_audit_log", "schedule": 5.0, "options": {"expires": 10}},
    "keep-audit-log": {"task": "meters.tasks.keep_audit_log", "schedule": crontab(minute=7)},
    "make-partitions": {"task": "meters.tasks.make_partitions", "schedule": crontab(minute=17, hour="*/6")},
    "forget-old-answers": {"task": "meters.tasks.forget_old_answers", "schedule": crontab(minute=27)},
}
