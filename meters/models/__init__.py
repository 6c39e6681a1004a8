"""Who used how much of what, when."""

from meters.models.access import ApiKey, IdempotentRequest, RejectedEvent
from meters.models.audit import AuditHead, AuditRow
from meters.models.heartbeat import Heartbeat
from meters.models.names import (
    MAX_DIMENSIONS,
    RESERVED_DIMENSION,
    Customer,
    DimensionSet,
    Meter,
    is_printable_key,
    printable_key,
    slug_key,
    valid_conditions,
    valid_time_zone,
    valid_traits,
)
from meters.models.usage import (
    Event,
    EventKey,
    RetiredMonth,
    UsageBucket,
    UsageDistinct,
    UsageVersion,
    VoidRecord,
)

__all__ = [
    "MAX_DIMENSIONS",
    "RESERVED_DIMENSION",
    "ApiKey",
    "AuditHead",
    "AuditRow",
    "Customer",
    "DimensionSet",
    "Event",
    "EventKey",
    "Heartbeat",
    "IdempotentRequest",
    "Meter",
    "RejectedEvent",
    "RetiredMonth",
    "UsageBucket",
    "UsageDistinct",
    "UsageVersion",
    "VoidRecord",
    "is_printable_key",
    "printable_key",
    "slug_key",
    "valid_conditions",
    "valid_time_zone",
    "valid_traits",
]
