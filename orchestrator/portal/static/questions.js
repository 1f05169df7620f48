// Answers may bring up further questions: the page is asked for again as soon as one changes.

const form = document.querySelector("form[data-questions]");
form.addEventListener("change", (event) => {
  if (!event.target.matches("[data-refresh]")) return;
  const url = new URL(form.action);
  for (const [name, value] of new FormData(form)) if (value !== "") url.searchParams.append(name, value);
  const wanted = event.target.id || event.target.name;
  fetch(url, { headers: { accept: "text/html" } })
    .then((response) => response.text())
    .then((text) => {
      const fresh = new DOMParser().parseFromString(text, "text/html").querySelector("form[data-questions]");
      if (!fresh || sameQuestions(fresh)) return;
      form.replaceChildren(...fresh.childNodes);
      (document.getElementById(wanted) || form.querySelector(`[name="${wanted}"]:checked`))?.focus();
    })
    .catch(() => {}); // the button asks again
});

function sameQuestions(fresh) {
  const names = (root) => [...new Set([...root.querySelectorAll("[name]")].map((input) => input.name))].join();
  return names(fresh) === names(form);
}
