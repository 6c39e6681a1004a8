#!/usr/bin/env python
"""Django's command line for Tollmeter."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.conf import settings
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    from meters.audit_log.actors import acting_as_command

    try:
        with acting_as_command(sys.argv[1] if len(sys.argv) > 1 else "help"):
            execute_from_command_line(sys.argv)
    except OperationalError:
        if settings.DATABASE_URL:
            raise
        sys.exit("There is no database: start `make run`, with the same TOLLMETER_DATA, or set DATABASE_URL.")


if __name__ == "__main__":
    main()
