"""Whether the installation is well: one list of checks, each with what it saw and what to do."""
