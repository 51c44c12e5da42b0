// Sorting, and nothing else the page would need: without this script every number is still there.
// The address may say the order: #sort=TASK:COLUMN or #sort=TASK:COLUMN:ascending.
"use strict";

const ORDERS = ["ascending", "descending"];

function options() {
  const found = new Map();
  for (const part of location.hash.slice(1).split("&")) {
    const at = part.indexOf("=");
    found.set(at < 0 ? part : part.slice(0, at), at < 0 ? "" : part.slice(at + 1));
  }
  return found;
}

function sortBy(table, head, order) {
  const heads = [...head.parentElement.children];
  const index = heads.indexOf(head);
  const body = table.tBodies[0];
  const byName = (a, b) => (a.dataset.entry < b.dataset.entry ? -1 : a.dataset.entry > b.dataset.entry ? 1 : 0);
  const sign = order === "ascending" ? 1 : -1;
  const value = (row) => Number(row.children[index].dataset.value);
  const defined = (row) => row.children[index].dataset.value !== undefined;
  const rows = [...body.rows].filter((row) => row.dataset.entry !== undefined);
  rows.sort((a, b) => {
    if (head.dataset.column === "entry") return sign * byName(a, b);
    if (defined(a) !== defined(b)) return defined(a) ? -1 : 1; // n/a stays last in both orders
    return (defined(a) ? sign * (value(a) - value(b)) : 0) || byName(a, b);
  });
  rows.forEach((row) => body.append(row));
  for (const other of heads) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  showRanks(table, heads, head);
}

// The rank follows the column that the table is sorted by; a column without ranks keeps the task's own.
function showRanks(table, heads, head) {
  const rows = [...table.tBodies[0].rows].filter((row) => row.dataset.entry !== undefined);
  const ranked = (one) => one && rows.some((row) => row.children[heads.indexOf(one)].dataset.rank !== undefined);
  const primary = heads.find((one) => one.dataset.column === table.dataset.primary);
  const shown = ranked(head) ? head : primary;
  if (!shown) return;
  const index = heads.indexOf(shown);
  for (const row of rows) row.children[0].textContent = row.children[index].dataset.rank || "–";
  table.caption.querySelector(".rank-by").textContent = shown.querySelector(".label").textContent;
}

function onSort(table, head) {
  const first = head.dataset.first;
  const now = head.getAttribute("aria-sort");
  const order = now === first ? ORDERS.find((one) => one !== first) : first;
  sortBy(table, head, order);
  document.getElementById("status").textContent =
    "Sorted by " + head.querySelector(".label").textContent + ", " + order + ".";
  try {
    history.replaceState(null, "", "#sort=" + [table.dataset.task, head.dataset.column, order].join(":"));
  } catch { /* Some browsers refuse this for files; the table is sorted all the same. */ }
}

function sortAsAddressed() {
  const wanted = options().get("sort");
  if (wanted === undefined) return;
  const [task, column, order] = wanted.split(":");
  for (const table of document.querySelectorAll("table.results")) {
    if (table.dataset.task !== task) continue;
    const head = [...table.querySelectorAll("th[data-column]")].find((one) => one.dataset.column === column);
    if (head) sortBy(table, head, ORDERS.includes(order) ? order : head.dataset.first);
  }
}

function offerData() {
  const button = document.getElementById("save");
  button.hidden = false;
  button.addEventListener("click", () => {
    const blob = new Blob([document.getElementById("data").textContent], { type: "application/json" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = "byteworld-reports.json";
    link.click();
    URL.revokeObjectURL(link.href);
  });
}

// With #selftest in the address the page writes down what a test wants to know about its layout.
function selfTest() {
  if (!options().has("selftest")) return;
  const root = document.documentElement;
  root.dataset.clientWidth = String(root.clientWidth);
  root.dataset.scrollWidth = String(root.scrollWidth);
  root.dataset.reports = String(JSON.parse(document.getElementById("data").textContent).reports.length);
  if (options().has("click")) {
    const column = options().get("click");
    for (const button of document.querySelectorAll("th[data-column] > button")) {
      if (button.parentElement.dataset.column === column) button.click();
    }
  }
}

for (const table of document.querySelectorAll("table.results")) {
  for (const head of table.querySelectorAll("th[data-column]")) {
    head.querySelector("button").addEventListener("click", () => onSort(table, head));
  }
}
sortAsAddressed();
addEventListener("hashchange", sortAsAddressed);
offerData();
selfTest();
