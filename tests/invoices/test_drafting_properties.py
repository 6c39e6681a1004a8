"""What holds for every draft: it adds up as it stands, meets its minimum exactly and never goes below zero."""

import itertools
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from invoices.drafting import Draft, DraftLine, ItemUsage, LineKind, draft
from pricing.money import minor_units, round_money, total_of
from pricing.rates import parse_rate
from pricing.steps import EXACT
from pricing.terms import FeeTerms, PromotionTerms, TaxTerms, Terms

CURRENCIES = ("USD", "JPY", "KWD")
ITEMS = (1, 2, 3)
KINDS = list(LineKind)


def numbers(largest: int, places: int) -> st.SearchStrategy[Decimal]:
    return st.integers(0, largest * 10**places).map(lambda digits: Decimal(digits).scaleb(-places, EXACT))


# Small ones meet bounds often, large ones reach the ends of what a field holds.
amounts = st.one_of(numbers(100, 0), numbers(100, 3), numbers(10**12, 2), numbers(10**24, 15))
quantities = st.one_of(numbers(50, 0), numbers(10**6, 2), numbers(10**24, 20))
percents = st.one_of(numbers(100, 0), numbers(100, 3))
units = {currency: Decimal(1).scaleb(-minor_units(currency)) for currency in CURRENCIES}


@st.composite
def usages(draw: st.DrawFn) -> ItemUsage:
    rate = None
    if draw(st.integers(0, 4)):
        parameters: dict[str, Any] = {"model": "per_unit", "unit_price": str(draw(st.one_of(numbers(9, 4), amounts)))}
        rate = parse_rate(parameters | draw(st.sampled_from([{}, {"included_units": "10"}, {"minimum": "3.005"}])))
    trial = not draw(st.integers(0, 4))
    return ItemUsage(draw(st.sampled_from(ITEMS)), "Item", "units", draw(quantities), rate, in_trial=trial)


@st.composite
def fees(draw: st.DrawFn, of_days: int, days: int) -> FeeTerms:
    kind = draw(st.sampled_from(["recurring", "one_time", "percent"]))
    if kind == "percent":
        return FeeTerms("fee", "Fee", "", kind, percent=draw(percents))
    first = draw(st.integers(1, days)) if days else 0
    runs = ((draw(quantities), first), *([(draw(quantities), days - first)] if first < days else []))
    return FeeTerms(
        key="fee",
        name="Fee",
        unit="",
        kind=kind,
        amount=draw(amounts),
        runs=runs if days else (),
        days_before=draw(st.integers(0, of_days - days)),
        of_days=of_days,
        prorated=draw(st.booleans()),
    )


@st.composite
def promotions(draw: st.DrawFn) -> PromotionTerms:
    percent = draw(st.one_of(st.none(), percents.filter(bool)))
    return PromotionTerms(
        id=0,
        name="Off",
        percent=percent,
        amount=draw(amounts) if percent is None else None,
        product_item_ids=draw(st.frozensets(st.sampled_from(ITEMS), max_size=2)),
        left=draw(st.one_of(st.none(), amounts)),
    )


@st.composite
def terms(draw: st.DrawFn) -> Terms:
    of_days = draw(st.integers(1, 366))
    days = draw(st.one_of(st.just(of_days), st.integers(0, of_days)))
    commitment = draw(st.one_of(st.none(), amounts.filter(bool)))
    return Terms(
        currency=draw(st.sampled_from(CURRENCIES)),
        fees=tuple(draw(st.lists(fees(of_days, days), max_size=3))),
        minimum=draw(amounts) if commitment is None else Decimal(0),
        commitment=commitment,
        overage_factor=draw(numbers(3, 2)),
        days=days,
        of_days=of_days,
        promotions=tuple(
            replace(promotion, id=number) for number, promotion in enumerate(draw(st.lists(promotions(), max_size=4)))
        ),
        taxes=tuple(TaxTerms(n, "Tax", percent) for n, percent in enumerate(draw(st.lists(percents, max_size=3)))),
    )


used = st.lists(usages(), max_size=4)
Runs = tuple[tuple[Decimal, int], ...]


def sums(drafted: Draft, *kinds: LineKind) -> Decimal:
    return total_of(line.amount for line in drafted.lines if line.kind in kinds)


def charges(drafted: Draft) -> Decimal:
    """What all before the minimum comes to."""
    return sums(drafted, *KINDS[: KINDS.index(LineKind.TRUE_UP)])


