"""Rules and promotions change places, also when two people move them at once."""

import itertools

import pytest

from pricing.models import AssignmentRule, Plan, Promotion
from pricing.ordering import move
from tests.racing import race


def rules(*positions: int) -> list[AssignmentRule]:
    plan = Plan.objects.create(key="Basic")
    return [AssignmentRule.objects.create(plan=plan, position=position) for position in positions]


def order() -> list[tuple[int, int]]:
    return list(AssignmentRule.objects.values_list("pk", "position"))


@pytest.mark.django_db
def test_neighbours_change_places_and_the_others_stay() -> None:
    first, second, third = rules(10, 15, 40)
    assert move(third, up=True)
    assert order() == [(first.pk, 10), (third.pk, 15), (second.pk, 40)]
    assert move(first, up=False)
    assert order() == [(third.pk, 10), (first.pk, 15), (second.pk, 40)]


@pytest.mark.django_db
def test_the_first_and_the_last_position_there_are() -> None:
    first, second = rules(0, 2**31 - 1)
    assert move(second, up=True)
    assert order() == [(second.pk, 0), (first.pk, 2**31 - 1)]


@pytest.mark.django_db
def test_the_ends_stay_where_they_are() -> None:
    first, second = rules(10, 20)
    assert not move(first, up=True)
    assert not move(second, up=False)
    assert order() == [(first.pk, 10), (second.pk, 20)]


@pytest.mark.django_db
def test_what_is_gone_moves_nothing() -> None:
    first, second = rules(10, 20)
    AssignmentRule.objects.filter(pk=second.pk).delete()
    assert not move(second, up=True)
    assert order() == [(first.pk, 10)]


@pytest.mark.django_db
def test_promotions_that_share_a_position_get_places_of_their_own() -> None:
    made = [Promotion.objects.create(key=key, name=key, percent=5, position=7) for key in "abc"]
    assert move(made[2], up=True)
    assert list(Promotion.objects.values_list("key", "position")) == [("a", 10), ("c", 20), ("b", 30)]


@pytest.mark.django_db
def test_every_order_can_be_reached() -> None:
    made = rules(10, 20, 30)
    for wanted in itertools.permutations(made):
        for place, rule in enumerate(wanted):
            while [pk for pk, _ in order()].index(rule.pk) > place:
                assert move(rule, up=True)
        assert order() == [(rule.pk, position) for rule, position in zip(wanted, (10, 20, 30), strict=True)]


@pytest.mark.django_db(transaction=True)
def test_two_moves_at_once_follow_each_other() -> None:
    one, two, three, four = rules(10, 20, 30, 40)
    for base in (100, 200, 300, 400, 500):
        places = [base + 10, base + 20, base + 30, base + 40]
        for rule, position in zip((one, two, three, four), places, strict=True):
            AssignmentRule.objects.filter(pk=rule.pk).update(position=position)
        assert race(lambda: move(three, up=True), lambda: move(four, up=True)) == []
        assert [position for _, position in order()] == places
        moved = [pk for pk, _ in order()]
        assert moved in ([one.pk, three.pk, four.pk, two.pk], [one.pk, two.pk, three.pk, four.pk])
