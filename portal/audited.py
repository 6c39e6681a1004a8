"""Which tables of `portal` the audit log watches."""

from meters.audit_log.tables import Owner, Watched

_OF_CUSTOMER = Owner("customer_id", "meters_customer")

WATCHED = (
    Watched("portal_membership", owner=_OF_CUSTOMER),
    Watched("portal_invitation", label=("email",), owner=_OF_CUSTOMER, hidden=("digest",)),
    Watched("portal_portalpolicy"),
    # Made by the vendor's server for each visit, with who asked for it: their ends are watched.
    Watched(
        "portal_portalsession",
        label=("member",),
        owner=_OF_CUSTOMER,
        hidden=("digest",),
        left_out=("used_at", "used_from", "used_with", "last_seen_at"),
        added=False,
    ),
    Watched("portal_embedtoken", owner=_OF_CUSTOMER, hidden=("digest",), added=False),
    # Logs of their own, beside the rows that they tell of: they are only to be added to.
    Watched("portal_teamevent", label=("what",), owner=_OF_CUSTOMER, added=False),
    Watched("portal_readkeyevent", label=("what",), owner=_OF_CUSTOMER, added=False),
    Watched(
        "portal_staffview",
        label=("staff_name",),
        owner=_OF_CUSTOMER,
        left_out=("last_seen_at", "ended_at", "end"),
        added=False,
    ),
    # Each use of a device writes down when, which is a sign-in and no change.
    Watched(
        "otp_totp_totpdevice",
        owner=Owner("user_id", "auth_user"),
        hidden=("key",),
        left_out=("last_t", "drift", "last_used_at", "throttling_failure_timestamp", "throttling_failure_count"),
    ),
    Watched("portal_recoverycode", hidden=("digest",), added=False),
)

NOT_WATCHED = {
    "portal_browsersession": "who is signed in, where: no change of anything, and written at most visits",
    "portal_linkrequest": "that somebody asked for a link; what it was used for is watched",
}
