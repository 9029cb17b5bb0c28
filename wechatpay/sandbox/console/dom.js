// Elements, requests to the admin API, and how values are shown.

import { language, t } from "./texts.js";

/** Make an element: h("button.primary", { onclick }, "Pay"). */
export function h(name, properties = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Replace the content of an element, and keep the focus on the element with the same id. */
export function fill(element, ...children) {
  const focused = document.activeElement;
  const id = element.contains(focused) ? focused.id : "";
  const scroll = element.scrollTop;
  element.replaceChildren(...children.flat(3).filter(Boolean));
  element.scrollTop = scroll;
  if (id) document.getElementById(id)?.focus({ preventScroll: true });
}

export async function get(name) {
  const response = await fetch(`/_sandbox/${name}`);
  if (!response.ok) throw new Error((await response.json()).message);
  return response.json();
}

export async function post(name, given = {}) {
  const response = await fetch(`/_sandbox/${name}`, { method: "POST", body: JSON.stringify(given) });
  const found = await response.json();
  if (!response.ok) throw new Error(found.message);
  return found;
}

/** Post, and show what became of it. */
export async function act(name, given, done) {
  try {
    const found = await post(name, given);
    if (done) toast(done);
    return found;
  } catch (error) {
    toast(error.message, true);
    return null;
  }
}

export function toast(text, isError = false) {
  const element = h(isError ? "p.toast.wrong" : "p.toast", {}, text);
  document.getElementById("toasts").append(element);
  setTimeout(() => element.remove(), isError ? 8000 : 3000);
}

export function money(fen) {
  return `¥${(fen / 100).toFixed(2)}`;
}

export function moment(seconds) {
  const options = { dateStyle: "short", timeStyle: "medium", timeZone: "Asia/Shanghai" };
  return new Intl.DateTimeFormat(language() === "zh" ? "zh-CN" : "en-GB", options).format(seconds * 1000);
}

export function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text.replace(/></g, ">\n<");
  }
}

export function badge(text, kind) {
  return h(`span.badge.${kind}`, {}, text);
}

const KINDS = { SUCCESS: "good", REFUND: "note", NOTPAY: "wait", USERPAYING: "wait", CLOSED: "off", REVOKED: "off" };

export function stateBadge(state) {
  return badge(t(`state_${state}`, state), KINDS[state] || "bad");
}

export function copyable(text, label) {
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    toast(t("copied"));
  };
  return h("button.copy", { type: "button", onclick: copy, "aria-label": `${t("copy")}: ${label}` }, t("copy"));
}

export function facts(pairs) {
  const rows = pairs
    .filter(([, value]) => value !== "" && value !== null && value !== undefined)
    .map(([name, value]) => [h("dt", {}, t(name, name)), h("dd", {}, value)]);
  return h("dl.facts", {}, rows);
}

export function empty(title, text) {
  return h("div.empty", {}, h("h2", {}, title), h("p", {}, text));
}
