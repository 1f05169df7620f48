// Checking a credential on the reader's own device: nothing of it is sent anywhere but its case id, when the reader asks the chain.

import { say } from "./form.js";
import { readPresentation } from "./presentation.js";

const form = document.querySelector("form[data-credential]");
const keys = JSON.parse(form.dataset.keys);
const names = JSON.parse(form.dataset.names);
const labels = JSON.parse(form.dataset.labels);
const status = form.querySelector("[data-status]");
const list = form.querySelector("[data-claims]");
const onward = form.querySelector("[data-onward]");

const FAULTS = {
  form: ["这不是电子证照文件", "This is no credential"],
  key: ["签名所用的密钥不是该席位在链上登记的密钥", "It is not signed with the key that the seat has on chain"],
  signature: ["签名不正确：内容被改动过，或不是该部门签发", "The signature is wrong: it was changed, or that department never signed it"],
  binding: ["出示人没有证照所绑定的密钥，或内容与其出示的不符", "Whoever shows it does not hold the key that it is bound to, or it is not what they showed"],
  disclosure: ["其中有不属于这份证照的内容", "It holds something that does not belong to it"],
};

function entry(label, value) {
  const [box, term, text] = ["div", "dt", "dd"].map((name) => document.createElement(name));
  term.textContent = label;
  text.textContent = typeof value === "object" ? JSON.stringify(value) : value;
  box.append(term, text);
  return box;
}

function shownBy(payload, binding) {
  if (binding) {
    const made = new Date(binding.iat * 1000).toLocaleString();
    return say(
      `由持证人于 ${made} 向“${binding.aud}”出示，随机数 ${binding.nonce}：请核对是否给您的。`,
      `Shown by its holder at ${made} to “${binding.aud}” with nonce ${binding.nonce}: make sure that this is you. `,
    );
  }
  return payload.cnf ? say("未证明出示人就是持证人。", "That its holder shows it is not proven. ") : "";
}

async function check() {
  list.replaceChildren();
  onward.hidden = true;
  const { issuer, payload, claims, binding } = await readPresentation(form.elements.credential.value, keys);
  const expired = payload.exp !== undefined && payload.exp * 1000 < Date.now();
  status.textContent =
    say(`签名正确，由${names[issuer].zh}签发。`, `Rightly signed by ${names[issuer].en}. `) +
    shownBy(payload, binding) +
    (expired ? say("已过有效期。", "It has expired. ") : "") +
    say("是否有效，请再查链上状态。", "Whether it counts, ask the chain.");
  status.classList.toggle("fault", expired);
  list.replaceChildren(
    ...Object.entries(claims).map(([name, value]) => entry(labels[name] ? say(labels[name].zh, labels[name].en) : name, value)),
  );
  onward.href = `/verify?case=${encodeURIComponent(payload.status?.lianban_case?.case ?? "")}`;
  onward.hidden = false;
}

form.querySelector("input[type=file]").addEventListener("change", async (event) => {
  form.elements.credential.value = await event.target.files[0].text();
});
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await check();
  } catch (error) {
    const fault = FAULTS[error.message] ?? [error.message, error.message];
    status.textContent = say(fault[0], fault[1]);
    status.classList.add("fault");
  }
});
form.querySelector("button").disabled = false; // without this script nothing of the form may be sent
