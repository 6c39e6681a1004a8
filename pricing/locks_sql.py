"""Locks that are of no row."""

# Held by whoever changes which plan is the default one.
DEFAULT_PLAN_LOCK = """
SELECT pg_advisory_xact_lock(hashtext('pricing_plan default'))
"""
