// Files that the server made: shown, saved; and the cards that offer them.

import { el } from "./dom.js";
import { toast } from "./toast.js";

/** Let the browser save it. */
export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = el("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60_000); // a slow disk is still reading it
}

/** As an address of its own: the page may show images of this server and such ones, no blobs. */
export function asData(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

/** Do it while a button says so; what goes wrong is told, on the card if the button is on one. */
export async function busy(button, work) {
  const open = button.closest("dialog");
  open?.querySelector(".failed")?.remove();
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  try {
    await work();
  } catch (error) {
    if (error.name !== "AbortError") {
      if (open) open.append(el("p", { class: "bad failed", role: "alert" }, error.message));
      else toast(error.message, "refused");
    }
  }
  button.removeAttribute("aria-busy");
  button.disabled = false;
}

/** An open card with a title and a button that closes it. */
export function card(title, ...children) {
  const dialog = el("dialog", { "aria-labelledby": "card-title" },
    el("div", { class: "row between" }, el("h2", { id: "card-title" }, title),
      el("button", { class: "bare close", "aria-label": "Close", onclick: () => dialog.close() }, "×")),
    children);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
