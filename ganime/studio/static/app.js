// The page: its parts, the model they speak of, and the keys.

import { get } from "./api.js";
import { el } from "./dom.js";
import { card } from "./files.js";
import { toggle } from "./favourites.js";
import { focused, grid, reroll } from "./grid.js";
import { help } from "./help.js";
import { chooser } from "./models.js";
import { one, shownOne } from "./one.js";
import { begin, canRedo, canUndo, change, onState, redo, state, undo } from "./state.js";
import { toast } from "./toast.js";
import { toggleTray, tray } from "./tray.js";
import { wishes } from "./wishes.js";

const at = (id) => document.getElementById(id);

/** Undo, redo, the link and the keys, in the header. */
function steps(root) {
  const back = el("button", { class: "bare", id: "undo", "aria-label": "Undo", title: "Undo (Z)", onclick: undo }, "↶");
  const forth = el("button", { class: "bare", id: "redo", "aria-label": "Redo", title: "Redo (Shift + Z)", onclick: redo }, "↷");
  root.append(back, forth,
    el("button", { class: "bare", id: "link", title: "Copy the address, which holds all of this", onclick: copyLink }, "Link"),
    el("button", { class: "bare", id: "help", "aria-label": "Keys and help", "aria-haspopup": "dialog", onclick: help }, "?"));
  return () => {
    back.disabled = !canUndo();
    forth.disabled = !canRedo();
  };
}

async function copyLink() {
  try {
    await navigator.clipboard.writeText(location.href);
    toast("Copied: whoever opens it with this model sees the same pixels.");
  } catch {
    const field = el("input", { value: location.href, readonly: true, "aria-label": "The address of this page" });
    card("Copy this address", el("p", { class: "soft" }, "Whoever opens it with this model sees the same pixels."), field);
    field.select(); // a browser lets a page copy by itself only over https or on this machine
  }
}

const KEYS = {
  r: reroll,
  z: undo,
  Z: redo,
  y: redo,
  f: () => toggle(focused() ?? shownOne(state())),
  t: () => toggleTray(focused() ?? shownOne(state())),
  "/": () => at("tag-search").focus(),
  "?": help,
  Escape: () => matchMedia("(max-width: 900px)").matches && change({ pick: null }),
};

/** Whether a key is meant for the page, and not for a field or the browser. */
function isOurs(event) {
  const isTyped = event.target.closest?.("input:not([type='range'], [type='checkbox']), select, dialog");
  return !isTyped && !event.ctrlKey && !event.metaKey && !event.altKey;
}

function listen(shownGrid) {
  document.addEventListener("keydown", (event) => {
    if (!isOurs(event)) return;
    const act = KEYS[event.key] ?? (event.key.length === 1 ? KEYS[event.key.toLowerCase()] : undefined);
    if (act) act();
    if (act || shownGrid.keys(event)) event.preventDefault();
  });
}

/** A card instead of the page's parts: there is nothing to draw from. */
function alone(title, text, action) {
  for (const id of ["model", "steps", "wishes", "one", "tray"]) at(id).hidden = true;
  at("main").classList.add("alone");
  at("characters").replaceChildren(el("div", { class: "panel" }, el("h2", {}, title), el("p", { class: "soft" }, text), action));
}

function again(text) {
  return el("button", { class: "main", onclick: () => location.reload() }, text);
}

function lost(shown, models) {
  const other = models.find((one) => one.current) ?? models[0];
  alone("This model is not here", `The address asks for the model ${shown.model}, which this workspace does not hold.`,
    el("a", { class: "button main", href: "./" }, `Use ${other.name.slice(0, 8)} instead`));
}

async function start() {
  let models;
  try {
    ({ models } = await (await get("v1/models")).json());
  } catch (error) {
    alone("The models cannot be listed", error.message, again("Try again"));
    return;
  }
  if (!models.length) {
    alone("No model yet", ["Train one, and this page draws characters with it: ", el("code", {}, "ganime train")], again("Look again"));
    return;
  }
  build(models);
}

function build(models) {
  // A sent address may name an older snapshot of a model: what the model can do is the same.
  const modelOf = ({ model }) => models.find((one) => one.id === model) ?? models.find((one) => one.name === model.split("@")[0]);
  const shownGrid = grid(at("characters"));
  const panel = one(at("one"), modelOf);
  const parts = [chooser(at("model"), models, modelOf), steps(at("steps")), wishes(at("wishes"), modelOf), shownGrid.draw, panel.draw, tray(at("tray"))];
  const draw = (shown, before) => {
    if (!modelOf(shown)) {
      lost(shown, models);
      return;
    }
    if (at("main").classList.contains("alone")) location.reload(); // back from a model that is not here
    for (const part of parts) part(shown, before);
    document.title = `${shownOne(shown)?.seed ?? "Characters"} – ganime studio`;
  };
  onState(draw);
  for (const happened of ["ganime:favourites", "ganime:directions"]) document.addEventListener(happened, () => draw(state(), state()));
  listen(shownGrid);
  begin((models.find((one) => one.current) ?? models[0]).id);
}

start();
