"""The audit log: written by triggers alone (`meters.audit_log`), and never changed.

Neither table is Django's to manage: what empties the others, in tests too, must leave these alone.
"""

from django.db import models

from meters.audit_log.actors import LABELS
from meters.audit_log.decoding import ExactDecoder


class AuditRow(models.Model):
    """One row that was added, changed or removed, with what it was before and after."""

    class Action(models.TextChoices):
        INSERT = "insert", "Added"
        UPDATE = "update", "Changed"
        DELETE = "delete", "Removed"
        TRUNCATE = "truncate", "Emptied"

    # In the order in which the rows were written; those of transactions that were rolled back are missing.
    id = models.BigAutoField(primary_key=True)
    # By the clock of the database.
    at = models.DateTimeField()
    transaction = models.BigIntegerField()
    action = models.TextField(choices=Action)
    table_name = models.TextField()
    object_id = models.TextField()
    # What people knew the row by.
    label = models.TextField()
    # What it belongs to, and is shown at; itself, where it belongs to nothing.
    owner_table = models.TextField()
    owner_id = models.TextField()
    # Of a change: the columns that changed.
    before = models.JSONField(null=True, decoder=ExactDecoder)
    after = models.JSONField(null=True, decoder=ExactDecoder)
    who_kind = models.TextField(choices=[(kind.value, label) for kind, label in LABELS.items()])
    who_id = models.TextField()
    who_name = models.TextField()
    address = models.GenericIPAddressField(null=True)
    request_id = models.TextField()
    # Its place in the chain and the hash up to it (`meters.audit_log.chain`); null: it has none yet.
    position = models.BigIntegerField(null=True)
    hash = models.BinaryField(null=True)

    class Meta:
        managed = False
        db_table = "meters_auditrow"
        ordering = ["-id"]
        default_permissions = ("view",)
        verbose_name = "change"
        verbose_name_plural = "audit log"

    def __str__(self) -> str:
        return f"{self.action} of {self.table_name} {self.object_id}"


class AuditHead(models.Model):
    """How far the chain has come, and how far it was found to be whole: one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    position = models.BigIntegerField()
    hash = models.BinaryField()
    sealed_at = models.DateTimeField(null=True)
    verified_position = models.BigIntegerField()
    verified_hash = models.BinaryField()
    verified_at = models.DateTimeField(null=True)
    # What the last verification found; empty: nothing.
    finding = models.TextField()

    class Meta:
        managed = False
        db_table = "meters_audithead"
        default_permissions = ()

    def __str__(self) -> str:
        return f"Audit log up to {self.position}"
