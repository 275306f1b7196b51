"use strict";
/* Whether the packet filter may enforce: what speaks against it, and who came without being listed. */

const enforcing = (() => {
  const SHOWN = 6;

  function draw(allowlist) {
    const told = allowlist.enforcing, deliveries = allowlist.deliveries || {};
    if (!told) return null;
    const unlisted = allowlist.unlisted || [];
    const parts = [["listed", deliveries.listed || 0, "ok"], ["unlisted", deliveries.unlisted || 0, "bad"]];
    return card("May it enforce?", {},
      told.safe ? h("p", null, mark("ok", "nothing speaks against it"))
        : h("ul", { class: "reasons" }, told.against.map((reason) => h("li", null, mark("warn", ""), reason))),
      parts.some(([, number]) => number) ? share(parts, "Authentic deliveries") : null,
      unlisted.length ? [h("h4", null, "Who came without being listed"), h("ul", { class: "rows small" }, unlisted.slice(0, SHOWN).map((one) => h("li", { data: { key: one.address } },
        h("code", { class: "grow" }, one.address), one.authentic ? mark("bad", `${count(one.authentic)} authentic`) : null,
        h("span", null, many(one.packets, "packet")), h("span", { class: "quiet" }, `${span(page.now - one.lastSeen)} ago`))))] : null,
      unlisted.length > SHOWN ? h("p", { class: "small quiet" }, `and ${count(unlisted.length - SHOWN)} more: agora-sidecar allowlist status`) : null);
  }

  return { draw };
})();
