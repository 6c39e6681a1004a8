"""Senders as careful programs are: each event has an id, and goes again until it is answered. They remember what they
sent, and what was answered."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx

from tests.chaos.installation import Installation
from tests.chaos.scene import CALLS, USERS, Scene

MOST_OF_BATCH = 12
# A batch in so many is sent a second time although it was answered, and one in so many is given up when its first try
# is not answered.
AGAIN, GIVEN_UP = 6, 3
# How far back an event's time lies: mostly today, sometimes in a period that is final.
BACK, LATE = timedelta(hours=3), timedelta(hours=40)
UNANSWERED = (502, 503, 504)


@dataclass(frozen=True)
class Sent:
    id: str
    customer: str
    meter: str
    value: int
    time: datetime
    user: str = ""

    def body(self) -> dict[str, object]:
        said = {"id": self.id, "customer": self.customer, "meter": self.meter, "time": self.time.isoformat()}
        return said | ({"dimensions": {"user": self.user}} if self.user else {"value": self.value})


@dataclass
class Memory:
    """What all senders together know."""

    answered: dict[str, Sent] = field(default_factory=dict)
    unanswered: dict[str, Sent] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, batch: Sequence[Sent], answered: bool) -> None:
        with self.lock:
            (self.answered if answered else self.unanswered).update((one.id, one) for one in batch)

    def count(self, outcome: str) -> None:
        with self.lock:
            self.outcomes[outcome] += 1

    def complain(self, fault: str) -> None:
        with self.lock:
            self.faults.append(fault)


class Sender(threading.Thread):
    def __init__(self, name: str, seed: str, scene: Scene, installation: Installation, memory: Memory) -> None:
        super().__init__(name=name, daemon=True)
        self.chance = random.Random(seed)
        self.scene, self.installation, self.memory = scene, installation, memory
        self.stop = threading.Event()
        # From when on a batch is tried no more, by time.monotonic().
        self.patience_ends = float("inf")

    def run(self) -> None:
        try:
            with httpx.Client(timeout=httpx.Timeout(8, connect=2), headers=self._headers()) as client:
                for batch in self._batches():
                    self._deliver(client, batch)
                    if self.stop.wait(self.chance.uniform(0, 0.15)):
                        return
        except Exception as error:
            self.memory.complain(f"{self.name} died: {error!r}")

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.scene.api_key}"}

    def _batches(self) -> Iterator[list[Sent]]:
        number = 0
        while True:
            yield [self._event(f"{self.name}-{number + n}") for n in range(self.chance.randint(1, MOST_OF_BATCH))]
            number += MOST_OF_BATCH

    def _event(self, id: str) -> Sent:
        customer = self.chance.choice(self.scene.customers)
        back = LATE if self.chance.random() < 0.1 else BACK
        time = max(self.installation.now() - back * self.chance.random(), self.scene.first)
        if self.chance.random() < 0.2:
            return Sent(id, customer, USERS, 0, time, user=f"user-{self.chance.randint(1, 9)}")
        return Sent(id, customer, CALLS, self.chance.randint(1, 40), time)

    def _deliver(self, client: httpx.Client, batch: list[Sent]) -> None:
        may_give_up = self.chance.randrange(GIVEN_UP) == 0
        while not self._post(client, batch):
            if may_give_up or time.monotonic() > self.patience_ends:
                self.memory.note(batch, answered=False)
                self.memory.count("given up")
                return
            time.sleep(self.chance.uniform(0.05, 0.3))
        self.memory.note(batch, answered=True)
        if self.chance.randrange(AGAIN) == 0:
            self.memory.count("sent again")
            self._post(client, batch)

    def _post(self, client: httpx.Client, batch: list[Sent]) -> bool:
        """Whether the batch was answered, by whichever web server."""
        web = self.chance.choice(self.installation.webs)
        some_are_down = not all(one.is_up for one in self.installation.webs)
        try:
            response = client.post(f"{web.url}/v1/events", json=[one.body() for one in batch])
        except httpx.TransportError:
            self.memory.count("no answer")
            return False
        if response.status_code in UNANSWERED:
            self.memory.count(str(response.status_code))
            if response.status_code == 503 and not response.headers.get("Retry-After"):
                self.memory.complain(f"a 503 without Retry-After: {response.text[:200]}")
            return False
        if response.status_code != 200:
            self.memory.complain(f"a batch was answered with {response.status_code}: {response.text[:300]}")
            return False
        answer = response.json()
        if answer["accepted"] + answer["duplicate"] != len(batch):
            self.memory.complain(f"of {len(batch)} events some were not taken: {response.text[:300]}")
        self.memory.count("answered")
        if some_are_down:
            self.memory.count("answered while a web server was down")
        return True


class Reader(threading.Thread):
    """Looks at pages and reads the API meanwhile: nobody is to see an error that is not a calm 503."""

    PATHS = (
        "/v1/usage?customer={customer}&meter=ApiCalls",
        "/v1/invoices?customer={customer}",
        "/sign-in/",
        "/admin/login/",
    )

    def __init__(self, seed: str, scene: Scene, installation: Installation, memory: Memory) -> None:
        super().__init__(name="reader", daemon=True)
        self.chance = random.Random(seed)
        self.scene, self.installation, self.memory = scene, installation, memory
        self.stop = threading.Event()

    def run(self) -> None:
        headers = {"Authorization": f"Bearer {self.scene.api_key}"}
        with httpx.Client(timeout=httpx.Timeout(8, connect=2), headers=headers) as client:
            while not self.stop.wait(self.chance.uniform(0.05, 0.3)):
                path = self.chance.choice(self.PATHS).format(customer=self.chance.choice(self.scene.customers))
                try:
                    response = client.get(self.chance.choice(self.installation.webs).url + path)
                except httpx.TransportError:
                    continue
                self.memory.count(f"read {response.status_code}")
                calm = response.status_code == 503 and response.headers.get("Retry-After")
                if response.status_code != 200 and not calm:
                    self.memory.complain(f"{path} was answered with {response.status_code}: {response.text[:200]}")
