"""The staff pages of customers' plans, rules and the action that assigns."""

import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from invoices.models import Invoice
from meters.models import Customer, Meter
from pricing.models import Assignment, AssignmentRule
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on
from tests.pricing.pages import text

pytestmark = pytest.mark.django_db


# --- Customers ---


def test_a_new_customer_is_told_its_plan_and_why(staff: Client) -> None:
    def add(key: str, traits: str = "") -> str:
        return text(staff.post("/admin/meters/customer/add/", {"key": key, "traits": traits}, follow=True))

    assert "The plan of acme: none, because no rule matches" in add("acme")
    meter = make_meter()
    make_plan("Basic", {meter: STORY_RATE}, is_default=True)
    rule = AssignmentRule.objects.create(position=20, plan=make_plan("Special", {meter: STORY_RATE}))
    rule.conditions.create(trait="country", value="de")
    assert re.search(r"The plan of globex: Basic from [^,]+, as the default plan\.", add("globex"))
    assert re.search(r"The plan of initech: Special from [^,]+, by rule 20\.", add("initech", "country=de"))


def test_customers_are_found_by_whether_they_are_on_a_plan(staff: Client) -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    today = timezone.localdate()
    put_on(make_customer("with"), plan, today)
    put_on(make_customer("ahead"), plan, today + timedelta(days=40))
    make_customer("without")
    for value, keys in (("with", ["with"]), ("without", ["ahead", "without"]), ("other", ["ahead", "with", "without"])):
        found = staff.get("/admin/meters/customer/", {"plan": value}).context["cl"].result_list
        assert [customer.key for customer in found] == keys


def test_the_customer_page_shows_the_plans(client: Client) -> None:
    customer = make_customer("acme")
    put_on(customer, make_plan("Basic", {make_meter(): STORY_RATE}), timezone.localdate())
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_customer"))
    client.force_login(user)
    detail = f"/admin/meters/customer/{customer.pk}/change/"
    assert "Basic" not in text(client.get(detail))
    user.user_permissions.add(Permission.objects.get(codename="view_assignment"))
    shown = text(client.get(detail))
    assert f"/admin/pricing/assignment/{Assignment.objects.get().pk}/change/" in shown
    assert "Assign a plan" not in shown


# --- The action ---


def assign(staff: Client, customers: list[Customer], **fields: str) -> Any:
    data = {"action": "assign_plan", "_selected_action": [customer.pk for customer in customers], **fields}
    return staff.post("/admin/meters/customer/", data, follow=True)


def test_the_action_asks_and_then_assigns_whom_it_can(staff: Client) -> None:
    meter = make_meter()
    plan, other = make_plan("Basic", {meter: STORY_RATE}), make_plan("Other", {meter: STORY_RATE})
    customers = [make_customer(key) for key in ("acme", "globex", "initech")]
    put_on(customers[1], other, date(2026, 7, 1))

    asked = assign(staff, customers)
    assert "3 customers: acme, globex, initech" in text(asked)
    assert Assignment.objects.count() == 1

    empty = assign(staff, customers, apply="1", starts_on="soon")
    assert list(empty.context["form"].errors) == ["plan", "starts_on"]

    done = assign(staff, customers, apply="1", plan=str(plan.pk), starts_on=f"{timezone.localdate()}")
    assert "2 customers are on Basic" in text(done)
    assert "Not assigned: globex: ApiCalls is already priced by Other" in text(done)
    assert done.context["customers"] == [customers[1]]
    assert done.context["form"]["plan"].value() == str(plan.pk)
    assert Assignment.objects.filter(plan=plan).count() == 2
    assert Invoice.objects.filter(assignment__plan=plan).count() == 2


def test_the_action_takes_all_pages(staff: Client) -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    customers = [make_customer(f"c{number}") for number in range(3)]
    everybody = {"select_across": "1", "apply": "1", "plan": str(plan.pk), "starts_on": f"{timezone.localdate()}"}
    assign(staff, customers[:1], **everybody)
    assert Assignment.objects.count() == 3


def test_the_action_needs_permission(client: Client) -> None:
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_customer"))
    client.force_login(user)
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    assign(client, [make_customer("acme")], apply="1", plan=str(plan.pk), starts_on="2026-07-01")
    assert not Assignment.objects.exists()
    assert "assign_plan" not in text(client.get("/admin/meters/customer/"))


def test_the_customer_list_asks_as_often_for_many_as_for_one(
    staff: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    make_plan("Basic", {make_meter(): STORY_RATE}, is_default=True)
    for number in range(5):
        make_customer(f"c{number}")
    assert Meter.objects.count() == 1
    with django_assert_max_num_queries(7):
        response = staff.get("/admin/meters/customer/")
    assert text(response).count("Basic") == 5
