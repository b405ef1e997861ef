// Moving through a grid by keys, and selecting in it.

/** The marked image of a grid and the selected ones; `changed` is told of every change. */
export class Steps {
  constructor(grid, changed) {
    this.grid = grid;
    this.changed = changed;
    this.focus = -1;
    this.anchor = -1;
    this.selected = new Set();
  }

  /** A new grid: the first image is where Tab arrives. */
  reset() {
    this.focus = -1;
    this.selected.clear();
    const first = this.grid.firstElementChild;
    if (first) first.tabIndex = 0;
    this.changed();
  }

  /** Put the focus back where it was. */
  show() {
    const node = this.grid.children[this.focus];
    node?.focus({ preventScroll: true });
    node?.scrollIntoView({ block: "nearest" });
  }

  /** Places to answer about: the selected ones, else the marked one. */
  chosen() {
    if (this.selected.size) return [...this.selected].sort((a, b) => a - b);
    return this.focus >= 0 ? [this.focus] : [];
  }

  /** Mark an image; `move` false leaves the browser's focus alone. */
  focusOn(place, { move = true, extend = false } = {}) {
    const node = this.grid.children[place];
    if (!node) return;
    this.grid.querySelectorAll('[tabindex="0"]').forEach((one) => { one.tabIndex = -1; });
    this.grid.querySelector(".marked")?.classList.remove("marked");
    node.tabIndex = 0;
    node.classList.add("marked");
    this.focus = place;
    if (!extend) this.anchor = place;
    this.changed();
    if (move) node.focus({ preventScroll: true });
    node.scrollIntoView({ block: "nearest" });
  }

  /** Select all from where selecting began to here. */
  selectTo(place) {
    if (this.anchor < 0) this.anchor = Math.max(this.focus, 0);
    const [first, last] = [Math.min(this.anchor, place), Math.max(this.anchor, place)];
    this.selected = new Set(Array.from({ length: last - first + 1 }, (_, step) => first + step));
    this.focusOn(place, { extend: true });
    this.draw();
  }

  toggle() {
    if (!this.selected.delete(this.focus)) this.selected.add(this.focus);
    this.draw();
  }

  selectNone() {
    this.selected.clear();
    this.draw();
  }

  draw() {
    [...this.grid.children].forEach((node, place) =>
      node.setAttribute("aria-selected", String(this.selected.has(place))));
    this.changed();
  }

  /** How many images stand in a row. */
  columns() {
    const nodes = [...this.grid.children];
    const next = nodes.findIndex((node) => node.offsetTop > nodes[0].offsetTop);
    return next < 0 ? Math.max(nodes.length, 1) : next;
  }

  /** Obey a key; gives whether it was one of ours. */
  keys(event) {
    const num = this.grid.children.length;
    const to = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.columns(), ArrowUp: -this.columns() };
    if (event.key in to && num) {
      const begin = this.focus < 0;
      const place = begin ? 0 : this.focus + to[event.key];
      if (place < 0 || place >= num) return true;
      if (event.shiftKey && !begin) this.selectTo(place);
      else this.focusOn(place);
      return true;
    }
    if (event.key === "Home" && num) { this.focusOn(0); return true; }
    if (event.key === "End" && num) { this.focusOn(num - 1); return true; }
    if (event.key === "x" && this.focus >= 0) { this.toggle(); return true; }
    if (event.key === "Escape" && this.selected.size) { this.selectNone(); return true; }
    return false;
  }
}
