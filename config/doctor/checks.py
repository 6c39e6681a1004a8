"""All checks, in the order in which causes come before what they cause."""

from config.doctor import of_database, of_machine, of_work
from config.doctor.findings import DATABASE, Check

CHECKS = (
    Check("Settings", of_machine.settings_say, "settings"),
    Check("Database", of_database.server, DATABASE),
    Check("Database settings", of_database.server_settings, DATABASE),
    Check("Database connections", of_database.connections, DATABASE),
    Check("Long transactions", of_database.transactions, DATABASE),
    Check("Migrations", of_database.migrations, DATABASE),
    Check("Extensions", of_database.extensions, DATABASE),
    Check("Partitions", of_database.partitions_ahead, DATABASE),
    Check("Clock", of_database.clock, DATABASE),
    Check("Broker", of_work.broker, "broker"),
    Check("Beat", of_work.beat, DATABASE),
    Check("Worker", of_work.worker, DATABASE),
    Check("Oldest stale invoice", of_work.stale_invoice, "invoices"),
    Check("Periods that are over", of_work.closing, DATABASE),
    Check("Failing work", of_work.failing_work, DATABASE),
    Check("Outbox", of_work.outbox, DATABASE),
    Check("Mails", of_work.mails, DATABASE),
    Check("Webhooks", of_work.webhooks, DATABASE),
    Check("Audit of the books", of_work.audit, DATABASE),
    Check("Mail server", of_machine.mail_server, "mail"),
    Check("Disk", of_machine.disk, "disk"),
    Check("Exports folder", of_machine.exports, "exports folder"),
    Check("Static files", of_machine.static_files, "disk"),
)
