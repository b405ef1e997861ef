// Models: what they drew, how they were scored, and their curves.

import { get } from "./api.js";
import { curve } from "./chart.js";
import { choice, count, el, figure, many, table } from "./dom.js";
import { at, changed, go, here } from "./place.js";

/** Draw all models, or the one in the address. */
export async function show(root) {
  const models = await get("models");
  const one = models.find((model) => model.id === here().get("model")) ?? (models.length === 1 ? models[0] : null);
  const other = models.find((model) => model.id === here().get("with"));
  if (one && other && one !== other) {
    root.append(...await both(one, other, models));
    return { title: `${one.id} and ${other.id}` };
  }
  if (one) {
    root.append(...await whole(one, models));
    return { title: `Model ${one.id}` };
  }
  root.append(el("h1", {}, "Models"), models.length ? el("div", { class: "cards wide" }, models.map(brief))
    : el("p", { class: "missing" }, "No model was trained yet: `ganime run` or `ganime train` make one."));
  return { title: "Models" };
}

function brief(model) {
  const last = model.samples.at(-1);
  return el("a", { class: "panel model", href: at(changed(new URLSearchParams(), { view: "models", model: model.id })) },
    last === undefined ? null : el("img", { src: sheet(model, last), alt: `samples after ${count(last)} images`, loading: "lazy" }),
    el("b", {}, model.id), el("span", { class: "soft" }, `${model.settings.config?.recipe?.name ?? ""} on ${model.dataset ?? "an unknown dataset"}`));
}

function sheet(model, nimg) {
  return `api/models/${encodeURIComponent(model.id)}/samples/${nimg}`;
}

async function whole(model, models) {
  const others = models.filter((one) => one !== model);
  const told = await get(`models/${encodeURIComponent(model.id)}/metrics`).catch(() => ({ curves: {} }));
  const config = model.settings.config ?? {};
  const scores = model.evaluations.map((one) => [count(one.nimg), one.metric, figure(one.value),
    one.extractor, `${count(one.num_fake)} against ${count(one.num_real)}`]);
  const curves = Object.entries(told.curves).map(([name, points]) => curve(name, points));
  return [
    others.length ? el("p", { class: "row" }, back(),
      choice("compare with", [["", "…"], ...others.map((one) => [one.id, one.id])], "", (id) => go(changed(here(), { with: id })))) : "",
    el("h1", {}, `Model ${model.id}`),
    el("p", { class: "soft" }, `${config.recipe?.name ?? ""}, ${config.resolution ?? "?"} px, trained on ${model.dataset ?? "an unknown dataset"}`),
    samples(model),
    scores.length ? el("section", {}, el("h2", {}, "Scores"), table(["images shown", "metric", "value", "network", "samples"], scores)) : "",
    curves.length ? el("section", {}, el("h2", {}, "Training"), el("div", { class: "curves" }, curves)) : "",
    el("section", {}, el("details", {}, el("summary", {}, "all settings"), el("pre", {}, JSON.stringify(model.settings, null, 1)))),
  ];
}

function back() {
  return el("a", { class: "button", href: at(changed(new URLSearchParams(), { view: "models" })) }, "← models");
}

/** Two models side by side: their samples after as many images, their scores, curves and settings. */
async function both(one, other, models) {
  const ids = models.map((model) => [model.id, model.id]);
  const pick = (name) => (id) => go(changed(here(), { [name]: id }));
  const compared = await comparisonOf(one, other);
  const curves = await Promise.all([one, other].map((model) =>
    get(`models/${encodeURIComponent(model.id)}/metrics`).catch(() => ({ curves: {} }))));
  const names = Object.keys(curves[0].curves).filter((name) => name in curves[1].curves);
  return [
    el("p", { class: "row" }, back(), choice("A", ids, one.id, pick("model")), choice("B", ids, other.id, pick("with"))),
    el("h1", {}, "Two models"),
    twoSheets(one, other),
    compared,
    el("section", {}, el("h2", {}, "Scores"), scoresOfBoth(one, other)),
    names.length ? el("section", {}, el("h2", {}, "Training"), el("div", { class: "curves" },
      names.map((name) => [curve(`A ${name}`, curves[0].curves[name]), curve(`B ${name}`, curves[1].curves[name])]))) : "",
    el("section", {}, el("h2", {}, "Settings that differ"), settingsOfBoth(one, other)),
    other.dataset && one.dataset && other.dataset !== one.dataset
      ? el("p", {}, el("a", { href: at(changed(new URLSearchParams(), { view: "funnel", before: one.dataset, after: other.dataset })) }, "How their datasets differ")) : "",
  ];
}

