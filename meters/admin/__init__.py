"""Staff pages of meters, customers, events and API keys. Pricing and invoices extend them in their own admins."""

from meters.admin import api_keys, audit_log, customers, events, meters, rejected, voids

__all__ = ["api_keys", "audit_log", "customers", "events", "meters", "rejected", "voids"]
