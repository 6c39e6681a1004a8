"""python -m examples.vendor_app --port 8001 --tollmeter http://localhost:8000 --key-file FILE"""

import argparse
from pathlib import Path

from examples.vendor_app.server import VendorApp

parser = argparse.ArgumentParser(prog="examples.vendor_app", description=__doc__)
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--tollmeter", required=True, help="Its address, such as http://localhost:8000.")
parser.add_argument("--key-file", type=Path, required=True, help="Holds an API key with the scope write.")
asked = parser.parse_args()
VendorApp(asked.port, tollmeter=asked.tollmeter, key_file=asked.key_file).serve_forever()
