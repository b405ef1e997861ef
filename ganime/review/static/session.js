// What holds for the whole visit: the dataset under review, and the question being answered.

import { get } from "./api.js";
import { here } from "./place.js";

let about = null;

/** Ask what is shown; again after answers to a new question or another run. */
export async function learn() {
  about = await get("dataset");
  return about;
}

/** The dataset, as `/api/dataset` told. */
export function dataset() {
  return about;
}

/** What may be asked about an image; `keep` may always be. */
export function questions() {
  return [...new Set(["keep", ...about.questions, question()])];
}

/** The question being answered. */
export function question() {
  return here().get("question") ?? "keep";
}

/** A score by its name, or undefined. */
export function scoreInfo(name) {
  return about.scores.find((one) => one.name === name);
}
