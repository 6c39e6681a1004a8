"""Usage of your API, sent to Tollmeter.

from tollmeter import Tollmeter

tollmeter = Tollmeter()  # TOLLMETER_API_KEY and TOLLMETER_URL
tollmeter.meter("acme", "ApiCalls", 52, dimensions={"source": "crm"})
"""

from tollmeter.aio import AsyncTollmeter
from tollmeter.client import Tollmeter
from tollmeter.counters import Counters
from tollmeter.errors import (
    Closed,
    FactRejected,
    FactsDropped,
    Problem,
    QueueFull,
    SpoolFailed,
    TollmeterError,
    Unreachable,
)
from tollmeter.reads import Invoice, InvoiceLine, PortalSession, Usage, UsageRow
from tollmeter.request_usage import RequestUsage, current_usage
from tollmeter.version import __version__

__all__ = [
    "AsyncTollmeter",
    "Closed",
    "Counters",
    "FactRejected",
    "FactsDropped",
    "Invoice",
    "InvoiceLine",
    "PortalSession",
    "Problem",
    "QueueFull",
    "RequestUsage",
    "SpoolFailed",
    "Tollmeter",
    "TollmeterError",
    "Unreachable",
    "Usage",
    "UsageRow",
    "__version__",
    "current_usage",
]
