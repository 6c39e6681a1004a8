"""The usage page and the event log."""
