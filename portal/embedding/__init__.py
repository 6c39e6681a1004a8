"""Pages in frames of the vendor's own app."""
