"""Usage of a period that is final already: what it would have come to, and who carries the difference."""
