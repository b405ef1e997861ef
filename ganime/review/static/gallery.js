// The gallery: filters, a grid that grows as one scrolls, and keys that answer.

import { get } from "./api.js";
import { answerButtons, answerOfKey } from "./answering.js";
import { card, refreshCard } from "./card.js";
import { chips } from "./chips.js";
import { choice, count, el, many } from "./dom.js";
import { facetPanel } from "./facets.js";
import { answer, known, onAnswers } from "./labels.js";
import { changed, filtersOf, galleryOf, go, here } from "./place.js";
import { tagSearch } from "./search.js";
import { dataset, question, questions } from "./session.js";
import { Steps } from "./steps.js";
import { toast } from "./toast.js";

const PAGE = 100;
const AHEAD = "1200px"; // how far below the screen the next page is asked for
const SORTS = [["newest", "newest"], ["oldest", "oldest"], ["uncertain", "nearest the threshold"], ["highest", "highest"], ["lowest", "lowest"]];
const BY_TIME = ["newest", "oldest"];
let gallery = null; // kept while other pages show, so that going back finds it as it was

/** Draw the gallery of the address. */
export async function show(root) {
  gallery ??= new Gallery();
  if (gallery.node.parentNode !== root) root.append(gallery.node); // else it would lose the focus
  await gallery.arrive(here());
  return { title: "Gallery", keys: (event) => gallery.keys(event), leave: () => gallery.leave() };
}

/** The images of the gallery around one: for stepping through them on the image page. */
export function neighbours(id) {
  const place = gallery ? gallery.items.findIndex((one) => one.id === id) : -1;
  if (place < 0) return {};
  gallery.steps.focusOn(place, { move: false });
  if (place + 3 > gallery.items.length) gallery.more();
  return { before: gallery.items[place - 1]?.id, after: gallery.items[place + 1]?.id };
}

/** The address parameters of the gallery as it was left. */
export function galleryPlace() {
  return gallery?.place ?? new URLSearchParams();
}

class Gallery {
  constructor() {
    this.items = [];
    this.place = new URLSearchParams();
    this.key = null;
    this.round = 0;
    this.grid = el("div", { class: "cards", id: "grid", role: "listbox", "aria-label": "Images",
      "aria-multiselectable": "true", onclick: (event) => this.clicked(event) });
    this.steps = new Steps(this.grid, () => this.drawBar());
    this.panel = el("div", { class: "facet-panel" });
    this.total = el("h1", { id: "total", "aria-live": "polite" });
    this.chips = el("div", { class: "chips", id: "chips" });
    this.orders = el("div", { class: "row orders" });
    this.end = el("p", { class: "soft end", id: "end" });
    this.about = el("span", { class: "about", "aria-live": "polite" });
    this.none = el("button", { class: "bare", onclick: () => this.steps.selectNone() }, "select none");
    this.pick = el("button", { class: "pick", "aria-pressed": "false", onclick: () => this.togglePicking() },
      "select by tap");
    this.buttons = el("div", { class: "buttons" });
    this.bar = el("div", { class: "bar" }, this.about, this.none, this.pick, this.buttons);
    this.filters = el("details", { class: "filters", open: window.innerWidth > 900 },
      el("summary", {}, "Filters"), this.panel);
    this.node = el("div", { class: "gallery" }, el("aside", { "aria-label": "Filters" }, this.filters),
      el("section", { "aria-label": "Images" },
        el("div", { class: "tools" }, this.total, tagSearch(), this.orders),
        this.chips, this.grid, this.end, this.bar));
    new IntersectionObserver((seen) => seen[0].isIntersecting && this.more(), { rootMargin: AHEAD })
      .observe(this.end);
    onAnswers((ids) => this.redraw(ids));
  }

  async arrive(parameters) {
    const place = galleryOf(parameters);
    this.place = place;
    const key = String(place);
    if (key === this.key) {
      window.scrollTo(0, this.scroll ?? 0);
      this.steps.show();
      this.facets(); // answers may have moved the counts
      return;
    }
    if (this.key !== null) window.scrollTo(0, 0);
    this.key = key;
    this.request = { ...filtersOf(place), sort: place.get("sort"), by: place.get("by"), num: PAGE };
    const isByScore = !BY_TIME.includes(place.get("sort") ?? "newest");
    this.by = place.get("by") ?? place.get("score") ?? (isByScore ? dataset().scores[0]?.name : null);
    this.cursor = undefined;
    this.items = [];
    this.round += 1;
    this.loading = false;
    this.chips.replaceChildren(...chips(place));
    this.orders.replaceChildren(...this.choices(place));
    this.buttons.replaceChildren(answerButtons(question(), (value) => this.say(value)));
    this.drawBar();
    await Promise.all([this.facets(), this.more()]);
  }

  leave() {
    this.scroll = window.scrollY;
  }

