// One line while the server is busy: why, and when it will be asked again. It stands under the header, or on the
// open card, which covers all else.

import { el } from "./dom.js";

const box = document.getElementById("notice");
const main = document.getElementById("main");
let waiting = []; // who goes on when the time is up or the person has no patience
let timer = 0;

/** Resolve after some seconds, or when "Try now" is pressed; the line counts them down. */
export function wait(reason, seconds, signal) {
  return new Promise((resolve, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    waiting.push(resolve);
    if (waiting.length === 1) count(reason, Date.now() + 1000 * seconds);
  });
}

/** The server answers again. */
export function dismiss() {
  if (!waiting.length) box.hidden = true;
}

function count(reason, until) {
  const left = el("span", { class: "num", "aria-hidden": "true" });
  box.replaceChildren(el("span", {}, `${reason} Trying again by itself. `), left,
    el("button", { onclick: release }, "Try now"));
  const open = document.querySelector("dialog[open]");
  if (open && !open.contains(box)) open.append(box);
  if (!open && box.nextElementSibling !== main) main.before(box);
  box.hidden = false;
  clearInterval(timer);
  const tell = () => {
    const seconds = Math.ceil((until - Date.now()) / 1000);
    left.textContent = `${Math.max(0, seconds)} s`;
    if (seconds <= 0) release();
  };
  timer = setInterval(tell, 250);
  tell();
}

function release() {
  clearInterval(timer);
  const all = waiting;
  waiting = [];
  for (const go of all) go();
}
