"""Which credits pay how much: a table of cases, then properties."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoices.prepaid.drawing import About, Drawn, Part, Pot, draw, returned, shares_of

D = Decimal
NOW = datetime(2026, 12, 2, tzinfo=UTC)
CALLS, STORAGE, TRAFFIC = 1, 2, 3
ALL_OF_100: dict[About, Decimal] = {None: D(100)}


def days(count: int) -> datetime:
    return NOW + timedelta(days=count)


def pot(id: int, left: Any, **fields: Any) -> Pot:
    fields = {"currency": "USD", "starts_at": days(-30)} | fields
    return Pot(id=id, left=D(left), **fields)


def only(*items: int) -> dict[str, Any]:
    return {"product_item_ids": frozenset(items)}


DRAWS: list[tuple[str, list[Pot], Mapping[About, Decimal], list[tuple[int, str]]]] = [
    ("no credit", [], ALL_OF_100, []),
    ("more than is due", [pot(1, 130)], ALL_OF_100, [(1, "100")]),
    ("exactly what is due", [pot(1, 100)], ALL_OF_100, [(1, "100")]),
    ("less than is due", [pot(1, "99.99")], ALL_OF_100, [(1, "99.99")]),
    ("an empty one is passed over", [pot(1, 0), pot(2, 30)], ALL_OF_100, [(2, "30")]),
    (
        "the lowest priority first",
        [pot(1, 80, priority=50), pot(2, 60, priority=10)],
        ALL_OF_100,
        [(2, "60"), (1, "40")],
    ),
    ("zero is a priority", [pot(1, 80, priority=1), pot(2, 60, priority=0)], ALL_OF_100, [(2, "60"), (1, "40")]),
    (
        "priority before expiry",
        [pot(1, 80, expires_at=days(1)), pot(2, 60, priority=10)],
        ALL_OF_100,
        [(2, "60"), (1, "40")],
    ),
    (
        "what expires first, first",
        [pot(1, 80, expires_at=days(9)), pot(2, 60, expires_at=days(2))],
        ALL_OF_100,
        [(2, "60"), (1, "40")],
    ),
    ("what never expires, last", [pot(1, 80), pot(2, 60, expires_at=days(900))], ALL_OF_100, [(2, "60"), (1, "40")]),
    ("expiry before age", [pot(1, 80), pot(2, 90, expires_at=days(1))], ALL_OF_100, [(2, "90"), (1, "10")]),
    ("then the oldest", [pot(7, 80), pot(3, 60)], ALL_OF_100, [(3, "60"), (7, "40")]),
    ("expired at this very moment", [pot(1, 80, expires_at=NOW)], ALL_OF_100, []),
    ("expires a moment later", [pot(1, 80, expires_at=NOW + timedelta(microseconds=1))], ALL_OF_100, [(1, "80")]),
    ("good from this very moment on", [pot(1, 80, starts_at=NOW)], ALL_OF_100, [(1, "80")]),
    ("good a moment later", [pot(1, 80, starts_at=NOW + timedelta(microseconds=1))], ALL_OF_100, []),
    ("of another currency", [pot(1, 80, currency="EUR"), pot(2, 5)], ALL_OF_100, [(2, "5")]),
    ("only for what is charged", [pot(1, 80, **only(CALLS))], {CALLS: D(60), None: D(40)}, [(1, "60")]),
    ("only for what is not on it", [pot(1, 80, **only(STORAGE))], {CALLS: D(60), None: D(40)}, []),
    (
        "for several items",
        [pot(1, 80, **only(CALLS, STORAGE))],
        {CALLS: D(30), STORAGE: D(20), None: D(50)},
        [(1, "50")],
    ),
    (
        "money for everything leaves to the other what that can pay",
        [pot(1, 50, priority=1), pot(2, 80, **only(CALLS))],
        {CALLS: D(60), None: D(40)},
        [(1, "50"), (2, "50")],
    ),
    (
        "two for the same item pay it once",
        [pot(1, 40, **only(CALLS)), pot(2, 40, **only(CALLS))],
        {CALLS: D(60), None: D(40)},
        [(1, "40"), (2, "20")],
    ),
    (
        "the wider one pays first what the narrower cannot",
        [pot(1, 60, **only(CALLS, STORAGE)), pot(2, 60, **only(CALLS))],
        {CALLS: D(60), STORAGE: D(40)},
        [(1, "60"), (2, "40")],
    ),
    (
        "what has expired takes no part in whose turn it is",
        [pot(1, 40), pot(2, 80, expires_at=NOW, **only(CALLS)), pot(3, 80, **only(STORAGE))],
        {CALLS: D(40), STORAGE: D(60)},
        [(1, "40"), (3, "60")],
    ),
    ("nothing is due", [pot(1, 40)], {}, []),
]


@pytest.mark.parametrize(("what", "pots", "shares", "expected"), DRAWS, ids=[case[0] for case in DRAWS])
def test_drawing(what: str, pots: list[Pot], shares: Mapping[About, Decimal], expected: list[tuple[int, str]]) -> None:
    wanted = [Drawn(grant, D(amount)) for grant, amount in expected]
    assert draw(pots, shares, "USD", NOW) == wanted
    assert draw(pots[::-1], shares, "USD", NOW) == wanted, "the order in which they are given says nothing"


def discount(amount: Any, *off: int) -> Part:
    return Part(D(amount), is_discount=True, off=frozenset(off))


SHARES: list[tuple[str, str, list[Part], dict[About, str]]] = [
    ("one item", "40", [Part(D(40), CALLS)], {CALLS: "40"}),
    ("taxes are spread", "119", [Part(D(60), CALLS), Part(D(40))], {CALLS: "71.40", None: "47.60"}),
    (
        "several rates of an item",
        "100",
        [Part(D(30), CALLS), Part(D(40), STORAGE), Part(D(30), CALLS)],
        {CALLS: "60", STORAGE: "40"},
    ),
    (
        "no cent is lost",
        "100",
        [Part(D(1), CALLS), Part(D(1), STORAGE), Part(D(1), TRAFFIC)],
        {CALLS: "33.33", STORAGE: "33.33", TRAFFIC: "33.34"},
    ),
    ("what costs nothing has no share", "40", [Part(D(0), CALLS), Part(D(40), STORAGE)], {STORAGE: "40"}),
    (
        "a discount on one item",
        "100",
        [Part(D(100), CALLS), Part(D(100), STORAGE), discount(-100, CALLS)],
        {STORAGE: "100"},
    ),
    (
        "a discount on the whole",
        "100",
        [Part(D(150), CALLS), Part(D(50), STORAGE), discount(-100)],
        {CALLS: "75", STORAGE: "25"},
    ),
    (
        "one after the other",
        "90",
        [Part(D(100), CALLS), Part(D(100), STORAGE), discount(-50, CALLS), discount(-60)],
        {CALLS: "30", STORAGE: "60"},
    ),
    ("a minimum is of no item", "150", [Part(D(60), CALLS), Part(D(90))], {CALLS: "60", None: "90"}),
    ("a discount comes before the minimum", "50", [Part(D(60), CALLS), discount(-60), Part(D(50))], {None: "50"}),
    ("less than nothing has no share", "70", [Part(D(100), CALLS), Part(D(-30))], {CALLS: "70"}),
    (
        "a correction of an item",
        "70",
        [Part(D(100), CALLS), Part(D(50), STORAGE), Part(D(-80), STORAGE)],
        {CALLS: "70"},
    ),
    ("only taxes of a correction", "3.80", [], {None: "3.80"}),
    ("nothing", "0", [Part(D(0), CALLS)], {}),
    ("below zero", "-5", [Part(D(10), CALLS), Part(D(-15))], {}),
]


@pytest.mark.parametrize(("what", "total", "parts", "expected"), SHARES, ids=[case[0] for case in SHARES])
def test_shares(what: str, total: str, parts: list[Part], expected: dict[About, str]) -> None:
    assert shares_of(D(total), parts, "USD") == {about: D(amount) for about, amount in expected.items()}


def test_shares_are_in_whole_minor_units() -> None:
    parts = [Part(D(1), CALLS), Part(D(1), STORAGE)]
    assert shares_of(D(101), parts, "JPY") == {CALLS: D(50), STORAGE: D(51)}
    assert shares_of(D("0.003"), parts, "KWD") == {CALLS: D("0.001"), STORAGE: D("0.002")}


@pytest.mark.parametrize(
    ("beyond", "expected"),
    [
        ("0", []),
        ("-1", []),
        ("10", [(2, "10")]),
        ("30", [(2, "30")]),
        ("30.01", [(2, "30"), (1, "0.01")]),
        ("80", [(2, "30"), (1, "50")]),
        ("100", [(2, "30"), (1, "50")]),
    ],
)
def test_the_newest_draw_goes_back_first(beyond: str, expected: list[tuple[int, str]]) -> None:
    drawn = [Drawn(1, D(50)), Drawn(2, D(30))]
    assert returned(drawn, D(beyond)) == [Drawn(grant, D(amount)) for grant, amount in expected]


def test_of_a_grant_that_got_all_back_nothing_goes_back() -> None:
    assert returned([Drawn(1, D(50)), Drawn(2, D(0))], D(20)) == [Drawn(1, D(20))]


# --- Properties ---

cents = st.integers(0, 100_000).map(lambda count: D(count).scaleb(-2))
items = st.sampled_from([CALLS, STORAGE, TRAFFIC])
moments = st.integers(-3, 3).map(days)
pots = st.lists(
    st.builds(
        Pot,
        id=st.just(0),
        currency=st.sampled_from(["USD", "EUR"]),
        left=cents,
        starts_at=st.integers(-6, 1).map(days),
        expires_at=st.none() | moments,
        priority=st.integers(0, 3),
        product_item_ids=st.frozensets(items, max_size=2),
    ),
    max_size=8,
).map(lambda found: [Pot(index, *(getattr(one, name) for name in FIELDS)) for index, one in enumerate(found)])
FIELDS = ("currency", "left", "starts_at", "expires_at", "priority", "product_item_ids")
shares = st.dictionaries(items | st.none(), cents)
parts = st.lists(
    st.builds(Part, amount=cents, product_item_id=items | st.none())
    | st.builds(Part, amount=cents.map(lambda one: -one), product_item_id=items | st.none())
    | st.builds(
        Part, amount=cents.map(lambda one: -one), is_discount=st.just(True), off=st.frozensets(items, max_size=2)
    ),
    max_size=8,
)


@given(pots, shares)
def test_never_more_than_is_left_or_due_and_never_less_than_can_be(
    pots: list[Pot], shares: dict[About, Decimal]
) -> None:
    drawn = draw(pots, shares, "USD", NOW)
    by_id = {pot.id: pot for pot in pots}
    assert len({one.pot for one in drawn}) == len(drawn)
    for one in drawn:
        pot = by_id[one.pot]
        assert 0 < one.amount <= pot.left
        assert pot.currency == "USD"
        assert pot.is_good_at(NOW)
    paid = {one.pot: one.amount for one in drawn}
    assert sum(paid.values()) <= sum(shares.values())
    # Money for some items pays no more than these, however many grants it is in.
    for wanted in ({CALLS}, {STORAGE}, {CALLS, STORAGE}, {CALLS, STORAGE, TRAFFIC}):
        within = [pot for pot in pots if pot.product_item_ids and pot.product_item_ids <= wanted]
        assert sum(paid.get(pot.id, D(0)) for pot in within) <= sum(shares.get(item, D(0)) for item in wanted)
    # As long as something is due, money for everything is drawn to the last cent.
    good = [pot for pot in pots if pot.currency == "USD" and pot.is_good_at(NOW)]
    if sum(paid.values()) < sum(shares.values()):
        assert all(paid.get(pot.id, D(0)) == pot.left for pot in good if not pot.product_item_ids)


@given(pots, shares)
def test_drawing_what_is_left_again_draws_nothing(pots: list[Pot], shares: dict[About, Decimal]) -> None:
    """Of money for everything: what one drawing leaves is due to nobody, or left of nothing."""
    for_all = [Pot(pot.id, pot.currency, pot.left, pot.starts_at, pot.expires_at, pot.priority) for pot in pots]
    drawn = {one.pot: one.amount for one in draw(for_all, shares, "USD", NOW)}
    due = sum(shares.values(), D(0)) - sum(drawn.values())
    rest = [
        Pot(pot.id, pot.currency, pot.left - drawn.get(pot.id, D(0)), pot.starts_at, pot.expires_at, pot.priority)
        for pot in for_all
    ]
    assert draw(rest, {None: due}, "USD", NOW) == []


@given(pots, shares)
def test_an_earlier_grant_is_used_up_before_a_later_one_is_touched(
    pots: list[Pot], shares: dict[About, Decimal]
) -> None:
    for_all = [Pot(pot.id, pot.currency, pot.left, pot.starts_at, pot.expires_at, pot.priority) for pot in pots]
    by_id = {pot.id: pot for pot in for_all}
    drawn = draw(for_all, shares, "USD", NOW)
    assert [one.pot for one in drawn] == sorted((one.pot for one in drawn), key=lambda one: by_id[one].order)
    assert all(one.amount == by_id[one.pot].left for one in drawn[:-1])


@given(cents, parts)
def test_shares_sum_to_the_total(total: Decimal, parts: list[Part]) -> None:
    found = shares_of(total, parts, "USD")
    assert sum(found.values()) == total
    assert all(amount >= 0 and amount == round(amount, 2) for amount in found.values())


@given(st.lists(cents, max_size=6), cents)
def test_what_goes_back_is_what_is_beyond_and_no_more_than_was_drawn(amounts: list[Decimal], beyond: Decimal) -> None:
    drawn = [Drawn(index, amount) for index, amount in enumerate(amounts)]
    back = returned(drawn, beyond)
    assert sum(one.amount for one in back) == min(beyond, sum(amounts))
    assert all(0 < one.amount <= amounts[one.pot] for one in back)
