"use strict";
/* The page: listens, keeps the last two minutes, draws. Ends its connection while nobody looks. */

const MINUTES = 2;
const main = document.getElementById("main");
const page = { now: 0, width: 0, history: {}, kept: {}, chosen: null, detail: null };
let message = null, heard = performance.now(), source = null, again = 0, differs = 0;

function listen() {
  if (source || document.hidden) return;
  clearTimeout(again);
  source = new EventSource("live");
  source.onmessage = (event) => take(JSON.parse(event.data));
  source.onerror = () => {
    if (source && source.readyState !== EventSource.CLOSED) return;
    rest();
    again = setTimeout(listen, 3000);  // refused: as many as may are watching, or it is starting
  };
}

function rest() {
  if (source) source.close();
  source = null;
}

function take(told) {
  if (told.page !== document.documentElement.dataset.page) {
    renew();
    return;
  }
  differs = 0;
  message = told;
  heard = performance.now();
  page.now = told.at;
  for (const [name, one] of Object.entries(told.panels)) keep(name, one.status);
  draw();
  inquire();
}

/** Another version, or another panel. One that goes because its process ends is no reason to lose
    what is seen here, least of all for the browser's own error page. */
async function renew() {
  differs = differs || performance.now();
  if (performance.now() - differs < 3000) return;
  differs = 0;
  try {
    if ((await fetch(location.pathname, { cache: "no-store" })).ok) location.reload();
  } catch {
    /* it has gone: the connection's own line says it */
  }
}

function keep(name, status) {
  const sample = status && panels[name] && panels[name].sample ? panels[name].sample(status) : null;
  if (!sample) return;
  const history = page.history[name] = page.history[name] || [];
  history.push({ at: page.now, ...sample });
  while (history[0].at < page.now - 60 * MINUTES) history.shift();
}

/** Asks for more of what the viewer chose. */
async function inquire() {
  const chosen = page.chosen;
  if (!chosen || chosen.asking) return;
  chosen.asking = true;
  try {
    const answer = await fetch(`status/${chosen.kind}/${encodeURIComponent(chosen.name)}`, { cache: "no-store" });
    const told = await answer.json();
    if (page.chosen !== chosen) return;
    page.detail = answer.ok ? told : { error: answer.status === 404 ? "Nothing is known of it." : told.error };
    if (message) draw();
  } catch {
    /* the connection's own line says it */
  } finally {
    chosen.asking = false;
  }
}

function choose(kind, name) {
  const same = page.chosen && page.chosen.kind === kind && page.chosen.name === name;
  if (!same) {
    page.chosen = name ? { kind, name, asking: false } : null;
    page.detail = null;
  }
  const fragment = name ? `#${kind}=${encodeURIComponent(name)}` : " ";
  if (location.hash !== fragment.trim()) history.replaceState(null, "", name ? fragment : location.pathname);
  if (message) draw();
  inquire();
}

function fromAddress() {
  const found = /^#([a-z]+)=(.+)$/.exec(location.hash);
  if (!found) return;
  let name = found[2];
  try { name = decodeURIComponent(name); } catch { /* as it is */ }
  choose(found[1], name);
}

function draw() {
  page.width = main.clientWidth;
  const fresh = h("main", null, Object.entries(message.panels).map(([name, told]) => {
    const panel = panels[name];
    const title = Object.keys(message.panels).length > 1;
    let inside;
    if (!told.status || !panel) inside = [verdict("bad", told.problem || "This cannot be drawn.")];
    else inside = panel.draw(told, page);
    return h("section", { class: "panel", "aria-label": name, data: { key: name } },
      h("div", { class: "panel-head" },
        h("h2", title ? null : { class: "hidden" }, name),
        mark(told.ready ? "ok" : "bad", told.ready ? "ready" : "not ready"),
        h("span", { class: "quiet small" }, told.status ? `version ${told.status.version}` : "")),
      inside);
  }));
  patchChildren(main, fresh);
  connection();
}

function connection() {
  const line = document.getElementById("connection");
  const silent = (performance.now() - heard) / 1000;
  const stale = silent > 4;
  const text = !message && !stale ? "connecting …" : stale ? `no news for ${span(Math.round(silent))}` : `live · ${clock(page.now)}`;
  line.className = `connection ${stale ? "stale" : message ? "live" : ""}`;
  if (line.textContent !== text) line.textContent = text;
  main.classList.toggle("stale", Boolean(message) && stale);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-open]");
  if (!button) return;
  choose(button.dataset.open, button.dataset.name);
  const place = document.getElementById(`${button.dataset.open}-chosen`);
  if (place && place.getBoundingClientRect().top > innerHeight * 0.8) place.scrollIntoView({ block: "nearest" });
});
document.addEventListener("submit", (event) => {
  event.preventDefault();
  const field = event.target.querySelector("input");
  if (field && field.value.trim()) choose(event.target.dataset.kind, field.value.trim());
});
document.addEventListener("visibilitychange", () => (document.hidden ? rest() : listen()));
addEventListener("hashchange", fromAddress);
addEventListener("resize", () => { if (message) draw(); });
setInterval(connection, 1000);
fromAddress();
listen();
