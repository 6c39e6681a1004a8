"""What staff see of the portal."""

from portal.admin import groups, looks, members, people, policy, read_keys, sessions

__all__ = ["groups", "looks", "members", "people", "policy", "read_keys", "sessions"]
