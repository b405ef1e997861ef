// The chapters of an image's story.

import { gauge } from "./chart.js";
import { picture } from "./card.js";
import { count, el, facts, figure, many, moment, svg, table, words } from "./dom.js";
import { UNDONE, word } from "./labels.js";
import { at, changed } from "./place.js";

const SIGNS = { keep: "✓", drop: "✕", abstain: "–" };

function chapter(title, ...parts) {
  return el("section", {}, el("h2", {}, title), parts);
}

/** The original, with the faces found, beside the padded one. */
export function pictures({ image, facts: told, faces }) {
  if (image.problem) {
    return el("p", { class: "missing" }, `No picture: ${words(image.problem)}. `,
      el("a", { href: `originals/${image.id}?download=1` }, "Download the bytes as received"));
  }
  const fail = (text) => (event) => event.target.closest("figure").replaceChildren(el("p", { class: "missing" }, text));
  const boxes = faces.flatMap((one) => one.boxes);
  const box = ([x, y, right, bottom]) => svg("rect",
    { x, y, width: right - x, height: bottom - y, "vector-effect": "non-scaling-stroke" });
  const view = `0 0 ${told.width} ${told.height}`;
  const drawn = svg("svg", { class: "boxes", viewBox: view, "aria-hidden": "true" }, boxes.map(box));
  const original = el("img", { src: `originals/${image.id}`, alt: "the image as received",
    onerror: fail("This format shows only as a download.") });
  const padded = el("img", { src: `padded/${image.id}`, alt: "the image as padded to a square",
    onerror: fail("Not padded: it was dropped before, or no run has reached it.") });
  return el("div", { class: "pair" },
    el("figure", {}, el("div", { class: "framed" }, original, boxes.length ? drawn : null),
      el("figcaption", {}, `as received${boxes.length ? `, ${many(boxes.length, "face")} found` : ""} · `,
        el("a", { href: `originals/${image.id}?download=1` }, "download"))),
    el("figure", { class: "padded" }, padded, el("figcaption", {}, "padded, as the dataset holds it")));
}

/** Every rule's verdict, in order; the first drop is marked. */
export function decisions(rows) {
  if (!rows.length) return chapter("Decisions", el("p", { class: "missing" }, "No run has decided about it yet."));
  const first = rows.findIndex((one) => one.verdict === "drop");
  const made = rows.map((one, place) => [
    words(one.rule),
    el("span", { class: `badge ${one.verdict}` }, `${SIGNS[one.verdict] ?? "?"} ${one.verdict}${place === first ? ", decides" : ""}`),
    one.reason ? words(one.reason) : "",
    one.score === null ? "" : el("div", { class: "against" }, gauge(one.score, one.threshold),
      el("span", { class: "num" }, `${figure(one.score)}${one.threshold === null ? "" : ` / ${figure(one.threshold)}`}`)),
    [one.decided_by, evidence(one.evidence)],
  ]);
  return chapter("Decisions", table(["rule", "verdict", "why", "score / threshold", "decided by"], made, { class: "decisions" }));
}

function evidence(told) {
  if (told === null || told === undefined) return null;
  return el("details", {}, el("summary", {}, "evidence"), el("pre", {}, JSON.stringify(told, null, 1)));
}

/** The group of near-duplicates side by side, or the images that look alike without being dropped. */
export function duplicates(group, edges, id) {
  if (group) {
    return chapter("Near-duplicates",
      el("p", { class: "soft" }, `${many(group.num_members, "image")} alike; one was kept.`), groupOf(group, id));
  }
  if (!edges.length) return null;
  const others = edges.map((one) => (one.one === id ? one.other : one.one));
  return chapter("Looks like", groupOf({ kept: null, members: [id, ...others], edges }, id));
}

/** Pictures of a group, each with how alike it is to the kept one. */
export function groupOf(group, id) {
  const hub = group.kept ?? id;
  const members = group.members.map((one) => {
    const edge = group.edges.find((found) => [found.one, found.other].includes(one) && [found.one, found.other].includes(hub) && one !== hub);
    const text = one === hub ? (group.kept ? "✓ kept" : "this one")
      : edge ? `${percentAlike(edge)} alike, ${many(edge.hamming, "bit")} apart${edge.mirrored ? ", mirrored" : ""}` : "alike by way of another";
    return el("a", { class: `member${one === group.kept ? " stays" : ""}`, href: at(changed(new URLSearchParams(), { view: "image", id: one })),
      "aria-current": one === id ? "true" : null, "aria-label": `image ${one.slice(0, 8)}, ${text}` },
    el("div", { class: "shot" }, picture({ id: one })), el("span", {}, text));
  });
  return el("div", { class: "members" }, members);
}

