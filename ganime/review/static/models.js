// Models: what they drew, how they were scored, and their curves.

import { get } from "./api.js";
import { curve } from "./chart.js";
import { count, el, figure, many, table } from "./dom.js";
import { at, changed, here } from "./place.js";

/** Draw all models, or the one in the address. */
export async function show(root) {
  const models = await get("models");
  const one = models.find((model) => model.id === here().get("model")) ?? (models.length === 1 ? models[0] : null);
  if (one) {
    root.append(...await whole(one, models.length));
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

async function whole(model, num) {
  const told = await get(`models/${encodeURIComponent(model.id)}/metrics`).catch(() => ({ curves: {} }));
  const config = model.settings.config ?? {};
  const scores = model.evaluations.map((one) => [count(one.nimg), one.metric, figure(one.value),
    one.extractor, `${count(one.num_fake)} against ${count(one.num_real)}`]);
  const curves = Object.entries(told.curves).map(([name, points]) => curve(name, points));
  return [
    num > 1 ? el("p", {}, el("a", { class: "button", href: at(changed(new URLSearchParams(), { view: "models" })) }, "← models")) : "",
    el("h1", {}, `Model ${model.id}`),
    el("p", { class: "soft" }, `${config.recipe?.name ?? ""}, ${config.resolution ?? "?"} px, trained on ${model.dataset ?? "an unknown dataset"}`),
    samples(model),
    scores.length ? el("section", {}, el("h2", {}, "Scores"), table(["images shown", "metric", "value", "network", "samples"], scores)) : "",
    curves.length ? el("section", {}, el("h2", {}, "Training"), el("div", { class: "curves" }, curves)) : "",
    el("section", {}, el("details", {}, el("summary", {}, "all settings"), el("pre", {}, JSON.stringify(model.settings, null, 1)))),
  ];
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
