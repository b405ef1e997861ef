// The funnel: where posts and images went, and what dataset versions differ in.

import { get } from "./api.js";
import { choice, count, el, many, percent, svg, table, words } from "./dom.js";
import { at, changed, go, here } from "./place.js";

/** Draw the funnel, and the difference of two versions if the address asks for one. */
export async function show(root) {
  const [steps, versions, days] = await Promise.all([get("funnel"), get("versions"), get("intake")]);
  const most = Math.max(1, ...steps.map((one) => one.num_in));
  root.append(el("h1", {}, "Funnel"), el("p", { class: "soft" }, "Every post and every image, once."),
    table(["stage", "step", "in", "kept", "share", "dropped, and why"], steps.map((one) => row(one, most)), { class: "funnel", id: "funnel" }),
    overTime(days), await versionsPart(versions));
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

/** Day by day, what was fetched and what of it is in the dataset now. */
function overTime(days) {
  if (!days.length) return null;
  const most = Math.max(...days.map((one) => one.num));
  const wide = 100 / Math.max(days.length, 8);
  const bar = (one, place) => {
    const tall = (number) => (60 * number) / most;
    const part = (kind, below, number) => number ? svg("rect", { class: kind, x: place * wide, width: wide * 0.8,
      y: 60 - tall(below) - tall(number), height: tall(number) }) : null;
    return [part("kept", 0, one.kept), part("lost", one.kept, one.dropped), part("open", one.kept + one.dropped, one.undecided)];
  };
  const told = (one) => [one.day, count(one.num), count(one.kept), one.num ? percent(one.kept / one.num) : "", count(one.dropped), count(one.undecided)];
  return el("section", { id: "intake" }, el("h2", {}, "Over time"),
    el("p", { class: "soft" }, "Images by the day they were fetched: ", el("span", { class: "key kept" }, "kept"), " ",
      el("span", { class: "key lost" }, "dropped"), " ", el("span", { class: "key open" }, "not decided yet")),
    svg("svg", { class: "days", viewBox: "0 0 100 60", preserveAspectRatio: "none", role: "img",
      "aria-label": `${many(days.length, "day")} from ${days[0].day} to ${days.at(-1).day}, at most ${many(most, "image")} a day` }, days.map(bar)),
    el("details", {}, el("summary", {}, "as a table"),
      table(["day", "fetched", "kept", "share", "dropped", "not decided"], [...days].reverse().map(told))));
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
