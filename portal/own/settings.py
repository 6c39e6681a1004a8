"""What is set in the portal: for the customer by its billing role, and for a person by that person."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction

from invoices.mailing.recipients import willing
from invoices.models import MailSetting
from meters.customers import update_customer
from meters.models import Customer, valid_time_zone
from portal.models import Membership
from portal.viewers import Viewer
from pricing.models import BillingProfile
from pricing.taxes import set_billing_profile

logger = logging.getLogger(__name__)

Kind = MailSetting.Kind
OF_PROFILE = ("legal_name", "address", "tax_id")
LABELS = {"legal_name": "billing name", "address": "billing address", "tax_id": "tax ID", "email": "e-mail for bills"}
# What a customer's people can get by mail, and when.
MAILS = {
    Kind.INVOICE_FINALIZED: ("Invoices", "Each invoice once it is final, with its PDF."),
    Kind.ALERT_TRIGGERED: ("Alerts", "When an alert or the budget is reached."),
    Kind.CREDIT_LOW: ("Credits", "When prepaid credit runs low."),
}


@dataclass(frozen=True, slots=True)
class MailChoice:
    """`is_sent`: whether mails of this kind are sent at all."""

    kind: str
    title: str
    when: str
    is_wanted: bool
    is_sent: bool


def billing_details(customer: Customer) -> dict[str, str]:
    profile = BillingProfile.objects.filter(customer=customer).first() or BillingProfile()
    return {**{name: getattr(profile, name) for name in OF_PROFILE}, "email": customer.email}


@transaction.atomic
def change_billing_details(
    customer: Customer, *, changes: Mapping[str, str], seen: Mapping[str, str], viewer: Viewer
) -> None:
    """Changes some of them. Raises ValidationError by field: for what is wrong in itself, for what somebody else has
    changed since it was `seen`, and where no invoice would reach anybody any more."""
    locked = Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)
    stored = billing_details(locked)
    faults = {
        name: f"Somebody has changed this meanwhile, to “{stored[name]}”. What you wrote is not saved yet."
        for name in changes
        if stored[name] not in (seen.get(name, stored[name]), changes[name])
    }
    if faults:
        raise ValidationError(faults)
    changed = [name for name in changes if stored[name] != changes[name]]
    if of_profile := {name: changes[name] for name in changed if name in OF_PROFILE}:
        set_billing_profile(locked, **of_profile)
    if "email" in changed:
        update_customer(locked, changes={"email": changes["email"]})
        if not locked.email and not willing(locked, Kind.INVOICE_FINALIZED):
            raise ValidationError({"email": "Nobody else gets the invoices, and they have to reach somebody."})
        customer.email = locked.email
    if changed:
        _log(customer, viewer, f"{', '.join(LABELS[name] for name in changed)} changed in the portal")


def membership_of(customer: Customer, user: User) -> Membership | None:
    return Membership.objects.filter(customer=customer, user=user).first()


def mail_choices(membership: Membership) -> list[MailChoice]:
    sent = set(MailSetting.objects.filter(enabled=True).values_list("kind", flat=True))
    return [
        MailChoice(kind, title, when, kind not in membership.unwanted_mails, kind in sent)
        for kind, (title, when) in MAILS.items()
    ]


@transaction.atomic
def change_own_settings(membership: Membership, *, time_zone: str, wanted: Sequence[str]) -> Membership:
    """Raises ValidationError by field: for a zone that there is none of, and where nobody would want the invoices."""
    # One after the other: two people who give up invoices at once are not both the one but last.
    customer = Customer.objects.select_for_update(no_key=True).get(pk=membership.customer_id)
    own = Membership.objects.select_for_update(no_key=True).get(pk=membership.pk)
    if time_zone:
        try:
            valid_time_zone(time_zone)
        except ValidationError as error:
            raise ValidationError({"time_zone": error.messages}) from None
    had = willing(customer, Kind.INVOICE_FINALIZED)
    own.time_zone = time_zone
    # Kinds that are not offered here stay as they are.
    own.unwanted_mails = [kind for kind in own.unwanted_mails if kind not in MAILS] + [
        str(kind) for kind in MAILS if kind not in wanted
    ]
    own.save(update_fields=["time_zone", "unwanted_mails"])
    if had and not willing(customer, Kind.INVOICE_FINALIZED):
        raise ValidationError(
            {
                "mails": "You are the only one who gets the invoices, and they have to reach somebody. Have somebody "
                "else get them first, or set an e-mail address for bills."
            }
        )
    return own


def _log(customer: Customer, viewer: Viewer, what: str) -> None:
    """In the customer's history, where staff look; there only people with an account have a name."""
    logger.info("customer %s: %s by %s", customer.pk, what, f"user {viewer.user.pk}" if viewer.user else "a guest")
    if viewer.user is not None:
        LogEntry.objects.log_actions(
            viewer.user.pk, Customer.objects.filter(pk=customer.pk), CHANGE, what.capitalize(), single_object=True
        )
