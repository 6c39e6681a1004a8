"""Numbers of the log as they were written: never through a float."""

import json
from decimal import Decimal
from typing import Any


class ExactDecoder(json.JSONDecoder):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options | {"parse_float": Decimal})
