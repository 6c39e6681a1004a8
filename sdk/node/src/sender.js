// Sends what waits in a queue: batch by batch, each until it is answered.

import { promisify } from "node:util";
import { gzip } from "node:zlib";

import { isWorthAnotherTry, problemOf, readOutcomes, retryAfter } from "./answers.js";
import { FactRejected, FactsDropped, Unreachable } from "./errors.js";
import { holding, later } from "./waiting.js";

// Smaller bodies are in one packet anyway.
const PACKED_FROM = 1000;
const pack = promisify(gzip);

export class Sender {
  counted = { sent: 0, duplicate: 0, rejected: 0, lost: 0 };
  #queue;
  #server;
  #retrySeconds;
  #retrySecondsMax;
  #timeoutSeconds;
  #onError;
  #running = null;
  #toldOf = 0;
  // When to stop trying, while everything is to be sent at once.
  #deadline = null;
  #aborted = new AbortController();
  #wake = () => {};

  constructor(queue, server, { retrySeconds, retrySecondsMax, timeoutSeconds, onError }) {
    this.#queue = queue;
    this.#server = server;
    this.#retrySeconds = retrySeconds;
    this.#retrySecondsMax = retrySecondsMax;
    this.#timeoutSeconds = timeoutSeconds;
    this.#onError = onError;
  }

  // Begins to send, unless it does already, and goes on until the queue is empty.
  start() {
    this.#running ??= this.#run();
  }

  async #run() {
    // Whoever noted the first fact does not wait for what is done here.
    await null;
    while (this.#queue.queued && !this.#isLate()) {
      const batch = await this.#queue.take();
      if (!(await this.#deliver(batch))) break;
      this.#queue.settle();
      this.#tellOfDropped();
    }
    this.#running = null;
  }

  // Sends all that waits, for at most so many seconds, and gives up the rest; how many that were.
  async drain(seconds) {
    this.#deadline = performance.now() + seconds * 1000;
    // Whoever waits for the next try does not wait for that any more.
    this.#wake();
    const timer = later(seconds * 1000, () => {
      this.#deadline = 0;
      this.#aborted.abort(new Error("There was no more time."));
      this.#wake();
    });
    await holding(this.#drained(seconds));
    clearTimeout(timer);
    this.#deadline = null;
    return this.giveUp("They could not be sent before the end.");
  }

  async #drained(seconds) {
    while (this.#queue.queued && !this.#isLate()) {
      this.start();
      await this.#queue.waitSettled(seconds);
    }
    await this.#running;
  }

  // Drops what is left; how many that were.
  giveUp(why) {
    const lost = this.#queue.giveUp();
    if (lost) {
      this.counted.lost += lost;
      this.tell(new FactsDropped(lost, why));
    }
    return lost;
  }

  // Posts the batch until it is answered for good; false: time ran out before it was.
  async #deliver(batch) {
    for (let tries = 1; ; tries++) {
      const { error, isFinal, wait = 0, halves } = await this.#try(batch);
      if (halves) return (await this.#deliver(halves[0])) && (await this.#deliver(halves[1]));
      if (isFinal) {
        if (error) this.#refused(batch, error);
        return true;
      }
      if (!this.#isLate()) error.retryIn = Math.max(wait, this.backoff(tries));
      this.tell(error);
      this.#tellOfDropped();
      await this.#pause(error.retryIn);
      if (this.#isLate()) return false;
    }
  }

  async #try(batch) {
    let response, text;
    try {
      [response, text] = await this.#post(batch);
    } catch (failure) {
      // Whatever it is, the facts must not be lost for it.
      return { error: new Unreachable(wordsOf(failure)) };
    }
    const outcomes = readOutcomes(response, text, batch.length);
    if (outcomes) {
      this.#count(batch, outcomes);
      return { isFinal: true };
    }
    if (response.status === 413 && batch.length > 1) {
      // The server takes less at a time than most do.
      const half = Math.floor(batch.length / 2);
      return { halves: [batch.slice(0, half), batch.slice(half)] };
    }
    return { error: problemOf(response, text), isFinal: !isWorthAnotherTry(response), wait: retryAfter(response) };
  }

  async #post(batch) {
    let body = Buffer.from(`[${batch.join(",")}]`);
    const headers = { ...this.#server.headers };
    if (body.length >= PACKED_FROM) {
      body = await pack(body, { level: 1 });
      headers["Content-Encoding"] = "gzip";
    }
    const aborted = (this.#aborted = new AbortController());
    const late = new Error(`No answer came within ${this.#timeoutSeconds} s.`);
    const timer = later(this.#timeoutSeconds * 1000, () => aborted.abort(late));
    // The key is sent to no other address.
    const redirect = "manual";
    try {
      const response = await fetch(this.#server.events, { method: "POST", body, headers, redirect, signal: aborted.signal });
      return [response, await response.text()];
    } finally {
      clearTimeout(timer);
    }
  }

  #count(batch, outcomes) {
    const duplicates = new Set();
    const rejected = new Map();
    for (const outcome of outcomes) {
      // A fact of several meters has an outcome for each.
      if (outcome.outcome === "duplicate") duplicates.add(outcome.index);
      else if (!rejected.has(outcome.index)) rejected.set(outcome.index, outcome);
    }
    for (const index of rejected.keys()) duplicates.delete(index);
    this.counted.rejected += rejected.size;
    this.counted.duplicate += duplicates.size;
    this.counted.sent += batch.length - duplicates.size - rejected.size;
    for (const [index, outcome] of rejected) this.tell(new FactRejected(batch[index], outcome));
  }

  #refused(batch, problem) {
    this.counted.rejected += batch.length;
    this.tell(problem);
  }

  // Seconds to wait: longer after each try, and never in step with other clients.
  backoff(tries) {
    const longest = Math.min(this.#retrySeconds * 2 ** (tries - 1), this.#retrySecondsMax);
    return longest * (0.5 + Math.random() / 2);
  }

  #pause(seconds) {
    return new Promise((resolve) => {
      const timer = later(seconds * 1000, () => this.#wake());
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.#isLate()) this.#wake();
    });
  }

  #isLate() {
    return this.#deadline !== null && performance.now() >= this.#deadline;
  }

  #tellOfDropped() {
    const dropped = this.#queue.dropped - this.#toldOf;
    if (!dropped) return;
    this.#toldOf += dropped;
    this.tell(new FactsDropped(dropped, "The queue was full."));
  }

  // Gives an error to the hook. Nothing that the hook does stops anything here.
  tell(error) {
    if (!this.#onError) {
      console.warn(`tollmeter: ${error.message}`);
      return;
    }
    const failed = (failure) => console.error("tollmeter: onError failed:", failure);
    try {
      Promise.resolve(this.#onError(error)).catch(failed);
    } catch (failure) {
      failed(failure);
    }
  }
}

function wordsOf(failure) {
  // fetch says no more than that it failed, and why beneath.
  const { message, cause } = failure;
  return cause ? cause.message || cause.code || message : message;
}