@given(used, terms())
def test_a_draft_adds_up_as_it_stands(usage: list[ItemUsage], agreed: Terms) -> None:
    drafted = draft(usage, agreed)
    assert drafted.total == total_of(line.amount for line in drafted.lines)
    assert drafted.subtotal == EXACT.subtract(drafted.total, sums(drafted, LineKind.TAX))
    ranks = [KINDS.index(LineKind(line.kind)) for line in drafted.lines]
    assert ranks == sorted(ranks)
    assert len([line for line in drafted.lines if line.product_item_id]) == len(usage)
    for line in drafted.lines:
        exact = total_of(step.amount for step in line.steps)
        assert line.amount == round_money(exact, agreed.currency)
        assert draft(usage, agreed) == drafted


@given(used, terms())
def test_no_sum_on_the_way_is_below_zero(usage: list[ItemUsage], agreed: Terms) -> None:
    drafted = draft(usage, agreed)
    assert all(so_far >= 0 for so_far in itertools.accumulate((line.amount for line in drafted.lines), EXACT.add))
    assert drafted.total >= drafted.subtotal >= 0
    assert all((line.amount < 0) == (line.kind == "promotion") for line in drafted.lines if line.kind != "overage")


@given(used, terms())
def test_minimum_and_commitment_are_met_exactly(usage: list[ItemUsage], agreed: Terms) -> None:
    drafted = draft(usage, agreed)
    whole = agreed.minimum if agreed.commitment is None else agreed.commitment
    due = Fraction(whole) * agreed.days / agreed.of_days
    rounded = EXACT.add(charges(drafted), sums(drafted, LineKind.TRUE_UP))
    if sums(drafted, LineKind.TRUE_UP):
        assert abs(Fraction(rounded) - due) <= Fraction(units[agreed.currency]) / 2
        assert drafted.subtotal == rounded
        assert charges(drafted) < rounded
    else:
        assert Fraction(rounded) >= due - Fraction(units[agreed.currency]) / 2
    if not agreed.days:
        assert sums(drafted, LineKind.FEE, LineKind.TRUE_UP) == 0


@given(used, terms())
def test_beyond_the_commitment_all_costs_its_factor(usage: list[ItemUsage], agreed: Terms) -> None:
    assume(agreed.commitment is not None)
    drafted = draft(usage, agreed)
    committed = round_money(_share(agreed.commitment or Decimal(0), agreed), agreed.currency)
    beyond = EXACT.subtract(charges(drafted), committed)
    if beyond > 0:
        expected = Fraction(committed) + Fraction(beyond) * Fraction(agreed.overage_factor)
        assert abs(Fraction(drafted.subtotal) - expected) <= Fraction(units[agreed.currency]) / 2


def _share(amount: Decimal, agreed: Terms) -> Decimal:
    """The exact share of the charged days as near as 100 digits come."""
    share = Fraction(amount) * agreed.days / agreed.of_days
    return Decimal(round(share * 10**60)).scaleb(-60, EXACT)


@given(used, terms())
def test_promotions_take_no_more_than_there_is(usage: list[ItemUsage], agreed: Terms) -> None:
    drafted = draft(usage, agreed)
    by_item = {item: total_of(line.amount for line in drafted.lines if line.product_item_id == item) for item in ITEMS}
    offers = list(agreed.promotions)
    whole = sums(drafted, *KINDS[: KINDS.index(LineKind.PROMOTION)])
    off_items: dict[frozenset[int], Decimal] = {}
    for line in [line for line in drafted.lines if line.kind == "promotion"]:
        offer = next(one for one in offers if one.id == line.promotion_id)
        offers = offers[offers.index(offer) + 1 :]
        base = line.steps[0].base
        chosen = offer.product_item_ids
        assert base is not None
        off = line.amount.copy_negate()
        assert off <= base <= (total_of(by_item[item] for item in chosen) if chosen else whole)
        if offer.left is not None:
            assert off <= round_money(offer.left, agreed.currency)
        if chosen:
            off_items[chosen] = EXACT.add(off_items.get(chosen, Decimal(0)), off)
            assert off_items[chosen] <= total_of(by_item[item] for item in chosen)
    assert sums(drafted, LineKind.PROMOTION).copy_negate() <= whole


