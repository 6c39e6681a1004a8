"""Who sees what in the portal, and who looked at it."""

from portal.models.embeds import EmbedToken
from portal.models.members import Membership
from portal.models.people import BrowserSession, Invitation, LinkRequest, TeamEvent
from portal.models.policy import PortalPolicy
from portal.models.read_keys import ReadKeyEvent
from portal.models.second_factor import RecoveryCode
from portal.models.sessions import PortalSession, StaffView

__all__ = [
    "BrowserSession",
    "EmbedToken",
    "Invitation",
    "LinkRequest",
    "Membership",
    "PortalPolicy",
    "PortalSession",
    "ReadKeyEvent",
    "RecoveryCode",
    "StaffView",
    "TeamEvent",
]
