"use strict";
(() => {
  // While the page is visible, refreshes it a second after each answer. If no answer comes, the
  // page says that it is out of date.
  const lost = document.getElementById("lost");
  let lastAnswer = new Date();
  let timer;

  // Replaces only the nodes that differ, so that nothing flashes, and the selection and the
  // position of a screen reader are kept. The reader decides whether the settings are open.
  function patch(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeName !== fresh.nodeName || old.id !== fresh.id) return old.replaceWith(fresh);
    if (old.nodeType === Node.TEXT_NODE) return void (old.data = fresh.data);
    for (const { name } of [...old.attributes]) fresh.hasAttribute(name) || name === "open" || old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) old.getAttribute(name) === value || old.setAttribute(name, value);
    const before = [...old.childNodes];
    const after = [...fresh.childNodes];
    after.forEach((node, place) => before[place] ? patch(before[place], node) : old.append(node));
    before.slice(after.length).forEach((node) => node.remove());
  }

  // Hovering over a time shows it in the reader's time zone.
  function addLocalTimes(whole) {
    const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
    for (const time of whole.querySelectorAll("time")) time.title = format.format(new Date(time.dateTime));
  }

  function show(fresh) {
    const page = fresh.getElementById("page");
    if (!page) throw new Error("not an answer of Vitals");
    const style = (whole) => whole.querySelector("style").textContent;
    if (style(fresh) !== style(document)) return location.reload();
    addLocalTimes(page);
    patch(document.getElementById("page"), page);
    document.title = fresh.title;
    document.body.className = "";
    lost.hidden = true;
    lastAnswer = new Date();
  }

  async function refresh() {
    if (document.hidden) return;
    try {
      const headers = { accept: "text/html" };
      const answer = await fetch(location.href, { headers, cache: "no-store", signal: AbortSignal.timeout(3000) });
      show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      const since = lastAnswer.toISOString().slice(11, 19);
      lost.textContent = `No answer from this instance since ${since} UTC. This page is out of date.`;
      document.title = document.title.replace(/^[^·]*/, "No answer ");
      document.body.className = "lost";
      lost.hidden = false;
    }
    clearTimeout(timer);
    timer = setTimeout(refresh, 1000);
  }

  addLocalTimes(document);
  document.addEventListener("visibilitychange", refresh);
  timer = setTimeout(refresh, 1000);
})();
