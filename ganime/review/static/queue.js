// Queues: one image after the other, the next as soon as one is answered.

import { get } from "./api.js";
import { answerButtons, answerOfKey } from "./answering.js";
import { answerBadge, picture, statusBadge } from "./card.js";
import { choice, count, el, figure, many, percent } from "./dom.js";
import { answer, known, onAnswers } from "./labels.js";
import { ask, person } from "./person.js";
import { at, changed, go, here } from "./place.js";
import { question, questions, scoreInfo } from "./session.js";
import { groupOf } from "./story.js";

const QUEUES = {
  "most-uncertain": ["Most uncertain", "Nearest to the threshold, and likely ones while an answer is rare: these teach most."],
  suspects: ["Suspects", "Answers that the newest classifier contradicts: is the answer right?"],
  "random-audit": ["Random audit", "Drawn at random: only these tell how right the decisions are."],
  duplicates: ["Duplicates", "Largest groups first: is the one that stays worth keeping?"],
};
const NUM = 12; // asked for at once: nobody else is shown them meanwhile, so few
const FEW = 5; // left when more are asked for
const seen = new Set(); // of this visit, also those that one was unsure about

/** Draw the queue of the address. */
export async function show(root) {
  const name = here().get("queue") in QUEUES ? here().get("queue") : "random-audit";
  const [title, about] = QUEUES[name];
  const by = await person();
  const screen = new Screen(name, by);
  const tabs = Object.entries(QUEUES).map(([one, [text]]) => el("li", {},
    el("a", { href: at(changed(here(), { queue: one })), "aria-current": one === name ? "page" : null }, text)));
  root.append(el("div", { class: "queue" },
    el("nav", { "aria-label": "Queues" }, el("ul", { class: "tabs" }, tabs)),
    el("div", { class: "row" }, el("h1", {}, title),
      choice("question", questions().map((one) => [one, one]), question(), (value) => go(changed(here(), { question: value })))),
    el("p", { class: "soft" }, about), screen.audit, screen.stage));
  if (by) await screen.start();
  else {
    const tell = async () => { if (await ask()) go(here(), { replace: true }); };
    screen.stage.replaceChildren(el("p", { class: "missing" }, "A queue is one person's: ",
      el("button", { onclick: tell }, "say who you are")));
  }
  const end = onAnswers((ids, isUndone) => screen.redraw(ids, isUndone));
  return { title, keys: (event) => screen.keys(event), leave: () => { end(); screen.isOver = true; } };
}

class Screen {
  constructor(name, by) {
    Object.assign(this, { name, by, line: [], behind: [], isOver: false, question: question() });
    this.audit = el("div", { class: "audit", id: "audit" });
    this.stage = el("div", { class: "stage", id: "stage" });
  }

  async start() {
    this.stage.replaceChildren(el("p", { class: "soft" }, "Loading …"));
    await Promise.all([this.fetch(), this.drawAudit()]);
    this.draw();
  }

  async fetch() {
    try {
      const told = await get(`queues/${this.name}`, { person: this.by, question: this.question, num: NUM });
      const there = new Set(this.line.map((one) => one.image.id));
      told.items.forEach((item, place) => {
        if (there.has(item.id) || seen.has(this.mark(item.id))) return;
        this.line.push({ image: known(item), group: told.groups[place], why: told.why[place] });
      });
      this.problem = null;
    } catch (error) {
      this.problem = error.status === 404
        ? `${error.message}. Choose another question, or train a classifier first.` : error.message;
    }
  }

  mark(id) {
    return `${this.name} ${this.question} ${id}`;
  }

  async drawAudit() {
    if (this.name !== "random-audit") return;
    const told = await get("audit", { question: this.question }).catch(() => null);
    if (!told || this.isOver) return;
    const of = `${many(told.answered, "answer")} of ${many(told.population, "image")}`;
    const text = told.precision === null ? `No answer yet of ${many(told.population, "image")}.`
      : [el("b", {}, percent(told.precision)), ` right, 95 % sure between ${percent(told.interval[0])} and ${percent(told.interval[1])}; ${of}.`];
    this.audit.replaceChildren(el("p", { class: "lead" }, text));
  }

  draw() {
    if (this.isOver) return;
    const current = this.line[0];
    if (!current) {
      this.stage.replaceChildren(el("p", { class: "missing" }, this.problem ?? "Nothing is left in this queue: well done."));
      return;
    }
    const { image, group, why } = current;
    const score = image.scores[this.question];
    const info = scoreInfo(this.question);
    this.said = el("span", {}, answerBadge(image, this.question) ?? "");
    const next = this.line[1]?.image;
    this.stage.replaceChildren(
      el("div", { class: "large" }, group ? groupOf(group, image.id)
        : el("a", { class: "shot", "aria-label": `All about ${image.post}`,
          href: at(changed(new URLSearchParams(), { view: "image", id: image.id })) }, large(image))),
      el("div", { class: "row" }, el("b", {}, this.question === "keep" ? "Does it belong in the dataset?" : `Is it “${this.question}”?`),
        answerButtons(this.question, (value) => this.say(value))),
      el("p", { class: "row soft" }, el("bdi", {}, image.post), statusBadge(image), this.said,
        score === undefined ? "" : `${this.question} ${figure(score)}${info ? ` against ${figure(info.threshold)}` : ""}`,
        why ?? "", el("span", { id: "left" }, `${count(this.line.length)} waiting`)),
      el("div", { hidden: true }, next && !next.problem ? el("img", { src: `originals/${next.id}`, alt: "" }) : ""));
  }

  async say(value) {
    const current = this.line.shift();
    if (!current) return;
    seen.add(this.mark(current.image.id));
    this.behind.push(current);
    const saved = answer([current.image], this.question, value, this.name);
    this.draw(); // the next is there at once; saving goes on behind it
    if (!(await saved)) this.back(current);
    if (this.line.length < FEW) {
      const was = this.line.length;
      await this.fetch();
      if (!was) this.draw();
    }
    await this.drawAudit();
  }

  back(current) {
    if (!this.behind.includes(current)) return; // it is back already
    seen.delete(this.mark(current.image.id));
    this.behind = this.behind.filter((one) => one !== current);
    this.line.unshift(current);
    this.draw();
  }

  /** An answer that was undone brings its image back. */
  redraw(ids, isUndone) {
    const last = this.behind.at(-1);
    const first = this.line[0];
    if (first && ids.has(first.image.id)) this.said?.replaceChildren(answerBadge(first.image, this.question) ?? "");
    if (isUndone && last && ids.has(last.image.id)) this.back(last);
    this.drawAudit();
  }

  keys(event) {
    const value = answerOfKey(event.key, this.question);
    if (value === undefined) return false;
    this.say(value);
    return true;
  }
}

function large(image) {
  if (image.problem) return picture(image);
  const fail = (event) => event.target.replaceWith(picture(image, false));
  return el("img", { src: `originals/${image.id}`, alt: "", onerror: fail });
}
