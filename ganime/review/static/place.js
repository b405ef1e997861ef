// Where one is: all of it stands in the address, so that back, reload and a sent link work.

export const SEVERAL = ["status", "rule", "reason", "source", "rating", "tag", "not_tag", "label"];
export const RANGES = ["score", "score_min", "score_max", "posted_from", "posted_to"];
const GALLERY = [...SEVERAL, ...RANGES, "question", "sort", "by"];
let arrive = () => {};

/** Who draws what stands in the address. */
export function onArrival(draw) {
  arrive = draw;
  window.addEventListener("popstate", () => arrive());
  document.addEventListener("click", follow);
}

/** The address, as parameters. */
export function here() {
  return new URLSearchParams(location.search);
}

/** Go there; `replace` leaves no step to go back to. */
export function go(parameters, { replace = false } = {}) {
  const address = at(parameters);
  if (replace) history.replaceState(null, "", address);
  else if (address !== at(here())) history.pushState(null, "", address);
  arrive();
}

/** Write it into the address and draw nothing: what is shown is there already. */
export function note(parameters) {
  history.replaceState(null, "", at(parameters));
}

/** An address of this page; `./` since a bare `?` would keep what it means to drop. */
export function at(parameters) {
  const query = String(parameters);
  return query ? `./?${query}` : "./";
}

/** These parameters with some replaced: null drops one, a list repeats it. */
export function changed(parameters, changes) {
  const made = new URLSearchParams(parameters);
  for (const [name, value] of Object.entries(changes)) {
    made.delete(name);
    for (const one of [value].flat()) {
      if (one !== null && one !== undefined && one !== "") made.append(name, one);
    }
  }
  return made;
}

/** Only what the gallery goes by. */
export function galleryOf(parameters) {
  return new URLSearchParams([...parameters].filter(([name]) => GALLERY.includes(name)));
}

/** The same as a request's parameters. */
export function filtersOf(parameters) {
  const found = {};
  for (const name of SEVERAL) found[name] = parameters.getAll(name);
  for (const name of RANGES) found[name] = parameters.get(name);
  found.question = parameters.get("question");
  return found;
}

function follow(event) {
  const link = event.target.closest?.('a[href^="./"]');
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey;
  if (!link || !plain || link.target || event.defaultPrevented) return;
  event.preventDefault();
  go(new URLSearchParams(link.getAttribute("href").split("?")[1] ?? ""));
}
