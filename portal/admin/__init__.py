"""What staff see of the portal."""

from portal.admin import members  # noqa: F401 (registers)
