// The page's own behaviour: links and forms change the address, and the server is told; regions light up.
(() => {
  "use strict";

  const busy = (on) => document.body.classList.toggle("busy", on);

  // Where the page is scrolled to, and which field of the search form has the focus, when the next answer is shown.
  let scroll = history.state?.scroll ?? null;
  let field = null;
  history.scrollRestoration = "manual";

  /** Show what an address asks, without loading the page again; the server answers over its open connection. */
  function go(url, { push = true, to = 0, from = null } = {}) {
    const there = new URL(url, location.href);
    if (push) {
      history.replaceState({ scroll: window.scrollY }, "");
      history.pushState({}, "", there);
    }
    scroll = to;
    field = from;
    if (!window.socket?.connected) return location.assign(there);
    busy(true);
    window.emitEvent("go", there.search.slice(1));
  }

  window.rsirGo = (url) => go(url);
  window.addEventListener("popstate", (event) => go(location.href, { push: false, to: event.state?.scroll ?? 0 }));
  window.addEventListener("pagehide", () => history.replaceState({ scroll: window.scrollY }, ""));

  const OPTIONS = ["metric", "direction", "vectors"];
  const QUERY = ["id", "upload", "path", "window", "lonlat", "bbox", "region", "at", "like", "unlike", "method", "page", "top"];

  /** The address that a form asks: its fields by name; a class and its share are one parameter. */
  function address(form, changed = null) {
    const fields = new FormData(form);
    const asked = new URLSearchParams();
    for (const [name, value] of fields) {
      if (value === "" || typeof value !== "string" || name === "class" || name === "share") continue;
      if (changed === "scheme" && OPTIONS.includes(name)) continue; // The options of another scheme.
      asked.append(name, value);
    }
    if (fields.get("class")) asked.append("shows", `${fields.get("class")}:${fields.get("share") || 0}`);
    return `/?${asked}`;
  }

  document.addEventListener("click", (event) => {
    const region = event.target.closest("[data-href]");
    if (region) return go(region.dataset.href);
    const link = event.target.closest("a[href]");
    const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    if (link && plain && link.origin === location.origin && link.pathname === "/" && !("leave" in link.dataset)) {
      event.preventDefault();
      go(link.href, { to: "stay" in link.dataset ? window.scrollY : 0 });
    }
    if (event.target.closest("[data-theme]")) theme(!document.body.classList.contains("body--dark"), true);
  });

  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-go], form[data-marks]");
    if (!form) return;
    event.preventDefault();
    go(address(form));
  });

  document.addEventListener("change", (event) => {
    const field = event.target;
    if (field.matches("[data-upload]") && field.files.length) upload(field.files[0]);
    if (field.matches("[data-around]")) window.emitEvent("around", field.checked);
    if (field.matches("form[data-go] select:not([name=class], [name=share]), form[data-go] input[type=checkbox]")) {
      go(address(field.form, field.name), { from: field.name });
    }
    const marks = field.closest("form[data-marks]");
    if (!marks) return;
    if (field.checked) {
      const other = { like: "unlike", unlike: "like" }[field.name];
      for (const each of marks.querySelectorAll(`[name=${other ?? "none"}]`)) if (each.value === field.value) each.checked = false;
    }
    const together = marks.querySelector(".together");
    if (together) together.hidden = !marks.querySelector("input:checked");
  });

  document.addEventListener("input", (event) => {
    if (event.target.matches("[data-opacity]")) {
      event.target.closest(".query").style.setProperty("--cover", event.target.value / 100);
    }
  });

  // Pointing at a region of the query lights up what matched it, and the other way round.
  function light(event, on) {
    const found = event.target.closest?.("[data-region], [data-match]");
    if (!found) return;
    const number = found.dataset.region ?? found.dataset.match;
    for (const each of document.querySelectorAll(`[data-region="${number}"], [data-match="${number}"]`)) {
      each.classList.toggle("lit", on);
    }
    const words = document.querySelector("[data-pointed]");
    const told = document.querySelector(`[data-region="${number}"]`);
    if (words && told) words.textContent = on ? told.dataset.words : words.dataset.pointed;
  }
  for (const type of ["pointerover", "focusin"]) document.addEventListener(type, (event) => light(event, true));
  for (const type of ["pointerout", "focusout"]) document.addEventListener(type, (event) => light(event, false));

  // Uploads: the bytes as they are, so that nothing but this page can send them.
  async function upload(file) {
    busy(true);
    const named = encodeURIComponent(file.name.slice(0, 200));
    let told;
    try {
      const answer = await fetch("/api/uploads", { method: "POST", body: file, headers: { "X-File-Name": named } });
      told = answer.headers.get("content-type")?.includes("json") ? await answer.json() : { error: await answer.text() };
    } catch {
      told = { error: "the file could not be sent: it may be too large" };
    }
    busy(false);
    if (!told.upload) return complain([told.error, told.wanted && `wanted ${told.wanted}`, told.cure].filter(Boolean).join("; "));
    const kept = new URLSearchParams(location.search);
    for (const name of QUERY) kept.delete(name);
    kept.set("upload", told.upload);
    go(`/?${kept}`);
  }

  function complain(words) {
    const place = document.querySelector("[data-drop]");
    let line = place.parentElement.querySelector(".problem");
    if (!line) {
      line = document.createElement("p");
      line.className = "problem";
      line.setAttribute("role", "alert");
      place.after(line);
    }
    line.textContent = words;
    place.closest("[data-fold]").open = true;
    line.scrollIntoView({ block: "nearest" });
  }

  for (const type of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(type, (event) => {
      const place = document.querySelector("[data-drop]");
      if (!place || !event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      place.classList.toggle("over", type === "dragover");
      if (type === "drop" && event.dataTransfer.files.length) upload(event.dataTransfer.files[0]);
    });
  }

  // Outlines of the regions that matched come when a hit is seen: until then their boxes are shown. The model may be
  // asked for each: two at a time, so that connections are left for pictures.
  const SVG = "http://www.w3.org/2000/svg";
  const waiting = [];
  let running = 0;
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      waiting.push(entry.target);
    }
    next();
  });

  function next() {
    while (running < 2 && waiting.length) {
      const drawing = waiting.shift();
      if (!drawing.isConnected) continue;
      running += 1;
      outline(drawing).finally(() => {
        running -= 1;
        next();
      });
    }
  }

  async function outline(drawing) {
    let told;
    try {
      const answer = await fetch(`/api/regions?id=${encodeURIComponent(drawing.dataset.outlines)}`);
      if (!answer.ok || !drawing.isConnected) return;
      told = await answer.json();
    } catch {
      return;
    }
    drawing.setAttribute("viewBox", `0 0 ${told.width} ${told.height}`);
    for (const box of [...drawing.querySelectorAll("rect.match")]) {
      const region = told.regions[Number(box.dataset.own)];
      if (!region) continue;
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("d", region.outline);
      path.setAttribute("class", box.getAttribute("class"));
      path.dataset.match = box.dataset.match;
      path.style.stroke = box.style.stroke;
      box.replaceWith(path);
    }
    drawing.dataset.drawn = "";
  }

  // On narrow screens the search form is folded, so that the images come first.
  const narrow = window.matchMedia("(max-width: 46rem)");
  narrow.addEventListener("change", () => {
    for (const fold of document.querySelectorAll("[data-fold]")) fold.open = !narrow.matches;
  });

  let shown = null;
  new MutationObserver(() => {
    for (const drawing of document.querySelectorAll("[data-outlines]:not([data-watched])")) {
      drawing.dataset.watched = "";
      seen.observe(drawing);
    }
    for (const fold of document.querySelectorAll("[data-fold]:not([data-watched])")) {
      fold.dataset.watched = "";
      fold.open = !narrow.matches;
    }
    const heading = document.querySelector("main h1, .main h1");
    if (heading && heading !== shown) {
      const again = field && document.querySelector(`form[data-go] [name="${field}"]`);
      if (again) again.closest("[data-fold]").open = true;
      if (again) again.focus({ preventScroll: true });
      else if (shown) heading.focus({ preventScroll: true });
      if (scroll !== null && !again) window.scrollTo(0, scroll);
      shown = heading;
      document.title = `${heading.textContent} · rsir-tf`;
      busy(false);
      const together = document.querySelector("form[data-marks] .together");
      if (together) together.hidden = !document.querySelector("form[data-marks] input[type=checkbox]:checked");
    }
  }).observe(document.documentElement, { childList: true, subtree: true });

  // Dark and light: the system's choice, or the visitor's own, which the browser remembers.
  function theme(dark, remember) {
    window.Quasar?.Dark.set(dark);
    if (remember) localStorage.setItem("dark", dark ? "1" : "0");
  }
  window.addEventListener("load", () => {
    const own = localStorage.getItem("dark");
    if (own !== null) setTimeout(() => theme(own === "1", false), 0);
  });
})();
