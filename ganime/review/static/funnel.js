// The funnel: where posts and images went, and what dataset versions differ in.

import { get } from "./api.js";
import { choice, count, el, many, percent, svg, table, words } from "./dom.js";
import { at, changed, go, here } from "./place.js";

/** Draw the funnel, and the difference of two versions if the address asks for one. */
export async function show(root) {
  const [steps, versions] = await Promise.all([get("funnel"), get("versions")]);
  const most = Math.max(1, ...steps.map((one) => one.num_in));
  root.append(el("h1", {}, "Funnel"), el("p", { class: "soft" }, "Every post and every image, once."),
    table(["stage", "step", "in", "kept", "", "dropped, and why"], steps.map((one) => row(one, most)), { class: "funnel", id: "funnel" }),
    await versionsPart(versions));
  return { title: "Funnel" };
}

function row(step, most) {
  const part = (kind, x, number) => svg("rect", { class: kind, x: (100 * x) / most, y: 0, width: (100 * number) / most, height: 10 });
  const lost = step.num_in - step.num_kept;
  const why = Object.entries(step.dropped).map(([reason, number]) => {
    const text = `${words(reason)} ${count(number)}`;
    const isRule = step.unit === "images" && reason !== "not_decided_yet";
    return isRule ? el("a", { class: "chip", href: at(changed(new URLSearchParams(), { status: "dropped", rule: step.rule, reason })) }, text)
      : el("span", { class: "chip" }, text);
  });
  return [step.stage, words(step.rule), el("span", { class: "num" }, count(step.num_in), el("small", {}, ` ${step.unit}`)),
    el("span", { class: "num" }, count(step.num_kept)),
    svg("svg", { class: "track", viewBox: "0 0 100 10", preserveAspectRatio: "none", role: "img",
      "aria-label": step.num_in ? `${percent(step.num_kept / step.num_in)} kept` : "none came" },
      part("kept", 0, step.num_kept), part("lost", step.num_kept, lost)),
    [lost ? el("b", {}, `${count(lost)} `) : "", why]];
}

async function versionsPart(versions) {
  if (versions.length < 2) return el("p", { class: "soft" }, versions.length ? `One dataset version: ${versions[0]}.` : "No dataset version yet.");
  const before = here().get("before") ?? versions.at(-2);
  const after = here().get("after") ?? versions.at(-1);
  const options = versions.map((one) => [one, one]);
  const pick = (name) => (value) => go(changed(here(), { before, after, [name]: value }));
  const told = await get("diff", { before, after }).catch((error) => ({ error: error.message }));
  return el("section", {}, el("h2", {}, "Two versions"),
    el("div", { class: "row" }, choice("before", options, before, pick("before")), choice("after", options, after, pick("after"))),
    told.error ? el("p", { class: "missing" }, told.error) : [
      el("p", {}, `${many(told.num_before, "image")} before, ${count(told.num_after)} after.`),
      changes("Added", told.added), changes("Removed", told.removed),
      told.settings.length ? el("pre", {}, told.settings.join("\n")) : null]);
}

function changes(title, rows) {
  if (!rows.length) return null;
  const image = (id) => el("a", { href: at(changed(new URLSearchParams(), { view: "image", id })) }, `${id.slice(0, 8)} `);
  return [el("h3", {}, title), table(["reason", "images", "for example"],
    rows.map((one) => [words(one.reason), count(one.count), one.examples.map(image)]))];
}
