// Search by tag: suggestions while typing, a leading minus for images without the tag.

import { get } from "./api.js";
import { count, el } from "./dom.js";
import { changed, go, here } from "./place.js";
import { toast } from "./toast.js";

const PAUSE_MS = 80; // between the last key and the question

/** The search field with its list of suggestions (a combobox, as WAI-ARIA describes it). */
export function tagSearch() {
  let found = [];
  let active = -1;
  let timer = 0;
  let asked = 0;
  const list = el("ul", { id: "tag-list", role: "listbox", "aria-label": "Tags", hidden: true });
  const field = el("input", { id: "tag-search", type: "search", role: "combobox", autocomplete: "off",
    placeholder: "tag or -tag", "aria-label": "Search by tag", "aria-controls": "tag-list",
    "aria-expanded": "false", "aria-autocomplete": "list", spellcheck: "false",
    oninput: later, onkeydown: keys, onfocus: later, onblur: () => setTimeout(close, 150) });

  function later() {
    active = -1; // what was chosen was chosen for other letters
    clearTimeout(timer);
    timer = setTimeout(suggest, PAUSE_MS);
  }

  async function suggest() {
    const mine = ++asked;
    const prefix = field.value.trim().split(/\s+/).at(-1).replace(/^-/, "");
    const told = await get("tags", { prefix, num: 10 }).catch(() => []);
    if (mine !== asked || document.activeElement !== field) return; // a later key asked again
    found = told;
    active = -1;
    list.replaceChildren(...found.map((one, place) =>
      el("li", { role: "option", id: `tag-${place}`, "aria-selected": "false",
        onpointerdown: (event) => { event.preventDefault(); take(place); } },
      el("bdi", {}, one.value), el("span", { class: "num" }, count(one.count)))));
    list.hidden = !found.length;
    field.setAttribute("aria-expanded", String(!list.hidden));
    field.removeAttribute("aria-activedescendant");
  }

  function close() {
    asked += 1;
    list.hidden = true;
    field.setAttribute("aria-expanded", "false");
  }

  function move(step) {
    if (!found.length) return;
    active = (active + step + found.length + (active < 0 && step < 0 ? 1 : 0)) % found.length;
    [...list.children].forEach((one, place) => one.setAttribute("aria-selected", String(place === active)));
    field.setAttribute("aria-activedescendant", `tag-${active}`);
    list.children[active].scrollIntoView({ block: "nearest" });
  }

  function keys(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      move(event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "Enter") {
      event.preventDefault();
      take(active);
    } else if (event.key === "Escape") {
      event.stopPropagation();
      if (list.hidden) field.value = "";
      close();
    }
  }

  async function take(place) {
    clearTimeout(timer);
    const typed = field.value.trim().split(/\s+/).filter(Boolean);
    if (place >= 0) {
      const sign = typed.at(-1)?.startsWith("-") ? "-" : "";
      typed.splice(-1, 1, sign + found[place].value);
    }
    close();
    if (!typed.length) return;
    const unknown = (await Promise.all(typed.map(isUnknown))).filter(Boolean);
    if (unknown.length) {
      toast(`No image has the tag ${unknown.join(", ")}`, "refused");
      return;
    }
    field.value = "";
    const parameters = here();
    const added = (name, tags) => [...new Set([...parameters.getAll(name), ...tags])];
    go(changed(parameters, {
      tag: added("tag", typed.filter((tag) => !tag.startsWith("-"))),
      not_tag: added("not_tag", typed.filter((tag) => tag.startsWith("-")).map((tag) => tag.slice(1))),
    }));
  }

  return el("div", { class: "search", role: "search" }, field, list);
}

/** The tag if no image has it, else null. */
async function isUnknown(tag) {
  const name = tag.replace(/^-/, "");
  const told = await get("tags", { prefix: name, num: 200 }).catch(() => null);
  return told && !told.some((one) => one.value === name) ? name : null;
}
