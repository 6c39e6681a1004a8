"""Whether no other process of the workers waits for the mail server: they are to compute bills, too."""

MAILING = "SELECT pg_try_advisory_xact_lock(hashtext('invoices_mail send'))"
