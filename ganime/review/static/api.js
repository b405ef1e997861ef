// Requests to this server, and what it refuses.

/** What the server refused, in its words. `status` is 0 where it did not answer at all. */
export class Refused extends Error {
  constructor(status, message, events = []) {
    super(message);
    this.status = status;
    this.events = events; // of a conflict: the answers that are there now
  }
}

/** GET `api/…`; parameters without a value are left out, lists are repeated. */
export function get(path, parameters = {}, signal = undefined) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of [value].flat()) {
      if (one !== null && one !== undefined && one !== "") query.append(name, one);
    }
  }
  return ask(`api/${path}${query.size ? `?${query}` : ""}`, { signal });
}

/** POST `api/…` with JSON, as only this page can. */
export function post(path, body) {
  const headers = { "Content-Type": "application/json", "X-Ganime": "review" };
  return ask(`api/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
}

async function ask(address, options) {
  let answer;
  try {
    answer = await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "the server does not answer: is `ganime review` still running?");
  }
  const told = await answer.json().catch(() => ({}));
  if (answer.ok) return told;
  throw new Refused(answer.status, told.error ?? `the server said ${answer.status}`, told.events);
}
