"""What each page of the admin needs, said once more beside the code: a page without a word here fails the test."""

from collections.abc import Iterator

from django.urls import URLPattern, URLResolver, get_resolver

# Of all staff who have signed in, whatever their role: their own account, and what looks at permissions by itself.
OF_ALL_STAFF = {
    "index",
    "app_list",
    "autocomplete",
    "jsi18n",
    "login",
    "logout",
    "password_change",
    "password_change_done",
    "view_on_site",
}
OF_ALL_STAFF_BEGINNING = "second_factor"

# By model: what its standard pages let somebody do beside looking, each by Django's permission of that name.
MODELS = {
    "auth_group": "add change delete",
    "auth_user": "add change delete",
    "axes_accessattempt": "delete",
    "invoices_alert": "add change delete",
    "invoices_alertfiring": "",
    "invoices_auditrun": "",
    "invoices_backtest": "",
    "invoices_billingpolicy": "change",
    "invoices_brandversion": "change",
    "invoices_creditgrant": "",
    "invoices_creditnote": "",
    "invoices_export": "",
    "invoices_failingwork": "",
    "invoices_invoice": "",
    "invoices_mail": "",
    "invoices_mailsetting": "change",
    "invoices_webhookdelivery": "",
    "invoices_webhookendpoint": "add change delete",
    "meters_apikey": "add change",
    "meters_auditrow": "",
    "meters_customer": "add change",
    "meters_event": "",
    "meters_meter": "add change",
    "meters_rejectedevent": "",
    "meters_voidrecord": "",
    "portal_membership": "add change delete",
    "portal_portalpolicy": "change",
    "portal_portalsession": "",
    "portal_readkeyevent": "",
    "portal_staffview": "",
    "pricing_assignment": "add change",
    "pricing_assignmentlog": "",
    "pricing_assignmentrule": "add change delete",
    "pricing_plan": "add change",
    "pricing_productitem": "change",
    "pricing_promotion": "add change",
    "pricing_taxrate": "add change",
}
# Those of one row: the list is the page, and the page of the row leads there.
SINGLE = {"invoices_billingpolicy", "invoices_brandversion", "portal_portalpolicy"}

NEVER = "nobody"
# It leads to the list, which asks.
ANYBODY = ""

VOIDS = "meters.add_voidrecord meters.view_event"
PLAN = "pricing.change_plan"
LIVE = "invoices.change_invoice"
PAYS = "invoices.view_invoice invoices.add_payment"
CREDITS = "invoices.view_invoice invoices.add_creditnote"
SEES = "meters.view_customer invoices.view_invoice"

