"""The one signal that goes up: usage changed. Sent after commit, and a hint only.

The truth is in rows written by the same transaction as the usage (`UsageVersion`, `Customer.onboarded_at`): who
misses the signal finds them by looking. Arguments: `customer_ids`, the ids of the customers it is about.
"""

from django.dispatch import Signal

usage_changed = Signal()
