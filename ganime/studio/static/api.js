// Requests to this server, what it refuses, and the patience that a busy one asks for.

import { dismiss, wait } from "./notice.js";

const BUSY = [429, 503]; // it may be answered later; anything else would be refused again
const TRIES = 8; // of one request to a busy server, before it is given up
const UNTOLD_S = 2; // how long to wait where the server does not say
const GONE_S = 3; // between looks whether a studio that does not answer is there again

/** What the server refused, in its words. `status` is 0 where it did not answer at all. */
export class Refused extends Error {
  constructor(status, message, retryAfter) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter; // seconds
  }
}

/** GET an address of this server; `isWanted` says before each new try whether it still is. */
export function get(address, options = {}) {
  return patient(address, options);
}

/** POST JSON, as only this page can. */
export function post(address, body, options = {}) {
  const headers = { "Content-Type": "application/json", "X-Ganime": "studio" };
  return patient(address, { ...options, method: "POST", headers, body: JSON.stringify(body) });
}

/** The answer; a busy server is asked again after as long as it said, one that is gone until it is back. */
async function patient(address, { isWanted = () => true, ...options }) {
  for (let tried = 1; ; tried += 1) {
    try {
      const answer = await once(address, options);
      dismiss();
      return answer;
    } catch (error) {
      const isGone = error.status === 0;
      if (!isGone && (!BUSY.includes(error.status) || tried >= TRIES)) throw error;
      await wait(error.message, error.retryAfter, options.signal);
      if (!isWanted()) throw error;
    }
  }
}

async function once(address, options) {
  let answer;
  try {
    answer = await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The studio does not answer. Is it still running?", GONE_S);
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  const reason = told.detail ?? told.error ?? told.title ?? `the studio said ${answer.status}`;
  throw new Refused(answer.status, sentence(reason), secondsOf(answer.headers.get("Retry-After")));
}

/** Of a Retry-After header, which holds seconds or a date (RFC 9110, 10.2.3). */
function secondsOf(text) {
  if (text === null) return UNTOLD_S;
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : UNTOLD_S;
}

function sentence(text) {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
