// Facts that wait in memory until they are sent.

import { Closed, QueueFull } from "./errors.js";
import { Changes } from "./waiting.js";

// A bounded queue: many put, one takes batches. What was taken stays `queued` until it is settled.
export class Queue {
  // For want of room.
  dropped = 0;
  closing = false;
  #facts = [];
  // Those before it have left already.
  #first = 0;
  #inFlight = [];
  // Facts have numbers: those put so far, those that left the queue, and those that were taken before the batch.
  #put = 0;
  #left = 0;
  #beforeFlight = 0;
  #hurrying = 0;
  #changes = new Changes();

  constructor({ queueSize, whenFull, batchSize, batchBytes, batchSeconds }) {
    Object.assign(this, { size: queueSize, whenFull, batchSize, batchBytes, batchSeconds });
  }

  put(fact) {
    if (this.closing) throw new Closed("This client is closed.");
    if (this.isFull()) {
      if (this.whenFull === "throw") throw new QueueFull(`${this.size} facts wait already.`);
      this.#shift();
      this.dropped++;
    }
    this.#facts.push(fact);
    this.#put++;
    if (this.waiting === this.batchSize) this.#changes.tell();
  }

  // Puts the fact as soon as there is room for it.
  async putWhenRoom(fact) {
    while (this.isFull() && !this.closing) await this.#changes.next();
    this.put(fact);
  }

  get waiting() {
    return this.#facts.length - this.#first;
  }

  get queued() {
    return this.waiting + this.#inFlight.length;
  }

  isFull() {
    return this.waiting >= this.size;
  }

  // The next batch, as soon as it is full or its first fact has waited for `batchSeconds`; of an empty queue none.
  async take() {
    const end = performance.now() + this.batchSeconds * 1000;
    while (this.waiting && this.waiting < this.batchSize && !this.closing && !this.#hurrying) {
      const left = end - performance.now();
      if (left <= 0) break;
      await this.#changes.next(left);
    }
    this.#beforeFlight = this.#left;
    this.#inFlight = this.#shiftBatch();
    this.#changes.tell();
    return this.#inFlight;
  }

  #shiftBatch() {
    const batch = [];
    let room = this.batchBytes;
    while (this.waiting && batch.length < this.batchSize) {
      room -= Buffer.byteLength(this.#facts[this.#first]) + 1;
      if (room < 0 && batch.length) break;
      batch.push(this.#shift());
    }
    return batch;
  }

  #shift() {
    const fact = this.#facts[this.#first];
    this.#facts[this.#first++] = undefined;
    this.#left++;
    // Moving what is left is worth it once it is less than what is gone.
    if (this.#first * 2 > this.#facts.length) {
      this.#facts = this.#facts.slice(this.#first);
      this.#first = 0;
    }
    return fact;
  }

  // What was taken is done with: answered, or given up.
  settle() {
    this.#inFlight = [];
    this.#changes.tell();
  }

  // Waits until all that was put before is settled, and makes whoever takes hurry; whether it is.
  async waitSettled(seconds) {
    const mark = this.#put;
    const end = performance.now() + seconds * 1000;
    this.#hurrying++;
    this.#changes.tell();
    try {
      while (this.#settled() < mark) {
        const left = end - performance.now();
        if (left <= 0) return false;
        await this.#changes.next(left);
      }
      return true;
    } finally {
      this.#hurrying--;
    }
  }

  #settled() {
    return this.#inFlight.length ? this.#beforeFlight : this.#left;
  }

  // Takes nothing more in; what waits can still be taken.
  close() {
    this.closing = true;
    this.#changes.tell();
  }

  // Drops what is left; how many that was.
  giveUp() {
    const left = this.queued;
    this.#left = this.#put;
    this.#facts = [];
    this.#first = 0;
    this.settle();
    return left;
  }
}
