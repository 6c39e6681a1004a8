"""What a person may do for a customer. Each role may do what those below it may."""

from django.db.models import TextChoices


class Role(TextChoices):
    OWNER = "owner", "Owner"
    BILLING = "billing", "Billing"
    READ_ONLY = "read_only", "Read-only"

    @property
    def words(self) -> str:
        """What the role allows, for people."""
        return WORDS[self]

    def may(self, needed: "Role") -> bool:
        """Whether what needs the role `needed` is allowed to this one."""
        return _RANK[self] >= _RANK[needed]


_RANK = {Role.READ_ONLY: 0, Role.BILLING: 1, Role.OWNER: 2}
WORDS = {
    Role.OWNER: "Everything that billing may, and the team, API keys and settings.",
    Role.BILLING: "Sees all, and changes alerts, billing details and the plan.",
    Role.READ_ONLY: "Sees usage, bills and prices, and changes nothing.",
}
