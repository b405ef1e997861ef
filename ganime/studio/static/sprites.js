// Characters cut out of their ground, as files that a game engine reads.

import { post } from "./api.js";
import { changed } from "./characters.js";
import { el, many } from "./dom.js";
import { busy, card, save } from "./files.js";
import { picture } from "./pictures.js";

const SIDES = [64, 128, 256, 512];

/** Offer characters as sprites on a card. */
export function sprites(characters) {
  const preview = el("div", { class: "chosen-ones" });
  const show = () => preview.replaceChildren(...characters.map((settings) =>
    picture(matte.on() ? changed(settings, { background: "transparent" }) : settings, { alt: "" })));
  const matte = box("matte", "Cut out: transparent ground", true, show);
  const trim = box("trim", "Trim empty borders", true);
  const sheet = box("sheet", "One sheet with an atlas beside the single files", true, () => { power.input.disabled = !sheet.on(); });
  const power = box("power", "Sides of the sheet as powers of two", true);
  const size = el("select", { id: "sprite-size" }, el("option", { value: "" }, "as drawn"), SIDES.map((side) => el("option", { value: side }, `${side} px`)));
  const make = el("button", { class: "main", id: "make-sprites", onclick: () => take() }, "Save sprites.zip");
  card("Sprites",
    el("p", { class: "soft" }, `${many(characters.length, "character")} as PNG files, a sheet, an atlas in the usual JSON form, and a note of where they come from.`),
    preview,
    el("div", { class: "options" }, [matte, trim, sheet, power].map((one) => one.label),
      el("label", { class: "choice" }, el("span", {}, "Size"), size)),
    make);
  show();

  async function take() {
    await busy(make, async () => {
      const wanted = { images: characters, matte: matte.on(), trim: trim.on(), sheet: sheet.on(), power_of_two: power.on() };
      if (size.value) wanted.size = Number(size.value);
      save(await (await post("v1/sprites", wanted)).blob(), "sprites.zip");
    });
  }
}

function box(id, text, checked, onchange = null) {
  const input = el("input", { type: "checkbox", id, checked, onchange });
  return { input, label: el("label", { class: "option" }, input, ` ${text}`), on: () => input.checked };
}
