"""What a person of a customer changes in the portal stands in the audit log, with who it was and from where."""

from django.contrib.auth.models import User

from tests.audit_log.written import written
from tests.security.site import ADDRESS, OWNER, filled, forms_for, sender, undone, view_of

# What is changed by the form at each address; the others are found in the tables of addresses, too.
CHANGES = {
    "account-name": "auth_user",
    "alert": "invoices_alert",
    "alert-add": "invoices_alert",
    "alert-budget": "invoices_alert",
    "alert-remove": "invoices_alert",
    "alert-switch": "invoices_alert",
    "api-access-add": "meters_apikey",
    "api-access-revoke": "meters_apikey",
    "api-access-rotate": "meters_apikey",
    "plan-change": "pricing_assignment",
    "settings-billing": "pricing_billingprofile",
    "settings-yours": "portal_membership",
    "team-invite": "portal_invitation",
    "team-remove": "portal_membership",
    "team-resend": "portal_invitation",
    "team-revoke": "portal_invitation",
    "team-role": "portal_membership",
}


def test_changes_by_a_person_in_the_portal(people: User, clock: object) -> None:
    send, changed = sender(OWNER), {}
    anna = User.objects.get(username=OWNER)
    for sent in forms_for(OWNER):
        if sent.form.method != "post":
            continue
        name = view_of(sent.path).removeprefix("portal:")
        with undone(), written() as rows:
            answer = send(sent, filled(sent.form) | OTHERS.get(name, {}))
        assert answer.status_code < 400 or not rows, name
        for row in rows:
            assert (row.who_kind, row.who_id, row.who_name) == ("person", str(anna.pk), OWNER), (name, row)
            assert row.address == ADDRESS, (name, row)
            assert row.request_id, (name, row)
        changed[name] = changed.get(name, set()) | {row.table_name for row in rows}
    missing = {name: table for name, table in CHANGES.items() if table not in changed.get(name, ())}
    assert not missing, (missing, changed)


# Where the form as it is changes nothing.
OTHERS = {
    "settings-yours": {"time_zone": "Asia/Tokyo"},
    "team-role": {"role": "billing"},
    "alert": {"name": "Another", "threshold": "77"},
    "alert-switch": {"to": "off"},
}
