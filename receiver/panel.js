"use strict";
/* The receiver: how fast and how safely it answers, and which way events take. */

panels.receiver = (() => {
  const WINDOW = 10;  // seconds over which a latency is told
  const SAFE = {
    "redis-fsync": "on Redis's disk", "redis-memory": "in Redis's memory", "spool-fsync": "on this machine's disk",
  };

  function sample(status) {
    const { acknowledge, answers } = status.traffic;
    return { count: acknowledge.count, buckets: acknowledge.buckets, answers: new Map(answers.map((a) => [`${a.status} ${a.outcome}`, a.count])) };
  }

  /** Acknowledged a second between neighbours; a restart begins anew. */
  function rates(history) {
    return history.slice(1).map((now, at) => {
      const before = history[at];
      const grown = now.count - before.count;
      return grown < 0 || now.at <= before.at ? null : grown / (now.at - before.at);
    });
  }

  /** The quantiles of what was answered between two samples, or nulls. */
  function quantiles(before, now, wanted) {
    if (!before || now.count <= before.count) return wanted.map(() => null);
    const grown = now.buckets.map(([bound, total], at) => [bound, total - before.buckets[at][1]]);
    const all = grown[grown.length - 1][1];
    return wanted.map((part) => {
      const rank = part * all;
      let low = 0, below = 0;
      for (const [bound, total] of grown) {
        if (total >= rank && total > below) return bound === null ? low : low + (bound - low) * ((rank - below) / (total - below));
        if (bound !== null) low = bound;
        below = total;
      }
      return low;
    });
  }

  function earlier(history, at, back) {
    let found = at;
    while (found > 0 && history[at].at - history[found].at < back) found -= 1;
    return history[found];
  }

  function latencies(history) {
    return history.slice(1).map((now, at) => quantiles(earlier(history, at + 1, WINDOW), now, [0.5, 0.99]));
  }

  /** Answers of the last minute by status and outcome, and since the start. */
  function answers(status, history) {
    const last = history[history.length - 1], before = earlier(history, history.length - 1, 60);
    return status.traffic.answers.map((a) => {
      const name = `${a.status} ${a.outcome}`;
      return { ...a, name, lately: Math.max(0, last.answers.get(name) - (before.answers.get(name) || 0)) };
    }).sort((one, other) => other.count - one.count);
  }

  function judged(told, found) {
    const { status } = told, { durability, spool } = status;
    const wrong = Object.entries(told.dependencies).filter(([, one]) => !one.ok).map(([name, one]) => `${name}: ${one.why}`);
    const refused = found.filter((a) => a.status === "503").reduce((sum, a) => sum + a.lately, 0);
    if (!told.ready) return verdict("bad", "It cannot answer 200 safely.", wrong);
    if (refused) return verdict("bad", `In the last minute ${many(refused, "callback")} got 503: neither Redis nor the spool could take it.`, wrong);
    if (told.dependencies.redis && !told.dependencies.redis.ok) {
      return verdict("warn", "Redis is away. Events are answered as soon as they are on this machine's disk, and reach the stream later.", wrong);
    }
    if (spool.waiting) return verdict("warn", `In the spool, on the way to the stream: ${many(spool.waiting, "event")}.`, wrong);
    if (wrong.length) return verdict("warn", "It receives safely, by its spool.", wrong);
    return verdict("ok", `It receives. Every event is ${SAFE[durability.reached] || durability.reached} before it is answered 200.`);
  }

  function tiles(status, history, found) {
    const speed = rates(history), times = latencies(history);
    const now = speed.length ? speed.slice(-3).filter((v) => v !== null) : [];
    const rate = now.length ? now.reduce((sum, v) => sum + v, 0) / now.length : null;
    const [half, most] = times.length ? times[times.length - 1] : [null, null];
    const fill = (values) => [...Array(Math.max(0, 118 - values.length)).fill(null), ...values];
    const refused = found.filter((a) => !a.status.startsWith("2"));
    const lately = refused.reduce((sum, a) => sum + a.lately, 0);
    return h("div", { class: "tiles" },
      tile("Acknowledged", perSecond(rate), { unit: "a second", note: `${count(status.traffic.acknowledge.count)} since its start`,
        picture: sparkline(fill(speed), { label: "Acknowledged a second, the last two minutes", top: 1 }) }),
      tile("Time to a 200, 99 of 100", span(most), { note: `half of them ${half === null ? "–" : `within ${span(half)}`}`,
        picture: sparkline(fill(times.map(([, v]) => v)), { label: "99th and 50th percentile of the time to a 200", second: fill(times.map(([v]) => v)) }) }),
      tile("Refused", count(lately), { unit: "in a minute", level: refused.some((a) => a.status === "503" && a.lately) ? "bad" : "",
        note: refused.length ? refused.map((a) => `${a.name} ${count(a.count)}`).join(" · ") : "none since its start" }),
      tile("In the spool", count(status.spool.waiting), { unit: "events", level: status.spool.waiting ? "warn" : "",
        note: status.spool.oldest_ms ? `the oldest waits ${span(page.now - status.spool.oldest_ms / 1000)}` : "nothing waits" }));
  }

  function box(title, kind, ...lines) {
    return h("div", { class: `box ${kind}` }, h("h4", null, title), lines);
  }

  function arrow(kind, label) {
    return h("div", { class: `arrow ${kind}` },
      s("svg", { viewBox: "0 0 60 16", "aria-hidden": "true" },
        s("path", { class: "shaft", d: "M0 8H50" }), s("path", { class: "head", d: "M48 2L58 8L48 14Z" })),
      h("span", { class: "small quiet" }, label));
  }

  /** The way of an event, as it goes now. */
  function flow(told, rate) {
    const { durability, spool, streams } = told.status;
    const there = told.dependencies.redis && told.dependencies.redis.ok;
    const first = spool.inUse || !there;
    const moving = rate > 0;
    const groups = streams.flatMap((one) => one.groups.map((group) => ({ ...group, stream: one.stream })));
    const entries = streams.length ? streams.reduce((sum, one) => sum + (one.entries || 0), 0) : null;
    const trouble = streams.map((one) => one.problem).filter(Boolean);
    return card("The way of an event", { wide: true }, h("div", { class: "flow" },
      box("Callbacks", "plain", h("p", null, many(told.status.traffic.connections, "connection")),
        h("p", { class: "small quiet" }, told.status.path)),
      arrow(moving ? "moving" : "", moving ? `${perSecond(rate)} a second` : "quiet"),
      box("Receiver", told.ready ? "ok" : "bad", h("p", null, first ? "spool first, then 200" : "Redis, then 200"),
        h("p", { class: "small quiet" }, told.status.sources.map((one) => `${one.name}: ${one.secrets.join(", ")}`).join(" · "))),
      arrow(first ? (spool.waiting && there ? "moving" : "off") : moving ? "moving" : "", first && !there ? "Redis is away" : ""),
      box(streams.length > 1 ? `${streams.length} streams` : "Stream", there ? "ok" : "bad",
        h("p", null, there ? (entries === 1 ? "1 entry" : `${count(entries)} entries`) : "not to be seen"),
        h("p", { class: "small quiet" }, trouble.length ? trouble[0] : streams.map((one) => one.stream).slice(0, 3).join(", "))),
      arrow(groups.length ? (moving ? "moving" : "") : "off", ""),
      box("Readers", "plain", groups.length ? h("ul", { class: "small" }, groups.map((group) => h("li", { data: { key: group.stream + group.name } },
        h("b", null, group.name), ` ${behind(group)}`))) : h("p", { class: "small quiet" }, there ? "no group yet" : "")),
      h("div", { class: `spool ${first ? "used" : ""}` },
        s("svg", { class: "bend", viewBox: "0 0 120 34", preserveAspectRatio: "none", "aria-hidden": "true" },
          s("path", { d: "M10 0V24H110V6" })),
        box("Spool", spool.problem ? "bad" : spool.waiting ? "warn" : "plain",
          h("p", null, spool.problem || (spool.waiting ? `${count(spool.waiting)} wait` : "nothing waits"), spool.copies ? ` · ${count(spool.copies)} copies` : ""),
          spool.problem ? null : [meter((spool.bytes || 0) / spool.limit, `${size(spool.bytes || 0)} of ${size(spool.limit)} used`, spool.bytes / spool.limit > 0.8 ? "bad" : "accent"),
            h("p", { class: "small quiet" }, `${size(spool.bytes || 0)} of ${size(spool.limit)}`)]))));
  }

  function behind(group) {
    const parts = [];
    if (group.lag === null || group.lag === undefined) parts.push("how far behind is not known");
    else parts.push(group.lag ? `${count(group.lag)} behind` : "has read all");
    if (group.pending) parts.push(`${count(group.pending)} under way`);
    return parts.join(", ");
  }

  function safety(status) {
    const { durability, traffic } = status;
    const facts = Object.entries(durability.store);
    const ways = Object.entries(traffic.safe).map(([level, number]) => [SAFE[level] || level, number, level.startsWith("spool") ? "warn" : level.endsWith("memory") ? "idle" : "ok"]);
    return card("How safe a 200 is", {},
      h("p", null, `Asked: ${durability.asked}. Now: ${SAFE[durability.reached] || durability.reached}.`),
      h("p", { class: "small quiet" }, durability.why),
      ways.length ? share(ways, "How acknowledged events were safe") : null,
      durability.warnings.map((text) => h("p", { class: "small" }, mark("warn", text))),
      facts.length ? h("details", null, h("summary", null, "What Redis says of itself"),
        h("dl", { class: "facts" }, facts.map(([name, value]) => [h("dt", null, name), h("dd", null, String(value))]))) : null);
  }

  function table(found) {
    const most = Math.max(1, ...found.map((a) => a.count));
    return card("Answers", {}, found.length ? h("table", { class: "plain" },
      h("thead", null, h("tr", null, h("th", { scope: "col" }, "Answer"), h("th", { scope: "col", class: "number" }, "a minute"), h("th", { scope: "col", class: "number" }, "in all"), h("th", { class: "bar-cell" }, h("span", { class: "hidden" }, "share")))),
      h("tbody", null, found.map((a) => h("tr", { data: { key: a.name } },
        h("th", { scope: "row" }, mark(a.status === "503" ? "bad" : a.status.startsWith("2") ? "ok" : "warn", a.name)),
        h("td", { class: "number" }, count(a.lately)), h("td", { class: "number" }, count(a.count)),
        h("td", { class: "bar-cell" }, meter(a.count / most, `${a.count}`, a.status === "503" ? "bad" : a.status.startsWith("2") ? "ok" : "warn")))))) : h("p", { class: "quiet" }, "Nothing was asked yet."));
  }

  function draw(told) {
    const { status } = told, history = page.history.receiver || [sample(status)];
    const found = answers(status, history);
    const speed = rates(history).slice(-3).filter((v) => v !== null);
    return [judged(told, found), tiles(status, history, found), h("div", { class: "cards" },
      flow(told, speed.reduce((sum, v) => sum + v, 0) / (speed.length || 1)), table(found), safety(status), dependencies(told, page.now), said(told, page.now))];
  }

  return { sample, draw, quantiles };
})();
