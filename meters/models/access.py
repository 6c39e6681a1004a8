"""API keys, what they were answered, and what was refused to them."""

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models

from meters.models.names import Customer
from meters.staff_roles import StaffRole


class ApiKey(models.Model):
    """A key of the vendor's servers. The key itself is shown once; only its hash is stored."""

    class Scope(models.TextChoices):
        INGEST = "ingest", "Send events"
        READ = "read", "Read everything"
        WRITE = "write", "Create and change"

    name = models.CharField(max_length=200)
    start = models.CharField(max_length=12, editable=False, help_text="The first characters, to tell keys apart.")
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=10, choices=Scope), default=list)
    role = models.CharField(
        max_length=10,
        choices=StaffRole,
        default=StaffRole.OWNER,
        db_default=StaffRole.OWNER,
        help_text="What its scopes open is bounded by what staff of this role may do.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    customer = models.ForeignKey(
        Customer,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="The key sends and reads this customer's usage and nothing else. Empty: all customers.",
    )
    expires_at = models.DateTimeField(null=True, blank=True, help_text="From then on it opens nothing. Empty: never.")
    rate_limit = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Requests a second. Empty: the account's limit.",
    )
    # The key that this one takes the place of.
    rotated_from = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, editable=False, related_name="rotated_to"
    )
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["name", "id"]
        verbose_name = "API key"
        constraints = [models.CheckConstraint(condition=models.Q(role__in=StaffRole.values), name="apikey_role")]

    def __str__(self) -> str:
        return f"{self.name} ({self.start}…)"


class RejectedEvent(models.Model):
    """What one day's events were refused for: counted by reason, with the latest one as an example.

    Written beside the answer to the sender, so that staff find a wrong integration. `pointer` is a JSON pointer from
    the event's own root; `sender` is the API key's name.
    """

    id = models.BigAutoField(primary_key=True)
    day = models.DateField()
    code = models.CharField(max_length=40)
    pointer = models.CharField(max_length=200, blank=True)
    meter = models.CharField(max_length=200, blank=True)
    sender = models.CharField(max_length=200, blank=True)
    count = models.BigIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    customer = models.CharField(max_length=200, blank=True)
    detail = models.CharField(max_length=500)
    example = models.TextField(blank=True)

    class Meta:
        ordering = ["-last_at"]
        constraints = [
            models.UniqueConstraint("day", "code", "pointer", "meter", "sender", name="rejected_event_once_a_day")
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.meter}".strip()


class IdempotentRequest(models.Model):
    """A mutating call that was answered, with its answer, so that its repetition gets the same and does nothing."""

    id = models.BigAutoField(primary_key=True)
    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=200)
    # SHA-256 of method, path and body: another request under the same key is a mistake.
    fingerprint = models.BinaryField(max_length=32)
    status = models.PositiveSmallIntegerField()
    content_type = models.CharField(max_length=100)
    body = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint("api_key", "key", name="idempotent_request_once")]
        indexes = [models.Index("created_at", name="idempotent_request_age")]

    def __str__(self) -> str:
        return self.key
