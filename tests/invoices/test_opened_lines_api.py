"""Opened lines and their events over the API: told as asked for, to whom they belong, and as the examples say."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.db import connection
from rest_framework.test import APIClient

from invoices.api.opened_examples import EVENT, EVENTS_CSV, OPENED_INVOICE
from invoices.models import Invoice, InvoiceLine
from meters.events import record_events
from meters.keys import create_api_key
from meters.models import Customer
from meters.periods import Period
from pricing.promotions import apply_promotion, save_promotion
from pricing.taxes import save_tax_rate
from tests.factories import (
    STORY_RATE,
    event,
    live_invoice,
    make_customer,
    make_meter,
    make_plan,
    put_on,
    run_sweep,
    send,
)
from tests.invoices.late import at, void, work_at
from tests.invoices.plans import ONE_EACH, fee, plan_with
from tests.kept import kept
from tests.meters.recount import recounted_events, stored_facts

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(at(9, 1), tick=False) as traveller:
        yield traveller


@pytest.fixture
@kept()
def september(db: None) -> Invoice:
    """30 calls on September's invoice, 2 that were voided in time, and 5 that came too late."""
    with time_machine.travel(at(9, 1), tick=False) as clock:
        customer = make_customer("acme")
        put_on(customer, plan_with("Basic", {make_meter("Calls"): ONE_EACH}, fee("base", "20")), date(2026, 9, 1))
        clock.move_to(at(9, 20))
        send("acme", "Calls", 30, time=at(9, 10), id="first", source="crm", job="7")
        send("acme", "Calls", 2, time=at(9, 11), id="wrong", source="erp")
        void("wrong")
        work_at(clock, at(10, 3))
        clock.move_to(at(10, 5))
        send("acme", "Calls", 5, time=at(9, 30), id="late")
        run_sweep()
        return Invoice.objects.get(number="2026-0001")


@pytest.fixture
def final(clock: time_machine.Traveller, september: Invoice) -> Invoice:
    clock.move_to(at(10, 5))
    return september


def events_of(client: APIClient, invoice: Invoice, position: int = 1, **asked: Any) -> Any:
    return client.get(f"/v1/invoices/{invoice.pk}/lines/{position}/events", asked)


class TestExpand:
    def test_without_it_lines_stay_as_they_were(self, final: Invoice, api) -> None:
        plain = api("read").get(f"/v1/invoices/{final.pk}").json()
        assert not {"price", "span", "walk", "days", "events"} & plain["lines"][0].keys()

    def test_steps(self, final: Invoice, api) -> None:
        answer = api("read").get("/v1/invoices/2026-0001", {"expand": "lines.steps"}).json()
        usage, base = answer["lines"]
        assert usage["price"] == "Basic, version 1, in force since 1 Sep 2026"
        assert usage["rate_text"] == ["$1.00 per call"]
        assert usage["span"] == {
            "from": "2026-09-01T00:00:00Z",
            "to": "2026-10-01T00:00:00Z",
            "time_zone": "UTC",
            "utc": "1 Sep 2026, 00:00 UTC to 1 Oct 2026, 00:00 UTC",
            "local": "1 Sep 2026, 00:00 UTC to 1 Oct 2026, 00:00 UTC",
        }
        assert [row["amount"] for row in usage["walk"]] == ["30"]
        assert usage["events"] == f"http://testserver/v1/invoices/{final.pk}/lines/1/events"
        assert (base["rate_text"], base["events"]) == (["$20.00, every period"], None)
        assert "days" not in usage

    def test_days(self, final: Invoice, api) -> None:
        answer = api("read").get(f"/v1/invoices/{final.pk}", {"expand": "lines.days"}).json()
        days = answer["lines"][0]["days"]
        assert [day for day in days if day["quantity"] != "0"] == [
            {"day": "2026-09-10", "quantity": "30"},
            {"day": "2026-09-30", "quantity": "5"},
        ]
        assert len(days) == 30
        assert answer["lines"][0]["days_notes"] == ["5 calls came later; they wait to be carried by the next invoice."]
        assert answer["lines"][1]["days"] == []
        assert "price" not in answer["lines"][0]

    def test_both(self, final: Invoice, api) -> None:
        for query in ("expand=lines.steps,lines.days", "expand=lines.steps&expand=lines.days"):
            line = api("read").get(f"/v1/invoices/{final.pk}?{query}").json()["lines"][0]
            assert {"price", "days"} <= line.keys()

    def test_what_is_not_known_is_named(self, final: Invoice, api) -> None:
        answer = api("read").get(f"/v1/invoices/{final.pk}", {"expand": "lines.steps,lines.cat"})
        assert answer.status_code == 400
        (error,) = answer.json()["errors"]
        assert error == {"parameter": "expand", "detail": "'lines.cat' is none of lines.steps, lines.days."}

    def test_one_invoice_at_a_time(self, final: Invoice, api) -> None:
        answer = api("read").get("/v1/invoices", {"customer": "acme", "expand": "lines.steps"})
        assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (400, "expand")


