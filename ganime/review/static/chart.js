// Small drawings: how scores spread, a score against its threshold, curves over training.

import { count, el, figure, svg } from "./dom.js";

const WIDE = 300;
const HIGH = 72;

/** How scores spread, the threshold as a dashed line, another place as a solid one. */
export function histogram(found, threshold, value = null) {
  const { low, high, counts } = found;
  const most = Math.max(1, ...counts);
  const step = WIDE / counts.length;
  // Square roots, so that a few images still show beside thousands.
  const bars = counts.map((number, place) => {
    const tall = Math.sqrt(number / most) * (HIGH - 4);
    return number ? svg("rect", { x: place * step, y: HIGH - tall, width: Math.max(step - 0.4, 0.6), height: tall }) : null;
  });
  const x = (score) => high > low ? Math.min(1, Math.max(0, (score - low) / (high - low))) * WIDE : 0;
  const line = (score, kind) => svg("line", { class: kind, x1: x(score), x2: x(score), y1: 0, y2: HIGH });
  const num = counts.reduce((sum, one) => sum + one, 0);
  const label = `${found.score} of ${count(num)} images, from ${figure(low)} to ${figure(high)};`
    + ` threshold ${figure(threshold)}`;
  return el("figure", { class: "histogram" },
    svg("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    bars, line(threshold, "threshold"), value === null ? null : line(value, "now")),
    el("figcaption", {}, el("span", {}, figure(low)), el("span", {}, figure(high))));
}

/** A score against its threshold, as a bar with a mark. */
export function gauge(score, threshold) {
  if (score === null) return null;
  const inside = (one) => one >= 0 && one <= 1;
  const end = inside(score) && inside(threshold ?? 0) ? 1 : 1.2 * Math.max(score, threshold ?? 0, 1e-9);
  const x = (one) => Math.max(0, Math.min(100, (100 * one) / end));
  return svg("svg", { class: "gauge", viewBox: "0 0 100 10", preserveAspectRatio: "none", role: "img",
    "aria-label": `${figure(score)}${threshold === null ? "" : ` against ${figure(threshold)}`}` },
  svg("rect", { class: "ground", x: 0, y: 2, width: 100, height: 6, rx: 1 }),
  svg("rect", { class: "score", x: 0, y: 2, width: x(score), height: 6, rx: 1 }),
  threshold === null ? null : svg("rect", { class: "limit", x: x(threshold) - 0.6, y: 0, width: 1.6, height: 10 }));
}

/** One curve over images shown. */
export function curve(name, points) {
  const { nimg, value } = points;
  const known = value.map((one, place) => [nimg[place], one]).filter(([, one]) => Number.isFinite(one));
  if (!known.length) return null;
  const [xs, ys] = [known.map(([x]) => x), known.map(([, y]) => y)];
  const [left, right, bottom, top] = [xs[0], xs.at(-1), Math.min(...ys), Math.max(...ys)];
  const px = (x) => right > left ? ((x - left) / (right - left)) * WIDE : WIDE / 2;
  const py = (y) => top > bottom ? HIGH - 3 - ((y - bottom) / (top - bottom)) * (HIGH - 6) : HIGH / 2;
  const path = known.map(([x, y], place) => `${place ? "L" : "M"}${px(x).toFixed(1)} ${py(y).toFixed(1)}`).join("");
  const dot = known.length === 1 ? svg("circle", { cx: px(xs[0]), cy: py(ys[0]), r: 3 }) : null;
  return el("figure", { class: "panel curve" },
    el("b", {}, name),
    svg("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", role: "img",
      "aria-label": `${name}: from ${figure(ys[0])} to ${figure(ys.at(-1))}, between ${figure(bottom)} and ${figure(top)}` },
    svg("path", { d: path, "vector-effect": "non-scaling-stroke" }), dot),
    el("figcaption", {}, el("span", {}, `${figure(bottom)} – ${figure(top)}`),
      el("span", {}, `last ${figure(ys.at(-1))} at ${count(xs.at(-1))}`)));
}
