// A walk from character to character and back to the first, to look at and to take away.

import { post } from "./api.js";
import { choice, el, many } from "./dom.js";
import { asData, busy, card, save } from "./files.js";

const FRAMES = [[24, "24 frames"], [48, "48 frames"], [96, "96 frames"]];
const STRIP = 8; // pictures of the strip, which is there long before the moving one
const KINDS = [["gif", "GIF", "image/gif"], ["webp", "WebP", "image/webp"]];

/** Show the walk between characters on a card. */
export function walk(characters) {
  let frames = 48;
  const strip = el("div", { class: "strip" }, el("p", { class: "soft" }, "Drawing the strip …"));
  const stage = el("div", { class: "stage" });
  const play = el("button", { id: "play", onclick: () => show() }, "Play");
  const all = KINDS.map(([kind, name]) =>
    el("button", { id: `walk-${kind}`, onclick: (event) => take(event.target, kind) }, `Save ${name}`));
  const keepStrip = el("button", { id: "walk-strip", onclick: (event) => take(event.target, "strip") }, "Save strip");
  const dialog = card("Walk", el("p", { class: "soft" }, `Through ${many(characters.length, "character")} and back to the first, so that it can be shown over and over.`),
    strip, stage,
    el("div", { class: "row" }, choice("Length", FRAMES, frames, (value) => { frames = Number(value); }), play),
    el("div", { class: "row saves" }, all, keepStrip));
  const ending = new AbortController();
  dialog.addEventListener("close", () => ending.abort());
  first();

  function ask(format, num) {
    return post("v1/interpolations", { images: characters, frames: num, format, loop: true }, { signal: ending.signal });
  }

  async function first() {
    try {
      const made = await asData(await (await ask("strip", STRIP)).blob());
      strip.replaceChildren(el("img", { src: made, alt: `${STRIP} pictures on the way` }));
      if (matchMedia("(prefers-reduced-motion: no-preference)").matches) await show();
    } catch (error) {
      if (error.name !== "AbortError") strip.replaceChildren(el("p", { class: "bad" }, error.message));
    }
  }

  async function show() {
    await busy(play, async () => {
      const made = await asData(await (await ask("webp", frames)).blob());
      stage.replaceChildren(el("img", { src: made, alt: "The walk, moving" }));
    });
  }

  async function take(button, format) {
    await busy(button, async () => {
      const ending = format === "strip" ? "png" : format;
      save(await (await ask(format, format === "strip" ? STRIP : frames)).blob(), `walk.${ending}`);
    });
  }
}