function percentAlike(edge) {
  return `${Math.round(100 * edge.similarity)} %`;
}

/** What people said, the last on top. */
export function labels(events) {
  if (!events.length) return el("p", { class: "missing" }, "Nobody said anything yet.");
  const rows = [...events].reverse().map((one) => [
    moment(one.at), one.by, one.question,
    one.answer === null && one.how === UNDONE ? "taken back" : word(one.question, one.answer),
    one.how, one.note,
  ]);
  return table(["when (UTC)", "who", "question", "answer", "how", "note"], rows);
}

/** The posts that brought it. */
export function posts(rows) {
  return chapter(rows.length === 1 ? "Post" : "Posts", rows.map(post));
}

function post(one) {
  const link = (address, text) => (address
    ? el("a", { href: address, rel: "noreferrer noopener", target: "_blank" }, text) : null);
  const tags = Object.entries(one.tags).filter(([, names]) => names.length).map(([kind, names]) =>
    el("p", { class: "tags" }, el("span", { class: "soft" }, kind),
      names.map((name) => el("a", { class: "chip", href: at(changed(new URLSearchParams(), { tag: name })) }, el("bdi", {}, name)))));
  const attempts = one.attempts.map((try_) => [moment(try_.started_at), try_.outcome, try_.http_status ?? "",
    try_.num_bytes === null ? "" : count(try_.num_bytes), `${try_.ms} ms`, try_.error ?? ""]);
  return el("div", { class: "panel" },
    el("h3", {}, el("bdi", {}, `${one.source}/${one.post_id}`)),
    el("p", { class: "row" }, link(one.post_url, "post ↗"), link(one.file_url, "file ↗"), link(one.source_link, "where it is from ↗")),
    facts([["rating", one.rating], ["posted", one.posted && moment(one.posted)], ["query", one.query],
      ["outcome", one.outcome], ["crawl", one.crawl_id], ["run", one.run_id]]),
    tags,
    attempts.length ? el("details", {}, el("summary", {}, many(attempts.length, "request")),
      table(["when (UTC)", "outcome", "status", "bytes", "took", "error"], attempts)) : null);
}

/** Facts of the decoded image, classifiers' scores, faces. */
export function measured(told, scores, faces) {
  const shown = (value) => {
    if (Array.isArray(value)) return value.join(", ");
    return typeof value === "number" ? figure(value) : value;
  };
  const pairs = Object.entries(told).map(([name, value]) => [words(name), shown(value)]);
  const rows = scores.map((one) => [one.question, figure(one.score), one.classifier, moment(one.at)]);
  return chapter("Measured", facts(pairs),
    rows.length ? table(["question", "score", "classifier", "when (UTC)"], rows) : null,
    faces.map((one) => el("p", { class: "soft" }, one.problem ?? `${many(one.boxes.length, "face")} found by run ${one.run_id}`)));
}

/** Datasets that hold it and models trained on them. */
export function usedBy(rows) {
  if (!rows.length) return chapter("Datasets and models", el("p", { class: "missing" }, "No dataset version holds it."));
  const model = (id) => el("a", { href: at(changed(new URLSearchParams(), { view: "models", model: id })) }, id);
  return chapter("Datasets and models", table(["dataset", "split", "models"],
    rows.map((one) => [one.dataset, one.split, one.models.length ? one.models.map((id) => [model(id), " "]) : "none"])));
}

/** What made the decisions. */
export function provenance(told) {
  if (!Object.keys(told).length) return null;
  return chapter("Provenance",
    facts([["run", told.run_id], ["code", told.code_version], ["revision", told.revision]]),
    el("details", {}, el("summary", {}, "parents and settings"),
      el("pre", {}, JSON.stringify({ parents: told.parents, config: told.config }, null, 1))));
}
