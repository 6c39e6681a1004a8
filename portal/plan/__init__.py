"""The page of plan and prices."""
