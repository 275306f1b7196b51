"use strict";
/* The scheduler: who is let in, what records, and what was decided. */

panels.scheduler = (() => {
  function judged(told) {
    const { allowlist } = told.status;
    const wrong = Object.entries(told.dependencies).filter(([, one]) => !one.ok).map(([name, one]) => `${name}: ${one.why}`);
    const out = allowlist.targets.filter((one) => !one.inSync);
    if (!told.ready) return verdict("bad", "What it needs is not there.", wrong);
    if (out.length) return verdict("bad", `${out.map((one) => one.name).join(", ")} does not admit what it should.`, out.map((one) => one.problem));
    if (allowlist.openUntil > page.now) return verdict("bad", `By order, everybody is let in for ${span(allowlist.openUntil - page.now)} more.`, wrong);
    if (allowlist.lastGoodPoll === null) return verdict("bad", "There never was a usable address list.", wrong);
    if (allowlist.ageSeconds > 43200) return verdict("bad", `The address list is ${span(allowlist.ageSeconds)} old: new addresses of the vendor's are not let in.`, wrong);
    if (allowlist.frozen) return verdict("warn", `By order, no target has been touched for ${span(page.now - allowlist.frozen.since)}: ${allowlist.frozen.why || "no reason was given"}.`, wrong);
    if (allowlist.held) return verdict("warn", `${count(allowlist.held.addresses.length)} new addresses are held back: ${allowlist.held.why}.`, [`Look at them with: agora-sidecar allowlist plan`, ...wrong]);
    if (told.status.recordings.notFoundWave) return verdict("warn", "Many recordings are not found at once: none of them is believed yet.", wrong);
    if (told.status.recordings.stops && told.status.recordings.stops.breakerOpen) return verdict("warn", "More stops are owed than may be called in an hour: the rest waits.", wrong);
    if (allowlist.failedPolls) return verdict("warn", `The last ${allowlist.failedPolls} polls of the address list failed; the list stays as it is.`, wrong);
    if (wrong.length) return verdict("warn", "It works, and something that it uses does not.", wrong);
    return verdict("ok", `The address list is ${span(allowlist.ageSeconds)} old, and every target has it.`);
  }

  function tiles({ allowlist, recordings: told }) {
    const active = allowlist.addresses.filter((one) => one.state === "active").length;
    const leaving = allowlist.addresses.length - active;
    const good = allowlist.targets.filter((one) => one.inSync).length;
    const open = Object.entries(told.open || {}).reduce((sum, [, number]) => sum + number, 0);
    return h("div", { class: "tiles" },
      tile("Age of the list", span(allowlist.ageSeconds), { level: allowlist.failedPolls ? "warn" : "", note: allowlist.failedPolls ? `${allowlist.failedPolls} polls failed` : `revision ${count(allowlist.revision)}` }),
      tile("Addresses", count(active), { unit: "active", note: leaving ? `${leaving} more in their grace` : "none is leaving" }),
      tile("Targets in sync", `${good}`, { unit: `of ${allowlist.targets.length}`, level: good < allowlist.targets.length ? "bad" : "", note: allowlist.targets.map((one) => one.name).join(", ") }),
      tile("Open recordings", count(open), { note: !told.leading ? "another process leads" : told.timeToFindingBound ? `a lost end is found within ${span(told.timeToFindingBound)}` : "asked, stopped and told by this process" }));
  }

  function draw(told) {
    const { allowlist } = told.status;
    const also = Object.entries(allowlist.alsoAllow || {});
    return [judged(told), tiles(told.status),
      h("div", { class: "cards pair-cards" }, recordings.list(told.status.recordings), recordings.chosen()),
      h("div", { class: "cards" },
        card("Addresses that are let in", { wide: true, aside: h("span", { class: "small quiet" }, also.length ? `and ${also.map(([name, at]) => `${name} ${at}`).join(", ")}` : "") }, addresses.draw(allowlist.addresses, allowlist)),
        card("Targets", {}, addresses.targets(allowlist.targets)),
        enforcing.draw(allowlist),
        dependencies(told, page.now),
        said(told, page.now, { title: "Last decisions", open: { sid: "recording" }, most: 12 }))];
  }

  return { draw };
})();
