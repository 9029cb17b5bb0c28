// Orders and transfers, and what payers and payees do with them.

import { act, badge, copyable, empty, facts, fill, h, moment, money, stateBadge, toast } from "./dom.js";
import { t } from "./texts.js";

let chosen = "";

const name = (order) => `${order.mchid}/${order.out_trade_no}`;
const find = (model) => model.state?.orders.find((order) => name(order) === chosen);

export function open(main, model) {
  const input = h("input", { type: "search", id: "scan", placeholder: t("scan"), "aria-label": t("scan") });
  const scan = (event) => {
    event.preventDefault();
    const wanted = input.value.trim();
    const order = model.state.orders.find((other) => [other.out_trade_no, other.code_url].includes(wanted));
    if (!order) {
      toast(t("not_found"), true);
      return;
    }
    chosen = name(order);
    draw(main, model);
  };
  main.append(
    h("div.side", {}, h("form.tools", { onsubmit: scan }, input, h("button", {}, t("scan_open"))), h("ol.list", { id: "orders" })),
    h("article.detail", { id: "order" }),
  );
}

export function draw(main, model) {
  const list = main.querySelector("#orders");
  if (!list || !model.state) return;
  const orders = [...model.state.orders].sort((a, b) => b.created - a.created);
  const transfers = [...model.state.transfers].reverse();
  fill(
    list,
    orders.length || transfers.length ? null : empty(t("no_orders"), t("no_orders_hint")),
    orders.map((order) => row(order, main, model)),
    transfers.length ? h("li.group", {}, t("transfers")) : null,
    transfers.map(transferRow),
  );
  showOrder(main.querySelector("#order"), model);
  main.classList.toggle("has-detail", Boolean(find(model)));
}

export function close(main, model) {
  const before = chosen;
  chosen = "";
  draw(main, model);
  document.getElementById(`order-${before}`)?.focus();
}

export function press(key, model) {
  const order = find(model);
  if (key !== "p" || !order) return false;
  pay(order);
  return true;
}

function row(order, main, model) {
  const choose = () => {
    chosen = name(order);
    draw(main, model);
  };
  const current = name(order) === chosen ? "true" : null;
  return h(
    "li",
    {},
    h(
      "button",
      { type: "button", id: `order-${name(order)}`, onclick: choose, "aria-current": current },
      h("span.line", {}, h("span.path", {}, order.out_trade_no), h("b", {}, money(order.total))),
      h("span.line.small", {}, h("span.grow", {}, order.description || order.trade_type), badge(order.protocol, "off"), stateBadge(order.state)),
    ),
  );
}

function transferRow(transfer) {
  const confirm = () => act("confirm-transfer", { out_bill_no: transfer.out_bill_no, mchid: transfer.mchid }, t("confirmed"));
  return h(
    "li.transfer",
    {},
    h("span.line", {}, h("span.path", {}, transfer.out_bill_no), h("b", {}, money(transfer.transfer_amount))),
    h("span.line.small", {}, h("span.grow", {}, transfer.transfer_remark), badge(transfer.state, transfer.state === "SUCCESS" ? "good" : "wait")),
    transfer.state === "WAIT_USER_CONFIRM" ? h("button.plain", { type: "button", onclick: confirm }, t("confirm")) : null,
  );
}

function pay(order) {
  return act("pay", { out_trade_no: order.out_trade_no, mchid: order.mchid }, t("paid"));
}

function showOrder(place, model) {
  const order = find(model);
  if (!order) {
    fill(place, empty(t("choose"), t("choose_hint")));
    return;
  }
  // What is being typed must survive the events that arrive meanwhile.
  const typed = place.querySelector("#amount");
  const key = JSON.stringify(order) + document.documentElement.lang;
  if (place.dataset.shown === key) return;
  const amount = typed && document.activeElement === typed ? typed.value : "";
  place.dataset.shown = key;
  const back = h("button.back", { type: "button", onclick: () => document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true })) }, `← ${t("back")}`);
  const address = `/_sandbox/phone.html?${new URLSearchParams({ order: order.out_trade_no, mchid: order.mchid })}`;
  fill(
    place,
    back,
    h("h2", {}, order.out_trade_no, " ", stateBadge(order.state)),
    h(
      "div.order",
      {},
      h("div", {}, actions(order, amount), details(order)),
      order.code_url
        ? h("a.code", { href: address, target: "_blank", title: t("phone_hint") }, h("img", { src: `/_sandbox/qr?text=${encodeURIComponent(order.code_url)}`, alt: t("phone_hint"), width: 176, height: 176 }), h("span", {}, t("phone")))
        : h("a.code", { href: address, target: "_blank" }, h("span.handset", { "aria-hidden": "true" }, "📱"), h("span", {}, t("phone"))),
    ),
    order.refunds.length ? h("section", {}, h("h3", {}, t("refunds")), h("ul.refunds", {}, order.refunds.map((refund) => refundRow(order, refund)))) : null,
  );
}

function actions(order, typed) {
  const given = { out_trade_no: order.out_trade_no, mchid: order.mchid };
  if (order.state === "NOTPAY" || order.state === "USERPAYING") {
    return h(
      "p.actions",
      {},
      h("button.primary", { type: "button", id: "pay", onclick: () => pay(order), disabled: !order.is_payable && order.protocol === "v3" }, `${t("pay")} ${money(order.total)}`),
      h("button", { type: "button", id: "decline", onclick: () => act("decline", given, t("declined")) }, t("decline")),
      h("button", { type: "button", id: "expire", onclick: () => act("expire", given, t("expired")) }, t("expire")),
    );
  }
  const left = order.total - order.refunded;
  if (!order.payment || !left) return null;
  const input = h("input", { id: "amount", type: "number", min: 1, max: left, value: typed || left, required: true, "aria-label": t("refund_amount") });
  const refund = (event) => {
    event.preventDefault();
    act("refund", { ...given, amount: Number(input.value) }, t("refunded"));
  };
  return h("form.actions", { onsubmit: refund }, h("label", { for: "amount" }, t("refund_amount")), input, h("button.primary", { id: "refund" }, t("refund")));
}

function details(order) {
  return facts([
    ["description", order.description],
    ["total", `${money(order.total)} ${order.currency}`],
    ["refunded_sum", order.refunded ? money(order.refunded) : ""],
    ["trade_type", `${order.trade_type} · ${order.protocol}`],
    ["merchant", order.mchid],
    ["created", moment(order.created)],
    ["paid_at", order.payment ? moment(order.payment.at) : ""],
    ["payer", order.payment?.openid || order.openid || t("anybody")],
    ["transaction_id", order.payment?.transaction_id || ""],
    ["notify_url", order.notify_url],
    ["code_url", order.code_url ? h("span", {}, h("code", {}, order.code_url), " ", copyable(order.code_url, "code_url")) : ""],
    ["prepay_id", order.code_url ? "" : order.prepay_id],
  ]);
}

function refundRow(order, refund) {
  const settle = (status) => () => act("settle-refund", { out_refund_no: refund.out_refund_no, status, mchid: order.mchid }, t("settled"));
  const isOpen = ["PROCESSING", "ABNORMAL"].includes(refund.status);
  return h(
    "li",
    {},
    h("span.line", {}, h("span.path", {}, refund.out_refund_no || refund.refund_id), h("b", {}, money(refund.amount)), badge(refund.status, refund.status === "SUCCESS" ? "good" : "wait")),
    isOpen ? h("span.actions", {}, ["SUCCESS", "ABNORMAL", "CLOSED"].map((status) => h("button.plain", { type: "button", onclick: settle(status) }, t(`settle_${status}`)))) : null,
  );
}
