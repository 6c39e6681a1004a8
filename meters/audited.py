"""Which tables of `meters`, and of Django's accounts, the audit log watches."""

from meters.audit_log.tables import Owner, Watched

WATCHED = (
    Watched(
        "meters_customer",
        label=("key",),
        left_out=("onboarded_at",),
        # One that its first event brings is no one's decision, and the intake is not to wait for it.
        inserted="NEW.source <> 'event'",
    ),
    Watched("meters_meter", label=("key",)),
    Watched(
        "meters_apikey",
        label=("name", "start"),
        owner=Owner("customer_id", "meters_customer"),
        hidden=("digest",),
        left_out=("last_used_at",),
    ),
    Watched("meters_voidrecord", label=("kind", "reason")),
    Watched("auth_user", label=("username",), hidden=("password",), left_out=("last_login",)),
    Watched("auth_group", label=("name",)),
    Watched("auth_group_permissions", owner=Owner("group_id", "auth_group")),
    Watched("auth_user_groups", owner=Owner("user_id", "auth_user")),
    Watched("auth_user_user_permissions", owner=Owner("user_id", "auth_user")),
)

_USAGE = "usage: never changed but by voids, which are watched; `verify_usage` counts it again"
_DJANGO = "made by code, by what the models say"
_SIGN_IN = "tries to sign in, not changes; removed after a while"

NOT_WATCHED = {
    "meters_event": _USAGE,
    "meters_eventkey": _USAGE,
    "meters_usagebucket": _USAGE,
    "meters_usagedistinct": _USAGE,
    "meters_usageversion": _USAGE,
    "meters_retiredmonth": "an archive's own record; the events are in its files",
    "meters_heartbeat": "signs of life, of the last day",
    "meters_dimensionset": "a dictionary that usage points into",
    "meters_rejectedevent": "counts of what was refused",
    "meters_idempotentrequest": "answers kept for a day",
    "meters_auditrow": "the audit log itself, which is only added to",
    "meters_audithead": "the audit log's own mark",
    "auth_permission": _DJANGO,
    "django_content_type": _DJANGO,
    "django_migrations": _DJANGO,
    "django_admin_log": "what the pages say of a change in words, shown beside it",
    "django_session": "not used: sessions are in portal_browsersession",
    "axes_accessattempt": _SIGN_IN,
    "axes_accessattemptexpiration": _SIGN_IN,
    "axes_accessfailurelog": _SIGN_IN,
    "axes_accesslog": _SIGN_IN,
}
