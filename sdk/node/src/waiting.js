// Waiting, in ways that never keep a process alive by themselves.

// What setTimeout can take; more would be no time at all.
const LONGEST = 2 ** 31 - 1;

// Calls back after so many milliseconds, if the process still runs.
export function later(milliseconds, callback) {
  return setTimeout(callback, Math.min(milliseconds, LONGEST)).unref();
}

// Something that changes from time to time.
export class Changes {
  #waiting = new Set();

  // Resolves at the next change, or after so many milliseconds.
  next(milliseconds = Infinity) {
    return new Promise((resolve) => {
      const timer = milliseconds === Infinity ? undefined : later(milliseconds, () => done());
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      this.#waiting.add(done);
    });
  }

  tell() {
    for (const done of this.#waiting) done();
  }
}

// Waits for a promise, and keeps the process alive meanwhile.
export async function holding(promise) {
  const timer = setInterval(() => {}, LONGEST);
  try {
    return await promise;
  } finally {
    clearInterval(timer);
  }
}
