"use strict";
(() => {
  // Asks again a second after the last answer while somebody looks, and says so if none comes.
  const lost = document.getElementById("lost");
  let heard = new Date();
  let timer;

  // Changes what has changed and leaves the rest alone, so that nothing flashes, and neither a
  // selection nor the place of a screen reader is lost.
  function patch(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeName !== fresh.nodeName || old.id !== fresh.id) return old.replaceWith(fresh);
    if (old.nodeType === Node.TEXT_NODE) return void (old.data = fresh.data);
    for (const { name } of [...old.attributes]) fresh.hasAttribute(name) || old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) old.getAttribute(name) === value || old.setAttribute(name, value);
    const before = [...old.childNodes];
    const after = [...fresh.childNodes];
    after.forEach((node, place) => before[place] ? patch(before[place], node) : old.append(node));
    before.slice(after.length).forEach((node) => node.remove());
  }

  function show(fresh) {
    const page = fresh.getElementById("page");
    if (!page) throw new Error("somebody else has answered");
    const style = (whole) => whole.querySelector("style").textContent;
    if (style(fresh) !== style(document)) return location.reload();
    patch(document.getElementById("page"), page);
    document.title = fresh.title;
    document.body.className = "";
    lost.hidden = true;
    heard = new Date();
  }

  async function refresh() {
    if (document.hidden) return;
    try {
      const headers = { accept: "text/html" };
      const answer = await fetch(location.href, { headers, cache: "no-store", signal: AbortSignal.timeout(3000) });
      show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      const since = heard.toISOString().slice(11, 19);
      lost.textContent = `No answer from this instance since ${since} UTC: what is shown is old.`;
      document.title = "No answer · Vitals";
      document.body.className = "lost";
      lost.hidden = false;
    }
    clearTimeout(timer);
    timer = setTimeout(refresh, 1000);
  }

  document.addEventListener("visibilitychange", refresh);
  timer = setTimeout(refresh, 1000);
})();
