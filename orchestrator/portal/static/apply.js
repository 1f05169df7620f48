// The application: form and materials are sealed here, before they leave this device, to the approvers' keys.

import { checkRanges, collect, fill, prepareLists, say } from "./form.js";
import { find, keep } from "./keys.js";
import { newHolderKey } from "./presentation.js";
import { newDeliveryKey, publicJwk, sealForm, sealMaterial } from "./seal.js";
import { SEALING_KEY, sealingJwk } from "./suite.js";

const MOST_BYTES = 8 * 1024 * 1024; // of the whole request, as the API reads it
const form = document.querySelector("form[data-apply]");
const button = form.querySelector(".actions button");
const status = form.querySelector("[data-status]");
const recipients = JSON.parse(form.dataset.recipients);
const idempotencyKey = crypto.randomUUID?.() ?? String(Math.random()).slice(2);
let remembered;

const tell = (text, bad = false) => {
  status.textContent = text;
  status.classList.toggle("fault", bad);
};

async function prepare() {
  if (!globalThis.isSecureContext) throw new Error(say("加密需要安全连接(https)。", "Sealing needs a secure connection (https)."));
  await newDeliveryKey().catch(() => {
    throw new Error(say(`此浏览器不支持 ${SEALING_KEY},请更新浏览器。`, `This browser lacks ${SEALING_KEY}; please update it.`));
  });
  prepareLists(form);
  remembered = await find("forms", form.dataset.form);
  if (remembered) {
    fill(form, "q", remembered.values);
    for (const slot of form.querySelectorAll("[data-material]")) markKept(slot);
  }
  button.disabled = false;
}

const rememberedMaterial = (id) => remembered?.materials.find((material) => material.id === id);

function markKept(slot) {
  if (!rememberedMaterial(slot.dataset.material)) return;
  slot.querySelector("[data-kept]").hidden = false;
  const file = slot.querySelector("input[type=file]");
  file.required = false;
  // What was declared with a kept material is sealed in it: the inputs count for a new file only.
  const declared = slot.querySelectorAll("[data-type]");
  const show = () => declared.forEach((input) => (input.closest(".field").hidden = input.disabled = !file.files.length));
  file.addEventListener("change", show);
  show();
}

// A material that may stay away demands nothing of its inputs while no file is chosen.
function relaxOptional() {
  for (const slot of form.querySelectorAll("[data-material]")) {
    const file = slot.querySelector("input[type=file]");
    if (file.required || rememberedMaterial(slot.dataset.material)) continue;
    for (const input of slot.querySelectorAll("[data-type]")) input.disabled = !file.files.length;
  }
}

async function materials() {
  const declared = collect(form, "m");
  const fresh = [];
  const listed = [];
  for (const slot of form.querySelectorAll("[data-material]")) {
    const id = slot.dataset.material;
    const file = slot.querySelector("input[type=file]").files[0];
    if (file) {
      tell(say(`正在加密:${file.name}`, `Sealing ${file.name}`));
      const content = new Uint8Array(await file.arrayBuffer());
      const media_type = file.type || "application/octet-stream";
      const sealed = await sealMaterial({ id, filename: file.name, media_type, content, fields: declared[id] ?? {} }, recipients);
      fresh.push(sealed);
      listed.push(sealed);
    } else if (rememberedMaterial(id)) listed.push(rememberedMaterial(id));
  }
  return [fresh, listed.map(({ id, hash }) => ({ id, hash }))];
}

// The credential will be sealed to `delivery` and bound to `holder`; neither key leaves this browser.
async function ownKeys() {
  const known = await find("keys", form.dataset.delivery);
  if (known) return { delivery: sealingJwk(known.x), holder: known.holder.jwk };
  const [pair, holder] = [await newDeliveryKey(), await newHolderKey()];
  const delivery = await publicJwk(pair);
  await keep("keys", { x: delivery.x, pair, holder });
  return { delivery, holder: holder.jwk };
}

// A bank account is asked for again rather than left on the device.
const memorable = (values) =>
  Object.fromEntries(Object.entries(values).filter(([name]) => !form.querySelector(`[data-secret="${name}"]`)));

async function submit() {
  const values = collect(form, "q");
  const [fresh, listed] = await materials();
  const sealed = await sealForm(values, listed, recipients);
  const body = { answers: JSON.parse(form.dataset.answers), form: sealed, materials: fresh, ...(await ownKeys()) };
  if (!form.dataset.delivery) body.scenario = form.dataset.scenario;
  const text = JSON.stringify(body);
  if (text.length > MOST_BYTES) throw new Error(say("材料过大，请压缩后再选。", "The files are too large; please make them smaller."));
  await keep("forms", { hash: sealed.hash, values: memorable(values), materials: listed });
  tell(say("正在提交…", "Sending…"));
  const response = await fetch(form.dataset.post, {
    method: "POST",
    headers: { "content-type": "application/json", "idempotency-key": idempotencyKey + sealed.hash.slice(2, 34) },
    body: text,
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(say(answer.detail, answer.detail_en));
  location.assign(answer.authorize_url);
}

form.addEventListener("input", () => checkRanges(form));
form.addEventListener("change", relaxOptional);
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  try {
    await submit();
  } catch (error) {
    tell(error.message, true);
    button.disabled = false;
  }
});

prepare()
  .then(relaxOptional)
  .catch((error) => tell(error.message, true));
