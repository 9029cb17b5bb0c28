// What the payer sees on the phone after scanning the code of an order.

import { act, fill, get, h, money } from "./dom.js";
import { t, translate } from "./texts.js";

const query = new URLSearchParams(location.search);
const place = document.getElementById("phone");
let drawn = "";

async function draw() {
  const state = await get("state?limit=1000");
  const order = state.orders.find((other) => other.out_trade_no === query.get("order") && (!query.get("mchid") || other.mchid === query.get("mchid")));
  const key = JSON.stringify(order ?? null);
  if (key === drawn) return;
  drawn = key;
  if (!order) show(h("p.big", {}, "⚠"), h("h1", {}, t("not_found")));
  else if (order.payment) showPaid(order);
  else if (!order.is_payable) show(h("p.big", {}, "⌛"), h("h1", {}, t("phone_gone")));
  else showOrder(order);
}

function show(...children) {
  fill(place, h("header", {}, h("span", { "aria-hidden": "true" }, "9:41"), h("b", {}, t("phone_title"))), h("div.screen", {}, children));
}

function showPaid(order) {
  show(h("p.big.done", { "aria-hidden": "true" }, "✓"), h("h1", {}, t("phone_done")), h("p.amount", {}, money(order.total)), h("p.small", {}, order.description));
}

function showOrder(order) {
  const given = { out_trade_no: order.out_trade_no, mchid: order.mchid };
  const row = (name, value) => h("p.row", {}, h("span", {}, t(name)), h("span", {}, value));
  show(
    h("p.payee", {}, order.description || order.out_trade_no),
    h("p.amount", {}, money(order.total)),
    row("phone_payee", order.mchid),
    row("payer", order.openid || t("anybody")),
    row("phone_method", t("phone_balance")),
    h("button.primary.large", { type: "button", id: "pay", autofocus: true, onclick: () => act("pay", given).then(draw) }, t("phone_now")),
    h("button.large", { type: "button", id: "decline", onclick: () => act("decline", given, t("declined")).then(draw) }, t("phone_cancel")),
  );
  document.getElementById("pay").focus();
}

const theme = localStorage.getItem("theme");
if (theme) document.documentElement.dataset.theme = theme;
translate();
document.title = t("phone");
new EventSource("/_sandbox/events").addEventListener("change", draw);
draw();
