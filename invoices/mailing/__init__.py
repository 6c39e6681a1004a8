"""Mails about bills."""
