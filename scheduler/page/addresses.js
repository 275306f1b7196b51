"use strict";
/* The allow-list as lives on one axis: since when each address is admitted, and until when. */

const addresses = (() => {
  /** From where on it is worth looking: a month of one address must not hide today's change of another. */
  function range(list, now) {
    const ages = list.map((one) => now - seconds(one.firstSeen)).sort((one, other) => one - other);
    const ahead = Math.max(0, ...list.map((one) => one.secondsLeft || 0));
    const back = Math.min(ages[ages.length - 1] || 60, Math.max((ages[0] || 0) * 8, ahead * 3, 60));
    return { from: now - back * 1.02, to: now + Math.max(ahead * 1.05, back * 0.04) };
  }

  function life(one, now, { from, to }, width) {
    const height = 20, x = (at) => Math.max(0, Math.min(width, ((at - from) / (to - from)) * width));
    const first = seconds(one.firstSeen), last = seconds(one.lastSeen);
    const leaving = one.state !== "active";
    const here = x(now);
    const says = leaving ? `admitted since ${clock(first, now)}, last listed ${clock(last, now)}, leaves in ${span(one.secondsLeft)}` : `admitted since ${clock(first, now)}, listed`;
    return s("svg", { class: "life", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": says },
      s("title", null, says),
      s("line", { class: "rail", x1: 0, x2: width, y1: 10, y2: 10 }),
      s("rect", { class: leaving ? "listed past" : "listed", x: x(first), y: 5, rx: 3, height: 10, width: Math.max(2, (leaving ? x(last) : here) - x(first)) }),
      leaving && s("rect", { class: "grace", x: x(last), y: 5, height: 10, width: Math.max(1, here - x(last)) }),
      leaving && s("rect", { class: "ahead", x: here, y: 5, height: 10, width: Math.max(2, x(now + one.secondsLeft) - here) }),
      first < from && s("path", { class: "before", d: "M6 5L1 10L6 15" }),
      s("line", { class: "now", x1: here, x2: here, y1: 0, y2: height }));
  }

  function axis(now, { from, to }, width) {
    const { step, found } = ticks(from - now, to - now, width, 90);
    const x = (at) => ((at + now - from) / (to - from)) * width;
    return s("svg", { class: "axis", width, height: 18, viewBox: `0 0 ${width} 18`, "aria-hidden": "true" }, found.map((at) => {
      const text = Math.abs(at) < step / 2 ? "now" : at < 0 ? `${span(-at)} ago` : `in ${span(at)}`;
      const place = x(at);
      return s("text", { x: Math.min(width - 2, Math.max(2, place)), y: 13, "text-anchor": place < 40 ? "start" : place > width - 40 ? "end" : "middle" }, text);
    }));
  }

  function draw(list, told) {
    const now = page.now;
    const narrow = page.width < 720;
    const width = Math.max(160, narrow ? page.width - 34 : Math.min(page.width, 1280) - 33 - 480);
    const sorted = [...told.addresses].sort((one, other) => (one.state === "active" ? 0 : 1) - (other.state === "active" ? 0 : 1) || seconds(other.firstSeen) - seconds(one.firstSeen));
    if (!sorted.length) return h("p", { class: "quiet" }, "No list is known yet: targets admit what they admitted before.");
    const window = range(sorted, now);
    const row = (one) => h("li", { class: "address", data: { key: one.address } },
      h("code", null, one.address),
      mark(one.state === "active" ? "ok" : "warn", one.state === "active" ? "active" : `leaves in ${span(one.secondsLeft)}`),
      h("span", { class: "small quiet age" }, `since ${span(now - seconds(one.firstSeen))}`),
      h("span", { class: "small number packets" }, one.packets === undefined || one.packets === null ? "" : many(one.packets, "packet")),
      life(one, now, window, width));
    return [h("ul", { class: "addresses" }, sorted.map(row)), h("div", { class: "address axis-row" }, axis(now, window, width))];
  }

  function targets(list) {
    if (!list.length) return h("p", { class: "quiet" }, "No target is configured: nothing is kept open or closed.");
    return h("ul", { class: "rows" }, list.map((one) => h("li", { data: { key: one.name } },
      mark(one.inSync ? "ok" : "bad", one.inSync ? "in sync" : "out of sync"),
      h("span", { class: "grow" }, h("b", null, one.name), " ", h("span", { class: "small quiet" }, one.form || ""),
        one.problem && h("span", { class: "small problem" }, one.problem)),
      h("span", { class: "small quiet" }, Object.entries(one.counted || {}).map(([kind, number]) => `${kind} ${count(number)}`).join(" · ")))));
  }

  return { draw, targets };
})();
