// Answers: shown at once, sent one after the other, taken back when refused.
//
// An image is one object wherever it is shown. `answers` is what the server acknowledged,
// `pending` what it has yet to.

import { post } from "./api.js";
import { many } from "./dom.js";
import { person } from "./person.js";
import { toast } from "./toast.js";

export const UNDONE = "undo"; // how an answer came about that takes another one back
const MOST = 500; // that the server takes at once
const images = new Map();
const listeners = new Set();
const given = []; // batches of this visit that can be taken back, the last one last
let line = Promise.resolve(); // requests wait for one another: each must know the last answer
let waiting = 0;

/** Called with the ids of images whose answers changed, and whether by undoing; gives what ends that. */
export function onAnswers(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The one object of an image, brought up to date. */
export function known(item) {
  const image = images.get(item.id);
  if (!image) {
    images.set(item.id, { ...item, pending: {} });
    return images.get(item.id);
  }
  return Object.assign(image, item);
}

/** The answer to show: `{answer, by, pending}`; `answer` null is unsure. Null where there is none. */
export function answerOf(image, question) {
  if (question in image.pending) return image.pending[question];
  const last = image.answers[question];
  const isTakenBack = last && last.answer === null && last.how === UNDONE;
  return last && !isTakenBack ? last : null;
}

/** An answer as a word. */
export function word(question, answer) {
  if (answer === null) return "unsure";
  if (question === "keep") return answer ? "keep" : "drop";
  return answer ? "yes" : "no";
}

/** Answer a question about images; true, false, or null for unsure. Gives whether it was taken. */
export async function answer(chosen, question, value, how = "by hand") {
  if (chosen.length > MOST) {
    toast(`${many(chosen.length, "image")} are too many at once: select at most ${MOST}`, "refused");
    return false;
  }
  const by = await person();
  if (!by || !chosen.length) return false;
  const batch = { question, by, chosen, before: chosen.map((one) => answerOf(one, question)) };
  chosen.forEach((one) => { one.pending[question] = { answer: value, by, pending: true }; });
  const shown = chosen.map((one) => one.pending[question]);
  given.push(batch);
  tell(chosen);
  return inLine(async () => {
    const labels = chosen.map((one) => ({
      image_id: one.id,
      question,
      answer: value,
      expected: one.answers[question]?.label_id ?? null,
    }));
    try {
      const told = await post("labels", { by, how, labels });
      batch.ids = told.events.map((event) => event.label_id);
      takeIn(told.events);
      return true;
    } catch (error) {
      given.splice(given.indexOf(batch), 1);
      takeIn(error.events ?? []);
      toast(`Not saved: ${error.message}`, "refused");
      return false;
    } finally {
      settle(chosen, question, shown);
    }
  });
}

/** Take the last batch of this visit back; what was said before, by whoever, stands again. */
export async function undo() {
  const batch = given.pop();
  if (!batch) {
    toast("Nothing to undo: no answer was given on this visit");
    return;
  }
  const { chosen, question, before } = batch;
  chosen.forEach((one, place) => { one.pending[question] = before[place]; });
  tell(chosen, true);
  await inLine(async () => {
    try {
      if (!batch.ids) return; // it was refused meanwhile
      const told = await post("undo", { by: batch.by, label_ids: batch.ids });
      takeIn(told.events);
      toast(`Undone: ${many(chosen.length, "answer")} to “${question}”`);
    } catch (error) {
      takeIn(error.events ?? []);
      toast(`Not undone: ${error.message}`, "refused");
    } finally {
      settle(chosen, question, before);
    }
  });
}

function inLine(work) {
  waiting += 1;
  status();
  const done = line.then(work).finally(() => {
    waiting -= 1;
    status();
  });
  line = done.catch(() => {});
  return done;
}

/** What was shown for this request is settled; what a later key shows stays. */
function settle(chosen, question, shown) {
  chosen.forEach((one, place) => {
    if (one.pending[question] === shown[place]) delete one.pending[question];
  });
  tell(chosen);
}

function takeIn(events) {
  for (const event of events) {
    const image = images.get(event.image_id);
    if (image) image.answers = { ...image.answers, [event.question]: event };
  }
}

function tell(chosen, isUndone = false) {
  const ids = new Set(chosen.map((one) => one.id));
  listeners.forEach((listener) => listener(ids, isUndone));
}

function status() {
  document.getElementById("saving").textContent = waiting ? `saving ${waiting} …` : "";
}

window.addEventListener("beforeunload", (event) => {
  if (waiting) event.preventDefault();
});
