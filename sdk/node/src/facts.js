// A fact as it goes over the wire: who used how much of what, and when, as JSON with an id of its own.

import { randomUUID } from "node:crypto";

const MORE = new Set(["id", "time", "dimensions"]);
const DECIMAL = /^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$/;
const quote = JSON.stringify;

let lastMillisecond = 0;
let ofThisMillisecond = 0;

// A UUID of version 7 (RFC 9562, section 5.7): milliseconds, then a number within them, then 62 random bits.
export function newId() {
  const now = Date.now();
  if (now > lastMillisecond) {
    lastMillisecond = now;
    ofThisMillisecond = 0;
  } else if (++ofThisMillisecond > 0xfff) {
    // More than there are numbers for, or the clock was put back: the order is kept.
    lastMillisecond++;
    ofThisMillisecond = 0;
  }
  const time = lastMillisecond.toString(16).padStart(12, "0");
  const number = ofThisMillisecond.toString(16).padStart(3, "0");
  // One of version 4 has its variant and 62 random bits at the end.
  return `${time.slice(0, 8)}-${time.slice(8)}-7${number}-${randomUUID().slice(19)}`;
}

// The fact's id, and the fact as JSON. Throws TypeError for what no server could take.
export function encode(customer, meter, value, more = {}) {
  if (meter !== null && typeof meter === "object") {
    // A fact of several meters: `value` is what is said beside.
    const values = members(meter, numberText);
    if (!values) throw new TypeError("A fact has a meter with a value, or values by meter.");
    return encodeWhat(customer, `"values":{${values}}`, value ?? {});
  }
  return encodeWhat(customer, `"meter":${text(meter, "A meter")},"value":${numberText(value)}`, more);
}

function encodeWhat(customer, what, more) {
  for (const name in more) {
    if (!MORE.has(name)) throw new TypeError(`A fact has no ${name}; beside its meter and value it has id, time and dimensions.`);
  }
  const id = more.id ?? newId();
  const who = `{"id":${text(id, "An id")},"customer":${text(customer, "A customer")}`;
  // The time is always said: a fact counts when it happened, not when it arrives.
  const when = `"time":"${timeText(more.time)}"`;
  const labels = members(more.dimensions ?? {}, dimensionText);
  return { id, fact: `${who},${what},${when}${labels && `,"dimensions":{${labels}}`}}` };
}

function members(object, textOf) {
  let found = "";
  for (const [name, value] of Object.entries(object)) {
    // As JSON has it: what is undefined is not there.
    if (value !== undefined) found += `${found && ","}${quote(name)}:${textOf(value)}`;
  }
  return found;
}

function text(given, what) {
  if (typeof given !== "string" || given === "") throw new TypeError(`${what} is a text that is not empty.`);
  return quote(given);
}

function dimensionText(given) {
  if (typeof given !== "string") throw new TypeError("A dimension is a text.");
  return quote(given);
}

function timeText(time = new Date()) {
  if (!(time instanceof Date) || Number.isNaN(time.getTime())) throw new TypeError("A time is a Date.");
  return time.toISOString();
}

// The number as JSON. A number with a fraction is taken at 15 places after the point, as many as the server keeps; one
// that must keep more digits than a number of JavaScript has comes as a bigint, or as a text.
export function numberText(number = 1) {
  if (typeof number === "bigint") return String(number);
  if (typeof number === "string" && DECIMAL.test(number)) return quote(number);
  if (!Number.isFinite(number)) throw new TypeError("A value is a number, a bigint, or a text such as \"0.50\".");
  return String(Number.isInteger(number) ? number : Number(number.toFixed(15)));
}
