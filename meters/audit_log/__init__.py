"""Who changed what, when and from where: rows that triggers of the database write, chained by a hash."""
