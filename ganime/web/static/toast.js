// Short messages at the foot of the page, read out by screen readers.

import { el } from "./dom.js";

const SHOWN_MS = { said: 3500, refused: 9000 }; // who was refused needs time to read why

/** Say something; `refused` is louder and stays longer. */
export function toast(text, kind = "said") {
  const box = document.getElementById("toasts");
  const close = el("button", { class: "bare", "aria-label": "Close", onclick: () => one.remove() }, "×");
  const mark = kind === "refused" ? "⚠ " : "";
  const one = el("div", { class: `toast ${kind}` }, el("span", {}, mark + text), close);
  while (box.children.length > 2) box.firstChild.remove();
  box.append(one);
  setTimeout(() => one.remove(), SHOWN_MS[kind]);
}
