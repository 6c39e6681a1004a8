"""`python -m tollmeter` is the command `tollmeter`."""

import sys

from tollmeter.command import main

sys.exit(main())
