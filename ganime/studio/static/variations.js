// Neighbours of a character: others that are like it. Picking one shows its neighbours in turn.

import { post } from "./api.js";
import { nameOf, ofAddress } from "./characters.js";
import { choice, el } from "./dom.js";
import { tile } from "./grid.js";

const NUM = 8; // two rows beside a large picture
const DISTANCES = [["0.15", "very like it"], ["0.3", "like it"], ["0.6", "somewhat like it"]];

/** The part of the panel. */
export function variations() {
  let distance = "0.3";
  let first = 0; // number of the first variation shown
  let drawn = "";
  let last = null;
  let asking = new AbortController();
  const tiles = el("div", { class: "few", role: "group", "aria-label": "Variations" });
  const near = choice("How near", DISTANCES, distance, (value) => { distance = value; draw(last); });
  const others = el("button", { class: "bare", id: "others", onclick: () => { first += NUM; draw(last); } }, "Others");
  const root = el("div", {}, el("div", { class: "row between" }, near, others), tiles);

  async function draw(settings) {
    if (last && nameOf(last) !== nameOf(settings)) first = 0;
    last = settings;
    const wanted = `${nameOf(settings)} ${distance} ${first}`;
    if (wanted === drawn) return;
    drawn = wanted;
    asking.abort();
    asking = new AbortController();
    tiles.classList.add("waiting");
    try {
      const body = { image: settings, distance: Number(distance), count: NUM, first };
      const told = await (await post("v1/neighbours", body, { signal: asking.signal })).json();
      if (wanted !== drawn) return;
      const made = told.images.map((one) => tile(ofAddress(one.url)));
      for (const one of made) one.firstChild.tabIndex = 0;
      tiles.replaceChildren(...made);
    } catch (error) {
      if (error.name === "AbortError" || wanted !== drawn) return;
      drawn = "";
      tiles.replaceChildren(el("p", { class: "bad" }, error.message));
    }
    tiles.classList.remove("waiting");
  }

  return { root, draw };
}
