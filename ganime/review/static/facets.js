// The filters at the left, each with how many images it would leave.

import { histogram } from "./chart.js";
import { choice, count, el, figure, words } from "./dom.js";
import { changed, go } from "./place.js";
import { dataset } from "./session.js";

const GROUPS = ["status", "rule", "reason", "source", "rating"];
const FEW = 8; // values shown before "more"
const unfolded = new Set();

/** All filters, as `/api/facets` counted them. */
export function facetPanel(found, parameters) {
  return [
    ...GROUPS.map((name) => group(name, words(name), found[name].filter((one) => one.count), parameters)),
    group("label", `answer to “${parameters.get("question") ?? "keep"}”`, found.label, parameters),
    scores(found.histogram, parameters),
    dates(found.month, parameters),
  ];
}

function group(name, title, values, parameters) {
  const chosen = parameters.getAll(name);
  const missing = chosen.filter((one) => !values.some((value) => value.value === one));
  const all = [...values, ...missing.map((value) => ({ value, count: 0 }))];
  if (!all.length) return null;
  const isFull = unfolded.has(name) || all.length <= FEW + 1;
  const shown = isFull ? all : all.filter((one, place) => place < FEW || chosen.includes(one.value));
  const more = el("button", { class: "bare", onclick: () => { unfolded.add(name); go(parameters, { replace: true }); } },
    `${all.length - shown.length} more`);
  return el("fieldset", { "data-facet": name }, el("legend", {}, title),
    shown.map((one) => check(name, one, chosen, parameters)), isFull ? null : more);
}

function check(name, one, chosen, parameters) {
  const toggle = (event) => {
    const left = chosen.filter((value) => value !== one.value);
    go(changed(parameters, { [name]: event.target.checked ? [...left, one.value] : left }));
  };
  const box = el("input", { type: "checkbox", id: `f-${name}-${one.value}`, onchange: toggle,
    checked: chosen.includes(one.value) });
  return el("label", {}, box, el("bdi", {}, words(one.value)),
    el("span", { class: "num" }, count(one.count)));
}

function scores(found, parameters) {
  const known = dataset().scores;
  if (!known.length) return null;
  const pick = (score) => go(changed(parameters, { score, score_min: null, score_max: null }));
  const options = [["", "none"], ...known.map((one) => [one.name, one.name])];
  const bound = (name, text) => el("label", { class: "choice" }, el("span", {}, text),
    el("input", { type: "number", step: "any", id: `f-${name}`, value: parameters.get(name),
      onchange: (event) => go(changed(parameters, { [name]: event.target.value })) }));
  const side = found?.drops_above ? "above" : "below";
  return el("fieldset", { "data-facet": "score" }, el("legend", {}, "score"),
    choice("of", options, parameters.get("score") ?? "", pick),
    found && [
      histogram(found, found.threshold),
      el("p", { class: "soft small" }, `drops ${side} ${figure(found.threshold)}; ${count(found.num_without)} without`),
      el("div", { class: "row" }, bound("score_min", "from"), bound("score_max", "to")),
    ]);
}

function dates(months, parameters) {
  const chosen = parameters.has("posted_from") || parameters.has("posted_to");
  if (!months.length && !chosen) return null;
  const field = (name, text) => el("label", { class: "choice" }, el("span", {}, text),
    el("input", { type: "date", id: `f-${name}`, value: parameters.get(name),
      onchange: (event) => go(changed(parameters, { [name]: event.target.value })) }));
  const only = (month) => {
    const [year, number] = month.split("-").map(Number);
    const last = new Date(Date.UTC(year, number, 0)).getUTCDate();
    go(changed(parameters, { posted_from: `${month}-01`, posted_to: `${month}-${last}` }));
  };
  return el("fieldset", { "data-facet": "posted" }, el("legend", {}, "posted"),
    el("div", { class: "row" }, field("posted_from", "from"), field("posted_to", "to")),
    el("details", {}, el("summary", {}, `${months.length} months`),
      months.map((one) => el("button", { class: "month", onclick: () => only(one.month) },
        one.month, el("span", { class: "num" }, count(one.count))))));
}
