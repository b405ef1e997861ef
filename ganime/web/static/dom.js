// Elements made from data. What the web said enters as text, never as markup.

const TURNS = /[\u202a-\u202e\u2066-\u2069]/g; // marks that would turn the page's own words around
const SVG = "http://www.w3.org/2000/svg";

/** An element: attributes (`on…` are listeners, null and false are left out), then children. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : String(child).replace(TURNS, ""));
  }
  return node;
}

/** 12,345 */
export function count(number) {
  return number.toLocaleString("en");
}

/** "1 image", "2 images" */
export function many(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** A score with as many digits as tell it apart. */
export function figure(number) {
  if (number === null || number === undefined) return "";
  if (Number.isInteger(number)) return count(number);
  return Math.abs(number) >= 100 ? number.toFixed(1) : number.toFixed(3);
}

/** 0.873 as 87.3 % */
export function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

/** Of an ISO time: day and minute, UTC. */
export function moment(text) {
  return text ? el("time", { datetime: text }, text.slice(0, 16).replace("T", " ")) : "unknown";
}

/** Underscored names as words. */
export function words(name) {
  return name.replaceAll("_", " ");
}

/** A list of terms; those without a value are left out. */
export function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el("dl", { class: "facts" }, known.map(([term, value]) => [
    el("dt", {}, term), el("dd", {}, value),
  ]));
}

/** A table that scrolls sideways by itself: headings, then rows of cells. */
export function table(headings, rows, attributes = {}) {
  const head = el("tr", {}, headings.map((text) => el("th", { scope: "col" }, text)));
  const body = rows.map((cells) => el("tr", {}, cells.map((cell) => el("td", {}, cell))));
  return el("div", { class: "scroll", tabindex: 0 },
    el("table", attributes, el("thead", {}, head), el("tbody", {}, body)));
}

/** A choice of one: [value, text] pairs. */
export function choice(label, options, chosen, onchange) {
  const made = options.map(([value, text]) =>
    el("option", { value, selected: value === chosen }, text));
  return el("label", { class: "choice" }, el("span", {}, label),
    el("select", { onchange: (event) => onchange(event.target.value) }, made));
}
