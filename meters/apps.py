from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class MetersConfig(AppConfig):
    """Makes the partitions of events that can come in when the tables are made, and the groups of staff."""

    name = "meters"

    def ready(self) -> None:
        from meters import audited
        from meters.audit_log import telling
        from meters.audit_log.tables import watch
        from meters.staff_groups import after_migrate

        post_migrate.connect(_make_partitions, sender=self, dispatch_uid="meters.make_partitions")
        post_migrate.connect(after_migrate, dispatch_uid="meters.staff_groups")
        watch(audited.WATCHED, audited.NOT_WATCHED)
        telling.connect()
        post_migrate.connect(_attach_audit_log, sender=self, dispatch_uid="meters.attach_audit_log")


def _make_partitions(plan: Any = None, **_: Any) -> None:
    from django.db import connection
    from django.utils import timezone

    from meters import partitions

    if "meters_event" in connection.introspection.table_names():
        partitions.forget()
        partitions.ensure_accepted_span(timezone.now())


def _attach_audit_log(plan: Any = None, **_: Any) -> None:
    """After `migrate`, also one with nothing to do; not after a flush, which leaves the tables as they are."""
    from django.db import connection

    from meters.audit_log import triggers

    if plan is not None and "meters_auditrow" in connection.introspection.table_names():
        triggers.attach()
