/** A number; a bigint or a text such as `"0.50"` where more digits count than a number has. */
export type Value = number | bigint | string;

export interface Options {
  /** From TOLLMETER_API_KEY, if it is left out. */
  apiKey?: string;
  /** From TOLLMETER_URL, if it is left out. */
  baseUrl?: string;
  /** How many facts may wait: 100,000. */
  queueSize?: number;
  /** What `meter()` does when so many wait: drop the oldest one (the default), or throw QueueFull. */
  whenFull?: "dropOldest" | "throw";
  /** How many facts a batch has at most: 500. */
  batchSize?: number;
  /** How many bytes, before they are packed: 1,000,000. */
  batchBytes?: number;
  /** How long the first fact of a batch waits for others: 1. */
  batchSeconds?: number;
  /** How long the first wait for another try is, at most: 0.5. Each one after it is twice as long. */
  retrySeconds?: number;
  /** How long waits get at most: 60. */
  retrySecondsMax?: number;
  /** How long an answer may take: 30. */
  timeoutSeconds?: number;
  /** How long sending what is left may take at the end: 5. */
  closeSeconds?: number;
  /** Told of all that goes wrong where nobody waits for it. Without it that is written to the console. */
  onError?: (error: TollmeterError) => unknown;
}

export interface More {
  /** Of your own, where the same fact may be noted twice; otherwise a UUID of version 7. */
  id?: string;
  /** When it happened; now, if it is left out. */
  time?: Date;
  dimensions?: Record<string, string | undefined>;
}

/**
 * Of this client, since it was made. `sent` were accepted, `duplicate` had been counted before, as happens where an answer
 * was lost and they were sent again; both are counted exactly once. `rejected` were refused by the server, `dropped` are
 * lost here, `queued` wait.
 */
export interface Counters {
  sent: number;
  duplicate: number;
  rejected: number;
  dropped: number;
  queued: number;
}

export interface PortalSessionOptions {
  /** Where "Back" in the portal leads; its origin is listed in the portal policy of your Tollmeter. */
  returnUrl?: string;
  /** Where it begins; the overview, if it is left out. */
  page?: "overview" | "usage" | "invoices" | "plan" | "alerts";
  /** The number of an invoice to begin with. */
  invoice?: string;
  /** How many seconds the session lasts: 3600. */
  expiresIn?: number;
  /** What the person may do: "read_only". With more you vouch for who it is. */
  role?: "read_only" | "billing" | "owner";
  /** What you call the person, for logs. */
  member?: string;
}

/** A link that opens the portal for one customer, once, and when it and the session that comes of it end. */
export interface PortalSession {
  id: number;
  url: string;
  linkExpiresAt: Date;
  expiresAt: Date;
  /** All that the server answered. */
  document: Record<string, unknown>;
}

/** A connection to a Tollmeter server, for a whole process: make one and keep it. */
export class Tollmeter {
  constructor(options?: Options);
  readonly counters: Counters;
  /** Notes that a customer used so much of a meter (1, if it is left out), and returns the fact's id at once. */
  meter(customer: string, meter: string, value?: Value, more?: More): string;
  /** Notes a fact of several meters: `{ ApiCalls: 1, Records: 52 }`. */
  meter(customer: string, values: Record<string, Value>, more?: More): string;
  /** As `meter()`, but where the queue is full it waits until there is room. */
  meterWhenRoom(customer: string, meter: string, value?: Value, more?: More): Promise<string>;
  meterWhenRoom(customer: string, values: Record<string, Value>, more?: More): Promise<string>;
  /** A link that opens the portal for the customer, once: make it when it is asked for, and redirect to its `url`. */
  portalSession(customer: string, options?: PortalSessionOptions): Promise<PortalSession>;
  /** Sends what waits, and resolves when it is answered; to false where so many seconds were not enough. */
  flush(seconds?: number): Promise<boolean>;
  /** Sends what waits and ends; resolves to false where facts were lost, as they could not be sent in so many seconds. */
  close(seconds?: number): Promise<boolean>;
}

/** All that this package throws, beside TypeError for what no server could take; and all that `onError` is given. */
export class TollmeterError extends Error {}

/** The client was closed, so nothing more can be recorded with it. */
export class Closed extends TollmeterError {}

/** As many facts wait as the queue may hold, and `whenFull` is "throw"; this one was not recorded. */
export class QueueFull extends TollmeterError {}

/** No answer came, or none that can be read. */
export class Unreachable extends TollmeterError {
  readonly detail: string;
  /** In how many seconds the next try is; null: never. */
  readonly retryIn: number | null;
}

/** The server refused, with a problem document (RFC 9457). */
export class Problem extends TollmeterError {
  readonly status: number;
  /** Stable, for programs. */
  readonly code: string;
  readonly title: string;
  /** A sentence for people. */
  readonly detail: string;
  /** Each fault of the input. */
  readonly errors: { pointer?: string; parameter?: string; detail: string }[];
  /** In how many seconds it is tried again; null: never. */
  readonly retryIn: number | null;
}

/** The server took the batch and not this fact. */
export class FactRejected extends TollmeterError {
  /** As it was sent: JSON. */
  readonly fact: string;
  readonly id: string;
  /** "conflict": another fact with the same id had come before, and counts. */
  readonly outcome: "rejected" | "conflict";
  readonly meter: string;
  readonly code: string;
  readonly pointer: string;
  readonly detail: string;
}

/** Facts are lost: the queue was full, or the process or the client ended before they could be sent. */
export class FactsDropped extends TollmeterError {
  readonly count: number;
  readonly why: string;
}

/** What a request used beyond being one. */
export class RequestUsage {
  private constructor();
  /** Set it where the handler knows better who the customer is. */
  customer: string | null;
  /** When it counts, where that is not the end of the request. */
  time: Date | null;
  /** Counts so much (1, if it is left out) of a meter, the middleware's `records` if it is not named. */
  add(number?: number | bigint, meter?: string): void;
  /** Adds dimensions to those of the request. */
  label(dimensions: Record<string, string | undefined>): void;
  /** Leaves this request out, as one that answers whether the server is up. */
  skip(): void;
}

export interface MeteringOptions<Request> {
  /** Whose request it is: the name of a header, or a function of the request. Nobody's is not metered. */
  customer: string | ((request: Request) => string | null | undefined);
  /** The meter that each request is 1 of: "ApiCalls"; null: none. */
  meter?: string | null;
  /** The meter of `usage.add(n)`. */
  records?: string | null;
  /** The dimension `route`; the template of the framework's route, if it is left out. */
  route?: (request: Request) => string | null | undefined;
}

/** The usage of the request that this code works for, wherever it is called. Throws outside of one. */
export function currentUsage(): RequestUsage;

export const version: string;
