"use strict";
(() => {
  document.documentElement.classList.add("js");

  const viewer = document.getElementById("viewer");
  if (viewer) {
    const frames = [...document.querySelectorAll("#film img")];
    const [picture, slider, caption] = ["img", "input", "figcaption"].map((name) => viewer.querySelector(name));
    const show = () => {
      const frame = frames[Number(slider.value)];
      picture.src = frame.src;
      picture.alt = frame.alt;
      caption.textContent = frame.dataset.caption;
      slider.setAttribute("aria-valuetext", frame.dataset.caption);
      frames.forEach((other) => other.parentElement.classList.toggle("shown", other === frame));
    };
    slider.addEventListener("input", show);
    frames.forEach((frame, i) => frame.addEventListener("click", () => { slider.value = i; show(); }));
    viewer.hidden = false;
    show();
  }

  const links = new Map([...document.querySelectorAll("header nav a")].map((link) => [link.hash.slice(1), link]));
  const mark = (id) => links.forEach((link, name) => {
    if (name === id) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  });
  const watcher = new IntersectionObserver((entries) => {
    const seen = entries.filter((entry) => entry.isIntersecting);
    if (seen.length) mark(seen[0].target.id);
  }, { rootMargin: "-20% 0px -70% 0px" });
  document.querySelectorAll("section[id]").forEach((section) => watcher.observe(section));
})();
