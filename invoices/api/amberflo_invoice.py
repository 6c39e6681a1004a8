"""An invoice of ours as one of Amberflo's."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Prefetch, QuerySet

from invoices.models import Invoice, InvoiceLine
from invoices.prepaid.balances import balances_of, previews_of
from meters.aggregation import plain
from meters.api.amberflo_base import PRODUCT, seconds, truth
from meters.models import Customer
from meters.periods import local_date
from pricing.models import Fee, PlanVersion
from pricing.money import amount_text, total_of

# There is one account here.
ACCOUNT = "1"
Kind = InvoiceLine.Kind
Interval = PlanVersion.Interval
USAGE = (Kind.USAGE, Kind.TRIAL, Kind.UNPRICED, Kind.CORRECTION)
LEAST = (Kind.TRUE_UP, Kind.OVERAGE)
TAXES = (Kind.TAX, Kind.TAX_CORRECTION)
# Theirs are days, months and years.
INTERVALS = {Interval.WEEK: (Interval.DAY, 7), Interval.QUARTER: (Interval.MONTH, 3)}
PRICE_STATUS = {
    Invoice.Status.OPEN: "open",
    Invoice.Status.GRACE: "grace_period",
    Invoice.Status.FINAL: "price_locked",
}
Payment = Invoice.PaymentStatus
PAYMENT_STATUS = {
    Payment.UNPAID: "pending",
    Payment.PARTLY: "pending",
    Payment.PAID: "settled",
    Payment.WRITTEN_OFF: "not_needed",
}


def invoices_of(key: str) -> "QuerySet[Invoice]":
    """A customer's invoices but for void ones, the newest first, with all that is told of them."""
    about = ("product_item__meter", "promotion__promotion", "tax_rate")
    lines = InvoiceLine.objects.select_related(*about).order_by("position")
    invoices = Invoice.objects.filter(customer__key=key).exclude(status=Invoice.Status.VOID)
    shown = invoices.select_related("customer", "plan_version__plan").order_by("-period_start", "-id")
    return shown.prefetch_related(Prefetch("lines", queryset=lines), "plan_version__fees")


class Documents:
    """The invoices of one customer, by what all of them need to know."""

    def __init__(self, customer: Customer, now: datetime, asked: dict[str, str]) -> None:
        self.with_payment_status = truth(asked, "withPaymentStatus", True)
        self.previews = previews_of([customer.pk], now)
        self.left = {balance.currency: balance.amount for balance in balances_of(customer, now)}

    def of(self, invoice: Invoice) -> dict[str, Any]:
        lines = list(invoice.lines.all())
        fees = {fee.key: fee for fee in invoice.plan_version.fees.all()}
        key, start, end = _key(invoice), seconds(invoice.period_start), seconds(invoice.period_end)
        bill = {"startTimeInSeconds": start, "endTimeInSeconds": end, **self._bill(invoice, lines, fees)}
        payment = PAYMENT_STATUS[Payment(invoice.payment_status)] if invoice.finalized_at else "pre_payment"
        return {
            "invoiceUri": _uri(key),
            "invoiceKey": key,
            "invoiceNumber": invoice.number or None,
            "planBillingPeriod": _period(invoice.plan_version),
            "planName": invoice.plan_name or invoice.plan_version.plan.public_name,
            "invoiceStartTimeInSeconds": start,
            "invoiceEndTimeInSeconds": end,
            "gracePeriodInHours": (invoice.closes_at - invoice.period_end) // timedelta(hours=1),
            "productItemInvoices": _items(invoice, key, lines),
            "productPlanFees": [_fee(line, fees, invoice) for line in lines if _is_fee(line, fees)],
            "appliedPromotions": [_promotion(line, invoice) for line in lines if line.kind == Kind.PROMOTION],
            "appliedCommitments": [],
            "appliedInvoiceBasedFees": [
                {"feeName": line.name, "feeAmount": _money(line.amount, invoice), "feeInCredits": None}
                for line in lines
                if _is_percent(line, fees)
            ],
            "totalBill": bill,
            "invoiceBillInBaseCurrency": bill,
            "invoiceBillInCredits": None,
            "creditUnit": None,
            "paymentCurrencyInfo": {
                "basePlanCurrency": invoice.currency,
                "exchangeRate": 1,
                "paymentCurrency": invoice.currency,
            },
            "availablePrepaidLeft": _money(self.left.get(invoice.currency, Decimal(0)), invoice),
            "availablePayAsYouGoMoney": 0,
            "invoicePriceStatus": PRICE_STATUS[Invoice.Status(invoice.status)],
            "paymentStatus": payment if self.with_payment_status else None,
            "paymentCreatedInSeconds": None if invoice.finalized_at is None else seconds(invoice.finalized_at),
            "externalSystemStatus": None,
        }

    def _bill(self, invoice: Invoice, lines: Sequence[InvoiceLine], fees: dict[str, Fee]) -> dict[str, Any]:
        """itemPrice + fixPrice = totalPriceBeforeDiscount; less totalDiscount, with all else that is owed, it is
        totalPriceBeforePrepaid, which is our total; less prepaid it is totalPrice."""
        preview = self.previews.get(invoice.pk)
        prepaid = invoice.credits_applied if preview is None else preview.amount
        items = [line.amount for line in lines if line.kind in USAGE]
        fixed = [line.amount for line in lines if _is_fee(line, fees)]
        sums = {
            "itemPrice": total_of(items),
            "fixPrice": total_of(fixed),
            "totalPriceBeforeDiscount": total_of([*items, *fixed]),
            "totalDiscount": _sum(lines, (Kind.PROMOTION,)).copy_negate(),
            "invoiceBasedFees": total_of(line.amount for line in lines if _is_percent(line, fees)),
            "commitmentsFees": _sum(lines, LEAST),
            "taxes": _sum(lines, TAXES),
            "totalPriceBeforePrepaid": invoice.total,
            "prepaid": prepaid,
            "totalPrice": total_of([invoice.total, prepaid.copy_negate()]),
        }
        return {name: _money(amount, invoice) for name, amount in sums.items()}