class TestEvents:
    def test_each_says_what_is_to_be_said_of_it(self, final: Invoice, api) -> None:
        found = events_of(api("read"), final).json()["data"]
        assert [(one["id"], one["counts"], one["marks"]) for one in found] == [
            ("late", True, ["late"]),
            ("wrong", False, ["voided"]),
            ("first", True, []),
        ]
        assert found[1]["void"]["reason"] == "test"
        assert found[2]["dimensions"] == {"source": "crm", "job": "7"}

    def test_a_void_after_it_was_final_says_so(self, final: Invoice, api) -> None:
        void("first")
        found = events_of(api("read"), final, state="voided").json()["data"]
        assert [(one["id"], one["marks"]) for one in found] == [("wrong", ["voided"]), ("first", ["voided_later"])]

    def test_only_what_has_changed_since(self, final: Invoice, api) -> None:
        void("first")
        found = events_of(api("read"), final, state="changed").json()["data"]
        assert [one["id"] for one in found] == ["late", "first"]
        live = live_invoice(final.customer)
        assert events_of(api("read"), live, state="changed").status_code == 400
        assert events_of(api("read"), final, state="odd").status_code == 400

    def test_a_correction_has_those_of_what_it_corrects(self, final: Invoice, api) -> None:
        live = live_invoice(final.customer)
        position = live.lines.get(kind="correction").position
        found = events_of(api("read"), live, position, state="changed").json()["data"]
        assert [(one["id"], one["marks"]) for one in found] == [("late", ["late"])]
        assert len(events_of(api("read"), live, position).json()["data"]) == 3

    def test_usage_of_the_grace_time(self, clock: time_machine.Traveller, api) -> None:
        customer = make_customer("acme")
        put_on(customer, plan_with("Basic", {make_meter("Calls"): ONE_EACH}), date(2026, 9, 1))
        clock.move_to(at(10, 1, 5))
        send("acme", "Calls", 1, time=at(9, 30))
        run_sweep()
        invoice = customer.invoices.get(status="grace")
        assert [one["marks"] for one in events_of(api("read"), invoice).json()["data"]] == [["in_grace"]]

    def test_they_page_by_key_there_and_back(self, final: Invoice, api) -> None:
        client = api("read")
        for number in range(7):
            send("acme", "Calls", 1, time=at(9, 12) + timedelta(hours=number // 3), id=f"more{number}")
        whole = [one["id"] for one in events_of(client, final).json()["data"]]
        assert len(whole) == 10
        seen, page = [], events_of(client, final, limit=3).json()
        pages = [page]
        while page["next"]:
            page = client.get(page["next"]).json()
            pages.append(page)
        seen = [one["id"] for each in pages for one in each["data"]]
        assert seen == whole
        back = client.get(pages[2]["previous"]).json()
        assert back["data"] == pages[1]["data"]
        assert events_of(client, final, cursor="nonsense").status_code == 400

    def test_lines_that_count_nothing_have_none(self, final: Invoice, api) -> None:
        answer = events_of(api("read"), final, 2)
        assert (answer.status_code, answer.json()["detail"]) == (404, "This line counts no usage, so it has no events.")
        assert events_of(api("read"), final, 9).status_code == 404

    def test_they_are_nobody_elses(self, final: Invoice) -> None:
        stranger = make_customer("globex")
        for customer, status in ((final.customer, 200), (stranger, 404)):
            _, text = create_api_key(name="k", scopes=["read"], customer=customer)
            client = APIClient()
            client.credentials(HTTP_X_API_KEY=text)
            assert events_of(client, final).status_code == status
            assert client.get(f"/v1/invoices/{final.pk}", {"expand": "lines.days"}).status_code == status
        assert events_of(APIClient(), final).status_code == 401
        _, text = create_api_key(name="own", scopes=["read"], customer=final.customer)
        own = APIClient()
        own.credentials(HTTP_X_API_KEY=text)
        voided = events_of(own, final, state="voided").json()["data"]
        assert "reason" not in voided[0]["void"]

    def test_as_a_file(self, final: Invoice, api) -> None:
        send("acme", "Calls", "0.5", time=at(9, 2), id="=1+1", source="@cmd", zone="+1")
        answer = api("read").get(f"/v1/invoices/{final.pk}/lines/1/events", HTTP_ACCEPT="text/csv")
        assert answer["Content-Type"].startswith("text/csv")
        assert answer["Content-Disposition"] == 'attachment; filename="invoice-2026-0001-line-1-events.csv"'
        assert answer.streaming
        heading, *rows = csv.reader(io.StringIO(b"".join(answer.streaming_content).decode()))
        assert heading == [
            "id", "time", "received_at", "value (calls)", "counts", "marks", "source", "target", "other_dimensions",
        ]  # fmt: skip
        assert [row[0] for row in rows] == ["late", "wrong", "first", "'=1+1"]
        assert rows[0][4:6] == ["true", "Came after the invoice was final"]
        assert rows[1][4:6] == ["false", "Voided"]
        assert rows[2][6:] == ["crm", "", "job=7"]
        assert rows[3][3] == "0.5"
        assert rows[3][6:] == ["'@cmd", "", "zone=+1"]

    def test_a_file_is_read_some_at_a_time(self, final: Invoice, api, django_assert_max_num_queries) -> None:
        from meters import event_log

        record_events([event("acme", "Calls", 1, time=at(9, 12)) for _ in range(25)])
        query = event_log.EventQuery(
            customer=final.customer, meter=final.lines.get(position=1).product_item.meter, start=at(9, 1), end=at(10, 1)
        )
        assert len({one.sequence for one in event_log.every_event(query, at_once=4)}) == 28


class TestWhatIsCounted:
    def test_events_listed_are_events_counted(self, clock: time_machine.Traveller, api) -> None:
        """Every event of the customer is on one line of the invoice, and that line's events come to its quantity."""
        meter = make_meter("Calls", dimensions=["region", "tier", "status"], where={"status": ["ok", ""]})
        rates = {
            meter: [
                ({"region": ["eu"], "tier": ["gold", ""]}, ONE_EACH),
                ({"tier": ["gold"]}, ONE_EACH),
                ({"region": ["eu", "us"]}, ONE_EACH),
            ]
        }
        customer = make_customer("acme", time_zone="Asia/Kolkata")
        put_on(customer, plan_with("Parts", rates, trial_days=5), date(2026, 9, 1))
        make_customer("globex")
        clock.move_to(at(9, 28))
        start = datetime(2026, 8, 31, 18, 30, tzinfo=UTC)
        sent = []
        for number in range(96):
            said = {
                "region": ("eu", "us", "", "asia")[number % 4],
                "tier": ("gold", "", "silver")[number % 3],
                "status": ("ok", "", "failed", "ok")[number // 4 % 4],
            }
            said = {name: text for name, text in said.items() if text}
            sent.append(event("acme", "Calls", number + 1, time=start + timedelta(hours=7 * number), **said))
        record_events([*sent, event("globex", "Calls", 1000, time=at(9, 10))])
        void(*[sent[number].id for number in (40, 41, 42, 90)])
        run_sweep()
        invoice = live_invoice(customer)
        client = api("read")
        listed: dict[str, int] = {}
        for line in invoice.lines.order_by("position"):
            found = events_of(client, invoice, line.position, limit=1000).json()["data"]
            counted = [one for one in found if one["counts"]]
            assert sum(Decimal(one["value"]) for one in counted) == line.quantity, line.where
            assert counted == events_of(client, invoice, line.position, limit=1000, state="counted").json()["data"]
            listed |= {one["id"]: line.position for one in counted}
            assert {one["marks"][0] for one in found if not one["counts"]} <= {"voided"}
        assert invoice.lines.count() == 5  # the trial, three filters and the rest
        mine = [fact for fact in stored_facts(meter) if fact.customer == "acme"]
        assert len(listed) == recounted_events(meter, mine, Period(invoice.period_start, invoice.period_end))

    def test_a_value_that_holds_has_the_event_that_it_is_from(self, clock: time_machine.Traveller, api) -> None:
        meter = make_meter("Seats", aggregation="time_weighted_sum", time_unit="day", dimensions=["team"], unit="seats")
        customer = make_customer("acme", time_zone="Asia/Kolkata")
        put_on(customer, plan_with("Basic", {meter: ONE_EACH}), date(2026, 9, 1))
        september = datetime(2026, 8, 31, 18, 30, tzinfo=UTC)
        before = (
            (timedelta(days=-9), 9, "a", "older"),
            (timedelta(days=-3), 4, "a", "a"),
            (timedelta(minutes=-10), 2, "b", "b"),  # in the hour that the bound cuts
            (timedelta(days=-2), 3, "gone", "gone"),
            (timedelta(days=-1), 0, "gone", "none"),
        )
        for ago, value, team, name in before:
            send("acme", "Seats", value, time=september + ago, team=team, id=name)
        send("acme", "Seats", 5, time=september, team="a", id="at once")
        clock.move_to(at(9, 5))
        send("acme", "Seats", 6, time=at(9, 4), team="c", id="in")
        run_sweep()
        invoice = Invoice.objects.get(customer=customer, period_start=september)
        client = api("read")
        whole = events_of(client, invoice).json()["data"]
        assert [(one["id"], one["marks"]) for one in whole] == [
            ("in", []),
            ("at once", []),
            ("b", ["carried_in"]),
            ("a", ["carried_in"]),
        ]
        for limit in (1, 2, 3):
            page = events_of(client, invoice, limit=limit).json()
            seen = page["data"]
            last = page
            while page["next"]:
                page = client.get(page["next"]).json()
                seen = seen + page["data"]
                last = page
            assert seen == whole, limit
            back: list[Any] = list(last["data"])
            while last["previous"]:
                last = client.get(last["previous"]).json()
                back = last["data"] + back
            assert back == whole, limit
        assert events_of(client, invoice, state="voided").json()["data"] == []

    def test_a_value_that_was_carried_in_late(self, clock: time_machine.Traveller, api) -> None:
        meter = make_meter("Seats", aggregation="time_weighted_average", dimensions=["team"], unit="seats")
        customer = make_customer("acme")
        put_on(customer, plan_with("Basic", {meter: ONE_EACH}), date(2026, 9, 1))
        send("acme", "Seats", 1, time=at(8, 20), team="a", id="in time")
        work_at(clock, at(10, 3))
        clock.move_to(at(10, 5))
        send("acme", "Seats", 3, time=at(8, 30), team="b", id="late")
        invoice = Invoice.objects.get(number="2026-0001")
        found = events_of(api("read"), invoice, state="changed").json()["data"]
        assert [(one["id"], one["marks"]) for one in found] == [("late", ["carried_in", "late"])]

    def test_the_statements_that_read_events_use_their_index(self, final: Invoice) -> None:
        from meters import event_log_sql

        where = {
            "customer": final.customer_id,
            "meters": [1],
            "limit": 26,
            "where": '{"source": ["crm"]}',
            "unless": "[]",
            "filters": "{}",
        }
        names = ["start", "end", "where", "unless", "in_filter", "changed"]
        times = {"start": at(9, 1), "end": at(10, 1), "changed_after": at(10, 3)}
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("EXPLAIN " + event_log_sql.events_of_customer(names, newer=False), where | times)
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "customer_id_meter_id_occurred_at_idx" in plan


class TestExamples:
    NOW = datetime(2026, 11, 22, 14, 0, 1, tzinfo=UTC)

    def test_they_are_what_is_answered(self, api) -> None:
        with time_machine.travel(datetime(2026, 11, 1, 9, tzinfo=UTC), tick=False) as clock:
            meter = make_meter()
            customer: Customer = make_customer("acme", name="Acme Retail")
            platform = fee("platform", "20")
            plan = plan_with("AwesomeIntegrationApi", {meter: STORY_RATE}, platform)
            put_on(customer, plan, date(2026, 11, 1))
            changes = {"key": "welcome", "name": "Welcome", "kind": "percent", "percent": "10"}
            apply_promotion(customer=customer, promotion=save_promotion(changes=changes), starts_on=date(2026, 11, 1))
            save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "19", "is_default": True})
            clock.move_to(self.NOW)
            time = self.NOW - timedelta(seconds=1)
            send("acme", "ApiCalls", 12300, time=time, id="job-8123", source="crm", target="warehouse")
            run_sweep()
            invoice = live_invoice(customer)
            address = f"/v1/invoices/{invoice.pk}"
            lines = api("read").get(address, {"expand": "lines.steps,lines.days"}).json()["lines"]
            text = json.dumps(lines).replace("http://testserver", "https://billing.example")
            wanted = json.dumps(OPENED_INVOICE["lines"]).replace("/v1/invoices/12/", f"{address}/")
            for line, example in zip(json.loads(text), json.loads(wanted), strict=True):
                assert line == example
            assert events_of(api("read"), invoice).json()["data"] == [EVENT]
            as_file = api("read").get(f"{address}/lines/1/events", HTTP_ACCEPT="text/csv")
            assert b"".join(as_file.streaming_content).decode() == EVENTS_CSV.value

    def test_the_document_names_all_expansions(self) -> None:
        out = io.StringIO()
        call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", stdout=out)
        paths = json.loads(out.getvalue())["paths"]
        parameters = paths["/v1/invoices/{id}"]["get"]["parameters"]
        (expand,) = [one for one in parameters if one["name"] == "expand"]
        assert "lines.steps" in expand["description"]
        assert "lines.days" in expand["description"]
        assert "text/csv" in paths["/v1/invoices/{id}/lines/{position}/events"]["get"]["responses"]["200"]["content"]


def test_an_opened_invoice_takes_as_many_statements_however_many_lines(api, django_assert_max_num_queries) -> None:
    meters = [make_meter(f"M{number}") for number in range(8)]
    customer = make_customer("acme")
    put_on(customer, make_plan("Basic", dict.fromkeys(meters, ONE_EACH)), datetime.now(UTC).date())
    run_sweep()
    invoice = live_invoice(customer)
    client = api("read")
    address = f"/v1/invoices/{invoice.pk}?expand=lines.steps,lines.days"
    client.get(address)
    with django_assert_max_num_queries(10):
        assert len(client.get(address).json()["lines"]) == 8
    assert InvoiceLine.objects.filter(invoice=invoice).count() == 8
