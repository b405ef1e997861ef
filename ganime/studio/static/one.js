// The picked character: large, and what can be made of it.

import { addressOf, described, isSame, ofSeed, plain, titleOf } from "./characters.js";
import { el } from "./dom.js";
import { isFavourite, toggle } from "./favourites.js";
import { mixing } from "./mixing.js";
import { screen } from "./pictures.js";
import { sliders } from "./sliders.js";
import { change, state, TABS } from "./state.js";
import { inTray, toggleTray } from "./tray.js";
import { variations } from "./variations.js";

const NARROW = matchMedia("(max-width: 900px)"); // where it lies over the grid instead of beside it
const NAMES = { variations: "Variations", mix: "Mix", sliders: "Sliders" };

/** The character shown large: the picked one, else the first where there is room beside the grid. */
export function shownOne(shown) {
  if (shown.pick) return shown.pick;
  return NARROW.matches ? null : ofSeed(shown.seeds[0], shown);
}

/** The panel; `draw` follows the state. */
export function one(root, modelOf) {
  const large = screen();
  const title = el("h2", { id: "one-title" });
  const heart = el("button", { class: "mark heart", id: "favourite", title: "Favourite (F)", onclick: () => toggle(shownOne(state())) }, el("span", { "aria-hidden": "true" }, "♥"), " Keep");
  const plus = el("button", { class: "mark plus", id: "to-tray", title: "Tray (T)", onclick: () => toggleTray(shownOne(state())) }, el("span", { "aria-hidden": "true" }, "+"), " Tray");
  const png = el("a", { class: "button", id: "png", title: "Save this image" }, el("span", { "aria-hidden": "true" }, "↓"), " PNG");
  const reset = el("button", { id: "reset", onclick: () => change({ pick: plain(shownOne(state())) }), title: "Without mixing and sliders" }, "Reset");
  const close = el("button", { class: "bare close", "aria-label": "Close", onclick: () => change({ pick: null }) }, "×");
  const tabs = el("div", { class: "views", role: "tablist", "aria-label": "What to make of it", onkeydown: walkTabs });
  const body = el("div", { class: "body", role: "tabpanel", id: "tab-panel" });
  const parts = { variations: variations(), mix: mixing(), sliders: sliders((settings) => large.show(settings)) };
  root.append(el("div", { class: "row between" }, title, close),
    el("div", { class: "stage" }, large.root, el("div", { class: "actions" }, heart, plus, png, reset)), tabs, body);
  NARROW.addEventListener("change", () => draw(state()));

  function draw(shown, before = null) {
    const settings = shownOne(shown);
    const wasHidden = root.hidden;
    root.hidden = !settings;
    document.body.classList.toggle("looking", Boolean(shown.pick));
    if (!settings) return;
    if (!isSame(settings, before && shownOne(before)) || wasHidden) large.show(settings);
    title.textContent = titleOf(settings);
    reset.hidden = !settings.mix && !settings.shift && !settings.hold;
    heart.setAttribute("aria-pressed", String(isFavourite(settings)));
    plus.setAttribute("aria-pressed", String(inTray(settings)));
    png.href = addressOf(settings);
    png.download = `${titleOf(settings).replaceAll(/[^\w]+/g, "-")}.png`;
    png.setAttribute("aria-label", `Save ${described(settings)} as PNG`);
    drawTabs(shown, settings);
    if (wasHidden && before && NARROW.matches) close.focus();
  }

  function drawTabs(shown, settings) {
    const model = modelOf(shown);
    const offered = TABS.filter((tab) => tab !== "mix" || model.styles); // only styles can be mixed
    const open = offered.includes(shown.tab) ? shown.tab : offered[0];
    const focused = tabs.contains(document.activeElement);
    tabs.replaceChildren(...offered.map((tab) =>
      el("button", { class: "view", role: "tab", id: `tab-${tab}`, "data-tab": tab, "aria-selected": String(tab === open),
        "aria-controls": "tab-panel", tabindex: tab === open ? 0 : -1, onclick: () => change({ tab }) }, NAMES[tab])));
    if (focused) tabs.querySelector("[tabindex='0']").focus();
    body.setAttribute("aria-labelledby", `tab-${open}`);
    const part = parts[open];
    if (body.firstChild !== part.root) body.replaceChildren(part.root);
    part.draw(settings, model, shown);
  }

  function walkTabs(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const all = [...tabs.children];
    const now = tabs.querySelector("[aria-selected='true']");
    now.focus();
    change({ tab: all[(all.indexOf(now) + step + all.length) % all.length].dataset.tab });
  }

  return { draw };
}
