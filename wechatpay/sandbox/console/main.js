// The console: sections, the clock, live events, and the keyboard.

import { act, fill, get, h, moment } from "./dom.js";
import * as callbacks from "./callbacks.js";
import * as connect from "./connect.js";
import * as faults from "./faults.js";
import * as orders from "./orders.js";
import * as traffic from "./traffic.js";
import { language, setLanguage, t, translate } from "./texts.js";

const SECTIONS = { traffic, orders, callbacks, faults, connect };
const NAMES = Object.keys(SECTIONS);
const main = document.getElementById("main");

const model = { state: null, exchanges: [], drawn: "", base: 0, read: 0 };
let section = NAMES.includes(location.hash.slice(1).split("/")[0]) ? location.hash.slice(1).split("/")[0] : "traffic";

function choose(name) {
  section = name;
  history.replaceState(null, "", `#${name}`);
  for (const other of NAMES) {
    const tab = document.getElementById(`tab-${other}`);
    tab.setAttribute("aria-selected", String(other === name));
    tab.tabIndex = other === name ? 0 : -1;
  }
  main.setAttribute("aria-labelledby", `tab-${name}`);
  main.className = `section-${name}`;
  main.replaceChildren();
  SECTIONS[name].open(main, model);
}

function draw() {
  if (model.state) SECTIONS[section].draw(main, model);
}

let waiting = null;
async function refresh() {
  // Many changes at once are one request.
  if (waiting) return;
  waiting = setTimeout(async () => {
    waiting = null;
    try {
      model.state = await get("state?limit=200");
      model.base = model.state.now;
      model.read = Date.now();
      // After a reset.
      if (!model.state.requests.length) model.exchanges = [];
      tick();
      draw();
    } catch {
      showConnection(false);
    }
  }, 120);
}

function tick() {
  if (!model.state) return;
  const now = model.base + (Date.now() - model.read) / 1000;
  document.getElementById("now").textContent = moment(now);
}

function showConnection(isOpen) {
  const dot = document.getElementById("connection");
  dot.classList.toggle("on", isOpen);
  dot.setAttribute("aria-label", t(isOpen ? "connected" : "disconnected"));
  dot.title = t(isOpen ? "connected" : "disconnected");
}

function listen() {
  const events = new EventSource("/_sandbox/events");
  events.addEventListener("open", () => {
    // Another process may have taken the place of the first one.
    model.exchanges = [];
    showConnection(true);
  });
  events.addEventListener("error", () => showConnection(false));
  events.addEventListener("exchange", (event) => {
    model.exchanges.push(JSON.parse(event.data));
    if (model.exchanges.length > 1000) model.exchanges.shift();
  });
  events.addEventListener("change", refresh);
}

function applyTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
}

function switchTheme() {
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const theme = document.documentElement.dataset.theme || (isDark ? "dark" : "light");
  const next = theme === "dark" ? "light" : "dark";
  localStorage.setItem("theme", next);
  applyTheme(next);
}

function switchLanguage() {
  setLanguage(language() === "zh" ? "en" : "zh");
  showTexts();
  choose(section);
  tick();
  draw();
}

function showTexts() {
  translate();
  document.title = t("title");
  const button = document.getElementById("language");
  button.textContent = language() === "zh" ? "EN" : "中文";
  button.lang = language() === "zh" ? "en" : "zh";
}

function showKeys() {
  const dialog = document.getElementById("keys");
  const rows = [
    ["1 – 5", "key_tabs"],
    ["↑ ↓ · k j", "key_list"],
    ["/", "key_filter"],
    ["p", "key_pay"],
    ["Esc", "key_back"],
    ["?", "key_help"],
  ];
  fill(
    dialog,
    h("h2", {}, t("keys")),
    h("dl.facts", {}, rows.map(([keys, text]) => [h("dt", {}, h("kbd", {}, keys)), h("dd", {}, t(text))])),
    h("form", { method: "dialog" }, h("button", {}, t("close"))),
  );
  dialog.showModal();
}

/** Move the focus within a list by the arrow keys. */
function move(step) {
  const rows = [...main.querySelectorAll(".list button")];
  if (!rows.length) return;
  const index = rows.findIndex((row) => row === document.activeElement || row.getAttribute("aria-current") === "true");
  const row = rows[Math.min(rows.length - 1, Math.max(0, index < 0 ? 0 : index + step))];
  row.focus();
  row.click();
}

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, select, textarea");
  if (event.ctrlKey || event.metaKey || event.altKey || document.getElementById("keys").open) return;
  if (event.key === "Escape") {
    SECTIONS[section].close?.(main, model);
    return;
  }
  if (isTyping) return;
  if (event.target.closest("[role=tablist]") && ["ArrowRight", "ArrowLeft"].includes(event.key)) {
    const step = event.key === "ArrowRight" ? 1 : NAMES.length - 1;
    choose(NAMES[(NAMES.indexOf(section) + step) % NAMES.length]);
    document.getElementById(`tab-${section}`).focus();
  } else if (NAMES[Number(event.key) - 1]) choose(NAMES[Number(event.key) - 1]);
  else if (["ArrowDown", "j"].includes(event.key)) move(1);
  else if (["ArrowUp", "k"].includes(event.key)) move(-1);
  else if (event.key === "/") main.querySelector("input")?.focus();
  else if (event.key === "?") showKeys();
  else if (!SECTIONS[section].press?.(event.key, model)) return;
  event.preventDefault();
  draw();
});

for (const name of NAMES) {
  document.getElementById(`tab-${name}`).addEventListener("click", () => {
    choose(name);
    draw();
  });
}
document.getElementById("language").addEventListener("click", switchLanguage);
document.getElementById("theme").addEventListener("click", switchTheme);
document.getElementById("help").addEventListener("click", showKeys);
document.getElementById("clock").addEventListener("submit", (event) => {
  event.preventDefault();
  act("advance", { seconds: Number(document.getElementById("seconds").value) }, t("advanced"));
});

applyTheme(localStorage.getItem("theme"));
showTexts();
choose(section);
listen();
refresh();
setInterval(tick, 1000);
