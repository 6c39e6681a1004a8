"""Who sees what in the portal, and who looked at it."""

from portal.models.members import Membership

__all__ = ["Membership"]
