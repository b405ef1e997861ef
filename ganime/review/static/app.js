// The page: which view the address asks for, the pages' links, and the keys.

import { isOurs } from "./answering.js";
import { el } from "./dom.js";
import * as funnel from "./funnel.js";
import * as gallery from "./gallery.js";
import { help } from "./help.js";
import * as image from "./image.js";
import { undo } from "./labels.js";
import * as models from "./models.js";
import { ask, known } from "./person.js";
import { at, changed, go, here, onArrival } from "./place.js";
import * as questions from "./questions.js";
import * as queue from "./queue.js";
import { learn } from "./session.js";
import * as thresholds from "./thresholds.js";

const VIEWS = { gallery, image, queue, questions, thresholds, funnel, models };
const PAGES = [["gallery", "Gallery"], ["queue", "Queues"], ["questions", "Questions"], ["thresholds", "Thresholds"], ["funnel", "Funnel"], ["models", "Models"]];
const main = document.getElementById("main");
let current = {};
let round = 0;

async function draw() {
  const mine = ++round;
  const name = here().get("view") ?? "gallery";
  const view = VIEWS[name] ?? gallery;
  current.leave?.();
  current = {};
  links(name);
  const root = el("div", { class: `view ${name}` });
  const isSame = main.firstElementChild?.classList.contains(name) && name === "gallery";
  if (!isSame) {
    main.replaceChildren(root);
    window.scrollTo(0, 0);
  }
  try {
    const shown = await view.show(isSame ? main.firstElementChild : root);
    if (mine !== round) {
      shown.leave?.();
      return;
    }
    current = shown;
    document.title = `${shown.title} – ganime review`;
  } catch (error) {
    if (mine !== round) return;
    root.replaceChildren(el("h1", {}, "That did not work"), el("p", { class: "missing" }, error.message),
      el("button", { class: "main", onclick: () => go(here(), { replace: true }) }, "Try again"));
    if (!root.isConnected) main.replaceChildren(root);
  }
}

function links(name) {
  const now = name === "image" ? "gallery" : name;
  document.getElementById("pages").replaceChildren(...PAGES.map(([page, text]) => {
    const to = page === "gallery" ? gallery.galleryPlace() : changed(new URLSearchParams(), { view: page });
    return el("li", {}, el("a", { href: at(to), "aria-current": page === now ? "page" : null }, text));
  }));
}

function who() {
  const name = known();
  document.getElementById("who").replaceChildren(
    el("button", { class: "bare", onclick: ask, title: "Who answers" }, name ? name : "say who you are"));
}

function keys(event) {
  if (!isOurs(event) || document.querySelector("dialog[open]")) return;
  const isObeyed = event.key === "z" ? (undo(), true) : event.key === "?" ? (help(), true) : current.keys?.(event);
  if (isObeyed) event.preventDefault();
}

async function start() {
  history.scrollRestoration = "manual";
  document.addEventListener("keydown", keys);
  document.addEventListener("ganime:person", who);
  document.getElementById("help").addEventListener("click", help);
  who();
  try {
    await learn();
  } catch (error) {
    main.replaceChildren(el("h1", {}, "ganime review"), el("p", { class: "missing" }, error.message));
    return;
  }
  onArrival(draw);
  await draw();
}

start();
