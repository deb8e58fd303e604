// Adds comfort to pages that work without it: the menu, search while typing, ticking all rows.
(() => {
  "use strict";
  document.documentElement.classList.add("js");

  const menu = document.querySelector("button.menu");
  const nav = document.getElementById("nav");
  if (menu && nav) {
    menu.addEventListener("click", () => {
      const open = nav.classList.toggle("open");
      menu.setAttribute("aria-expanded", String(open));
    });
  }

  // The summary of errors is what somebody wants to know first.
  const errors = document.getElementById("errors");
  if (errors) errors.focus();

  // One box ticks all rows; another line says how many are ticked.
  document.addEventListener("change", (event) => {
    const box = event.target;
    if (!(box instanceof HTMLInputElement) || box.type !== "checkbox") return;
    const form = box.form;
    if (!form) return;
    const rows = [...form.elements].filter((item) => item.name === "device");
    if (box.dataset.all !== undefined) rows.forEach((row) => { row.checked = box.checked; });
    const ticked = rows.filter((row) => row.checked).length;
    const all = form.querySelector("[data-all]");
    if (all) {
      all.checked = ticked === rows.length && ticked > 0;
      all.indeterminate = ticked > 0 && ticked < rows.length;
    }
    const count = form.querySelector("[data-ticked]");
    const every = form.querySelector("[data-every]");
    if (count && every && every.checked) count.textContent = "All devices of the list";
    else if (count) count.textContent = ticked === 1 ? "1 device ticked" : `${ticked} devices ticked`;
  });

  // Fields of a step are shown where the step asks for them.
  const steps = { scheduled: ["due", "owner", "replacement"], removed: ["owner", "replacement"], exempt: ["reason", "exempt_until"], found: ["reason"] };
  const fit = (form) => {
    const state = form.elements.namedItem("state");
    if (!state) return;
    form.querySelectorAll("[data-field]").forEach((field) => {
      const name = field.dataset.field;
      if (name !== "state") field.hidden = !(steps[state.value] || []).includes(name);
    });
  };
  const fitAll = () => document.querySelectorAll("form[data-steps]").forEach((form) => {
    fit(form);
    form.addEventListener("change", () => fit(form));
  });
  fitAll();

  // Search while typing: the same page is asked, its results replace those that stand here.
  const search = document.querySelector("form[data-search]");
  if (!search) return;
  let timer = 0;
  let asked = null;
  const status = document.getElementById("status");
  const renew = async () => {
    const given = new URLSearchParams(new FormData(search));
    [...given.keys()].forEach((key) => { if (given.getAll(key).every((value) => value === "")) given.delete(key); });
    const address = `${search.action.split("?")[0]}?${given}`;
    if (asked) asked.abort();
    asked = new AbortController();
    const results = document.getElementById("results");
    results.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(address, { signal: asked.signal, headers: { Accept: "text/html" } });
      if (answer.redirected) { window.location.assign(address); return; }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("results");
      if (!fresh) { window.location.assign(address); return; }
      results.replaceWith(document.importNode(fresh, true));
      window.history.replaceState(null, "", address);
      fitAll();
      if (status) status.textContent = fresh.dataset.count || "";
    } catch (fault) {
      if (fault.name !== "AbortError") window.location.assign(address);
    }
  };
  search.addEventListener("input", (event) => {
    if (event.target.name !== "q") return;
    window.clearTimeout(timer);
    timer = window.setTimeout(renew, 250);
  });
})();
