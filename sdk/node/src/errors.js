// What can go wrong: thrown by calls, and given to `onError` where nobody waits for an answer.

// All that this package throws, beside TypeError for what no server could take; and all that `onError` is given.
export class TollmeterError extends Error {
  get name() {
    return this.constructor.name;
  }
}

// The client was closed, so nothing more can be recorded with it.
export class Closed extends TollmeterError {}

// As many facts wait as the queue may hold, and `whenFull` is "throw"; this one was not recorded.
export class QueueFull extends TollmeterError {}

// No answer came, or none that can be read. `retryIn` says in how many seconds the next try is.
export class Unreachable extends TollmeterError {
  constructor(detail) {
    super(detail);
    this.detail = detail;
    this.retryIn = null;
  }
}

// The server refused, with a problem document (RFC 9457). `code` is stable and made for programs, `detail` a sentence for
// people, and `errors` names each fault of the input by a JSON pointer. `retryIn` says in how many seconds it is tried
// again; null: never.
export class Problem extends TollmeterError {
  constructor(status, document) {
    const [code, title, detail] = [document.code, document.title, document.detail].map(textOf);
    const errors = Array.isArray(document.errors) ? document.errors : [];
    const faults = errors.map((fault) => ` ${textOf(fault?.pointer ?? fault?.parameter)}: ${textOf(fault?.detail)}`);
    super(`${status} ${code || title}: ${detail}${faults.join("")}`);
    Object.assign(this, { status, code, title, detail, errors });
    this.retryIn = null;
  }
}

// The server took the batch and not this fact. `outcome` is "rejected", or "conflict" where another fact with the same id
// had come before, and counts.
export class FactRejected extends TollmeterError {
  constructor(fact, { id = "", outcome, meter = "", code = "", pointer = "", detail = "" }) {
    super(`The fact ${textOf(id)} was not counted: ${textOf(code) || outcome}. ${textOf(detail)}`.trimEnd());
    Object.assign(this, { fact, id, outcome, meter, code, pointer, detail });
  }
}

// Facts are lost: the queue was full, or the process or the client ended before they could be sent.
export class FactsDropped extends TollmeterError {
  constructor(count, why) {
    super(`${count} facts are lost: ${why}`);
    this.count = count;
    this.why = why;
  }
}

// What something in between has there need not be a text, nor become one: `String()` calls what it finds in an object.
function textOf(part) {
  if (typeof part === "string") return part;
  return part === undefined || part === null ? "" : JSON.stringify(part);
}
