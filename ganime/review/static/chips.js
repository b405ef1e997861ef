// The filters that hold, each with a button that takes it away.

import { el, words } from "./dom.js";
import { RANGES, SEVERAL, changed, go } from "./place.js";

const SIGNS = { score_min: "≥", score_max: "≤", posted_from: "posted from", posted_to: "posted to" };

/** One chip for each filter, and one that takes all away. */
export function chips(parameters) {
  const several = SEVERAL.flatMap((name) => parameters.getAll(name).map((value) => [name, value]));
  const ranges = RANGES.filter((name) => name in SIGNS && parameters.get(name)).map((name) => [name, parameters.get(name)]);
  const all = [...several, ...ranges];
  if (!all.length) return [];
  const none = Object.fromEntries([...SEVERAL, ...RANGES].map((name) => [name, null]));
  return [
    ...all.map(([name, value]) => chip(parameters, name, value)),
    el("button", { class: "bare", onclick: () => go(changed(parameters, none)) }, "clear all"),
  ];
}

function chip(parameters, name, value) {
  const text = says(parameters, name, value);
  const rest = parameters.getAll(name).filter((one) => one !== value);
  const drop = () => go(changed(parameters, { [name]: rest }));
  return el("button", { class: "chip", "aria-label": `Remove the filter ${text}`, onclick: drop },
    el("bdi", {}, text), el("span", { "aria-hidden": "true" }, " ×"));
}

function says(parameters, name, value) {
  if (name === "tag") return value;
  if (name === "not_tag") return `not ${value}`;
  if (name.startsWith("score_")) return `${parameters.get("score")} ${SIGNS[name]} ${value}`;
  if (name in SIGNS) return `${SIGNS[name]} ${value}`;
  return `${name === "label" ? "answer" : name}: ${words(value)}`;
}
