"""`make screenshots`: the pictures of the portal in README and docs, from the demo's data at a fixed time.

Makes the demo in a database of its own (var/screenshots), serves it from this process, where the clock stands still,
and takes each page with Chromium. The same code gives the same pictures, as far as Chromium and its fonts are the same.
"""

import argparse
import os
import sys
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # Playwright runs an event loop in the thread that reads the demo
django.setup()


def main() -> int:
    from tests.browser.chromium import CHROMIUM
    from tests.screenshots import pictures, scene

    parser = argparse.ArgumentParser(prog="make screenshots", description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], help="names of pictures, such as usage or invoice-dark")
    parser.add_argument("--to", type=Path, default=pictures.FOLDER, help="another folder than docs/images")
    options = parser.parse_args()
    if CHROMIUM is None:
        print("There is no Chromium here, so the pictures stay as they are (on Debian: apt-get install chromium).")
        return 0
    with scene.demo_at() as url:
        pictures.take(url, options.to, only=options.only, say=print)
    return 0


sys.exit(main())