# The other pages. Two words: what looking needs, and what sending needs.
PAGES: dict[str, str | tuple[str, str]] = {
    "auth_user_password_change": "auth.change_user",
    "auth_user_second_factor": "auth.change_user",
    "health": "meters.view_heartbeat",
    "invoices_alert_test": "invoices.change_alert",
    "invoices_auditrun_result": "invoices.view_auditrun",
    "invoices_auditrun_start": "invoices.view_auditrun invoices.add_auditrun",
    "invoices_backtest_csv": "invoices.view_backtest",
    "invoices_backtest_result": "invoices.view_backtest",
    "invoices_backtest_start": "invoices.view_backtest invoices.add_backtest",
    "invoices_brandversion_css": "invoices.view_brandversion",
    "invoices_brandversion_mail": "invoices.change_brandversion",
    "invoices_brandversion_paper": "invoices.change_brandversion",
    "invoices_brandversion_preview": "invoices.change_brandversion",
    "invoices_creditgrant_grant": "invoices.add_creditgrant",
    "invoices_creditgrant_rule": "invoices.change_creditrule",
    "invoices_creditgrant_void": "invoices.change_creditgrant",
    "invoices_creditnote_pdf": "invoices.view_creditnote",
    "invoices_export_file": "invoices.view_export invoices.view_invoice",
    "invoices_export_progress": "invoices.view_export invoices.view_invoice",
    "invoices_export_start": "invoices.view_export invoices.view_invoice invoices.add_export",
    "invoices_invoice_approve": LIVE,
    "invoices_invoice_credit": CREDITS,
    "invoices_invoice_csv": "invoices.view_invoice",
    "invoices_invoice_finalize": LIVE,
    "invoices_invoice_hold": LIVE,
    "invoices_invoice_line": "invoices.view_invoice",
    "invoices_invoice_line_csv": "invoices.view_invoice meters.view_event",
    "invoices_invoice_overdue": "invoices.view_invoice",
    "invoices_invoice_payment": PAYS,
    "invoices_invoice_pdf": "invoices.view_invoice",
    "invoices_invoice_recalculate": LIVE,
    "invoices_invoice_refund": PAYS,
    "invoices_invoice_reissue": CREDITS,
    "invoices_invoice_release": LIVE,
    "invoices_invoice_void": CREDITS,
    "invoices_invoice_write-off": PAYS,
    "invoices_mail_html": "invoices.view_mail",
    "invoices_mailsetting_html": "invoices.view_mailsetting",
    "invoices_plan_policy": "invoices.change_billingpolicy",
    "invoices_webhookdelivery_replay": "invoices.change_webhookdelivery",
    "invoices_webhookendpoint_rotate": "invoices.change_webhookendpoint",
    "meters_apikey_rotate": "meters.add_apikey meters.change_apikey",
    "meters_customer_billing": "pricing.change_billingprofile",
    "meters_customer_paper": SEES,
    "meters_customer_statement": SEES,
    "meters_customer_usage": "meters.view_customer",
    "meters_event_unvoid": VOIDS,
    "meters_event_void": VOIDS,
    "meters_meter_live": "meters.view_meter",
    "meters_meter_test-event": "meters.change_meter",
    "meters_meter_usage": "meters.view_meter",
    # A test event of this meter is voided there, and of any other nothing.
    "meters_meter_void-test-event": (f"meters.view_meter {VOIDS}", NEVER),
    "portal_look_customer": "portal.view_as_customer",
    "portal_look_invoice": "portal.view_as_customer",
    "pricing_assignment_change_plan": "pricing.add_assignment pricing.change_assignment",
    "pricing_assignment_import": "pricing.add_assignment",
    "pricing_assignment_quantity": "pricing.change_assignment",
    "pricing_assignmentrule_move": "pricing.change_assignmentrule",
    "pricing_assignmentrule_try": "pricing.view_assignmentrule meters.view_customer pricing.view_assignment",
    "pricing_plan_activate": PLAN,
    "pricing_plan_add_fee": PLAN,
    "pricing_plan_add_rate": PLAN,
    "pricing_plan_apply": "pricing.add_plan pricing.change_plan",
    "pricing_plan_change_fee": PLAN,
    "pricing_plan_change_rate": PLAN,
    "pricing_plan_discard": PLAN,
    "pricing_plan_document": "pricing.view_plan",
    "pricing_plan_draft": PLAN,
    "pricing_plan_follow": PLAN,
    "pricing_plan_make_private": PLAN,
    "pricing_plan_remove_fee": PLAN,
    "pricing_plan_remove_rate": PLAN,
    "pricing_plan_retire": PLAN,
    "pricing_plan_take_back_fee": PLAN,
    "pricing_plan_take_back_rate": PLAN,
    "pricing_plan_take_back_terms": PLAN,
    "pricing_plan_terms": PLAN,
    "pricing_plan_version": "pricing.view_plan",
    "pricing_promotion_apply": "pricing.add_appliedpromotion pricing.view_promotion",
    "pricing_promotion_end": "pricing.change_appliedpromotion",
    "pricing_promotion_move": "pricing.change_promotion",
    "pricing_taxrate_retire": "pricing.change_taxrate",
}

# By model: the actions of its list, beside Django's own that deletes.
ACTIONS: dict[str, dict[str, str]] = {
    "auth_user": {"end_all_sessions": "auth.change_user"},
    "invoices_alert": {"switch_on": "invoices.change_alert", "switch_off": "invoices.change_alert"},
    "invoices_failingwork": {"try_selected_again": "invoices.change_failingwork"},
    "invoices_invoice": {"recalculate_selected": "invoices.change_invoice"},
    "invoices_mail": {"send_selected_again": "invoices.change_mail"},
    "invoices_webhookdelivery": {"replay_selected": "invoices.change_webhookdelivery"},
    "meters_apikey": {"rotate_key": "meters.change_apikey", "revoke_keys": "meters.change_apikey"},
    "meters_customer": {"assign_plan": "pricing.add_assignment"},
    "portal_portalsession": {"revoke_sessions": "portal.change_portalsession"},
}


def patterns(found: list[URLPattern | URLResolver], before: str = "") -> Iterator[tuple[str, URLPattern]]:
    for one in found:
        if isinstance(one, URLResolver):
            yield from patterns(one.url_patterns, before + str(one.pattern))
        else:
            yield before + str(one.pattern), one


def below(beginning: str) -> list[tuple[str, URLPattern]]:
    return [(where, one) for where, one in patterns(get_resolver().url_patterns) if where.startswith(beginning)]


def needed(name: str) -> tuple[str, str] | None:
    """What looking at a page needs, and what sending to it; None: no word about it."""
    if name in PAGES:
        said = PAGES[name]
        return said if isinstance(said, tuple) else (said, said)
    model, _, page = name.rpartition("_")
    if model not in MODELS:
        return None
    may = MODELS[model].split()
    view, verb = permission("view", model), permission("change", model)
    if page in ("changelist", "history"):
        return view, verb if model in SINGLE and page == "changelist" else view
    if page == "change":
        if model in SINGLE:
            return ANYBODY, ANYBODY
        return view, verb if "change" in may else NEVER
    return (permission(page, model),) * 2 if page in may else (NEVER, NEVER)  # type: ignore[return-value]


def permission(action: str, model: str) -> str:
    app, _, name = model.partition("_")
    return f"{app}.{action}_{name}"
