// Where a server is, and the key that opens it.

import { version } from "./version.js";

export class Server {
  constructor(apiKey = process.env.TOLLMETER_API_KEY, baseUrl = process.env.TOLLMETER_URL) {
    if (!apiKey) throw new TypeError("Give an apiKey, or set TOLLMETER_API_KEY.");
    if (!/^[\x21-\x7e]+$/.test(apiKey)) throw new TypeError("The apiKey has characters that no API key has.");
    const base = String(baseUrl ?? "");
    if (!/^https?:\/\/./.test(base)) {
      throw new TypeError("Give a baseUrl such as https://billing.example, or set TOLLMETER_URL.");
    }
    this.api = `${base.replace(/\/+$/, "")}/v1`;
    this.events = `${this.api}/events`;
    this.headers = {
      "Content-Type": "application/json",
      "User-Agent": `tollmeter-node/${version}`,
      "X-API-KEY": apiKey,
    };
  }
}
