"""The status of a plan as all staff pages show it."""

from django.utils.safestring import SafeString

from meters.admin.base import chip
from pricing.models import Plan

CHIPS = {Plan.Status.DRAFT: "busy", Plan.Status.ACTIVE: "good", Plan.Status.RETIRED: "quiet"}


def status_chip(plan: Plan) -> SafeString:
    return chip(str(plan.get_status_display()), CHIPS[Plan.Status(plan.status)])
