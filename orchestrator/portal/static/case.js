// A case as it moves: its story by server-sent events, the credential opened here, and what this device keeps of it.

import { say } from "./form.js";
import { find, forget } from "./keys.js";
import { bind, choose } from "./presentation.js";
import { openCredential, openReason } from "./seal.js";

let live = document.getElementById("live");

// Whatever happens, the server renders it: an event only says that there is something new.
async function refresh() {
  const response = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!response.ok || response.redirected) return location.reload();
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  if (Boolean(page.getElementById("credential")) !== Boolean(document.getElementById("credential"))) return location.reload();
  const fresh = page.querySelectorAll("[data-live]");
  document.querySelectorAll("[data-live]").forEach((part, n) => part.replaceWith(fresh[n]));
  live = document.getElementById("live");
  document.title = page.title;
}

function follow() {
  const stream = new EventSource(`/api/v1/cases/${live.dataset.case}/events`);
  let soon;
  const news = (event) => {
    if (Number(event.lastEventId) <= Number(live.dataset.last)) return;
    clearTimeout(soon);
    soon = setTimeout(refresh, 250);
  };
  for (const kind of live.dataset.events.split(" ")) stream.addEventListener(kind, news);
  // The server ends the stream of a closed case; the last step has no event of its own.
  stream.onerror = () => {
    stream.close();
    clearTimeout(soon);
    refresh().then(() => live.dataset.moving === "yes" && setTimeout(follow, 2000));
  };
}

if (live.dataset.moving === "yes") follow();

const device = document.querySelector("[data-device]");
const section = document.getElementById("credential");

async function show(known) {
  const response = await fetch(`/api/v1/cases/${section.dataset.case}/credential`, { headers: { accept: "application/json" } });
  const found = await response.json();
  if (!response.ok) throw new Error(say(found.detail, found.detail_en));
  const { claims, presentation } = await openCredential(found, section.dataset.case, known.pair);
  const labels = JSON.parse(section.dataset.labels);
  const list = section.querySelector("[data-claims]");
  list.replaceChildren(
    ...Object.entries(labels)
      .filter(([name]) => claims[name] !== undefined && claims[name] !== null)
      .map(([name, label]) => entry(name, say(label.zh, label.en), claims[name])),
  );
  section.querySelector("[data-present]").hidden = false;
  section.querySelector("[data-present] button").addEventListener("click", () => present(presentation, known.holder));
}

// Hands over what is ticked and nothing else; bound to the holder's key when the reader gave name and nonce.
async function present(presentation, holder) {
  const names = [...section.querySelectorAll("[data-claims] input:checked")].map((box) => box.value);
  const [audience, nonce] = ["audience", "nonce"].map((name) => section.querySelector(`[name=${name}]`).value.trim());
  let shown = choose(presentation, names);
  if (holder && audience && nonce) shown = await bind(shown, holder.pair, audience, nonce);
  const save = document.createElement("a");
  save.href = URL.createObjectURL(new Blob([shown], { type: "application/dc+sd-jwt" }));
  save.download = section.dataset.file;
  save.click();
  URL.revokeObjectURL(save.href);
}

function entry(name, label, value) {
  const [box, term, text] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
  const [choice, tick] = [document.createElement("label"), document.createElement("input")];
  Object.assign(tick, { type: "checkbox", value: name, checked: true });
  choice.append(tick, " ", label);
  term.append(choice);
  text.textContent = Array.isArray(value) ? value.join(say("、", ", ")) : typeof value === "object" ? JSON.stringify(value) : value;
  box.append(term, text);
  return box;
}

async function prepareCredential(known) {
  const [button, status] = [section.querySelector("[data-open]"), section.querySelector("[data-status]")];
  if (!known) {
    status.textContent = say("本浏览器没有打开它的密钥。", "This browser does not have the key that opens it.");
    return;
  }
  button.disabled = false;
  button.addEventListener("click", async () => {
    try {
      await show(known);
      button.hidden = true;
    } catch (error) {
      status.textContent = error.message || say("无法打开证照。", "The credential does not open.");
    }
  });
}

// Why a department replied as it did, opened here. The list is replaced when there is news, so the click is heard above it.
function prepareReplies(known) {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-reason]");
    if (!button) return;
    const text = document.createElement("p");
    try {
      if (!known) throw new Error(say("本浏览器没有打开它的密钥。", "This browser does not have the key that opens it."));
      text.textContent = await openReason(button.dataset.reply, button.dataset.reason, known.pair);
    } catch (error) {
      text.className = "fault";
      text.textContent = error.message || say("无法打开。", "It does not open.");
    }
    button.replaceWith(text);
  });
}

async function prepareDevice() {
  const { delivery, form } = device.dataset;
  const known = await find("keys", delivery);
  prepareReplies(known);
  if (section) await prepareCredential(known);
  if (!known && !(await find("forms", form))) return;
  const box = device.querySelector("[data-forget]");
  box.hidden = false;
  box.querySelector("[data-do]").addEventListener("click", async () => {
    await forget("keys", delivery);
    if (form) await forget("forms", form);
    location.reload();
  });
}

prepareDevice();
