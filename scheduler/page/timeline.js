"use strict";
/* One recording on one axis: what was told, what was asked, what was decided, and where nothing was heard. */

const timeline = (() => {
  const LANES = [["event", "Events"], ["query", "Queries"], ["stop", "Stops"], ["decision", "Decisions"]];
  const LANE = 34, TOP = 26, HEAD = 78;
  const GOOD = new Set(["started", "running", "alive", "uploaded", "backuped", "progress", "exited", "leaving", "exiting"]);
  const BAD = new Set(["not_found", "fatal", "abnormal", "no_data"]);

  /** The notes in one form, the oldest first. */
  function notes(told) {
    const found = told.timeline || (told.trail || []).map((note) => ({ at: note.time, kind: note.source === "clock" ? "decision" : note.source, what: note.text || note.reading, reading: note.reading, host: note.host }));
    const own = (at, what) => (at ? [{ at, kind: "decision", what, reading: "" }] : []);
    const decided = found.filter((note) => note.kind === "decision").map((note) => seconds(note.at));
    const extra = [...own(told.stopWantedAt, `stop wanted: ${told.stopWanted}`), ...own(told.closedAt, `closed: ${told.closedReason}, told by ${told.closedBy}`)]
      .filter((note) => !decided.some((at) => Math.abs(at - seconds(note.at)) < 0.2));
    return [...found, ...extra].map((note) => ({ ...note, from: seconds(note.at), to: seconds(note.until || note.at) }))
      .filter((note) => note.from).sort((one, other) => one.from - other.from);
  }

  /** Where no event was heard for longer than `silence` seconds. */
  function silences(found, told, end) {
    const heard = found.filter((note) => note.kind === "event").flatMap((note) => (note.to > note.from ? [note.from, note.to] : [note.from]));
    const points = [seconds(told.startedAt), ...heard, end].filter((at) => at).sort((one, other) => one - other);
    return points.slice(1).map((to, at) => ({ from: points[at], to })).filter(({ from, to }) => to - from > (told.silence || 120));
  }

  function tone(note) {
    if (note.kind === "decision") return "decided";
    if (BAD.has(note.reading)) return "bad";
    return GOOD.has(note.reading) ? "ok" : "idle";
  }

  const SHAPES = {
    event: (x, y, kind) => s("circle", { class: `dot ${kind}`, cx: x, cy: y, r: 5.5 }),
    query: (x, y, kind) => s("path", { class: `dot ${kind}`, d: `M${x} ${y - 7}L${x + 7} ${y}L${x} ${y + 7}L${x - 7} ${y}Z` }),
    stop: (x, y, kind) => s("rect", { class: `dot ${kind}`, x: x - 5.5, y: y - 5.5, width: 11, height: 11, rx: 1.5 }),
    decision: (x, y, kind) => s("path", { class: `dot ${kind}`, d: `M${x - 6} ${y + 6}L${x} ${y - 7}L${x + 6} ${y + 6}Z` }),
  };

  function says(note, now) {
    const many = note.count > 1 ? ` (${note.count} times until ${clock(note.to, now)})` : "";
    return `${clock(note.from, now)} ${note.kind}: ${note.what || note.reading}${note.reading && note.what !== note.reading ? ` – ${note.reading.replaceAll("_", " ")}` : ""}${note.host ? ` from ${note.host}` : ""}${many}`;
  }

  function picture(told, found, width) {
    const now = page.now, end = seconds(told.closedAt) || now;
    const first = Math.min(seconds(told.startedAt) || now, ...found.map((note) => note.from));
    const last = Math.max(end, ...found.map((note) => note.to));
    const from = first - (last - first) * 0.02 - 0.5, to = last + (last - first) * 0.03 + 0.5;
    const lanes = LANES.filter(([kind]) => kind !== "stop" || found.some((note) => note.kind === "stop"));
    const height = TOP + lanes.length * LANE + 24;
    const x = (at) => HEAD + ((at - from) / (to - from)) * (width - HEAD - 8);
    const y = (kind) => TOP + (lanes.findIndex(([name]) => name === kind) + 0.5) * LANE;
    const quiet = silences(found, told, end);
    const missing = found.filter((note) => note.kind === "gap");
    const { step, found: marks } = ticks(from, to, width - HEAD, 76);
    const label = `Timeline of ${told.sid}: ${found.length} notes, ${quiet.length} silences, ${missing.length} gaps in the numbering`;
    const band = (one, kind, text) => s("g", { class: kind },
      s("rect", { x: x(one.from), y: TOP, width: Math.max(4, x(one.to) - x(one.from)), height: lanes.length * LANE, fill: kind === "silence" ? "url(#hatch)" : null }),
      x(one.to) - x(one.from) > 64 && s("text", { x: Math.min(width - 40, (x(one.from) + x(one.to)) / 2), y: TOP - 8, "text-anchor": "middle" }, text), s("title", null, text));
    return s("svg", { class: "timeline", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
      s("defs", null, s("pattern", { id: "hatch", width: 7, height: 7, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
        s("rect", { class: "hatch-ground", width: 7, height: 7 }), s("line", { class: "hatch-line", x1: 0, y1: 0, x2: 0, y2: 7 }))),
      marks.map((at) => s("g", { class: "tick" }, s("line", { x1: x(at), x2: x(at), y1: TOP, y2: TOP + lanes.length * LANE }),
        s("text", { x: Math.min(width - 28, x(at)), y: height - 8, "text-anchor": "middle" }, step < 1 ? clock(at) + "." + Math.round((at % 1) * 10) : clock(at, now)))),
      quiet.map((one) => band(one, "silence", `silent ${span(one.to - one.from)}`)),
      lanes.map(([kind, name]) => s("g", { class: "lane" }, s("line", { x1: HEAD, x2: width - 8, y1: y(kind), y2: y(kind) }), s("text", { x: 0, y: y(kind) + 4 }, name))),
      told.endedAt && s("g", { class: "ended" }, s("line", { x1: x(seconds(told.endedAt)), x2: x(seconds(told.endedAt)), y1: TOP, y2: TOP + lanes.length * LANE }), s("title", null, `ended ${clock(told.endedAt, now)}`)),
      missing.map((note) => s("g", { class: "missing" },
        s("line", { x1: x(note.from), x2: x(note.from), y1: TOP, y2: TOP + lanes.length * LANE }),
        s("path", { d: `M${x(note.from) - 5} ${TOP - 4}h10l-5 8z` }), s("title", null, says(note, now)))),
      !told.closedAt && s("line", { class: "now", x1: x(now), x2: x(now), y1: TOP, y2: TOP + lanes.length * LANE }),
      found.filter((note) => SHAPES[note.kind]).map((note) => {
        const kind = tone(note);
        const here = lanes.some(([name]) => name === note.kind) ? y(note.kind) : y("event");
        return s("g", null, x(note.to) - x(note.from) > 6 && s("line", { class: `run ${kind}`, x1: x(note.from), x2: x(note.to), y1: here, y2: here }),
          SHAPES[note.kind](x(note.from), here, kind),
          note.count > 1 && s("text", { class: "times", x: Math.min(width - 12, x(note.to) + 9), y: here + 4 }, `×${note.count}`), s("title", null, says(note, now)));
      }));
  }

  function facts(told) {
    const now = page.now;
    const shown = [
      ["state", told.state], ["wanted", told.wanted], ["channel", told.cname], ["uid", told.uid], ["mode", told.mode],
      ["started", told.startedAt && clock(told.startedAt, now)], ["ended", told.endedAt && clock(told.endedAt, now)],
      ["closed", told.closedAt && `${clock(told.closedAt, now)}, ${told.closedReason}, told by ${told.closedBy}`],
      ["afterwards", told.afterwards], ["files", told.files && told.files.length ? `${told.files.length}${told.upload ? `, ${told.upload}` : ""}` : ""],
      ["asked", told.attempts ? `${told.attempts} times, last ${clock(told.askedAt, now)}` : ""],
      ["cannot be asked", told.unaskable && !told.closedAt ? "no resource id, or it is too old" : ""],
    ];
    return h("dl", { class: "facts" }, shown.filter(([, value]) => value).map(([name, value]) => [h("dt", null, name), h("dd", null, String(value))]));
  }

  function draw(told, width) {
    if (told.error) return h("p", { class: "quiet" }, told.error);
    const found = notes(told);
    return [picture(told, found, width),
      h("ul", { class: "legend small" }, [["○", "told"], ["◇", "asked"], ["△", "decided"], ["▨", "nothing heard"], ["▼", "numbers missing"]].map(([glyph, name]) => h("li", null, h("span", { "aria-hidden": "true" }, `${glyph} `), name))),
      facts(told),
      h("details", null, h("summary", null, `All ${found.length} notes`), h("ol", { class: "notes small" }, found.slice().reverse().map((note) => h("li", null, says(note, page.now)))))];
  }

  return { draw, notes, silences };
})();
