// Questions: how good each classifier is, what people said since, and learning again.

import { get, post } from "./api.js";
import { count, el, many, percent, table } from "./dom.js";
import { person } from "./person.js";
import { at, changed } from "./place.js";
import { learn } from "./session.js";
import { toast } from "./toast.js";

const LOOK_MS = 700; // between two looks at what is being learned

/** Draw all questions, and what is being learned. */
export async function show(root) {
  const screen = new Screen();
  root.append(el("h1", {}, "Questions"),
    el("p", { class: "soft" }, "A classifier learns from people's answers and from tags. New answers count once it has learned again; no image is looked at for that, so it takes seconds."),
    screen.list, screen.progress);
  await screen.start();
  return { title: "Questions", leave: () => screen.leave() };
}

class Screen {
  constructor() {
    this.list = el("div", {}, el("p", { class: "soft" }, "Loading …"));
    this.progress = el("section", { id: "retraining", "aria-live": "polite" });
    this.isOver = false;
  }

  async start() {
    await this.drawList();
    await this.look();
  }

  leave() {
    this.isOver = true;
    clearTimeout(this.timer);
  }

  async drawList() {
    const found = await get("questions");
    const waiting = (one) => one.num_yes + one.num_no - one.worth.num_people;
    const row = (one) => [
      el("a", { href: at(changed(new URLSearchParams(), { view: "queue", queue: "most-uncertain", question: one.question })) }, one.question),
      share(one.worth.precision, one.worth.precision_interval), share(one.worth.recall, one.worth.recall_interval),
      one.worth.judged_by === "people" ? "people" : "people and tags",
      `${count(one.num_yes)} yes, ${count(one.num_no)} no`,
      waiting(one) > 0 ? el("b", {}, many(waiting(one), "new answer")) : "none new",
      el("button", { class: waiting(one) > 0 ? "main" : "", "data-question": one.question, "aria-label": `Learn ${one.question} again`,
        onclick: () => this.retrain(one.question) }, "learn again")];
    this.list.replaceChildren(found.length
      ? table(["question", "precision", "recall", "judged by", "people's answers", "since", "learn"], found.map(row), { class: "questions" })
      : el("p", { class: "missing" }, "No classifier answers a question yet: run `ganime run` first."));
  }

  async retrain(question) {
    const by = await person();
    if (!by) return;
    try {
      this.draw(await post("retraining", { question, by }));
      this.timer = setTimeout(() => this.look(), LOOK_MS);
    } catch (error) {
      toast(error.message, "refused");
    }
  }

  async look() {
    const told = await get("retraining").catch((error) => ({ state: "failed", steps: [], error: error.message }));
    if (this.isOver) return;
    const ended = this.was === "running" && told.state === "done";
    this.draw(told);
    if (told.state === "running") this.timer = setTimeout(() => this.look(), LOOK_MS);
    else if (ended) {
      await Promise.all([this.drawList(), learn().catch(() => null)]);
    }
  }

  draw(told) {
    this.was = told.state;
    this.list.querySelectorAll("button").forEach((one) => { one.disabled = told.state === "running"; });
    if (told.state === "idle") {
      this.progress.replaceChildren();
      return;
    }
    const words = { running: "is being learned", done: "was learned again", failed: "was not learned" };
    this.progress.replaceChildren(
      el("h2", {}, told.question ? `“${told.question}” ${words[told.state]}` : "Learning"),
      told.state === "running" ? el("progress", { "aria-label": "Learning" }) : "",
      el("p", { class: "soft" }, told.by ? `asked by ${told.by}: ` : "", told.steps.join(" · "),
        told.url ? [" · ", el("a", { href: told.url, rel: "noreferrer", target: "_blank" }, "its run")] : ""),
      told.error ? el("p", { class: "missing bad" }, told.error) : "",
      ...(told.result ? result(told.result) : []));
  }
}

function result(told) {
  const row = (name, key) => [name, told.before ? share(told.before[key], told.before[`${key}_interval`]) : "no classifier",
    share(told.after[key], told.after[`${key}_interval`])];
  const versions = changed(new URLSearchParams(), { view: "funnel", after: told.dataset });
  return [
    table(["held out", "before", "after"], [row("precision", "precision"), row("recall", "recall"),
      ["answers by people", told.before ? count(told.before.num_people) : "", count(told.after.num_people)]], { id: "before-after" }),
    el("p", { class: "lead", id: "flipped" }, `${many(told.num_dropped, "image")} kept before ${told.num_dropped === 1 ? "is" : "are"} dropped now, ${count(told.num_kept)} dropped before ${told.num_kept === 1 ? "is" : "are"} kept: `,
      el("a", { href: at(versions) }, told.dataset), "."),
    told.is_obeyed ? "" : el("p", { class: "missing" }, "It is wrong too often to be obeyed: its rule abstains until people answer more."),
  ];
}

function share(value, interval) {
  if (value === null) return "not known";
  return interval ? [percent(value), el("small", {}, ` ${percent(interval[0])} – ${percent(interval[1])}`)] : percent(value);
}
