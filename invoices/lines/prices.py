"""Where the price of a line comes from, and its text: all of it told by what is stored and does not change."""

from collections.abc import Sequence

from invoices.lines.explained import rate_text_of, steps_of
from invoices.lines.spans import About
from invoices.models import Invoice, InvoiceLine
from meters.periods import local_date
from meters.words import day_words
from pricing.explain_nouns import percent_text
from pricing.models import Fee, PlanVersion, Rate
from pricing.plan_words import describe_fee, describe_terms
from pricing.version_contents import rate_key

KINDS = InvoiceLine.Kind
OWN, GENERAL = "a price of the customer's own", "the plan's general price"
# What a version says of itself that lifts a bill, by the name that `describe_terms` has for it.
LEAST = ("Minimum", "Commitment", "Beyond the commitment")


class Prices:
    """The prices of these lines, read in as many statements as of one."""

    def __init__(self, found: Sequence[About]) -> None:
        private = {one.of.plan_version_id for one in found if one.of.plan_version.plan.is_private}
        self.own_rates: set[tuple[int, tuple[int, str]]] = set()
        self.own_fees: set[tuple[int, str]] = set()
        if private:
            rates = Rate.objects.filter(plan_version__in=private, is_override=True)
            for version, item, where in rates.values_list("plan_version", "product_item", "where"):
                self.own_rates.add((version, rate_key(item, where)))
            fees = Fee.objects.filter(plan_version__in=private, is_override=True)
            self.own_fees = set(fees.values_list("plan_version", "key"))

    def source(self, about: About) -> str:
        """ "Growth, version 3, in force since 1 Nov 2026"; of what is beside the plan, its name."""
        line, version = about.line, about.of.plan_version
        if about.kind == KINDS.PROMOTION:
            return _promotion(about)
        if about.kind == KINDS.TAX:
            return f"Tax {line.tax_rate}" if line.tax_rate else "Tax"
        words = _version_words(about.of)
        if about.kind == KINDS.UNPRICED:
            return f"{words}, has no price for it"
        if not version.plan.is_private or about.kind == KINDS.TRIAL:
            return words
        return f"{words}: {OWN if self._is_own(about) else GENERAL}"

    def text(self, about: About) -> list[str]:
        """The price in plain words: of usage as it was stored with the line, else as the frozen version has it."""
        line, version = about.line, about.of.plan_version
        match about.kind:
            case KINDS.FEE:
                fee = next((fee for fee in about.priced.fees if fee.key == about.key), None)
                return [describe_fee(fee, version.currency)] if fee else []
            case KINDS.TRUE_UP | KINDS.OVERAGE:
                return [f"{name}: {words}" for name, words in describe_terms(version) if name in LEAST]
            case KINDS.PROMOTION | KINDS.TAX:
                percents = [step.percent for step in steps_of(line) if step.percent is not None]
                return [f"{percent_text(percent)}{_of_what(about)}" for percent in percents[:1]]
        return rate_text_of(line)

    def _is_own(self, about: About) -> bool:
        version: PlanVersion = about.of.plan_version
        if about.kind == KINDS.FEE:
            return (version.pk, about.key) in self.own_fees
        if about.kind == KINDS.USAGE:
            return (version.pk, rate_key(about.line.product_item_id or 0, about.line.where)) in self.own_rates
        return bool({"minimum", "commitment"} & set(version.overridden_terms))


def _of_what(about: About) -> str:
    return " off" if about.kind == KINDS.PROMOTION else " of all that stands before"


def _promotion(about: About) -> str:
    applied = about.line.promotion
    if applied is None:
        return f"Promotion {about.line.name}"
    return f"Promotion {applied.promotion.name}, since {day_words(applied.starts_on)}"


def _version_words(invoice: Invoice) -> str:
    version = invoice.plan_version
    name = invoice.plan_name or version.plan.public_name
    since = ""
    if version.activated_at is not None:
        # The version that an assignment began with counts for its days before that, too.
        day = local_date(version.activated_at, invoice.zone)
        how = "in force since" if day <= local_date(invoice.period_start, invoice.zone) else "activated on"
        since = f", {how} {day_words(day)}"
    return f"{name}, version {version.number}{since}"
