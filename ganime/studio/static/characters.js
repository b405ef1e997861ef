// A character is the settings that draw it: plain data, which also names its image's address.

import { words } from "./dom.js";

const BYTES = { to: new TextEncoder(), from: new TextDecoder("utf-8", { fatal: true }) };

/** The settings of a seed under what is wished of all. */
export function ofSeed(seed, wishes) {
  return wished({ seed }, wishes);
}

/** The same character under other wishes: what is its own stays. */
export function wished(settings, { model, truncation, tags, notTags }) {
  const { truncation: _, tags: __, not_tags: ___, ...own } = settings;
  return changed({ ...own, model }, { truncation: truncation < 1 ? truncation : null, tags, not_tags: notTags });
}

/** The character with some of its own settings replaced; null and empty ones are left out. */
export function changed(settings, changes) {
  const made = { ...settings, ...changes };
  return Object.fromEntries(Object.entries(made).filter(([, value]) =>
    value !== null && value !== undefined && !(typeof value === "object" && !Object.keys(value).length)));
}

/** The character that it was made from by mixing and sliders. */
export function plain(settings) {
  return changed(settings, { mix: null, shift: null, hold: null });
}

/** A name that holds all settings: base64url of JSON with sorted keys, so that equals are equal. */
export function nameOf(settings) {
  const bytes = BYTES.to.encode(JSON.stringify(sorted(settings)));
  const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** The settings in a name; null where it is none. */
export function settingsOf(name) {
  try {
    const text = atob(name.replaceAll("-", "+").replaceAll("_", "/"));
    const found = JSON.parse(BYTES.from.decode(Uint8Array.from(text, (one) => one.charCodeAt(0))));
    return Number.isSafeInteger(found?.seed) || Array.isArray(found?.codes) ? found : null;
  } catch {
    return null;
  }
}

/** The character whose image is there: the name in an address leaves out what is as usual. */
export function ofAddress(address) {
  return settingsOf(address.split("/").at(-1).split(".")[0]);
}

/** Where its image is, exactly this one for ever. */
export function addressOf(settings) {
  return `v1/images/${nameOf(settings)}.png`;
}

/** Whether both draw the same image. */
export function isSame(one, other) {
  return Boolean(one && other) && nameOf(one) === nameOf(other);
}

/** What to call it: its seed and what was done to it. */
export function titleOf(settings) {
  const parts = [settings.seed === undefined ? "Of a code" : `Seed ${settings.seed}`];
  if (settings.near) parts.push(`variation ${numbersOf(settings.near)}`);
  if (settings.mix) parts.push(`mixed with ${settings.mix.seed}`);
  if (Object.keys(settings.shift ?? {}).length) parts.push("changed");
  return parts.join(" · ");
}

/** For those who do not see it. */
export function described(settings) {
  const shown = [...(settings.tags ?? []).map(words), ...(settings.not_tags ?? []).map((tag) => `no ${words(tag)}`)];
  return `${titleOf(settings)}${shown.length ? `: ${shown.join(", ")}` : ""}`;
}

/** Variations of variations, the first one first: 3.7 */
function numbersOf({ number, of }) {
  return of ? `${numbersOf(of)}.${number}` : `${number}`;
}

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
}
