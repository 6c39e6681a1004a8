"""`tollmeter`: sends facts, shows what came in and what was used, imports CSV files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tollmeter.command import import_csv, send, tail, usage
from tollmeter.errors import TollmeterError
from tollmeter.version import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tollmeter", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    server = argparse.ArgumentParser(add_help=False)
    server.add_argument("--url", help="of the server; TOLLMETER_URL, if it is left out")
    server.add_argument("--api-key", help="TOLLMETER_API_KEY, if it is left out")
    commands = parser.add_subparsers(dest="command", required=True)
    for module in (send, tail, usage, import_csv):
        name = module.__name__.rpartition(".")[2].replace("_", "-")
        summary = (module.__doc__ or "").partition("\n")[0]
        command = commands.add_parser(
            name,
            parents=[server],
            help=summary,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except (TollmeterError, ValueError, OSError) as error:
        print(f"tollmeter: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
