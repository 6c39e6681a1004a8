"""The audit log as staff see it, and as the API tells it."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from meters.audit_log.actors import Kind, acting
from meters.audit_log.reading import AuditQuery, history_of, page, tables_seen
from meters.audit_log.sealing import seal
from meters.audit_log.tables import watched
from meters.keys import create_api_key
from meters.models import AuditRow, Customer
from meters.request_id import of as request_of
from meters.staff_roles import StaffRole
from pricing.models import Plan
from pricing.plans import draft_version, set_rate
from tests.factories import STORY_RATE, make_customer, make_meter, role_group

pytestmark = pytest.mark.django_db

LIST = "/admin/meters/auditrow/"
ALL = frozenset(watched())


def text(answer: Any, status: int = 200) -> str:
    assert answer.status_code == status, answer.content
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


@pytest.fixture
def plan(empty_log: None) -> Plan:
    """A plan with a price that was changed."""
    meter = make_meter()
    with acting(Kind.STAFF, 7, "bea", "203.0.113.8"), request_of("of-bea"):
        made = Plan.objects.create(key="Basic")
        set_rate(draft_version(made), product_item=meter.product_item, parameters=STORY_RATE)
        Plan.objects.update(name="Basic plan", is_default=True)
    return made


def role(name: StaffRole) -> Client:
    user = User.objects.create_user(name.name.lower(), is_staff=True)
    user.groups.add(role_group(name.value))
    client = Client()
    client.force_login(user)
    return client


class TestHistory:
    def test_of_an_object_has_what_belongs_to_it_in_plain_words(self, ada: Client, plan: Plan) -> None:
        shown = text(ada.get(f"/admin/pricing/plan/{plan.pk}/history/"))
        assert "bea Staff, 203.0.113.8 Same request as of-bea" in shown
        assert "Changed: Plan Basic" in shown
        assert "Default plan no became → yes" in shown
        assert "Added: Rate #" in shown
        assert "of Plan Basic" in shown
        assert "Product item ApiCalls" in shown
        assert "Parameters model: block" in shown or "block_price: 5" in shown
        assert "Added: Plan version 1" in shown

    def test_it_stands_beside_what_the_pages_said(self, ada: Client) -> None:
        key, _ = create_api_key(name="old", scopes=["read"])
        ada.post("/admin/meters/apikey/", {"action": "revoke_keys", "_selected_action": [key.pk]})
        shown = text(ada.get(f"/admin/meters/apikey/{key.pk}/history/"))
        assert "Said by the pages" in shown
        assert "Revoked." in shown
        assert "Revoked at — became →" in shown
        assert "Digest" in text(ada.get(f"{LIST}?table=meters_apikey&object={key.pk}"))
        assert "(hidden)" in shown

    def test_page_by_page(self, plan: Plan, ada: Client) -> None:
        for number in range(60):
            Plan.objects.update(name=f"Name {number}")
        first = ada.get(f"/admin/pricing/plan/{plan.pk}/history/").content.decode()
        (before,) = re.findall(r'href="\?before=(\d+)"', first)
        second = text(ada.get(f"/admin/pricing/plan/{plan.pk}/history/?before={before}"))
        assert "Name 59" in first
        assert "Name 8 became → Name 9" not in text(ada.get(f"/admin/pricing/plan/{plan.pk}/history/"))
        assert "Name 8 became → Name 9" in second
        assert "Added: Plan Basic" in second
        for wrong in ("x", "-1", "9" * 30, "²"):
            assert ada.get(f"/admin/pricing/plan/{plan.pk}/history/?before={wrong}").status_code == 200

    def test_who_may_not_see_the_log_sees_none_of_it(self, plan: Plan) -> None:
        assert "bea" in text(role(StaffRole.FINANCE).get(f"/admin/pricing/plan/{plan.pk}/history/"))
        support = role(StaffRole.SUPPORT)
        assert "bea" not in text(support.get(f"/admin/pricing/plan/{plan.pk}/history/"))
        assert support.get(LIST).status_code == 403
        assert support.get(f"{LIST}{AuditRow.objects.latest('id').pk}/change/").status_code == 403

    @pytest.mark.parametrize("address", ["invoices/billingpolicy", "portal/portalpolicy", "invoices/brandversion"])
    def test_pages_of_settings_lead_there(self, ada: Client, address: str) -> None:
        table = address.replace("/", "_")
        found = ada.get(f"/admin/{address}/").content.decode()
        assert f'href="{LIST}?table={table}"' in found
        assert ada.get(f"{LIST}?table={table}").status_code == 200


class TestList:
    def test_finds_what_is_gone(self, ada: Client, plan: Plan) -> None:
        number = plan.pk
        draft_version(plan).delete()
        Plan.objects.get().delete()
        shown = text(ada.get(f"{LIST}?table=pricing_plan&object={number}"))
        assert "Removed: Plan Basic" in shown
        assert "Added: Plan Basic" in shown

    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            ({}, {"pricing_plan", "pricing_rate", "auth_user"}),
            ({"table": "pricing_rate"}, {"pricing_rate"}),
            ({"who": "bea"}, {"pricing_plan", "pricing_rate"}),
            ({"who": "be"}, set()),
            ({"request": "of-bea", "table": "pricing_plan"}, {"pricing_plan"}),
            ({"request": "of-other"}, set()),
            ({"start": "2000-01-01T00:00", "who": "bea"}, {"pricing_plan", "pricing_rate"}),
            ({"end": "2000-01-01T00:00"}, set()),
            ({"start": "2999-01-01T00:00"}, set()),
        ],
    )
    def test_is_searched(self, ada: Client, plan: Plan, asked: dict[str, str], found: set[str]) -> None:
        # Made by the fixture of who looks, before the log was emptied.
        User.objects.create(username="new")
        rows = {entry.row.table_name for entry in ada.get(LIST, asked).context["entries"]}
        assert rows & {"pricing_plan", "pricing_rate", "auth_user"} == found

    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            ({"object": "1"}, "Say what kind of object has this id."),
            ({"table": "pg_class"}, "Select a valid choice"),
            ({"start": "2026-11-02T00:00", "end": "2026-11-01T00:00"}, "This is not after the beginning."),
            ({"start": "x"}, "Enter a valid date/time."),
            ({"who": "a\0b"}, "Null characters are not allowed."),
            ({"cursor": "x"}, "This page of the list does not exist."),
            ({"cursor": "2026-11-01T00:00:00+00:00_" + "9" * 30}, "This page of the list does not exist."),
            ({"cursor": "2026-13-01T00:00:00+00:00_1"}, "This page of the list does not exist."),
        ],
    )
    def test_what_cannot_be_searched_is_told(self, ada: Client, asked: dict[str, str], said: str) -> None:
        assert said in text(ada.get(LIST, asked))

    def test_page_by_page_each_once_also_of_one_moment(self, plan: Plan, ada: Client) -> None:
        Customer.objects.bulk_create([Customer(key=f"c{number}", source="api") for number in range(120)])
        seen: list[int] = []
        address = LIST
        while address:
            answer = ada.get(address)
            seen += [entry.row.pk for entry in answer.context["entries"]]
            address = answer.context["older"] and LIST + answer.context["older"]
        assert sorted(seen, reverse=True) == seen
        assert len(seen) == len(set(seen)) == AuditRow.objects.count()

    def test_one_change_has_its_place_and_hash(self, ada: Client, plan: Plan) -> None:
        row = AuditRow.objects.latest("id")
        address = f"{LIST}{row.pk}/change/"
        assert "not sealed yet" in text(ada.get(address))
        seal()
        row.refresh_from_db()
        shown = text(ada.get(address))
        assert bytes(row.hash or b"").hex() in shown
        assert "of-bea" in shown
        assert f"Sealed up to row {row.position} of the chain" in text(ada.get(LIST))
        assert ada.get(f"{LIST}999999999/change/").status_code == 404

    def test_nobody_adds_changes_or_removes(self, ada: Client, plan: Plan) -> None:
        row = AuditRow.objects.latest("id")
        for path in (f"{LIST}add/", f"{LIST}{row.pk}/delete/"):
            assert ada.post(path, {"post": "yes"}).status_code == 403
        assert ada.post(LIST, {"action": "delete_selected", "_selected_action": [row.pk]}).status_code in (200, 403)
        assert AuditRow.objects.filter(pk=row.pk).exists()

    def test_a_finding_stands_on_top(self, ada: Client, plan: Plan) -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE meters_audithead SET finding = 'Row 4 of the chain is not as it was sealed.'")
        assert "The log is not as it was sealed. Row 4 of the chain" in text(ada.get(LIST))

    def test_of_what_one_may_not_see_it_says_nothing(self, plan: Plan) -> None:
        """Finance sees neither keys nor people."""
        key, _ = create_api_key(name="secret-one", scopes=["read"])
        row = AuditRow.objects.get(table_name="meters_apikey", object_id=str(key.pk))
        finance = role(StaffRole.FINANCE)
        found = {entry.row.table_name for entry in finance.get(LIST).context["entries"]}
        assert "pricing_plan" in found
        assert not {"meters_apikey", "auth_user", "auth_user_groups"} & found
        assert "secret-one" not in text(finance.get(LIST))
        assert "Select a valid choice" in text(finance.get(f"{LIST}?table=meters_apikey"))
        assert finance.get(f"{LIST}{row.pk}/change/").status_code == 404

    def test_many_changes_cost_no_more_queries(self, ada: Client, plan: Plan) -> None:
        def queries() -> int:
            with CaptureQueriesContext(connection) as captured:
                ada.get(f"{LIST}?table=pricing_plan")
            return len(captured)

        queries()
        few = queries()
        for number in range(40):
            Plan.objects.update(name=f"Name {number}")
        assert queries() == few


class TestApi:
    def ask(self, query: str = "", role: str = StaffRole.OWNER, **fields: Any) -> Any:
        _, key = create_api_key(name="reader", scopes=["read"], role=role, **fields)
        return Client(headers={"Authorization": f"Bearer {key}"}).get(f"/v1/audit-log{query}")

    def test_tells_each_change(self, plan: Plan) -> None:
        seal()
        (change,) = self.ask("?table=pricing_plan&actor=bea&limit=1").json()["data"]
        row = AuditRow.objects.filter(table_name="pricing_plan").latest("id")
        assert change == {
            "id": row.pk,
            "at": row.at.isoformat().replace("+00:00", "Z"),
            "action": "update",
            "table": "pricing_plan",
            "object": str(plan.pk),
            "label": "Basic",
            "owner": {"table": "pricing_plan", "object": str(plan.pk)},
            "before": {"name": "", "is_default": False},
            "after": {"name": "Basic plan", "is_default": True},
            "actor": {"kind": "staff", "id": "7", "name": "bea"},
            "address": "203.0.113.8",
            "request_id": "of-bea",
            "transaction": row.transaction,
            "position": row.position,
            "hash": bytes(row.hash or b"").hex(),
        }

    def test_numbers_are_decimal_text(self, plan: Plan) -> None:
        draft_version(plan)
        (added,) = self.ask("?table=pricing_planversion").json()["data"]
        assert (added["after"]["minimum"], added["after"]["overage_factor"]) == ("0", "1")
        assert (added["before"], added["after"]["number"]) == (None, 1)

    def test_page_by_page_the_newest_first(self, plan: Plan) -> None:
        first = self.ask("?actor=bea&limit=2").json()
        _, key = create_api_key(name="reader", scopes=["read"])
        second = Client(headers={"Authorization": f"Bearer {key}"}).get(first["next"]).json()
        found = [change["id"] for change in first["data"] + second["data"]]
        assert found == sorted(found, reverse=True)
        assert len(set(found)) == 4

    @pytest.mark.parametrize(
        ("query", "parameter"),
        [
            ("?object=1", "table"),
            ("?from=yesterday", "from"),
            ("?what=1", "what"),
            ("?request_id=" + "x" * 65, "request_id"),
            ("?actor=%00", "actor"),
        ],
    )
    def test_what_it_does_not_understand_is_named(self, query: str, parameter: str) -> None:
        answer = self.ask(query)
        assert answer.status_code == 400, answer.content
        assert parameter in json.dumps(answer.json()["errors"])

    def test_by_time_and_request(self, plan: Plan) -> None:
        ahead = (timezone.now() + timedelta(days=1)).isoformat().replace("+00:00", "Z")
        assert self.ask(f"?from={ahead}").json()["data"] == []
        assert len(self.ask(f"?to={ahead}&request_id=of-bea").json()["data"]) >= 4

    def test_a_role_bounds_it_and_a_customers_key_opens_it_not(self, plan: Plan) -> None:
        tables = {change["table"] for change in self.ask(role=StaffRole.READ_ONLY).json()["data"]}
        assert "pricing_plan" in tables
        assert "meters_apikey" not in tables
        assert self.ask(role=StaffRole.SUPPORT).json()["code"] == "missing_permission"
        assert self.ask(customer=make_customer("acme")).json()["code"] == "restricted_api_key"
        _, key = create_api_key(name="writer", scopes=["write"])
        assert Client(headers={"Authorization": f"Bearer {key}"}).get("/v1/audit-log").status_code == 403


class TestFast:
    """Each question walks along an index in the order of its answer: nothing is sorted, or counted."""

    @pytest.mark.parametrize(
        ("query", "index"),
        [
            (AuditQuery(), "meters_auditrow_at"),
            (AuditQuery(table="pricing_plan"), "meters_auditrow_table"),
            (AuditQuery(who="bea"), "meters_auditrow_who"),
            (AuditQuery(request_id="r7"), "meters_auditrow_request"),
            (AuditQuery(start=timezone.now() - timedelta(days=1)), "meters_auditrow_at"),
        ],
        ids=["all", "table", "who", "request", "time"],
    )
    def test_the_list(self, many: None, query: AuditQuery, index: str) -> None:
        with CaptureQueriesContext(connection) as captured:
            found = page(query, seen=ALL, limit=50)
        assert found.rows
        plan = explained(captured.captured_queries[0]["sql"])
        assert f"using {index}" in plan
        assert "Sort" not in plan

    def test_the_history_of_an_object(self, many: None) -> None:
        with CaptureQueriesContext(connection) as captured:
            assert len(history_of("meters_customer", "5", seen=ALL, limit=50)) == 50
        plans = [explained(query["sql"]) for query in captured.captured_queries]
        assert "using meters_auditrow_object" in plans[0]
        assert "using meters_auditrow_owner" in plans[1]
        assert not any("Sort" in plan for plan in plans)

    @pytest.fixture
    def many(self, empty_log: None) -> None:
        """20,000 rows of different tables, objects, people and requests."""
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO meters_auditrow (at, transaction, action, table_name, object_id, label, owner_table, "
                "owner_id, who_kind, who_id, who_name, request_id) "
                "SELECT now() - n * interval '1 second', n, 'update', t[1 + n %% 5], (n %% 97)::text, '', "
                "'meters_customer', (n %% 31)::text, 'staff', '1', CASE n %% 7 WHEN 0 THEN 'bea' ELSE 'ada' END, "
                "'r' || n %% 50 FROM generate_series(1, 20000) AS n, "
                "(SELECT %(tables)s::text[] AS t) AS t",
                {"tables": ["pricing_plan", "pricing_rate", "meters_customer", "auth_user", "meters_meter"]},
            )
            cursor.execute("ANALYZE meters_auditrow")


def explained(statement: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {statement}")
        return "\n".join(line for (line,) in cursor.fetchall())


def test_tables_seen_are_those_that_one_may_see() -> None:
    assert tables_seen(lambda _: True) == ALL
    assert tables_seen(lambda _: False) == frozenset()
    assert tables_seen({"auth.view_user"}.__contains__) == {
        "auth_user",
        "auth_user_groups",
        "auth_user_user_permissions",
    }
    assert Permission.objects.filter(codename="view_auditrow").exists()
    with pytest.raises(ValidationError):
        page(AuditQuery(), seen=ALL, limit=1, cursor="x")
