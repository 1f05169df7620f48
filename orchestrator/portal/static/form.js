// Forms on the page: rows of lists, ranges, and what was filled in as JSON, by the names and types of the inputs.

export const lang = document.documentElement.lang === "en" ? "en" : "zh";
export const say = (zh, en) => (lang === "en" ? en : zh);

// Rows of a list can be added and removed.
export function prepareLists(form) {
  for (const list of form.querySelectorAll("[data-list]")) {
    const add = list.querySelector("[data-add]");
    add.hidden = false;
    add.addEventListener("click", () => addRow(list).querySelector("input, select, textarea").focus());
    list.addEventListener("click", (event) => {
      const rows = list.querySelectorAll(":scope > [data-row]");
      if (event.target.matches("[data-remove]") && rows.length > 1) event.target.closest("[data-row]").remove();
    });
    for (const button of list.querySelectorAll("[data-remove]")) button.hidden = false;
  }
}

export function addRow(list) {
  const template = list.querySelector("template");
  const prefix = `${list.dataset.list}.`;
  const number = 1 + Math.max(-1, ...rowNumbers(list, prefix));
  const row = template.content.firstElementChild.cloneNode(true);
  for (const input of row.querySelectorAll("[name]")) {
    const id = input.id;
    input.name = input.name.replace(`${prefix}N.`, `${prefix}${number}.`);
    if (!id) continue;
    input.id = id.replace("-N-", `-${number}-`);
    row.querySelector(`label[for="${id}"]`)?.setAttribute("for", input.id);
  }
  row.querySelector("[data-remove]").hidden = false;
  template.before(row);
  return row;
}

const rowNumbers = (list, prefix) =>
  [...list.querySelectorAll(":scope > [data-row] [name]")].map((input) => Number(input.name.slice(prefix.length).split(".")[0]));

// Numbers outside of their range are faults of the form like any other.
export function checkRanges(form) {
  for (const input of form.querySelectorAll("[data-min], [data-max]")) {
    const value = Number(input.value);
    const { min, max } = input.dataset;
    const outside = input.value !== "" && ((min !== undefined && value < Number(min)) || (max !== undefined && value > Number(max)));
    input.setCustomValidity(outside ? say(`应在 ${min ?? "…"} 与 ${max ?? "…"} 之间`, `between ${min ?? "…"} and ${max ?? "…"}`) : "");
  }
}

// Everything named `<prefix>.…` as one tree; what is empty is left out.
export function collect(form, prefix) {
  const tree = {};
  for (const [name, text] of new FormData(form)) {
    if (!name.startsWith(`${prefix}.`) || typeof text !== "string" || text.trim() === "") continue;
    const found = form.elements[name];
    const input = found instanceof RadioNodeList ? found[0] : found;
    const steps = name.slice(prefix.length + 1).split(".");
    const last = steps.pop();
    let place = tree;
    for (const step of steps) place = place[step] ??= {};
    place[last] = typed(input.dataset.type, text.trim());
  }
  for (const [name, value] of Object.entries(tree)) if (isRows(value)) tree[name] = Object.values(value);
  return tree;
}

function typed(type, text) {
  if (type === "boolean") return text === "true";
  if (type === "integer") return Number(text);
  if (type === "lines") return text.split("\n").map((line) => line.trim()).filter(Boolean);
  return text;
}

const isRows = (value) =>
  value !== null && typeof value === "object" && !Array.isArray(value) && Object.keys(value).every((key) => /^\d+$/.test(key));

// Puts a tree that `collect` made back into the form.
export function fill(form, prefix, tree) {
  for (const [name, value] of Object.entries(tree)) {
    const list = form.querySelector(`[data-list="${prefix}.${name}"]`);
    if (list && Array.isArray(value)) {
      while (list.querySelectorAll(":scope > [data-row]").length < value.length) addRow(list);
      const rows = [...new Set(rowNumbers(list, `${prefix}.${name}.`))].sort((a, b) => a - b);
      value.forEach((record, n) => fill(form, `${prefix}.${name}.${rows[n]}`, record));
    } else if (value !== null && typeof value === "object" && !Array.isArray(value)) fill(form, `${prefix}.${name}`, value);
    else put(form, `${prefix}.${name}`, Array.isArray(value) ? value.join("\n") : String(value));
  }
}

function put(form, name, text) {
  const found = form.elements[name];
  if (found) found.value = text;
}
