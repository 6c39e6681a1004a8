"""Seats: a value that holds until the next one, over a leap day and a change of the clock, and one that came late."""

from tests.scenarios.account import Account, lines, per_unit


def test_seats_over_three_months(account: Account) -> None:
    account.at("2028-02-01T12:00-05:00")
    account.meter("Seats", "seats", aggregation="time_weighted_average")
    account.plan("Team", {"Seats": per_unit("1")}, default=True)
    account.at("2028-02-10T12:00-05:00")
    account.customer("acme", "America/New_York")
    account.use("acme", "Seats", 10, "2028-02-10T00:00-05:00")
    account.at("2028-03-02T00:00-05:00")
    assert lines(account.invoice("2028-0001")) == [("Seats", "10", "10.00")]

    # Two more on the 20th of March, at midnight: after 19 days less an hour, for 12 days. Nothing else is ever sent.
    account.use("acme", "Seats", 12, "2028-03-20T00:00-04:00")
    account.at("2028-04-02T00:00-04:00")
    # (10 x 455 + 12 x 288) / 743 hours = 10.7752
    assert account.documents("acme")[:2] == [
        ("2028-0001", "final", "10.00", "2028-03-16", "10.00"),
        ("2028-0002", "final", "10.78", "2028-04-16", "10.78"),
    ]
    assert account.live("acme")["total"] == "12.00"

    # There had been twenty seats from the 15th of February on, until the two that came next.
    account.at("2028-04-10T12:00-04:00")
    account.use("acme", "Seats", 20, "2028-02-15T00:00-05:00", id="forgotten")
    # February: 5 days with 10 and 15 with 20 are 17.50. March: (20 x 455 + 12 x 288) / 743 = 16.8990.
    assert [(name, amount) for name, _, amount in lines(account.live("acme"))] == [
        ("Seats", "12.00"),
        ("Seats, 10–29 Feb 2028 (2028-0001)", "7.50"),
        ("Seats, 1–31 Mar 2028 (2028-0002)", "6.12"),
    ]
    account.void_event("acme", "forgotten")
    assert [(name, amount) for name, _, amount in lines(account.live("acme"))] == [("Seats", "12.00")]
    account.at("2028-05-02T00:00-04:00")
    assert account.statement("acme", "2028-05")[2] == "32.78"
    assert str(account.owed("acme")) == "32.78"
