"""The staff pages of meters: every option, what usage settles, copies."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ValidationError
from django.test import Client

from meters.admin.fields import condition_lines, conditions_of
from meters.models import Meter
from pricing.models import ProductItem
from tests.factories import make_customer, make_meter, send

pytestmark = pytest.mark.django_db

ADD = "/admin/meters/meter/add/"
# What the form holds when it opens, with a key.
METER = {
    "key": "ApiCalls",
    "name": "",
    "aggregation": "sum",
    "unit": "calls",
    "dimensions": "",
    "where": "",
    "unique_dimension": "",
    "percentile": "",
    "time_unit": "",
    "value_dimension": "",
    "multiplier": "1",
    "rounding": "none",
    "rounding_places": "0",
}


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("staff"))
    return client


@pytest.fixture
def viewer(client: Client) -> Client:
    """Of the staff, and may look at meters."""
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_meter"))
    client.force_login(user)
    return client


def text(response: Any) -> str:
    return str(response.content.decode())


def errors(response: Any) -> dict[str, list[str]]:
    assert response.status_code == 200
    return {name: list(faults) for name, faults in response.context["adminform"].form.errors.items()}


def page(meter: Meter) -> str:
    return f"/admin/meters/meter/{meter.pk}/change/"


def test_a_meter_used_for_billing_brings_its_product_item_and_says_so(staff: Client) -> None:
    typed = METER | {"dimensions": " source,target ,", "used_for_billing": "on"}
    response = staff.post(ADD, typed, follow=True)
    meter = Meter.objects.get(key="ApiCalls")
    assert meter.dimensions == ["source", "target"]
    item = ProductItem.objects.get(meter=meter)
    assert f'<a href="/admin/pricing/productitem/{item.pk}/change/">ApiCalls</a>' in text(response)


def test_a_meter_that_is_not_billed_has_no_product_item(staff: Client) -> None:
    staff.post(ADD, METER)
    assert Meter.objects.exists()
    assert not ProductItem.objects.exists()


def test_every_option_is_typed_and_comes_back(staff: Client) -> None:
    typed = METER | {
        "aggregation": "percentile",
        "percentile": "99.9",
        "value_dimension": "bytes",
        "dimensions": "region, plan",
        "where": "region = eu, us\r\n\r\nplan=pro\r\n",
        "multiplier": "0.000000001",
        "rounding": "up",
        "rounding_places": "3",
    }
    staff.post(ADD, typed)
    meter = Meter.objects.get()
    assert (meter.percentile, meter.multiplier) == (Decimal("99.9"), Decimal("0.000000001"))
    assert meter.where == {"region": ["eu", "us"], "plan": ["pro"]}
    assert (meter.value_dimension, meter.rounding, meter.rounding_places) == ("bytes", "up", 3)

    opened = text(staff.get(page(meter)))
    assert 'value="0.000000001"' in opened  # and not 1E-9
    assert "plan = pro\nregion = eu, us</textarea>" in opened
    staff.post(page(meter), typed)  # saved again as it is, nothing changes
    again = Meter.objects.get()
    assert (again.multiplier, again.where, again.percentile) == (meter.multiplier, meter.where, meter.percentile)


@pytest.mark.parametrize(
    ("typed", "field", "error"),
    [
        ({"key": "Api Calls"}, "key", "beginning with a letter"),
        ({"aggregation": "unique_count"}, "unique_dimension", "Name the dimension"),
        ({"aggregation": "percentile"}, "percentile", "Say which percentile"),
        ({"aggregation": "percentile", "percentile": "101"}, "percentile", "from 0 to 100"),
        ({"aggregation": "percentile", "percentile": "p95"}, "percentile", "Enter a number"),
        ({"aggregation": "time_weighted_sum"}, "time_unit", "Choose the unit of time"),
        ({"aggregation": "median"}, "aggregation", "not one of the available choices"),
        ({"dimensions": "a, a"}, "dimensions", "Name each dimension once"),
        ({"dimensions": "a, customer"}, "dimensions", "without a dimension of that name"),
        ({"where": "region = eu"}, "where", "Declare region as a dimension first"),
        ({"where": "region"}, "where", "Line 1: write it as region = eu, us"),
        ({"where": "\na = b\na = c"}, "where", "Line 3: a is there already"),
        ({"multiplier": "0"}, "multiplier", "above zero"),
        ({"multiplier": "NaN"}, "multiplier", "Enter a number"),
        ({"multiplier": "1e24"}, "multiplier", "24 digits"),
        ({"rounding": "up", "rounding_places": "16"}, "rounding_places", "less than or equal to 15"),
        ({"rounding": "bankers"}, "rounding", "not one of the available choices"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_meter_stands_beside_its_field(
    staff: Client, typed: dict[str, str], field: str, error: str
) -> None:
    found = errors(staff.post(ADD, METER | typed))
    assert set(found) == {field}
    assert error in " ".join(found[field])
    assert not Meter.objects.exists()


def test_an_option_of_another_aggregation_is_hidden_and_not_taken(staff: Client) -> None:
    """Somebody chose an aggregation, filled in its option, and changed their mind."""
    left = {"unique_dimension": "user", "percentile": "95", "time_unit": "hour", "rounding_places": "7"}
    staff.post(ADD, METER | left | {"aggregation": "count", "value_dimension": "bytes"})
    meter = Meter.objects.get()
    assert (meter.unique_dimension, meter.percentile, meter.time_unit, meter.value_dimension) == ("", None, "", "")
    assert meter.rounding_places == 0


def test_an_emptied_multiplier_is_one(staff: Client) -> None:
    staff.post(ADD, METER | {"multiplier": ""})
    assert Meter.objects.get().multiplier == 1


# --- What usage settles ---


def test_usage_settles_what_a_meter_means(staff: Client) -> None:
    meter = make_meter(where={"source": ["crm"]}, multiplier=Decimal("0.001"), rounding="half", rounding_places=2)
    assert 'name="key"' in text(staff.get(page(meter)))
    make_customer("acme")
    send("acme", "ApiCalls", 5, source="crm")
    response = staff.get(page(meter))
    assert set(response.context["adminform"].form.fields) == {"name", "unit", "dimensions", "used_for_billing"}
    shown = text(response)
    for words in ("source = crm", "0.001", "to 2 decimal places", "make a new meter", "?copy=ApiCalls"):
        assert words in shown
    typed = {"name": "API calls", "unit": "requests", "used_for_billing": "on"}
    refused = staff.post(page(meter), typed | {"dimensions": "target"})
    assert "usage by source" in errors(refused)["dimensions"][0]
    staff.post(page(meter), typed | {"dimensions": "source, target, region"})
    meter.refresh_from_db()
    assert (meter.name, meter.unit, meter.dimensions) == ("API calls", "requests", ["source", "target", "region"])
    assert (meter.key, meter.multiplier, meter.where) == ("ApiCalls", Decimal("0.001"), {"source": ["crm"]})


def test_a_form_that_was_open_before_the_first_event_is_refused_by_field(staff: Client) -> None:
    meter = make_meter()
    make_customer("acme")
    typed = METER | {"dimensions": "source, target", "used_for_billing": "on", "name": "Calls"}
    send("acme", "ApiCalls", 5)
    found = errors(staff.post(page(meter), typed | {"aggregation": "max", "multiplier": "2"}))
    assert set(found) == {"aggregation", "multiplier"}
    assert all("Make a new meter" in faults[0] for faults in found.values())
    # Without a change of what is settled by now it is saved.
    staff.post(page(meter), typed)
    meter.refresh_from_db()
    assert (meter.name, meter.aggregation) == ("Calls", "sum")


def test_a_copy_has_all_but_the_names(staff: Client) -> None:
    original = make_meter(
        "Traffic",
        name="Traffic",
        aggregation="percentile",
        percentile=Decimal("95"),
        unit="GB",
        dimensions=["region"],
        where={"region": ["eu"]},
        multiplier=Decimal("0.001"),
    )
    form = staff.get(f"{ADD}?copy=Traffic").context["adminform"].form
    typed = {name: form[name].value() or "" for name in METER}
    assert (typed["key"], typed["name"]) == ("", "")
    assert 'href="/admin/meters/meter/add/?copy=Traffic"' in text(staff.get(page(original)))
    rendered = {"dimensions": "region", "where": "region = eu", "percentile": "95", "multiplier": "0.001"}
    staff.post(f"{ADD}?copy=Traffic", typed | rendered | {"key": "Traffic2", "percentile": "99"})
    copy = Meter.objects.get(key="Traffic2")
    assert (copy.aggregation, copy.percentile, copy.unit) == ("percentile", 99, "GB")
    assert (copy.where, copy.multiplier, copy.dimensions) == ({"region": ["eu"]}, original.multiplier, ["region"])


def test_a_copy_of_nothing_is_an_empty_form(staff: Client) -> None:
    form = staff.get(f"{ADD}?copy=Nothing").context["adminform"].form
    assert form["aggregation"].value() == "sum"


def test_a_copy_of_what_no_key_can_be_is_not_found(staff: Client) -> None:
    assert staff.get(f"{ADD}?copy=%00").status_code == 404


def test_a_meter_is_not_deleted(staff: Client) -> None:
    meter = make_meter()
    assert staff.get(f"/admin/meters/meter/{meter.pk}/delete/").status_code == 403


def test_who_may_only_look_sees_the_options_in_words(viewer: Client) -> None:
    meter = make_meter(aggregation="time_weighted_sum", time_unit="day", rounding="up")
    response = viewer.get(page(meter))
    shown = text(response)
    assert "Value times the days that it holds" in shown
    assert "Up, to whole numbers" in shown
    assert "copy" not in shown
    assert "Send a test event" not in shown
    assert viewer.get(ADD).status_code == 403
    assert viewer.post(page(meter), METER | {"name": "changed"}).status_code == 403
    assert Meter.objects.get().name == ""


def test_the_list_of_meters_says_the_option_of_an_aggregation(staff: Client) -> None:
    make_meter("P", aggregation="percentile", percentile=Decimal("99.9"))
    make_meter("U", aggregation="unique_count", unique_dimension="user")
    shown = text(staff.get("/admin/meters/meter/"))
    assert "Percentile 99.9 of the values" in shown
    assert "Number of different values of user" in shown


# --- Conditions as they are typed ---


@pytest.mark.parametrize(
    ("typed", "conditions"),
    [
        ("", {}),
        ("region = eu", {"region": ["eu"]}),
        ("region=eu,us , asia ", {"region": ["eu", "us", "asia"]}),
        ("region = eu, eu", {"region": ["eu"]}),
        ('name = "Miller, Smith", plain', {"name": ["Miller, Smith", "plain"]}),
        ('plan = ""', {"plan": [""]}),
        ('"a=b" = "x\\ny"', {"a=b": ["x\ny"]}),
        ("city = New York, São Paulo", {"city": ["New York", "São Paulo"]}),
    ],
)
def test_conditions_are_typed_in_lines(typed: str, conditions: dict[str, list[str]]) -> None:
    assert conditions_of(typed) == conditions
    assert conditions_of(condition_lines(conditions)) == conditions


@pytest.mark.parametrize("text", ["a, b", " lead", 'q"', "=", "", "\n", "\\", "\u2028", "#", "'", "x" * 500])
def test_any_text_can_be_typed(text: str) -> None:
    conditions = {"region": [text, "eu"]}
    assert conditions_of(condition_lines(conditions).replace("\n", "\r\n")) == conditions


@pytest.mark.parametrize(
    "typed",
    [
        *("region", "region =", "= eu", "region = eu,", "region = eu, , us", 'region = "eu', "region = eu = us"),
        *("a, b = c", 'region = "eu" x', '"\\x" = a', 'region = "\\u0000"', 'region = "\\ud800"', "region = a\0b"),
    ],
)
def test_a_faulty_condition_names_its_line(typed: str) -> None:
    with pytest.raises(ValidationError, match="Line 2"):
        conditions_of(f"plan = pro\n{typed}")
