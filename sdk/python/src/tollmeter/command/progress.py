"""A bar that says how far a long work is: on a terminal ten times a second, elsewhere a line every ten seconds."""

from __future__ import annotations

import sys
import time

WIDTH = 30


class Progress:
    def __init__(self, size: int, offset: int, rows: int) -> None:
        self._size, self._first_offset, self._first_row = max(size, 1), offset, rows
        self._began = self._shown = time.monotonic()
        self._is_terminal = sys.stderr.isatty()
        self._every = 0.1 if self._is_terminal else 10.0

    def show(self, offset: int, rows: int, rejected: int) -> None:
        now = time.monotonic()
        if now - self._shown < self._every and offset < self._size:
            return
        self._shown = now
        done = offset - self._first_offset
        took = max(now - self._began, 0.001)
        left = "" if done <= 0 else f"  {_clock((self._size - offset) * took / done)} left"
        share = offset / self._size
        bar = "#" * round(WIDTH * share)
        line = f"[{bar:-<{WIDTH}}] {share:4.0%}  {rows:,} rows  {(rows - self._first_row) / took:,.0f}/s{left}"
        self.say(line + (f"  {rejected:,} rejected" if rejected else ""), over=True)

    def say(self, text: str, *, over: bool = False) -> None:
        """A line; `over`: the next one takes its place, on a terminal."""
        if self._is_terminal:
            print(f"\r\x1b[2K{text}", end="" if over else "\n", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._is_terminal:
            print(file=sys.stderr)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
