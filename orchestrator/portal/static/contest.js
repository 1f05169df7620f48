// A contest: why a department's claim is wrong is sealed here, before it leaves this device, to that department's key.

import { say } from "./form.js";
import { newDeliveryKey, sealStatement } from "./seal.js";

const MOST_BYTES = 3 * 1024 * 1024; // of all files together, as the API takes it

const tell = (form, text, bad = false) => {
  const status = form.querySelector("[data-status]");
  status.textContent = text;
  status.classList.toggle("fault", bad);
};

async function files(form) {
  const chosen = [...form.elements.files.files];
  if (chosen.reduce((size, file) => size + file.size, 0) > MOST_BYTES)
    throw new Error(say("附件总计不能超过 3 MB。", "No more than 3 MB of files, please."));
  return Promise.all(
    chosen.map(async (file) => ({
      filename: file.name,
      media_type: file.type || "application/octet-stream",
      content: new Uint8Array(await file.arrayBuffer()),
    })),
  );
}

async function submit(form) {
  const claims = [...form.querySelectorAll("[name=claims]:checked")].map((box) => box.value);
  if (!claims.length) throw new Error(say("请勾选有误的内容。", "Please tick what is wrong."));
  const { item, index, seat, sealing, post } = form.dataset;
  const statement = await sealStatement(form.elements.why.value, await files(form), { [seat]: JSON.parse(sealing) });
  tell(form, say(`正在提交… 理由校验码 ${statement.hash.slice(2, 14)}`, `Sending… check code ${statement.hash.slice(2, 14)}`));
  const response = await fetch(post, {
    method: "POST",
    headers: { "content-type": "application/json", "idempotency-key": `contest-${statement.hash.slice(2, 34)}` },
    body: JSON.stringify({ item, index: Number(index), claims, statement }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(say(answer.detail, answer.detail_en));
  location.assign(answer.authorize_url);
}

async function prepare(form) {
  const button = form.querySelector(".actions button");
  if (!globalThis.isSecureContext) throw new Error(say("加密需要安全连接(https)。", "Sealing needs a secure connection (https)."));
  await newDeliveryKey(); // throws where the browser lacks the algorithm
  button.disabled = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await submit(form);
    } catch (error) {
      tell(form, error.message, true);
      button.disabled = false;
    }
  });
}

for (const form of document.querySelectorAll("[data-contest]")) prepare(form).catch((error) => tell(form, error.message, true));
