"""Every table is watched, or has a reason why not; and what is watched is as the list says."""

import re

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from meters.audit_log import triggers
from meters.audit_log.tables import HIDDEN, not_watched, watched
from meters.models import ApiKey, Customer
from tests.audit_log.written import of, written
from tests.factories import make_customer

pytestmark = pytest.mark.django_db

# What may open something, by its name.
SECRET = re.compile(r"password|secret|digest|token|hash|(?<!_)key$")
# Names of things, which are told to everybody.
NO_SECRETS = {
    *("meters_customer.key", "meters_meter.key", "pricing_plan.key", "pricing_promotion.key", "pricing_taxrate.key"),
    *("pricing_fee.key", "invoices_brandimage.digest", "invoices_webhookendpoint.old_secret_until"),
}


def run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def columns_of(table: str) -> set[str]:
    with connection.cursor() as cursor:
        return {column.name for column in connection.introspection.get_table_description(cursor, table)}


def test_each_table_has_a_trigger_or_a_reason_why_not() -> None:
    tables = set(connection.introspection.table_names())
    assert tables == watched().keys() | not_watched().keys()
    assert not watched().keys() & not_watched().keys()
    assert all(not_watched().values())


def test_the_list_names_columns_that_are_there_and_hides_what_opens_something() -> None:
    for table, one in watched().items():
        columns = columns_of(table)
        named = {one.pk, *one.label, *one.hidden, *one.left_out, *one.quiet, *one.said}
        if one.owner:
            named.add(one.owner.column)
            assert not one.owner.through or {"id", one.owner.id_there} <= columns_of(one.owner.through)
        assert named <= columns, table
        for column in columns - set(one.hidden) - set(one.left_out):
            assert not SECRET.search(column) or f"{table}.{column}" in NO_SECRETS, f"{table}.{column}"


def test_the_database_has_them_as_the_list_says() -> None:
    assert list(triggers.faults()) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            "DROP TRIGGER meters_audit_update ON pricing_plan",
            "the trigger meters_audit_update of pricing_plan is missing",
        ),
        (
            "ALTER TABLE meters_apikey DISABLE TRIGGER meters_audit_delete",
            "the trigger meters_audit_delete of meters_apikey is switched off",
        ),
        (
            "CREATE OR REPLACE TRIGGER meters_audit_delete AFTER DELETE ON auth_user FOR EACH ROW WHEN (OLD.id = 0) "
            "EXECUTE FUNCTION meters_audit(); COMMENT ON TRIGGER meters_audit_delete ON auth_user IS NULL",
            "the trigger meters_audit_delete of auth_user is not as Tollmeter makes it",
        ),
        (
            "CREATE OR REPLACE FUNCTION meters_audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            "the function meters_audit() is not as Tollmeter makes it",
        ),
    ],
    ids=["dropped", "switched off", "another", "another function"],
)
def test_what_a_hand_did_to_them_is_found_and_put_right(change: str, fault: str) -> None:
    run(change)
    assert list(triggers.faults()) == [fault]
    triggers.attach()
    assert list(triggers.faults()) == []
    with written() as rows:
        User.objects.create(username="u").delete()
    assert [row.action for row in rows] == ["insert", "delete"]


def test_a_trigger_that_is_not_on_the_list_is_taken_away() -> None:
    run("CREATE TRIGGER meters_audit_old AFTER DELETE ON meters_customer FOR EACH ROW EXECUTE FUNCTION meters_audit()")
    triggers.attach()
    assert not any(name == "meters_audit_old" for _, name in triggers._there())


def test_columns_may_come_change_and_go() -> None:
    make_customer("acme")
    for table in ("pricing_plan", "meters_customer"):
        run(f"ALTER TABLE {table} ADD COLUMN colour varchar(3)")
    run("ALTER TABLE meters_customer ALTER COLUMN colour TYPE text")
    with written() as rows:
        run("UPDATE meters_customer SET colour = 'red'")
    assert of(rows, "meters_customer").after == {"colour": "red"}
    run("ALTER TABLE meters_customer DROP COLUMN colour")
    assert list(triggers.faults()) == []


def test_of_a_secret_it_is_said_that_it_changed() -> None:
    user = User.objects.create(username="anna", password="the hash of one")
    with written() as rows:
        user.password = "the hash of another"
        user.save()
    assert (of(rows, "auth_user").before, of(rows, "auth_user").after) == ({"password": HIDDEN}, {"password": HIDDEN})
    with written() as rows:
        User.objects.filter(pk=user.pk).update(password="")
    assert of(rows, "auth_user").after == {"password": ""}
    with written() as rows:
        ApiKey.objects.create(name="k", start="tm_x", digest=b"\x01" * 32)
    assert of(rows, "meters_apikey").after["digest"] == HIDDEN
    assert "0101" not in str(of(rows, "meters_apikey").after)


def test_many_at_once_by_any_way_are_written_down_each() -> None:
    with written() as rows:
        Customer.objects.bulk_create([Customer(key=f"c{number}", source="api") for number in range(3)])
        Customer.objects.filter(key__in=["c0", "c1"]).update(name="Same")
        assert connection.connection is not None
        with connection.connection.cursor() as cursor, cursor.copy("COPY auth_group (name) FROM STDIN") as copy:
            copy.write("first\nsecond\n")
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE auth_user_groups")
        Customer.objects.filter(key="c2").delete()
    assert [(row.action, row.table_name, row.label) for row in rows] == [
        *[("insert", "meters_customer", f"c{number}") for number in range(3)],
        *[("update", "meters_customer", f"c{number}") for number in range(2)],
        *[("insert", "auth_group", name) for name in ("first", "second")],
        ("truncate", "auth_user_groups", ""),
        ("delete", "meters_customer", "c2"),
    ]
    assert (rows[-1].before or {})["key"] == "c2"
    assert len({row.transaction for row in rows}) == 1


def test_what_is_rolled_back_did_not_happen_and_what_changes_nothing_is_no_change() -> None:
    customer = make_customer("acme")
    with written() as rows:
        with transaction.atomic():
            Customer.objects.update(name="New")
            transaction.set_rollback(True)
        Customer.objects.update(name=customer.name)
        Customer.objects.update(onboarded_at=None)
    assert rows == []


def test_numbers_are_kept_to_the_last_digit() -> None:
    exact = "12345678901234567890.123456789012345678"
    with written() as rows:
        run(
            "INSERT INTO pricing_taxrate (key, name, percent, is_default, created_at) "
            "VALUES ('vat', 'VAT', 19.5, false, now())"
        )
        run("ALTER TABLE pricing_taxrate DROP CONSTRAINT taxrate_percent")
        run(f"UPDATE pricing_taxrate SET percent = {exact}")
    assert str((rows[1].after or {})["percent"]) == exact
