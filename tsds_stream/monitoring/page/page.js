// Fetches the page anew every few seconds and puts its main part in place of the old one. Without this script the page
// is complete; it only grows old.
"use strict";

(() => {
  const interval = 5000;
  const patience = 60000; // how long a selection of text keeps the page from changing
  const contact = document.getElementById("contact");
  let answered = Date.now();
  let state = document.getElementById("main").dataset.state;
  let timer = 0;
  let running = null;
  let selecting = 0;

  async function refresh() {
    clearTimeout(timer);
    if (document.hidden || running) return;
    running = new AbortController();
    const limit = setTimeout(() => running.abort(), 2 * interval);
    try {
      const answer = await fetch("/", { cache: "no-store", headers: { Accept: "text/html" }, signal: running.signal });
      if (!answer.ok) throw new Error(`the answer was ${answer.status}`);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const main = page.getElementById("main");
      if (!main) throw new Error("the answer was another page");
      answered = Date.now();
      say("");
      if (!isSelecting()) replace(page, main);
    } catch (error) {
      say(`No answer since ${new Date(answered).toLocaleTimeString()}: what you see is from then.`);
    } finally {
      clearTimeout(limit);
      running = null;
      if (!document.hidden) timer = setTimeout(refresh, interval);
    }
  }

  function replace(page, main) {
    const old = document.getElementById("main");
    const open = new Map([...old.querySelectorAll("details[id]")].map((one) => [one.id, one.open]));
    for (const one of main.querySelectorAll("details[id]")) if (open.has(one.id)) one.open = open.get(one.id);
    const typed = [...old.querySelectorAll("input[id]")];
    const focus = path(old, document.activeElement);
    const scrolled = [window.scrollX, window.scrollY];
    for (const one of typed) {
      const same = main.querySelector(`#${CSS.escape(one.id)}`);
      if (same) same.value = one.value;
    }
    const sideways = [...old.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
    const caret = document.activeElement && document.activeElement.selectionStart;
    old.replaceWith(document.adoptNode(main));
    [...main.querySelectorAll(".scroll")].forEach((one, k) => (one.scrollLeft = sideways[k] || 0));
    const focused = focus && find(main, focus);
    if (focused) {
      focused.focus({ preventScroll: true });
      if (typeof caret === "number" && focused.setSelectionRange) focused.setSelectionRange(caret, caret);
    }
    window.scrollTo({ left: scrolled[0], top: scrolled[1], behavior: "instant" });
    document.title = page.title;
    document.getElementById("icon").href = page.getElementById("icon").href;
    const links = page.querySelector("nav");
    const shown = document.querySelector("nav");
    if (links && links.textContent !== shown.textContent) shown.replaceWith(document.adoptNode(links));
    if (main.dataset.state !== state) {
      state = main.dataset.state;
      announce(main.querySelector("h1").textContent);
    }
  }

  // Where the focus is: the nearest ancestor with an id, and the number of the element among those that take a focus.
  function path(main, element) {
    if (!element || element === main || !main.contains(element)) return null;
    const home = element.closest("[id]") || main;
    return { id: home.id, number: home === element ? -1 : focusable(home).indexOf(element) };
  }

  function find(main, { id, number }) {
    const home = id === "main" ? main : main.querySelector(`#${CSS.escape(id)}`);
    return home && (number < 0 ? home : focusable(home)[number]);
  }

  function focusable(home) {
    return [...home.querySelectorAll("a[href], summary, input, button, [tabindex]")];
  }

  function isSelecting() {
    const selection = window.getSelection();
    const inside = selection && !selection.isCollapsed && document.getElementById("main").contains(selection.anchorNode);
    selecting = inside ? selecting || Date.now() : 0;
    return inside && Date.now() - selecting < patience;
  }

  function say(sentence) {
    if (contact.textContent !== sentence) contact.textContent = sentence;
  }

  // To those who hear the page: the state has changed.
  function announce(sentence) {
    const news = document.getElementById("news");
    if (news) news.textContent = sentence;
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) refresh();
  });
  window.addEventListener("online", refresh);
  timer = setTimeout(refresh, interval);
})();
