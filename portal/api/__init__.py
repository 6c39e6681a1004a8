"""The API of the portal."""
