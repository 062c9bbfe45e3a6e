"use strict";
// Everything here adds to a page that can be read without it.

// Rows of a table: more than these are searched, more than these folded to the first, and printed.
const SEARCHED = 15, FOLDED = 25, FIRST = 15, PRINTED = 60;

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// Tables: sorted by the buttons in their heads, searched, and folded where they are long.

function bySortKey(column, descending) {
  const key = (row) => row.cells[column].dataset.v;
  const text = (row) => row.cells[column].textContent;
  return (one, other) => {
    const [a, b] = [key(one), key(other)];
    if (a === undefined && b === undefined) {
      const order = text(one).localeCompare(text(other), "en", { numeric: true });
      return descending ? -order : order;
    }
    if (a === undefined || b === undefined) return a === undefined ? 1 : -1;
    return descending ? b - a : a - b;
  };
}

function enhance(figure) {
  const table = figure.querySelector("table");
  const body = table.tBodies[0];
  const original = [...body.rows];
  if (original.length < 2) return;
  const heads = [...table.tHead.rows[0].cells];
  const long = original.length > FOLDED;
  let sought = "", open = false;
  const told = make("span", { className: "told", role: "status" });
  const unfold = make("button", { type: "button", className: "unfold" });

  function show() {
    let place = 0, matching = 0;
    for (const row of body.rows) {
      const matches = row.textContent.toLowerCase().includes(sought);
      matching += matches;
      row.classList.toggle("filtered", !matches);
      row.classList.toggle("folded", long && !open && !sought && place >= FIRST);
      row.classList.toggle("beyond", place >= PRINTED);
      place += matches;
    }
    told.textContent = sought ? `${matching} of ${original.length} rows` : "";
    unfold.hidden = Boolean(sought);
    unfold.textContent = open ? `Show the first ${FIRST}` : `Show all ${original.length} rows`;
    unfold.setAttribute("aria-expanded", open);
  }

  function sort(head) {
    const column = heads.indexOf(head);
    const numeric = original.some((row) => row.cells[column].dataset.v !== undefined);
    const cycle = numeric ? ["descending", "ascending", "none"] : ["ascending", "descending", "none"];
    const next = cycle[(cycle.indexOf(head.getAttribute("aria-sort")) + 1) % 3];
    for (const other of heads) other.setAttribute("aria-sort", other === head ? next : "none");
    const rows = [...original];
    if (next !== "none") rows.sort(bySortKey(column, next === "descending"));
    body.append(...rows);
    show();
  }

  for (const head of heads) {
    if (!head.textContent) continue;
    const button = make("button", { type: "button" }, ...head.childNodes);
    button.addEventListener("click", () => sort(head));
    head.append(button);
    head.setAttribute("aria-sort", "none");
  }
  if (original.length <= SEARCHED) return;
  const search = make("input", {
    type: "search",
    placeholder: "Search this table",
    ariaLabel: `Search ${figure.id.replace("-", " ")}`,
  });
  search.addEventListener("input", () => {
    sought = search.value.trim().toLowerCase();
    show();
  });
  unfold.addEventListener("click", () => {
    open = !open;
    show();
  });
  const scroll = figure.querySelector(".scroll");
  scroll.before(make("p", { className: "tools" }, search, told));
  if (long) scroll.after(make("p", { className: "tools" }, unfold));
  show();
}

document.querySelectorAll("figure.table").forEach(enhance);

// Contents: where one is, with the chapters of that group.

const links = new Map();
for (const link of document.querySelectorAll("nav a")) links.set(link.hash.slice(1), link);
const sections = [...document.querySelectorAll("main section")].filter((s) => links.has(s.id));
let opened = null;

function mark() {
  let here = sections[0];
  for (const section of sections) {
    if (section.getBoundingClientRect().top <= window.innerHeight / 4) here = section;
  }
  const link = links.get(here.id);
  if (link.hasAttribute("aria-current")) return;
  for (const other of links.values()) other.removeAttribute("aria-current");
  link.setAttribute("aria-current", "true");
  const group = link.closest("details");
  if (opened && opened !== group) opened.open = false;
  if (group && !group.open) {
    group.open = true;
    opened = group;
  }
  const nav = link.closest("nav");
  const [bounds, own] = [nav.getBoundingClientRect(), link.getBoundingClientRect()];
  if (own.top < bounds.top || own.bottom > bounds.bottom) nav.scrollTop += own.top - bounds.top - 60;
}

let waiting = false;
window.addEventListener("scroll", () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    mark();
  });
}, { passive: true });
mark();

// Texts to take along: the methods, the command and the experiment.

function copied(element, button) {
  const range = document.createRange();
  range.selectNodeContents(element);
  const selection = window.getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
  document.execCommand("copy");
  selection.removeAllRanges();
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

for (const element of document.querySelectorAll("pre, .copied")) {
  const button = make("button", { type: "button", className: "copy" }, "Copy");
  button.addEventListener("click", () => copied(element, button));
  element.before(button);
}
