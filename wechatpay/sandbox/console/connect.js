// The settings of clients, and the state as a whole.

import { act, copyable, get, h, toast } from "./dom.js";
import { t } from "./texts.js";

export async function open(main) {
  const place = h("div", { id: "settings" });
  main.append(place, stateCard());
  const settings = await get("settings");
  const all = settings.merchants ?? { [settings.mchid]: settings };
  place.replaceChildren(...Object.values(all).map(card));
}

export function draw() {}

function card(settings) {
  const rows = flatten(settings).map(([name, value]) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, name),
      h("td", {}, value.includes("\n") ? h("details", {}, h("summary", {}, value.split("\n")[0]), h("pre", { tabindex: 0 }, value)) : h("code", {}, value)),
      h("td", {}, copyable(value, name)),
    ),
  );
  return h("section.card", {}, h("h2", {}, `${t("settings")} · ${settings.mchid}`), h("p.small", {}, t("settings_hint")), h("div.scroll", { tabindex: 0 }, h("table.settings", {}, h("tbody", {}, rows))));
}

function flatten(value, prefix = "") {
  return Object.entries(value).flatMap(([name, inner]) =>
    typeof inner === "string" ? [[prefix + name, inner]] : flatten(inner, `${prefix}${name}.`),
  );
}

function stateCard() {
  const rotate = async () => {
    const made = await act("rotate", {});
    if (made) toast(t("rotated") + made.serial);
  };
  return h(
    "section.card",
    {},
    h("h2", {}, t("state")),
    h("p.small", {}, t("reset_hint")),
    h("p.actions", {}, h("button.danger", { type: "button", id: "reset", onclick: () => act("reset", {}, t("reset_done")) }, t("reset")), h("button", { type: "button", id: "rotate", onclick: rotate }, t("rotate"))),
  );
}
