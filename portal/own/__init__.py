"""What a customer sets up for itself: its details, and keys that read its usage."""
