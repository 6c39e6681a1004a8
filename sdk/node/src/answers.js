// What the server's answer to a batch says.

import { Problem } from "./errors.js";

// However long a server asks to be left alone.
const LONGEST_RETRY_AFTER = 3600;
const OUTCOMES = new Set(["duplicate", "conflict", "rejected"]);

// What became of the facts that were not accepted; null: this is no answer that says so.
export function readOutcomes(response, text, facts) {
  if (response.status !== 200 && response.status !== 422) return null;
  const outcomes = parsed(text).outcomes;
  const isOne = (each) => Number.isInteger(each?.index) && each.index >= 0 && each.index < facts && OUTCOMES.has(each.outcome);
  return Array.isArray(outcomes) && outcomes.every(isOne) ? outcomes : null;
}

export function isWorthAnotherTry(response) {
  // A success that cannot be read, and a redirect, are of something in between: the facts may have come in, or not. No
  // redirect is followed, as the key would go along; the facts wait until somebody has put the address right.
  return response.status < 400 || response.status === 429 || response.status >= 500;
}

// Seconds (or a date) that the server asks to be left alone for.
export function retryAfter(response) {
  const text = response.headers.get("Retry-After") ?? "";
  const seconds = /^[0-9.]+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000;
  return seconds > 0 ? Math.min(seconds, LONGEST_RETRY_AFTER) : 0;
}

// The refusal as a Problem, also where something in between answered with another kind of document.
export function problemOf(response, text) {
  const document = parsed(text);
  if (document.code || document.title || document.detail) return new Problem(response.status, document);
  const where = response.headers.get("Location");
  const detail = where ? `It refers to ${where}; is the address right?` : text.slice(0, 200).trim();
  return new Problem(response.status, { title: response.statusText, detail });
}

function parsed(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
