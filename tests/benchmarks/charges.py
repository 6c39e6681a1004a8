"""How many charges one core computes in a second, and what single events cost."""

import statistics
import time
from dataclasses import dataclass
from decimal import Decimal

from pricing.rates import Rate, charge, parse_rate

ROUNDS = 5
SECONDS = 1.0

TIERS = [
    {"up_to": "1000", "unit_price": "0.01"},
    {"up_to": "5000", "unit_price": "0.008", "flat_fee": "5"},
    {"up_to": "20000", "unit_price": "0.005"},
    {"up_to": None, "unit_price": "0.0004"},
]
RATES = {
    "graduated, four tiers": {"model": "graduated", "tiers": TIERS, "included_units": "5000"},
    "block": {"model": "block", "block_size": "1000", "block_price": "5", "included_units": "5000"},
    "volume, four tiers": {"model": "volume", "tiers": TIERS},
}
LIMITS = {"graduated, four tiers": 20_000}
# From inside the free units to the last tier.
QUANTITIES = [Decimal(3200), Decimal(5001), Decimal("7300.5"), Decimal(12300), Decimal(31000), Decimal(1_234_567)]
EVENTS = [Decimal(cents).scaleb(-2) for cents in range(1, 20_001)]
BY_EVENT = {
    "model": "percentage",
    "rate_percent": "2.9",
    "fixed_fee_per_event": "0.30",
    "free_events": "10",
    "free_amount": "100",
    "per_event_min": "0.05",
    "per_event_max": "5",
}


@dataclass(frozen=True)
class Charges:
    """A second of one core: `limit` is what it has to reach, 0 for nothing in particular."""

    name: str
    limit: int
    median: float
    worst: float


def measure() -> list[Charges]:
    rows = [_row(name, LIMITS.get(name, 0), _charges(parse_rate(rate))) for name, rate in RATES.items()]
    return [*rows, _row("percentage, single events in a charge of 20,000", 0, _events(parse_rate(BY_EVENT)))]


def _row(name: str, limit: int, rates: list[float]) -> Charges:
    return Charges(name, limit, statistics.median(rates), min(rates))


def _charges(rate: Rate) -> list[float]:
    """Charges in a second of processor time, round by round."""
    found = []
    for _ in range(ROUNDS):
        done, began = 0, time.process_time()
        while (took := time.process_time() - began) < SECONDS:
            for quantity in QUANTITIES:
                charge(rate, quantity)
            done += len(QUANTITIES)
        found.append(done / took)
    return found


def _events(rate: Rate) -> list[float]:
    total = sum(EVENTS, Decimal(0))
    found = []
    for _ in range(ROUNDS):
        began = time.process_time()
        charge(rate, total, EVENTS)
        found.append(len(EVENTS) / (time.process_time() - began))
    return found
