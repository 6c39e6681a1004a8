"""What staff see of the portal."""

from portal.admin import looks, members, policy, read_keys, sessions

__all__ = ["looks", "members", "policy", "read_keys", "sessions"]
