// Who answers: asked once, kept in this browser.

import { el } from "./dom.js";

const KEY = "ganime.person";
const NAME = /^[\p{L}\p{N}_][\p{L}\p{N}_ .@+-]{0,59}$/u; // as the server takes it
let asking = null;

/** The name, or null while it was never said. */
export function known() {
  const name = localStorage.getItem(KEY);
  return name && NAME.test(name) ? name : null;
}

/** The name, asked for if need be; null if that was declined. */
export async function person() {
  return known() ?? (await ask());
}

/** Ask, whatever is known: one dialog at a time. */
export function ask() {
  asking ??= open().finally(() => { asking = null; });
  return asking;
}

function open() {
  return new Promise((resolve) => {
    const name = el("input", { id: "person", value: known() ?? "", maxlength: 60, required: true,
      autocomplete: "nickname", "aria-describedby": "person-why" });
    const wrong = el("p", { class: "bad", role: "alert" });
    const send = (event) => {
      event.preventDefault();
      const text = name.value.trim();
      if (!NAME.test(text)) {
        wrong.textContent = "Letters, digits, spaces and . _ @ + - please, a letter or digit first.";
        return;
      }
      localStorage.setItem(KEY, text);
      dialog.close();
    };
    const dialog = el("dialog", { "aria-labelledby": "person-title" },
      el("form", { onsubmit: send },
        el("h2", { id: "person-title" }, "Who is answering?"),
        el("p", { id: "person-why", class: "soft" },
          "Every answer is kept with a name. This browser remembers yours."),
        el("label", { for: "person" }, "Your name"), name, wrong,
        el("div", { class: "row" },
          el("button", { class: "main" }, "Go on"),
          el("button", { type: "button", onclick: () => dialog.close() }, "Not now"))));
    dialog.addEventListener("close", () => {
      dialog.remove();
      document.dispatchEvent(new Event("ganime:person"));
      resolve(known());
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
