// Thresholds: what another one would change, before anything does.

import { get, post } from "./api.js";
import { histogram } from "./chart.js";
import { picture } from "./card.js";
import { choice, count, el, figure, moment, table, words } from "./dom.js";
import { person } from "./person.js";
import { at, changed, go, here, note } from "./place.js";
import { dataset, scoreInfo } from "./session.js";
import { toast } from "./toast.js";

const STEPS = 500; // of the slider
const PAUSE_MS = 60; // between the slider's last move and the question

/** Draw the slider of the rule in the address. */
export async function show(root) {
  const rules = dataset().scores.filter((one) => one.is_rule);
  if (!rules.length) {
    root.append(el("h1", {}, "Thresholds"), el("p", { class: "missing" }, "No rule holds a score against a threshold yet: run `ganime run` first."));
    return { title: "Thresholds" };
  }
  const wished = here().get("rule");
  const info = scoreInfo(rules.some((one) => one.name === wished) ? wished : rules[0].name);
  const told = await get("facets", { score: info.name });
  const tuner = new Tuner(info, told.histogram);
  root.append(el("div", { class: "thresholds" },
    el("h1", {}, "Thresholds"),
    el("p", { class: "soft" }, "Move the line and see which images would flip. What you save outranks the preset in every later decision, under your name, until somebody undoes it."),
    choice("rule", rules.map((one) => [one.name, one.name]), info.name,
      (rule) => go(changed(new URLSearchParams(), { view: "thresholds", rule }))),
    tuner.node, tuner.saved, tuner.strips));
  tuner.drawSaved(await get("thresholds"));
  await tuner.preview();
  return { title: `Threshold of ${info.name}`, leave: () => tuner.leave() };
}

class Tuner {
  constructor(info, found) {
    this.info = info;
    this.found = found;
    const asked = here().get("value");
    this.value = asked !== null && Number.isFinite(Number(asked)) ? Number(asked) : info.threshold;
    const low = Math.min(found.low, info.threshold, this.value);
    const high = Math.max(found.high, info.threshold, this.value);
    this.slider = el("input", { type: "range", id: "slider", min: low, max: high, step: (high - low) / STEPS || "any",
      value: this.value, "aria-label": `Threshold of ${info.name}`, oninput: () => this.move(this.slider.value) });
    this.field = el("input", { type: "number", id: "value", step: "any", value: this.value, "aria-label": "The same as a number",
      oninput: () => this.move(this.field.value) });
    this.why = el("input", { id: "why", maxlength: 500, placeholder: "a note for the others" });
    this.chart = el("div", {});
    this.out = el("div", { id: "flips", "aria-live": "polite" });
    this.strips = el("div", { class: "strips" });
    this.saved = el("section", { id: "saved" });
    this.node = el("div", { class: "panel" }, this.chart, this.slider,
      el("div", { class: "row" }, this.field,
        el("span", { class: "soft" }, `now ${figure(info.threshold)}; drops ${info.drops_above ? "above" : "below"}`),
        el("button", { onclick: () => this.move(info.threshold) }, "reset"),
        el("label", { class: "choice why" }, el("span", {}, "why"), this.why),
        el("button", { class: "main", id: "save", onclick: () => this.save() }, "save as the new value")),
      this.out);
    this.drawChart();
  }

  drawChart() {
    this.chart.replaceChildren(histogram(this.found, this.info.threshold, this.value));
  }

  move(text) {
    const value = Number(text);
    if (text === "" || !Number.isFinite(value)) return;
    this.value = value;
    this.slider.value = value;
    if (document.activeElement !== this.field) this.field.value = Number(value.toPrecision(6));
    this.slider.setAttribute("aria-valuetext", figure(value));
    this.drawChart();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.preview(), PAUSE_MS);
  }

  async preview() {
    this.asking?.abort();
    this.asking = new AbortController();
    const { name } = this.info;
    if (this.value !== this.info.threshold || here().has("value")) {
      note(changed(here(), { view: "thresholds", rule: name, value: Number(this.value.toPrecision(6)) }));
    }
    try {
      const told = await get(`thresholds/${encodeURIComponent(name)}`, { value: this.value }, this.asking.signal);
      this.draw(told);
    } catch (error) {
      if (error.name !== "AbortError") toast(error.message, "refused");
    }
  }

  draw(told) {
    const tile = (id, number, text) => el("div", { id }, el("dt", {}, text), el("dd", {}, count(number)));
    this.out.replaceChildren(el("dl", { class: "tiles" },
      tile("flip-drop", told.num_dropped, "✕ kept now, dropped then"),
      tile("flip-keep", told.num_kept, "✓ dropped now, kept then"),
      tile("flip-still", told.num_still_dropped, "still dropped, by another rule")));
    const member = (image) => el("a", { class: "member",
      href: at(changed(new URLSearchParams(), { view: "image", id: image.id })),
      "aria-label": `${image.post}, ${figure(image.scores[told.rule])}` },
    el("div", { class: "shot" }, picture(image)), el("span", {}, figure(image.scores[told.rule])));
    const strip = (title, images) => (images.length
      ? el("section", {}, el("h2", {}, title), el("div", { class: "strip" }, images.map(member))) : "");
    this.strips.replaceChildren(strip("Would be dropped, nearest to the line first", told.dropped),
      strip("Would be kept, nearest to the line first", told.kept));
  }

  async save() {
    const by = await person();
    if (!by) return;
    const { name } = this.info;
    await this.change(`thresholds/${encodeURIComponent(name)}`, { value: this.value, by, note: this.why.value }, `${name} is saved`);
  }

  async takeBack(rule) {
    const by = await person();
    if (by) await this.change(`thresholds/${encodeURIComponent(rule)}/undo`, { by }, `${rule} is what it was before`);
  }

  async change(path, body, text) {
    try {
      this.drawSaved(await post(path, body));
      this.why.value = "";
      toast(text);
    } catch (error) {
      toast(`Not saved: ${error.message}`, "refused");
    }
  }

  /** What people saved of all rules, whoever did and whether the images shown were decided by it. */
  drawSaved(told) {
    const row = (one) => [one.rule, `${words(one.option)} ${figure(one.value)}`, el("bdi", {}, one.by),
      el("button", { "aria-label": `Undo ${one.rule}`, onclick: () => this.takeBack(one.rule) }, "↶ undo"),
      moment(one.at), el("bdi", {}, one.note), one.is_obeyed ? "yes" : "by the next run"];
    const isOpen = told.settings.some((one) => !one.is_obeyed);
    this.saved.replaceChildren(...(told.settings.length ? [el("h2", {}, "Saved"),
      table(["rule", "setting", "by", "undo", "on", "why", "obeyed"], told.settings.map(row)),
      isOpen ? el("p", { class: "soft" }, "The next run obeys; at once: ", el("code", {}, told.command)) : ""] : []));
  }

  leave() {
    clearTimeout(this.timer);
    this.asking?.abort();
  }
}