def _money(amount: Decimal, invoice: Invoice) -> Decimal:
    return Decimal(amount_text(amount, invoice.currency))


def _sum(lines: Iterable[InvoiceLine], kinds: Sequence[str]) -> Decimal:
    return total_of(line.amount for line in lines if line.kind in kinds)


def _key(invoice: Invoice) -> dict[str, Any]:
    day = local_date(invoice.period_start, invoice.zone)
    return {
        "accountId": ACCOUNT,
        "customerId": invoice.customer.key,
        "productId": PRODUCT,
        "productPlanId": invoice.plan_version.plan.key,
        "year": day.year,
        "month": day.month,
        "day": day.day,
    }


def _uri(key: dict[str, Any]) -> str:
    day = f"year={key['year']}/month={key['month']:02}/day={key['day']:02}"
    plan = f"product_id={key['productId']}/product_plan_id={key['productPlanId']}"
    return f"payments/invoices/account_id={key['accountId']}/customer_id={key['customerId']}/{plan}/{day}"


def _period(version: PlanVersion) -> dict[str, Any]:
    interval, times = INTERVALS.get(Interval(version.interval), (version.interval, 1))
    return {"interval": str(interval), "intervalsCount": times * version.interval_count}


def _is_percent(line: InvoiceLine, fees: dict[str, Fee]) -> bool:
    return line.kind == Kind.FEE and line.fee_key in fees and fees[line.fee_key].kind == Fee.Kind.PERCENT


def _is_fee(line: InvoiceLine, fees: dict[str, Fee]) -> bool:
    return line.kind == Kind.FEE and not _is_percent(line, fees)


def _fee(line: InvoiceLine, fees: dict[str, Fee], invoice: Invoice) -> dict[str, Any]:
    fee = fees.get(line.fee_key)
    return {
        "id": line.fee_key,
        "name": line.name,
        "description": "",
        "cost": _money(line.amount, invoice),
        "isOneTimeFee": fee is not None and fee.kind == Fee.Kind.ONE_TIME,
    }


def _promotion(line: InvoiceLine, invoice: Invoice) -> dict[str, Any]:
    return {
        "promotionId": line.promotion.promotion.key if line.promotion is not None else None,
        "promotionName": line.name,
        "promotionType": "discount",
        "discount": _money(line.amount.copy_negate(), invoice),
        "discountInCredits": None,
    }


def _items(invoice: Invoice, key: dict[str, Any], lines: Sequence[InvoiceLine]) -> list[dict[str, Any]]:
    """A product item each, with a variant for each line about it. What corrects an earlier invoice is an item, too."""
    by_item: dict[str, list[InvoiceLine]] = {}
    for line in lines:
        if line.kind in USAGE:
            by_item.setdefault(_meter(line) or line.name, []).append(line)
    return [
        {
            "key": key | {"productItemKey": name},
            "productItemId": name,
            "productItemName": _item_name(some[0]),
            "meterApiName": _meter(some[0]),
            "productPlanName": invoice.plan_name or invoice.plan_version.plan.public_name,
            "productItemVariants": [_variant(line, invoice) for line in some],
            "totalBill": {
                "meterUnits": _units(some),
                "price": _money(total_of(line.amount for line in some), invoice),
            },
        }
        for name, some in by_item.items()
    ]


def _meter(line: InvoiceLine) -> str | None:
    return line.product_item.meter.key if line.product_item is not None else None


def _item_name(line: InvoiceLine) -> str:
    return line.product_item.name if line.product_item is not None else line.name


def _units(lines: Sequence[InvoiceLine]) -> Decimal:
    return Decimal(plain(total_of(line.quantity for line in lines if line.quantity is not None)))


def _variant(line: InvoiceLine, invoice: Invoice) -> dict[str, Any]:
    price = _money(line.amount, invoice)
    return {
        "key": str(line.position),
        "itemDimensions": {name: ", ".join(texts) for name, texts in line.where.items()},
        "dimensionLabel": line.name,
        "hourlyBillInfos": None,
        "totalBill": {
            "startTimeInSeconds": seconds(invoice.period_start),
            "endTimeInSeconds": seconds(invoice.period_end),
            "meterUnits": _units([line]),
            "price": price,
            "priceInBaseCurrency": price,
            "priceInCredits": None,
        },
    }
