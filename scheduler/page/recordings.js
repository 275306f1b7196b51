"use strict";
/* Recordings by state, the ones that moved last, and the chosen one. */

const recordings = (() => {
  const STATES = [["starting", "idle"], ["recording", "ok"], ["ending", "warn"], ["uploading", "accent"], ["closed", "quiet"]];
  const KIND = Object.fromEntries(STATES);
  const REMEMBERED = 12;  // closed ones that were open while the page looked

  /** The open ones, and those that ended while this page looked. */
  function known(open) {
    const kept = page.kept.recordings = page.kept.recordings || new Map();
    const now = new Set(open.map((one) => one.sid));
    for (const [sid, one] of kept) if (!now.has(sid)) kept.set(sid, { ...one, state: "closed" });
    for (const one of open) kept.set(one.sid, one);
    const closed = [...kept.values()].filter((one) => one.state === "closed");
    closed.slice(0, Math.max(0, closed.length - REMEMBERED)).forEach((one) => kept.delete(one.sid));
    // in the order they began: a list that moves under the finger cannot be used
    const shown = [...open].sort((one, other) => seconds(other.startedAt) - seconds(one.startedAt) || (one.sid < other.sid ? -1 : 1));
    return [...shown, ...closed.slice(-REMEMBERED).reverse()];
  }

  function row(one) {
    const chosen = page.chosen && page.chosen.name === one.sid;
    const hints = [one.wanted === "stopped" && one.state !== "closed" && "stop owed", one.unaskable && "cannot be asked", one.failingOver && "failing over"].filter(Boolean);
    return h("li", { data: { key: one.sid } }, h("button", { type: "button", class: "recording", "aria-pressed": chosen ? "true" : "false", data: { open: "recording", name: one.sid } },
      h("span", { class: `chip ${KIND[one.state] || "idle"}` }, one.state),
      h("span", { class: "channel" }, one.cname || "(no channel)"),
      h("code", { class: "small quiet" }, one.sid.slice(0, 8)),
      h("span", { class: "small quiet when" }, one.state === "closed" ? "" : one.silentFor === null || one.silentFor === undefined ? "not heard yet" : `heard ${span(one.silentFor)} ago`),
      hints.length ? h("span", { class: "small hint" }, hints.join(" · ")) : null));
  }

  function list(told) {
    const counts = told.open || {};
    const parts = STATES.filter(([name]) => name !== "closed").map(([name, kind]) => [name, counts[name] || 0, kind]);
    const total = parts.reduce((sum, [, number]) => sum + number, 0);
    const rows = known(told.recordings || []);
    const form = h("form", { class: "find", data: { kind: "recording" } }, h("label", null, h("span", { class: "hidden" }, "sid of a recording"),
      h("input", { type: "search", placeholder: "sid of any recording", autocomplete: "off", spellcheck: "false", maxlength: 200 })), h("button", { type: "submit" }, "Show"));
    return card("Recordings", { aside: h("span", { class: "small quiet" }, told.leading ? "this process leads" : "another process leads") },
      share(parts, "Open recordings by state"),
      rows.length ? h("ul", { class: "recordings" }, rows.map(row)) : h("p", { class: "quiet" }, "None is open."),
      total > rows.length ? h("p", { class: "small quiet" }, `The ${rows.length} that changed last, of ${count(total)}.`) : null, form);
  }

  function chosen() {
    const picked = page.chosen && page.chosen.kind === "recording" ? page.chosen.name : "";
    const wide = page.width >= 1000;
    const width = Math.max(260, wide ? Math.floor((Math.min(page.width, 1280) - 16) * 0.62) - 34 : page.width - 34);
    const inside = !picked ? h("p", { class: "quiet" }, "Choose a recording to see what was told, asked and decided, and where nothing was heard.")
      : page.detail ? timeline.draw(page.detail, width) : h("p", { class: "quiet" }, "…");
    const aside = picked ? h("code", { class: "small quiet sid" }, picked) : null;
    const title = page.detail && page.detail.cname ? page.detail.cname : "Timeline";
    const made = card(title, { aside, name: "The chosen recording" }, inside);
    made.id = "recording-chosen";
    return made;
  }

  return { list, chosen };
})();
