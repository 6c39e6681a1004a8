"""Jobs at the same time, each on a database connection of its own."""

import threading
from collections.abc import Callable

from django.db import connection


def race(*jobs: Callable[[], object]) -> list[Exception]:
    """Starts all jobs at one moment and waits for them; answers what they raised."""
    barrier = threading.Barrier(len(jobs))
    raised: list[Exception] = []

    def run(job: Callable[[], object]) -> None:
        barrier.wait()
        try:
            job()
        except Exception as error:
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[job]) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def wait_for_a_blocked_backend() -> None:
    """Waits until somebody waits for a lock."""
    with connection.cursor() as cursor:
        for _ in range(200):
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
            cursor.execute("SELECT pg_sleep(0.05)")
    raise AssertionError("nobody waited")
