// Where one is: all of it stands in the address, so that back, reload and a sent link work.
// A step of the browser's history is a step of undo: there is no second one beside it.

import { nameOf, settingsOf } from "./characters.js";

export const MOST_SEEDS = 400; // tiles; more would be neither looked at nor light
export const FIRST_SEEDS = 40; // tiles of a new grid
export const TABS = ["variations", "mix", "sliders"];
const TILE = { least: 72, usual: 132, most: 280 }; // px
const TRUNCATION = 0.8; // a little calmer than what was learnt, as most papers show
const LAST = "ganime.studio.last"; // of this visit: the newest step, which redo may reach
let known = null;
let draw = () => {};

/** Who draws a state, given the one before. */
export function onState(listener) {
  draw = listener;
  window.addEventListener("popstate", () => arrive());
}

/** What is shown now; never changed in place. */
export function state() {
  return known;
}

/** Take the state from the address; what is malformed there is as if it were absent. */
export function begin(model) {
  if (history.state?.step === undefined) {
    history.replaceState({ step: 0 }, "");
    sessionStorage.setItem(LAST, "0");
  }
  known = read(new URLSearchParams(location.search), model);
  history.replaceState(history.state, "", addressOfState(known));
  draw(known, null);
}

/** Go on to a changed state, as a step that can be undone. */
export function change(changes) {
  const next = { ...known, ...changes };
  const address = addressOfState(next);
  if (address === addressOfState(known)) return;
  const step = history.state.step + 1;
  history.pushState({ step }, "", address);
  sessionStorage.setItem(LAST, String(step));
  show(next);
}

export function canUndo() {
  return history.state.step > 0;
}

export function canRedo() {
  return history.state.step < Number(sessionStorage.getItem(LAST));
}

/** One step back; false at the first. */
export function undo() {
  const able = canUndo();
  if (able) history.back();
  return able;
}

/** One step forth again; false at the last. */
export function redo() {
  const able = canRedo();
  if (able) history.forward();
  return able;
}

/** Seeds as people write them: 3,7,100-139. */
export function seedsText(seeds) {
  const runs = [];
  for (const seed of seeds) {
    const run = runs.at(-1);
    if (run && seed === run[1] + 1) run[1] = seed;
    else runs.push([seed, seed]);
  }
  return runs.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(",");
}

/** The seeds in such a text, as many as are shown; none where it is no such text. */
export function seedsOf(text) {
  const found = [];
  for (const run of text.split(",")) {
    const ends = /^(\d{1,10})(?:-(\d{1,10}))?$/.exec(run.trim());
    if (!ends) return [];
    const [from, to] = [Number(ends[1]), Number(ends[2] ?? ends[1])];
    for (let seed = from; seed <= to && found.length < MOST_SEEDS; seed += 1) found.push(seed);
  }
  return found;
}

/** The first seeds after a number. */
export function seedsFrom(start, num = FIRST_SEEDS) {
  return Array.from({ length: num }, (_, place) => start + place);
}

function arrive() {
  show(read(new URLSearchParams(location.search), known.model));
}

function show(next) {
  const before = known;
  known = next;
  draw(known, before);
}

function read(query, model) {
  const seeds = seedsOf(query.get("seeds") ?? "");
  const tray = (query.get("tray") ?? "").split(",").map(settingsOf).filter(Boolean);
  return {
    model: query.get("model") || model,
    seeds: seeds.length ? seeds : seedsFrom(0),
    truncation: within(query.get("truncation"), 0, 1, TRUNCATION),
    tags: query.getAll("tag"),
    notTags: query.getAll("not"),
    pick: settingsOf(query.get("pick") ?? ""),
    tab: TABS.includes(query.get("tab")) ? query.get("tab") : TABS[0],
    tray,
    view: query.get("view") === "favourites" ? "favourites" : "grid",
    tile: within(query.get("tile"), TILE.least, TILE.most, TILE.usual),
  };
}

function addressOfState(shown) {
  const query = new URLSearchParams({ model: shown.model, seeds: seedsText(shown.seeds), truncation: shown.truncation });
  for (const tag of shown.tags) query.append("tag", tag);
  for (const tag of shown.notTags) query.append("not", tag);
  if (shown.view !== "grid") query.set("view", shown.view);
  if (shown.tile !== TILE.usual) query.set("tile", shown.tile);
  if (shown.tab !== TABS[0]) query.set("tab", shown.tab);
  if (shown.pick) query.set("pick", nameOf(shown.pick));
  if (shown.tray.length) query.set("tray", shown.tray.map(nameOf).join(","));
  return `./?${String(query).replaceAll("%2C", ",")}`; // commas may stand in a query, and read better
}

function within(text, least, most, otherwise) {
  const number = text === null || text === "" ? Number.NaN : Number(text);
  return number >= least && number <= most ? number : otherwise;
}