  choices(place) {
    const pick = (name) => (value) => go(changed(here(), { [name]: value }));
    const sort = place.get("sort") ?? "newest";
    const scores = dataset().scores.map((one) => [one.name, one.name]);
    const isBy = !BY_TIME.includes(sort) && scores.length;
    return [
      choice("sort", scores.length ? SORTS : SORTS.slice(0, 2), sort, pick("sort")),
      isBy ? choice("by", scores, this.by ?? scores[0][0], pick("by")) : null,
      choice("question", questions().map((one) => [one, one]), question(), pick("question")),
    ].filter(Boolean);
  }

  async facets() {
    const round = this.round;
    const found = await get("facets", filtersOf(this.place)).catch((error) => toast(error.message, "refused"));
    if (!found || round !== this.round) return;
    this.total.textContent = found.total === found.num_images ? many(found.total, "image")
      : `${count(found.total)} of ${many(found.num_images, "image")}`;
    const focused = document.activeElement?.id;
    this.panel.replaceChildren(...facetPanel(found, this.place).filter(Boolean));
    if (focused?.startsWith("f-")) document.getElementById(focused)?.focus();
  }

  /** The next page, if there is one and it is not under way. */
  async more() {
    if (this.loading || this.cursor === null || !this.request) return;
    this.loading = true;
    const round = this.round;
    const isFirst = this.cursor === undefined;
    if (isFirst) this.end.textContent = "Loading …";
    try {
      const told = await get("images", { ...this.request, cursor: this.cursor });
      if (round !== this.round) return; // the filters changed meanwhile
      const items = told.items.map(known);
      const cards = items.map((one) => card(one, question(), this.by));
      this.items = isFirst ? items : [...this.items, ...items];
      if (isFirst) this.grid.replaceChildren(...cards);
      else this.grid.append(...cards);
      this.cursor = told.cursor;
      if (isFirst) this.steps.reset();
      this.end.textContent = this.cursor ? "Loading more …" : this.items.length ? "That is all." : "No image passes these filters.";
    } catch (error) {
      if (round !== this.round) return;
      this.cursor = null;
      if (isFirst) this.grid.replaceChildren();
      this.end.textContent = `Could not load: ${error.message}`;
    } finally {
      if (round === this.round) this.loading = false;
    }
    // Where all of a page fits on the screen nothing would ask for the next.
    if (round === this.round && this.cursor && this.end.isConnected
      && this.end.getBoundingClientRect().top < 2 * window.innerHeight) this.more();
  }

  redraw(ids) {
    for (const id of ids) {
      const node = document.getElementById(`i${id}`) ?? this.grid.querySelector(`#i${id}`);
      if (node && this.grid.contains(node)) refreshCard(node, known({ id }), question());
    }
    if (this.node.isConnected) {
      clearTimeout(this.recount);
      this.recount = setTimeout(() => this.facets(), 400);
    }
  }

  drawBar() {
    const num = this.steps.selected.size;
    const marked = this.items[this.steps.focus];
    this.about.textContent = num ? `${many(num, "image")} selected` : marked ? `marked: ${marked.post}` : "nothing marked";
    this.none.hidden = !num;
  }

  togglePicking() {
    this.picking = !this.picking;
    this.pick.setAttribute("aria-pressed", String(this.picking));
  }

  async say(value) {
    const chosen = this.steps.chosen().map((place) => this.items[place]).filter(Boolean);
    if (!chosen.length) {
      toast("No image is marked: choose one with the arrow keys, or select some");
      return;
    }
    const isOne = !this.steps.selected.size;
    const saved = answer(chosen, question(), value);
    // Who answers by a button stays on it; the mark moves on all the same.
    const move = !this.bar.contains(document.activeElement);
    if (isOne) this.steps.focusOn(Math.min(this.steps.focus + 1, this.items.length - 1), { move });
    if ((await saved) && !isOne) this.steps.selectNone();
  }

  open(place) {
    const image = this.items[place];
    if (image) go(changed(galleryOf(here()), { view: "image", id: image.id }));
  }

  clicked(event) {
    const node = event.target.closest(".card");
    if (!node) return;
    const place = [...this.grid.children].indexOf(node);
    const isTick = event.target.closest(".tick");
    if (event.shiftKey) this.steps.selectTo(place);
    else if (event.ctrlKey || event.metaKey || isTick || this.picking) {
      this.steps.focusOn(place);
      this.steps.toggle();
    } else {
      this.steps.focusOn(place);
      this.open(place);
    }
  }

  keys(event) {
    const value = answerOfKey(event.key, question());
    if (value !== undefined) {
      this.say(value);
      return true;
    }
    if (event.key === "/") {
      document.getElementById("tag-search").focus();
      return true;
    }
    if (event.key === "Enter") {
      if (this.steps.focus < 0 || event.target.closest("button, a, summary, input")) return false;
      this.open(this.steps.focus);
      return true;
    }
    return this.steps.keys(event);
  }
}
