// Callbacks that were attempted, those that wait, and new ones.

import { act, badge, empty, fill, h, moment } from "./dom.js";
import { t } from "./texts.js";

const EVENTS = ["TRANSACTION.SUCCESS", "REFUND.SUCCESS", "REFUND.ABNORMAL", "REFUND.CLOSED", "MCHTRANSFER.BILL.FINISHED", "PAPAY.SIGN", "PAYSCORE.USER_PAID", "PROFITSHARING.SUCCESS", "COMPLAINT.CREATE", "v2/payment", "v2/refund"];

export function open(main) {
  const event = h("input", { id: "event", list: "events", value: "TRANSACTION.SUCCESS", required: true });
  const url = h("input", { id: "url", type: "url", value: "http://127.0.0.1:8000/notify", required: true });
  const send = (submitted) => {
    submitted.preventDefault();
    act("trigger", { event: event.value, url: url.value }, t("triggered"));
  };
  main.append(
    h(
      "form.card",
      { onsubmit: send },
      h("h2", {}, t("trigger")),
      h("p.small", {}, t("trigger_hint")),
      h("div.fields", {}, h("label", {}, t("event"), event), h("label.wide", {}, t("url"), url), h("button.primary", {}, t("trigger"))),
      h("datalist", { id: "events" }, EVENTS.map((name) => h("option", { value: name }))),
    ),
    h("div", { id: "deliveries" }),
  );
}

export function draw(main, model) {
  const place = main.querySelector("#deliveries");
  if (!place || !model.state) return;
  const { attempts, waiting } = model.state;
  fill(
    place,
    attempts.length || waiting.length ? null : empty(t("no_attempts"), t("no_attempts_hint")),
    waiting.length ? table("waiting", ["event", "url", "number", "due"], waiting.map((task) => [task.event, task.url, task.attempts + 1, moment(task.due)])) : null,
    attempts.length
      ? table(
          "attempts",
          ["at", "event", "url", "number", "reply", "resend"],
          [...attempts].reverse().map((attempt) => [
            moment(attempt.at),
            attempt.event,
            attempt.url,
            attempt.number,
            h("span", { title: attempt.reply }, badge(attempt.status || t("no_reply"), attempt.is_acknowledged ? "good" : "bad"), attempt.is_probe ? badge(t("probe"), "note") : null),
            resend(attempt),
          ]),
        )
      : null,
  );
}

function resend(attempt) {
  const send = () => act("resend", { event_id: attempt.id, mchid: attempt.mchid }, t("triggered"));
  return h("button.plain", { type: "button", onclick: send, disabled: attempt.is_probe, "aria-label": `${t("resend")}: ${attempt.id}` }, t("resend"));
}

function table(title, names, rows) {
  return h(
    "section.card",
    {},
    h("h2", {}, t(title)),
    h(
      "div.scroll",
      { tabindex: 0 },
      h(
        "table.rows",
        {},
        h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, t(name))))),
        h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell) => h("td", {}, cell))))),
      ),
    ),
  );
}
