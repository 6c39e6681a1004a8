"""What leaves the house: events for webhooks, mails, files. Rows first, in the transaction of what they tell."""

from django.db import models
from django.db.models import Q


class OutboxEvent(models.Model):
    """Something that happened, as webhooks tell it. Written in the transaction that did it."""

    class Type(models.TextChoices):
        INVOICE_FINALIZED = "invoice.finalized", "Invoice finalized"
        INVOICE_UPDATED = "invoice.updated", "Invoice updated"
        INVOICE_PAID = "invoice.paid", "Invoice paid"
        INVOICE_VOIDED = "invoice.voided", "Invoice voided"
        CREDIT_NOTE_ISSUED = "credit_note.issued", "Credit note issued"
        ALERT_TRIGGERED = "alert.triggered", "Alert triggered"
        CREDIT_LOW = "credit.low", "Credit low"
        CUSTOMER_CREATED = "customer.created", "Customer created"
        ASSIGNMENT_CHANGED = "assignment.changed", "Assignment changed"

    type = models.CharField(max_length=40, choices=Type)
    # What it is about, such as "invoice:42": deliveries of one object keep their order.
    about = models.CharField(max_length=100)
    data = models.JSONField()
    # The id that receivers tell repeats by.
    message_id = models.CharField(max_length=60, unique=True)
    created_at = models.DateTimeField()
    # A throttled event waits until then, and says what is so by then.
    not_before = models.DateTimeField(null=True)
    # When its deliveries were made; null: it waits.
    spread_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["id"], condition=Q(spread_at=None), name="outboxevent_waiting"),
            models.Index(fields=["about", "-id"], name="outboxevent_about"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.about}"


class WebhookEndpoint(models.Model):
    """Where events are sent, signed after the Standard Webhooks specification."""

    url = models.URLField(max_length=500)
    description = models.CharField(max_length=200, blank=True)
    types = models.JSONField(default=list, help_text="Which events; empty: all.")
    # Base64 with the prefix whsec_; the old one signs beside the new one until it ends.
    secret = models.CharField(max_length=100)
    old_secret = models.CharField(max_length=100, blank=True)
    old_secret_until = models.DateTimeField(null=True)
    # The last event there was when it was made: it gets those after that.
    after_event = models.BigIntegerField(default=0, editable=False)
    allow_private = models.BooleanField(
        "allow private addresses", default=False, help_text="Lets it reach addresses inside your own network."
    )
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.url


class WebhookDelivery(models.Model):
    """One event to one endpoint: tried until it is taken, for three days."""

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        DELIVERED = "delivered", "Delivered"
        FAILED = "failed", "Failed"

    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries")
    event = models.ForeignKey(OutboxEvent, on_delete=models.CASCADE, related_name="deliveries")
    # A copy, so that the order by object needs no join.
    about = models.CharField(max_length=100)
    status = models.CharField(max_length=10, choices=Status, default=Status.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "webhook deliveries"
        constraints = [models.UniqueConstraint(fields=["endpoint", "event"], name="webhookdelivery_once")]
        indexes = [
            models.Index(fields=["next_try_at"], condition=Q(status="waiting"), name="webhookdelivery_due"),
            models.Index(fields=["endpoint", "about", "id"], name="webhookdelivery_order"),
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.endpoint}"


class WebhookAttempt(models.Model):
    """One try: what was sent, and what came back."""

    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.CASCADE, related_name="tries")
    at = models.DateTimeField()
    body = models.TextField()
    status_code = models.PositiveSmallIntegerField(null=True)
    answer = models.TextField(blank=True, help_text="The beginning of it.")
    error = models.CharField(max_length=300, blank=True)
    milliseconds = models.PositiveIntegerField(null=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S}"


class MailSetting(models.Model):
    """Whether a kind of mail is sent, and what it says above and below its figures."""

    class Kind(models.TextChoices):
        INVOICE_FINALIZED = "invoice_finalized", "Invoice finalized"
        ALERT_TRIGGERED = "alert_triggered", "Alert triggered"
        CREDIT_LOW = "credit_low", "Credit low"

    kind = models.CharField(max_length=20, choices=Kind, primary_key=True)
    enabled = models.BooleanField(default=False)
    subject = models.CharField(max_length=200, blank=True, help_text="Empty: as it comes.")
    greeting = models.CharField(max_length=500, blank=True)
    closing = models.CharField(max_length=500, blank=True)

    def __str__(self) -> str:
        return self.get_kind_display()


class PersonalMail(models.TextChoices):
    """Kinds of mails to one person who waits for them."""

    SIGN_IN = "sign_in_link", "Sign-in link"
    RESET = "password_reset", "Password reset"
    INVITATION = "invitation", "Invitation"


class Mail(models.Model):
    """A mail that is to be sent, or was. Written in the transaction that gives the reason for it."""

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        FAILED = "failed", "Failed"

    kind = models.CharField(max_length=20, choices=[*MailSetting.Kind.choices, *PersonalMail.choices])
    # One for each reason: "invoice:42", "alert:7:2026-11-01".
    about = models.CharField(max_length=100)
    recipient = models.EmailField()
    subject = models.CharField(max_length=300)
    text = models.TextField()
    html = models.TextField()
    status = models.CharField(max_length=10, choices=Status, default=Status.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["kind", "about", "recipient"], name="mail_once")]
        indexes = [models.Index(fields=["next_try_at"], condition=Q(status="waiting"), name="mail_due")]

    def __str__(self) -> str:
        return self.subject
