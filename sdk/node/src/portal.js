// Links into the customer's portal.

import { problemOf } from "./answers.js";
import { Unreachable } from "./errors.js";

// What the server calls each option.
const NAMES = {
  returnUrl: "return_url",
  page: "page",
  invoice: "invoice",
  expiresIn: "expires_in",
  role: "role",
  member: "member",
};

// Rejects with Problem or Unreachable; TypeError for an option that there is not.
export async function openPortal(server, timeoutSeconds, customer, options = {}) {
  if (typeof customer !== "string" || !customer) throw new TypeError("Give the customer's key.");
  const body = {};
  for (const [name, value] of Object.entries(options)) {
    if (!(name in NAMES)) throw new TypeError(`There is no option ${name}; there are ${Object.keys(NAMES).join(", ")}.`);
    if (value !== undefined && value !== null) body[NAMES[name]] = value;
  }
  const { response, text } = await post(server, timeoutSeconds, `/customers/${encodeURIComponent(customer)}/portal-sessions`, body);
  if (!response.ok) throw problemOf(response, text);
  return sessionOf(text);
}

async function post(server, timeoutSeconds, path, body) {
  try {
    const response = await fetch(`${server.api}${path}`, {
      method: "POST",
      headers: server.headers,
      body: JSON.stringify(body),
      redirect: "manual",
      signal: AbortSignal.timeout(Math.min(timeoutSeconds * 1000, 2 ** 31 - 1)),
    });
    return { response, text: await response.text() };
  } catch (error) {
    throw new Unreachable(error.cause?.message || error.message);
  }
}

function sessionOf(text) {
  let document;
  try {
    document = JSON.parse(text);
  } catch {
    document = null;
  }
  if (typeof document?.url !== "string") throw new Unreachable("The answer is none of a portal session; is the address right?");
  return {
    id: document.id,
    url: document.url,
    linkExpiresAt: new Date(document.link_expires_at),
    expiresAt: new Date(document.expires_at),
    document,
  };
}