/** What `ganime compare` found, whichever of the two it was asked for first. */
async function comparisonOf(one, other) {
  for (const [first, second] of [[one, other], [other, one]]) {
    const path = `comparisons/${encodeURIComponent(first.id)}/${encodeURIComponent(second.id)}`;
    const told = await get(path).catch(() => null);
    if (!told) continue;
    const isTurned = first !== one;
    const row = (gap) => [gap.name, figure(isTurned ? gap.second : gap.first), figure(isTurned ? gap.first : gap.second),
      `${figure((isTurned ? -1 : 1) * (gap.second - gap.first))} ± ${figure(gap.half)}`, isTurned ? turned(gap.verdict) : gap.verdict];
    const heads = ["metric", "A", "B", "B − A, 95 %", "verdict"];
    return el("section", { id: "compared" }, el("h2", {}, "Compared"),
      el("p", { class: "soft" }, `${count(told.num_fake)} samples of each against ${count(told.num_real)} images of ${told.reference}.`),
      table(heads, told.gaps.map(row)),
      told.tags.length ? el("details", {}, el("summary", {}, "tag by tag"), table(["tag", ...heads.slice(1)], told.tags.map(row))) : "",
      told.has_sheet ? el("details", {}, el("summary", {}, "the same seeds side by side"),
        el("img", { src: `api/${path}/sheet`, alt: `samples of ${told.first} at the left, of ${told.second} at the right`, loading: "lazy" })) : "");
  }
  return el("p", { class: "missing", id: "compared" }, "How sure is a difference? ", el("code", {}, `ganime compare ${one.id} ${other.id}`), " measures both on the same images, with intervals.");
}

/** A verdict about A and B, where they change places. */
function turned(verdict) {
  return verdict.replace(/\b[AB]\b/g, (name) => (name === "A" ? "B" : "A"));
}

function twoSheets(one, other) {
  const steps = [...new Set([...one.samples, ...other.samples])].sort((a, b) => a - b);
  if (!one.samples.length || !other.samples.length) return el("p", { class: "missing" }, "One of them has drawn no samples yet.");
  const made = [one, other].map((model, place) => {
    const image = el("img", { alt: "" });
    const caption = el("figcaption", {});
    const show = (nimg) => {
      const nearest = model.samples.reduce((best, step) => (Math.abs(step - nimg) < Math.abs(best - nimg) ? step : best));
      image.src = sheet(model, nearest);
      image.alt = `samples of ${model.id} after ${count(nearest)} images`;
      caption.textContent = `${"AB"[place]}: ${model.id} after ${many(nearest, "image")}`;
    };
    return { show, node: el("figure", { class: "sheet" }, image, caption) };
  });
  const slider = el("input", { type: "range", min: 0, max: steps.length - 1, value: steps.length - 1, "aria-label": "Images shown",
    oninput: () => made.forEach((part) => part.show(steps[Number(slider.value)])) });
  made.forEach((part) => part.show(steps.at(-1)));
  return el("div", { id: "two" }, el("div", { class: "two" }, made.map((part) => part.node)), steps.length > 1 ? slider : null);
}

/** The last value of each metric; only figures from the same network and images stand in one line. */
function scoresOfBoth(one, other) {
  const last = (model) => new Map(model.evaluations.map((score) => [`${score.metric} ${score.extractor} ${score.reference}`, score]));
  const [first, second] = [last(one), last(other)];
  const keys = [...new Set([...first.keys(), ...second.keys()])].sort();
  if (!keys.length) return el("p", { class: "missing" }, "Neither was evaluated yet: `ganime evaluate` does.");
  const cell = (score) => (score ? [figure(score.value), el("small", {}, ` at ${count(score.nimg)}`)] : "–");
  return table(["metric", "A", "B", "network", "reference"], keys.map((key) => {
    const known = first.get(key) ?? second.get(key);
    return [known.metric, cell(first.get(key)), cell(second.get(key)), known.extractor, known.reference];
  }));
}

function settingsOfBoth(one, other) {
  const [first, second] = [flat(one.settings), flat(other.settings)];
  const keys = [...new Set([...first.keys(), ...second.keys()])].filter((key) => first.get(key) !== second.get(key)).sort();
  return keys.length ? table(["setting", "A", "B"], keys.map((key) => [key, first.get(key) ?? "–", second.get(key) ?? "–"]))
    : el("p", { class: "soft" }, "None.");
}

/** Nested settings as dotted names and values in words. */
function flat(settings, prefix = "", found = new Map()) {
  for (const [name, value] of Object.entries(settings ?? {})) {
    if (value && typeof value === "object" && !Array.isArray(value)) flat(value, `${prefix}${name}.`, found);
    else found.set(`${prefix}${name}`, JSON.stringify(value));
  }
  return found;
}

function samples(model) {
  if (!model.samples.length) return el("p", { class: "missing" }, "It has drawn no samples yet.");
  const last = model.samples.length - 1;
  const caption = el("figcaption", { "aria-live": "polite" });
  const image = el("img", { alt: "" });
  const shown = (place) => {
    const nimg = model.samples[place];
    image.src = sheet(model, nimg);
    image.alt = `samples after ${count(nimg)} images`;
    caption.textContent = `After ${many(nimg, "image")} shown`;
  };
  const slider = el("input", { type: "range", min: 0, max: last, value: last, "aria-label": "Snapshot", oninput: () => shown(Number(slider.value)) });
  shown(last);
  return el("figure", { class: "sheet" }, image, last ? slider : null, caption);
}
