// Images of characters, which a busy server or a wrong setting must not leave blank without a word.

import { get } from "./api.js";
import { addressOf, described } from "./characters.js";
import { el } from "./dom.js";

const failed = new Set();
let isMending = false;

/** The image of a character; loaded when it comes into sight, tried again while the server is busy. */
export function picture(settings, { lazy = true, alt = described(settings) } = {}) {
  const image = el("img", { alt, loading: lazy ? "lazy" : "eager", draggable: "false", decoding: "async" });
  image.addEventListener("error", () => later(image));
  image.addEventListener("load", () => image.closest(".frame")?.classList.remove("blank"));
  image.src = addressOf(settings);
  return el("div", { class: "frame blank" }, image);
}

/** Show characters in one place, the newest asked for last: what comes too late is not shown. */
export function screen() {
  const frame = el("div", { class: "frame blank" });
  let asked = null;
  let isLoading = false;

  async function load() {
    while (asked) {
      const settings = asked;
      asked = null;
      const image = el("img", { alt: described(settings), src: addressOf(settings), draggable: "false" });
      try {
        await image.decode().catch(() => mended(image, () => !asked));
        frame.replaceChildren(image);
        frame.classList.remove("blank");
      } catch (error) {
        if (!asked) frame.replaceChildren(el("p", { class: "none" }, error.message));
      }
    }
    isLoading = false;
  }

  return {
    root: frame,
    show(settings) {
      asked = settings;
      if (!isLoading) {
        isLoading = true;
        load();
      }
    },
  };
}

async function mended(image, isWanted) {
  await get(image.src, { isWanted });
  const { src } = image;
  image.src = src; // again: the answer that just came is in the cache
  await image.decode();
}

/** What could not be loaded is asked for one by one, with patience: an <img> cannot say why it failed. */
async function later(image) {
  failed.add(image);
  if (isMending) return;
  isMending = true;
  for (const one of failed) {
    failed.delete(one);
    if (!one.isConnected) continue;
    try {
      await mended(one, () => one.isConnected);
    } catch (error) {
      one.closest(".frame")?.replaceChildren(el("p", { class: "none" }, error.message));
    }
  }
  isMending = false;
}
