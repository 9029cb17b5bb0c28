// Faults that wait for a request, and new ones.

import { act, copyable, empty, fill, get, h } from "./dom.js";
import { t } from "./texts.js";

let kinds = [];
let chosen = "ErrorResponse";

export async function open(main, model) {
  main.append(h("div", { id: "fault-form" }), h("div", { id: "fault-list" }));
  kinds = kinds.length ? kinds : await get("fault-kinds");
  showForm(main.querySelector("#fault-form"));
  draw(main, model);
}

export function draw(main, model) {
  const place = main.querySelector("#fault-list");
  if (!place || !model.state) return;
  const rows = model.state.faults.map((fault) =>
    h("tr", {}, h("td", {}, h("code", {}, fault.fault)), h("td", {}, fault.left ?? t("all")), h("td", {}, fault.path ?? t("all")), h("td", {}, fault.probability)),
  );
  if (!rows.length) {
    fill(place, empty(t("no_faults"), t("no_faults_hint")));
    return;
  }
  const heads = ["kind", "left", "path", "probability"].map((name) => h("th", { scope: "col" }, t(name)));
  fill(
    place,
    h(
      "section.card",
      {},
      h("h2", {}, t("waiting")),
      h("div.scroll", { tabindex: 0 }, h("table.rows", {}, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, rows))),
      h("p.actions", {}, h("button", { type: "button", id: "clear", onclick: () => act("clear-faults", {}, t("cleared")) }, t("clear"))),
    ),
  );
}

function showForm(place) {
  if (!place) return;
  const kind = kinds.find((other) => other.fault === chosen);
  const choose = (event) => {
    chosen = event.target.value;
    showForm(place);
  };
  const select = h("select", { id: "kind", onchange: choose }, kinds.map((other) => h("option", { value: other.fault, selected: other.fault === chosen }, other.fault)));
  const fields = kind.fields.map((field) => ({ ...field, input: makeInput(field) }));
  const times = h("input", { id: "times", type: "number", min: 1, value: 1 });
  const path = h("input", { id: "path", placeholder: "v3/pay/transactions/native" });
  const probability = h("input", { id: "probability", type: "number", min: 0.01, max: 1, step: 0.01, value: 1 });
  const header = h("code", { id: "header" });
  const form = h("form.card", {}, [
    h("h2", {}, t("inject")),
    h("div.fields", {}, h("label", {}, t("kind"), select), h("p.small.wide", {}, kind.text)),
    h("div.fields", {}, fields.map((field) => h("label", {}, field.name, field.input))),
    h("div.fields", {}, h("label", {}, t("times"), times), h("label.wide", {}, t("path"), path), h("label", {}, t("probability"), probability), h("button.primary", { id: "inject" }, t("inject"))),
    h("p.small", {}, `${t("as_header")}: `, header, " ", h("span", { id: "header-copy" })),
  ]);
  const update = () => {
    const pairs = Object.entries(read(fields)).map(([name, value]) => `; ${name}=${value}`);
    header.textContent = `Wechatpay-Sandbox-Fault: ${chosen}${pairs.join("")}`;
    form.querySelector("#header-copy").replaceChildren(copyable(header.textContent, t("as_header")));
  };
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const where = { times: times.value ? Number(times.value) : null, probability: Number(probability.value) };
    if (path.value) where.path = path.value;
    act("inject", { fault: chosen, ...where, ...read(fields) }, t("injected"));
  });
  fill(place, form);
  update();
}

function makeInput(field) {
  const id = `field-${field.name}`;
  if (field.type === "bool") return h("input", { id, type: "checkbox", checked: field.default });
  const isNumber = field.type === "int" || field.type === "float";
  const value = field.default ?? (isNumber ? 1 : "");
  return h("input", { id, type: isNumber ? "number" : "text", step: field.type === "float" ? "any" : null, value });
}

/** Read the fields that differ from their defaults. */
function read(fields) {
  const given = {};
  for (const { name, type, input, default: usual } of fields) {
    const value = type === "bool" ? input.checked : type === "str" ? input.value : Number(input.value);
    if (value !== usual) given[name] = value;
  }
  return given;
}
