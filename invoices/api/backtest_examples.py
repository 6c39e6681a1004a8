"""Examples of the OpenAPI document for backtests."""

NEW_BACKTEST = {"version": "draft", "periods": 3}
BACKTEST = {
    "id": 5,
    "plan": "AwesomeIntegrationApi",
    "version": 2,
    "status": "done",
    "periods": 3,
    "total": 42,
    "done": 42,
    "error": "",
    "actor": "billing",
    "created_at": "2026-11-22T14:00:00Z",
    "started_at": "2026-11-22T14:00:00Z",
    "finished_at": "2026-11-22T14:00:02Z",
    "totals": [
        {
            "currency_then": "USD",
            "currency_now": "USD",
            "customers": 40,
            "then": "5120.00",
            "now": "5790.00",
            "more": 23,
            "less": 4,
            "same": 13,
            "distribution": [{"change": "the same", "customers": 13}, {"change": "5 to 10% more", "customers": 23}],
        }
    ],
    "free_tier": [
        {
            "meter": "ApiCalls",
            "used_then": "1210000",
            "free_then": "390000",
            "used_now": "1210000",
            "free_now": "240000",
            "share_now": "19.8",
            "worth_now": "1200.00",
            "unpriced_now": "0",
        }
    ],
    "without_periods": {"customers": 2, "named": ["globex", "initech"]},
    "left_out": {"customers": 0, "periods": 0, "named": []},
}
WAITING = BACKTEST | {
    "status": "waiting",
    "done": 0,
    "started_at": None,
    "finished_at": None,
    "totals": [],
    "free_tier": [],
    "without_periods": {"customers": 0, "named": []},
}
ROW = {
    "customer": "acme",
    "assignment": 7,
    "period_start": "2026-10-01T00:00:00Z",
    "period_end": "2026-11-01T00:00:00Z",
    "currency_then": "USD",
    "amount_then": "40.00",
    "currency_now": "USD",
    "amount_now": "55.00",
    "change": "15.00",
    "change_percent": "37.5",
}
