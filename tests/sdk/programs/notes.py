"""Notes facts one after another and prints the id of each once it is noted; at the end, what became of them.

notes.py COUNT PAUSE [SPOOL]
"""

import dataclasses
import json
import sys
import time

from tollmeter import Tollmeter

count, pause, spool = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None
errors: list[str] = []
client = Tollmeter(
    spool=spool,
    batch_size=50,
    batch_seconds=0.02,
    retry_wait=0.02,
    retry_wait_max=0.1,
    timeout=2,
    on_error=lambda error: errors.append(type(error).__name__),
)
for number in range(count):
    # In bodies that are more than a packet.
    labels = {"source": "crm", "note": f"{number:0100}"}
    print(client.meter("acme", "ApiCalls", number % 7, dimensions=labels), flush=True)
    if pause:
        time.sleep(pause)
done = client.flush(60)
print(json.dumps({"done": done, "errors": len(errors), **dataclasses.asdict(client.counters)}), flush=True)
client.close()
