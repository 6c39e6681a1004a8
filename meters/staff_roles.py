"""What staff may do, by role: one table, which the admin and the API both go by.

Each role is a Django group of that name. The groups follow the table at each `migrate`, so a permission that was given
to one of them by hand is taken back then: who needs something else has a group of their own, beside the role or in
place of it. An API key has a role, too, which bounds what its scopes open.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from django.db import models

VIEW, ADD, CHANGE, DELETE = "view", "add", "change", "delete"
ALL = f"{VIEW} {ADD} {CHANGE} {DELETE}"
KEPT = f"{VIEW} {ADD} {CHANGE}"


class StaffRole(models.TextChoices):
    OWNER = "owner", "Owner"
    FINANCE = "finance", "Finance"
    SUPPORT = "support", "Support"
    READ_ONLY = "read-only", "Read-only"


@dataclass(frozen=True, slots=True)
class Thing:
    """Models that belong together, as `app.model` with the main one first, and what each role may do with them.

    `does` says what may be done at all, which is what owners may: Django's view, add, change and delete, and
    permissions of the model's own. All are names with spaces between them.
    """

    name: str
    models: str
    does: str
    finance: str = ""
    support: str = ""
    read_only: str = ""

    def actions_of(self, role: StaffRole) -> list[str]:
        if role == StaffRole.OWNER:
            return self.does.split()
        return str(getattr(self, role.name.lower())).split()

    def permissions_of(self, role: StaffRole) -> Iterable[str]:
        for model in self.models.split():
            for action in self.actions_of(role):
                app, _, name = model.partition(".")
                # A permission of a model's own is named as a whole.
                yield f"{app}.{action}_{name}" if action in ALL.split() else f"{app}.{action}"


# A model is in one row; tests/staff holds that, and that docs/security.md shows the same.
THINGS = (
    Thing("Customers", "meters.customer", KEPT, KEPT, VIEW, VIEW),
    Thing("Meters", "meters.meter meters.dimensionset", KEPT, VIEW, VIEW, VIEW),
    Thing(
        "Usage events",
        "meters.event meters.eventkey meters.retiredmonth meters.usagebucket meters.usagedistinct meters.usageversion",
        f"{VIEW} {ADD}",
        VIEW,
        VIEW,
        VIEW,
    ),
    Thing("Voids", "meters.voidrecord", f"{VIEW} {ADD}", VIEW, VIEW, VIEW),
    Thing("Refused events", "meters.rejectedevent", VIEW, VIEW, VIEW, VIEW),
    Thing("Product items", "pricing.productitem", f"{VIEW} {CHANGE}", f"{VIEW} {CHANGE}", VIEW, VIEW),
    Thing("Plans and prices", "pricing.plan pricing.planversion pricing.rate pricing.fee", KEPT, KEPT, VIEW, VIEW),
    Thing("Assignment rules", "pricing.assignmentrule pricing.assignmentrulecondition", ALL, ALL, VIEW, VIEW),
    Thing("Assignments", "pricing.assignment pricing.assignmentquantity", KEPT, KEPT, VIEW, VIEW),
    Thing("Log of assignments", "pricing.assignmentlog", VIEW, VIEW, VIEW, VIEW),
    Thing("Promotions", "pricing.promotion pricing.appliedpromotion", KEPT, KEPT, VIEW, VIEW),
    Thing("Taxes and billing profiles", "pricing.taxrate pricing.billingprofile", KEPT, KEPT, VIEW, VIEW),
    Thing("Backtests", "invoices.backtest invoices.backtestrow", f"{VIEW} {ADD}", f"{VIEW} {ADD}", "", VIEW),
    Thing(
        "Invoices",
        "invoices.invoice invoices.invoiceline invoices.invoiceevent invoices.correction invoices.numberseries",
        f"{VIEW} {CHANGE}",
        f"{VIEW} {CHANGE}",
        VIEW,
        VIEW,
    ),
    Thing(
        "Payments and credit notes",
        "invoices.payment invoices.creditnote invoices.creditnoteline",
        f"{VIEW} {ADD}",
        f"{VIEW} {ADD}",
        VIEW,
        VIEW,
    ),
    Thing("Credits", "invoices.creditgrant invoices.creditentry invoices.creditrule", KEPT, KEPT, VIEW, VIEW),
    Thing("Alerts", "invoices.alert invoices.alertfiring", ALL, ALL, VIEW, VIEW),
    Thing("Audits of the books", "invoices.auditrun invoices.auditfinding", f"{VIEW} {ADD}", f"{VIEW} {ADD}", "", VIEW),
    Thing("Exports of a month", "invoices.export", f"{VIEW} {ADD}", f"{VIEW} {ADD}", "", VIEW),
    Thing("Mails", "invoices.mail", f"{VIEW} {CHANGE}", f"{VIEW} {CHANGE}", f"{VIEW} {CHANGE}", VIEW),
    # "Change" has it tried again.
    Thing("Work that fails", "invoices.failingwork", f"{VIEW} {CHANGE}", f"{VIEW} {CHANGE}", VIEW, VIEW),
    Thing("Which mails are sent", "invoices.mailsetting", f"{VIEW} {CHANGE}", VIEW, VIEW, VIEW),
    Thing(
        "Billing policy, the seller", "invoices.billingpolicy invoices.planpolicy", f"{VIEW} {CHANGE}", VIEW, "", VIEW
    ),
    Thing("The brand", "invoices.brandversion invoices.brandimage", f"{VIEW} {CHANGE}", VIEW, VIEW, VIEW),
    # Addresses of receivers may hold a secret.
    Thing("Webhook endpoints", "invoices.webhookendpoint", ALL),
    Thing(
        "Webhook deliveries",
        "invoices.webhookdelivery invoices.webhookattempt invoices.outboxevent",
        f"{VIEW} {CHANGE}",
    ),
    Thing("API keys", "meters.apikey meters.idempotentrequest", KEPT),
    Thing("Log of customers' keys", "portal.readkeyevent", VIEW, "", VIEW, VIEW),
    Thing("Members of customers", "portal.membership portal.invitation portal.teamevent", ALL, VIEW, VIEW, VIEW),
    Thing("What the portal allows", "portal.portalpolicy", f"{VIEW} {CHANGE}", VIEW, VIEW, VIEW),
    # "Change" ends them. Who makes one says as whom, so that is as good as being the customer.
    Thing("Portal sessions", "portal.portalsession portal.embedtoken", KEPT, VIEW, f"{VIEW} {CHANGE}", VIEW),
    Thing(
        "Looks at the portal", "portal.staffview", f"{VIEW} view_as_customer", VIEW, f"{VIEW} view_as_customer", VIEW
    ),
    Thing(
        "People: accounts, groups, sessions, second factors",
        "auth.user auth.group auth.permission portal.browsersession portal.linkrequest portal.recoverycode "
        "otp_totp.totpdevice",
        ALL,
    ),
    # And with it the page of `manage.py doctor`.
    Thing("Health", "meters.heartbeat", VIEW, VIEW, VIEW, VIEW),
    # Of what somebody may not see it does not tell them either.
    Thing("Audit log", "meters.auditrow meters.audithead", VIEW, VIEW, "", VIEW),
    Thing(
        "Wrong passwords",
        "axes.accessattempt axes.accessattemptexpiration axes.accessfailurelog axes.accesslog",
        f"{VIEW} {DELETE}",
    ),
    Thing("What Django keeps", "admin.logentry contenttypes.contenttype sessions.session", VIEW),
)


@cache
def permissions_of(role: StaffRole) -> frozenset[str]:
    """The permissions of a role, as `app.codename`. An owner has every other one, too."""
    return frozenset(name for thing in THINGS for name in thing.permissions_of(role))


def allows(role: str, permission: str) -> bool:
    """Whether a role has a permission. A role that there is not has none."""
    if role == StaffRole.OWNER:
        return True
    return role in StaffRole.values and permission in permissions_of(StaffRole(role))