@given(used, st.lists(percents.filter(bool), max_size=4), st.sampled_from(CURRENCIES))
def test_percentages_off_one_item_and_off_all_come_to_their_product(
    usage: list[ItemUsage], offers: list[Decimal], currency: str
) -> None:
    """A percentage of all is spread over the lines, so each item is left with its own share, to the minor unit."""
    chosen = (frozenset([1]), frozenset[int]())
    agreed = tuple(PromotionTerms(n, "Off", percent, None, chosen[n % 2]) for n, percent in enumerate(offers, start=1))
    drafted = draft(usage, Terms(currency, promotions=agreed))
    left = {line.product_item_id == 1: Fraction(0) for line in drafted.lines}
    for line in drafted.lines:
        if line.kind != "promotion":
            left[line.product_item_id == 1] = left.get(line.product_item_id == 1, Fraction(0)) + Fraction(line.amount)
    for offer in agreed:
        for is_chosen in left:
            if is_chosen or not offer.product_item_ids:
                left[is_chosen] *= 1 - Fraction(offer.percent or 0) / 100
    unit = Fraction(units[currency])
    lines = len(usage) + 1
    assert abs(Fraction(drafted.total) - sum(left.values())) <= unit * lines * max(len(offers), 1)


# The days of the parts of a period.
split_periods = st.lists(st.integers(1, 80), min_size=2, max_size=9)


def fee_line(price: Decimal, runs: Runs, days_before: int, of_days: int, currency: str) -> DraftLine:
    fee = FeeTerms("fee", "Fee", "", "recurring", amount=price, runs=runs, days_before=days_before, of_days=of_days)
    days = sum(days for _, days in runs)
    return draft([], Terms(currency, fees=(fee,), days=days, of_days=of_days)).lines[0]


@given(split_periods, amounts, quantities, st.sampled_from(CURRENCIES))
def test_the_fees_of_the_parts_of_a_period_add_up_to_that_of_the_whole(
    parts: list[int], price: Decimal, quantity: Decimal, currency: str
) -> None:
    of_days = sum(parts)
    begins = itertools.accumulate(parts[:-1], initial=0)
    shares = [
        fee_line(price, ((quantity, days),), before, of_days, currency)
        for before, days in zip(begins, parts, strict=True)
    ]
    whole = fee_line(price, ((quantity, of_days),), 0, of_days, currency)
    assert (
        total_of(share.amount for share in shares)
        == whole.amount
        == round_money(EXACT.multiply(price, quantity), currency)
    )
    for share, days in zip(shares, parts, strict=True):
        exact = Fraction(price) * Fraction(quantity) * days / of_days
        assert share.amount >= 0
        assert abs(Fraction(share.amount) - exact) <= Fraction(units[currency])
        (first, *rounding) = share.steps
        assert abs(Fraction(first.amount) - exact) < Fraction(1, 10**5)
        assert [step.kind for step in rounding] in ([], ["rounding"])


@given(st.tuples(st.integers(1, 80), st.integers(1, 80)), st.integers(0, 10**9), st.data(), st.sampled_from(CURRENCIES))
def test_the_fees_of_two_parts_with_quantities_of_their_own_add_up_within_a_unit(
    days: tuple[int, int], price_units: int, data: st.DataObject, currency: str
) -> None:
    price = Decimal(price_units).scaleb(-minor_units(currency))
    first, second = zip(data.draw(st.tuples(numbers(1000, 0), numbers(1000, 0))), days, strict=True)
    whole = fee_line(price, (first, second), 0, sum(days), currency)
    shares = fee_line(price, (first,), 0, sum(days), currency), fee_line(price, (second,), days[0], sum(days), currency)
    difference = abs(EXACT.subtract(total_of(share.amount for share in shares), whole.amount))
    assert difference <= units[currency]


@given(st.integers(1, 366), st.data(), amounts, st.sampled_from(CURRENCIES))
def test_the_minimums_of_two_stubs_add_up_to_that_of_the_whole(
    of_days: int, data: st.DataObject, minimum: Decimal, currency: str
) -> None:
    days = data.draw(st.integers(0, of_days))
    parts = [Terms(currency, minimum=minimum, days=part, of_days=of_days) for part in (days, of_days - days)]
    whole = draft([], Terms(currency, minimum=minimum, days=of_days, of_days=of_days)).total
    difference = EXACT.subtract(total_of(draft([], part).total for part in parts), whole)
    assert abs(difference) <= units[currency]


@given(used, terms(), st.randoms(use_true_random=False))
def test_the_order_of_taxes_and_of_fees_of_a_kind_does_not_matter(
    usage: list[ItemUsage], agreed: Terms, random: Any
) -> None:
    taxes, fees_ = list(agreed.taxes), list(agreed.fees)
    random.shuffle(taxes)
    random.shuffle(fees_)
    other = Terms(
        agreed.currency, tuple(fees_), agreed.minimum, days=agreed.days, of_days=agreed.of_days, taxes=tuple(taxes)
    )
    one = Terms(
        agreed.currency, agreed.fees, agreed.minimum, days=agreed.days, of_days=agreed.of_days, taxes=agreed.taxes
    )
    assert draft(usage, other).total == draft(usage, one).total
