"use strict";
// The filter boxes: every word must occur. "/" goes to the nearest box, Escape empties it.
for (const box of document.querySelectorAll("input[data-filter]")) {
  const list = document.getElementById(box.dataset.filter);
  const entries = Array.from(list.querySelectorAll("[data-text]"));
  const folded = list.querySelector("details.more");
  const output = box.parentElement.querySelector("output");
  const apply = () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const entry of entries) {
      const fits = words.every((word) => entry.dataset.text.includes(word));
      entry.hidden = !fits;
      shown += fits ? 1 : 0;
    }
    if (folded && words.length) folded.open = true;
    output.textContent = words.length ? shown + " of " + entries.length : "";
  };
  box.addEventListener("input", apply);
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      box.value = "";
      apply();
    }
  });
  box.parentElement.hidden = false;
}
document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const boxes = Array.from(document.querySelectorAll("input[data-filter]"));
  const middle = window.innerHeight / 2;
  const distance = (box) => Math.abs(box.getBoundingClientRect().top - middle);
  const nearest = boxes.sort((a, b) => distance(a) - distance(b))[0];
  if (!nearest) return;
  event.preventDefault();
  nearest.focus();
});
window.addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details.more")) part.open = true;
});
