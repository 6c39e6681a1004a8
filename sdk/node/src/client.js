// The client: `meter()` notes a fact and returns; it waits in a queue (queue.js) until it is sent (sender.js).

import { encode } from "./facts.js";
import * as ends from "./ends.js";
import { openPortal } from "./portal.js";
import { holding } from "./waiting.js";
import { Queue } from "./queue.js";
import { Sender } from "./sender.js";
import { Server } from "./server.js";

const DEFAULTS = {
  apiKey: undefined,
  baseUrl: undefined,
  queueSize: 100_000,
  whenFull: "dropOldest",
  batchSize: 500,
  batchBytes: 1_000_000,
  batchSeconds: 1,
  retrySeconds: 0.5,
  retrySecondsMax: 60,
  timeoutSeconds: 30,
  closeSeconds: 5,
  onError: undefined,
};

// A connection to a Tollmeter server, for a whole process: make one and keep it.
export class Tollmeter {
  #queue;
  #sender;
  #server;
  #timeoutSeconds;
  #closeSeconds;
  #closed = null;

  constructor(options = {}) {
    const chosen = withDefaults(options);
    this.#server = new Server(chosen.apiKey, chosen.baseUrl);
    this.#timeoutSeconds = chosen.timeoutSeconds;
    this.#queue = new Queue(chosen);
    this.#sender = new Sender(this.#queue, this.#server, chosen);
    this.#closeSeconds = chosen.closeSeconds;
    ends.remember(this);
  }

  // Notes that a customer used so much of a meter, and returns the fact's id at once. `{ApiCalls: 1, Records: 52}` in
  // place of the meter and the value feeds several meters.
  meter(customer, meter, value, more) {
    const { id, fact } = encode(customer, meter, value, more);
    this.#queue.put(fact);
    this.#sender.start();
    return id;
  }

  // The same, but where the queue is full it waits until there is room.
  async meterWhenRoom(customer, meter, value, more) {
    const { id, fact } = encode(customer, meter, value, more);
    await this.#queue.putWhenRoom(fact);
    this.#sender.start();
    return id;
  }

  get counters() {
    const { sent, duplicate, rejected, lost } = this.#sender.counted;
    return { sent, duplicate, rejected, dropped: this.#queue.dropped + lost, queued: this.#queue.queued };
  }

  // Sends what waits, and resolves when it is answered; to false where so many seconds were not enough.
  flush(seconds = Infinity) {
    return holding(this.#queue.waitSettled(seconds));
  }

  // Sends what waits and ends; resolves to false where facts were lost, as they could not be sent in so many seconds.
  close(seconds = this.#closeSeconds) {
    this.#closed ??= this.#close(seconds);
    return this.#closed;
  }

  async #close(seconds) {
    this.#queue.close();
    const lost = await this.#sender.drain(seconds);
    ends.forget(this);
    return lost === 0;
  }

  // A link that opens the portal for the customer, once: make it when it is asked for, and redirect to its `url`.
  portalSession(customer, options) {
    return openPortal(this.#server, this.#timeoutSeconds, customer, options);
  }

  // For ends.js: the process has nothing left to do but this.
  async processIsDone() {
    if (this.#queue.queued) await this.#sender.drain(this.#closeSeconds);
  }

  // For ends.js: it is too late to send anything.
  processEnds() {
    this.#sender.giveUp("The process ended before they could be sent.");
  }

  // For middlewares: gives an error to `onError`.
  tell(error) {
    this.#sender.tell(error);
  }
}

function withDefaults(options) {
  const chosen = { ...DEFAULTS };
  for (const [name, value] of Object.entries(options)) {
    if (!(name in DEFAULTS)) throw new TypeError(`There is no option ${name}; there are ${Object.keys(DEFAULTS).join(", ")}.`);
    if (value !== undefined) chosen[name] = value;
  }
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    if (typeof usual === "number" && !(chosen[name] > 0)) throw new TypeError(`${name} is a number above zero.`);
  }
  if (!["dropOldest", "throw"].includes(chosen.whenFull)) {
    throw new TypeError('whenFull is "dropOldest" or "throw"; meterWhenRoom() waits.');
  }
  return chosen;
}
