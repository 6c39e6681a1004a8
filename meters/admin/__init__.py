"""Staff pages of meters, customers, events and API keys. Pricing and invoices extend them in their own admins."""

from meters.admin import api_keys, customers, events, meters, rejected, voids

__all__ = ["api_keys", "customers", "events", "meters", "rejected", "voids"]
