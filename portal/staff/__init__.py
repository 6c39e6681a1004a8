"""Staff: their second factor, and what a browser is let do before it was given."""
