// Requests and responses, and what the requests sign.

import { badge, empty, fill, get, h, moment, pretty } from "./dom.js";
import { language, t } from "./texts.js";

let chosen = 0;
let detail = null;
let filter = "";
let errorsOnly = false;

export function open(main, model) {
  const input = h("input", {
    type: "search",
    id: "filter",
    placeholder: t("filter"),
    "aria-label": t("filter"),
    value: filter,
    oninput: (event) => {
      filter = event.target.value.toLowerCase();
      draw(main, model);
    },
  });
  const box = h("input", {
    type: "checkbox",
    id: "errors",
    checked: errorsOnly,
    onchange: (event) => {
      errorsOnly = event.target.checked;
      draw(main, model);
    },
  });
  main.append(
    h("div.side", {}, h("div.tools", {}, input, h("label", {}, box, t("only_errors"))), h("ol.list", { id: "exchanges" })),
    h("article.detail", { id: "exchange" }),
  );
  showDetail(main);
}

export function draw(main, model) {
  const list = main.querySelector("#exchanges");
  if (!list) return;
  const shown = model.exchanges.filter(matches).slice(-300).reverse();
  fill(list, shown.length ? shown.map((exchange) => row(exchange, main, model)) : empty(t("no_traffic"), t("no_traffic_hint")));
  main.classList.toggle("has-detail", detail !== null);
}

export function close(main, model) {
  const before = chosen;
  chosen = 0;
  detail = null;
  showDetail(main);
  draw(main, model);
  document.getElementById(`exchange-${before}`)?.focus();
}

function matches(exchange) {
  if (errorsOnly && !isError(exchange)) return false;
  return !filter || `${exchange.path} ${exchange.title} ${exchange.code} ${exchange.mchid}`.toLowerCase().includes(filter);
}

function isError(exchange) {
  return exchange.status === 0 || exchange.status >= 400 || exchange.code !== "";
}

function row(exchange, main, model) {
  const choose = async () => {
    chosen = exchange.number;
    draw(main, model);
    detail = await get(`exchange?number=${exchange.number}`);
    if (chosen !== exchange.number) return;
    showDetail(main);
    draw(main, model);
  };
  const parts = [
    h("span.line", {}, h("b.method", {}, exchange.method), h("span.path", {}, exchange.path), statusBadge(exchange)),
    h(
      "span.line.small",
      {},
      h("span.grow", {}, exchange.title || exchange.protocol),
      exchange.fault ? badge(t("fault"), "note") : null,
      exchange.is_verified ? null : badge(t("refused"), "bad"),
      h("span", {}, `${exchange.ms} ms`),
    ),
  ];
  const current = exchange.number === chosen ? "true" : null;
  return h("li", {}, h("button", { type: "button", id: `exchange-${exchange.number}`, onclick: choose, "aria-current": current }, parts));
}

function statusBadge(exchange) {
  const text = [exchange.status || "✕", exchange.code].filter(Boolean).join(" ");
  return badge(text, isError(exchange) ? "bad" : "good");
}

function showDetail(main) {
  const place = main.querySelector("#exchange");
  if (!detail) {
    fill(place, empty(t("choose"), t("choose_hint")));
    return;
  }
  const { request, response } = detail;
  const back = h("button.back", { type: "button", onclick: () => document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true })) }, `← ${t("back")}`);
  fill(
    place,
    back,
    h("h2", {}, `${detail.method} ${detail.path}`),
    h("p.small", {}, [detail.title, detail.mchid, moment(detail.at), `${detail.ms} ms`].filter(Boolean).join(" · ")),
    h("p", {}, statusBadge(detail), " ", detail.is_verified ? badge(t("verified"), "good") : badge(t("refused"), "bad"), " ", detail.fault ? badge(`${t("fault")}: ${detail.fault}`, "note") : null),
    signature(detail.signature, detail.is_verified, detail.protocol),
    part(t("request"), `${detail.method} ${request.target}`, request),
    response ? part(t("response"), String(detail.status), response) : h("section", {}, h("h3", {}, t("response")), h("p", {}, t("no_response"))),
    detail.docs.length ? h("section", {}, h("h3", {}, t("docs")), h("ul", {}, detail.docs.map((link) => h("li", {}, h("a", { href: link, rel: "noreferrer", target: "_blank" }, link))))) : null,
  );
  place.scrollTop = 0;
}

function part(title, first, message) {
  const headers = Object.entries(message.headers).map(([name, value]) => `${name}: ${value}`).join("\n");
  return h(
    "section",
    {},
    h("h3", {}, title),
    h("pre", { tabindex: 0 }, first),
    message.body ? h("pre", { tabindex: 0 }, pretty(message.body)) : null,
    h("details", {}, h("summary", {}, t("headers")), h("pre", { tabindex: 0 }, headers)),
  );
}

function signature(found, isVerified, protocol) {
  if (!found) return h("section", {}, h("h3", {}, t("signed")), h("p.small", {}, t("unsigned")));
  const lines = found.lines.map((line) =>
    h("tr", {}, h("th", { scope: "row" }, line.name), h("td", {}, h("code", {}, line.text), h("span.feed", { "aria-hidden": "true" }, protocol === "v3" ? "⏎" : "&"))),
  );
  return h(
    `section.signed${found.mistake ? ".wrong" : isVerified ? ".right" : ""}`,
    {},
    h("h3", {}, t("signed")),
    found.mistake ? h("p.mistake", {}, sentence(found)) : null,
    h("p.small", {}, t(protocol === "v3" ? "signed_hint" : "fields_hint")),
    h("div.scroll", { tabindex: 0 }, h("table", {}, h("tbody", {}, lines))),
    found.signed ? parting(found) : null,
  );
}

function sentence(found) {
  return language() === "zh" ? t(`mistake_${found.mistake}`, found.reason) : found.reason;
}

/** Show both texts up to where they part, and what follows on each side. */
function parting(found) {
  const side = (title, text, kind) => {
    const rest = visible(text.slice(found.parts));
    return h("div", {}, h("h4", {}, title), h("pre", { tabindex: 0 }, visible(text.slice(0, found.parts)), h(`mark.${kind}`, { title: t("parts_here") }, rest || "∅")));
  };
  return h("div.sides", {}, side(t("expected_text"), found.text, "right"), side(t("signed_text"), found.signed, "wrong"));
}

function visible(text) {
  return text.replace(/\r/g, "␍").replace(/\n/g, "⏎\n");
}
