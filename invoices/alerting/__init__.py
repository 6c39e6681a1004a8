"""Alerts: thresholds that are told about once in a period."""
