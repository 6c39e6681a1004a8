"""What staff see of the portal."""

from portal.admin import looks, members, people, policy, read_keys, sessions

__all__ = ["looks", "members", "people", "policy", "read_keys", "sessions"]
