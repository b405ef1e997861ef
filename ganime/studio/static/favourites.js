// Favourites: kept in this browser, for each model.

import { isSame } from "./characters.js";
import { toast } from "./toast.js";

const MOST = 500; // of one model; local storage ends at about 5 MB

/** The favourites of a model, the newest first. */
export function favourites(model) {
  try {
    const found = JSON.parse(localStorage.getItem(key(model)) ?? "[]");
    return Array.isArray(found) ? found.filter((one) => one && typeof one === "object") : [];
  } catch {
    return []; // storage is switched off, or holds something else under this name
  }
}

/** Whether it is one. */
export function isFavourite(settings) {
  return favourites(settings.model).some((one) => isSame(one, settings));
}

/** Make it one, or no longer; says whether it is one now. */
export function toggle(settings) {
  const kept = favourites(settings.model);
  const rest = kept.filter((one) => !isSame(one, settings));
  const is = rest.length === kept.length;
  if (is && kept.length >= MOST) {
    toast(`${MOST} favourites are the most of one model: remove some first.`, "refused");
    return false;
  }
  try {
    localStorage.setItem(key(settings.model), JSON.stringify(is ? [settings, ...rest] : rest));
  } catch (error) {
    toast(`The browser keeps no favourites: ${error.message}`, "refused");
    return false;
  }
  document.dispatchEvent(new CustomEvent("ganime:favourites"));
  return is;
}

function key(model) {
  return `ganime.studio.favourites.${model}`;
}
