"use strict";
/* What every panel is built of: tiles, marks of well and unwell, sparklines, axes. */

/** name -> {title, sample(status), draw(told, page)}; each process's script adds its own. */
const panels = {};

/** A section with a heading; `aside` stands at its right. */
function card(title, { aside = null, wide = false, name = title } = {}, ...children) {
  const heading = h("div", { class: "card-head" }, h("h3", null, title), aside);
  return h("section", { class: wide ? "card wide" : "card", "aria-label": name }, heading, ...children);
}

const GLYPHS = { ok: "✓", warn: "!", bad: "✕", idle: "·" };

/** Well, worth a look, or wrong: by shape and word, not by colour alone. */
function mark(level, text) {
  return h("span", { class: `mark ${level}` }, h("span", { class: "glyph", "aria-hidden": "true" }, GLYPHS[level]), text);
}

/** The one line to read first. */
function verdict(level, text, more = []) {
  return h("div", { class: `verdict ${level}` },
    h("span", { class: "glyph", "aria-hidden": "true" }, GLYPHS[level]),
    h("div", null, h("p", null, text), more.map((line) => h("p", { class: "small" }, line))));
}

function tile(label, value, { note = "", unit = "", level = "", picture = null } = {}) {
  return h("div", { class: `tile ${level}` },
    h("div", { class: "label" }, label),
    h("div", { class: "value" }, value, unit && h("span", { class: "unit" }, " ", unit)),
    picture, note && h("div", { class: "note" }, note));
}

/** A line over the last `values.length` samples; nulls are breaks. The last is at the right. */
function sparkline(values, { label, top = 0, second = null }) {
  const width = 240, height = 44;
  const most = Math.max(top, ...[...values, ...(second || [])].filter((v) => v !== null), 1e-9);
  const x = (at) => (values.length < 2 ? width : (at / (values.length - 1)) * width);
  const y = (value) => height - 2 - (value / most) * (height - 6);
  const path = (of) => of.map((value, at) =>
    value === null ? "" : `${at && of[at - 1] !== null ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const first = values.findIndex((value) => value !== null);
  const line = path(values);
  const area = first < 0 || values.indexOf(null, first) >= 0 ? "" : `${line}L${width} ${height}L${x(first).toFixed(1)} ${height}Z`;
  return s("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    s("line", { class: "base", x1: 0, x2: width, y1: height - 1, y2: height - 1 }),
    area && s("path", { class: "area", d: area }),
    second && s("path", { class: "line second", d: path(second) }),
    s("path", { class: "line", d: line }));
}

/** Parts of a whole side by side, with their legend. `parts`: [name, number, class]. */
function share(parts, label) {
  const total = parts.reduce((sum, [, number]) => sum + number, 0);
  let left = 0;
  const bar = s("svg", { class: "share", viewBox: "0 0 100 8", preserveAspectRatio: "none", role: "img",
    "aria-label": `${label}: ${parts.map(([name, number]) => `${number} ${name}`).join(", ")}` },
  s("rect", { class: "rest", x: 0, y: 0, width: 100, height: 8 }),
  parts.map(([, number, kind]) => {
    if (!number) return null;
    const width = (number / total) * 100;
    const piece = s("rect", { class: `fill-${kind}`, x: left, y: 0, width: Math.max(width - 0.4, 0.6), height: 8 });
    left += width;
    return piece;
  }));
  const legend = h("ul", { class: "legend" }, parts.map(([name, number, kind]) =>
    h("li", null, h("span", { class: `swatch ${kind}`, "aria-hidden": "true" }), h("b", null, count(number)), ` ${name}`)));
  return [bar, legend];
}

/** How full something is. */
function meter(part, label, level = "accent") {
  const width = Math.min(100, Math.max(0, part * 100));
  return s("svg", { class: "meter", viewBox: "0 0 100 6", preserveAspectRatio: "none", role: "img", "aria-label": label },
    s("rect", { class: "rest", x: 0, y: 0, width: 100, height: 6 }),
    s("rect", { class: `fill-${level}`, x: 0, y: 0, width: width.toFixed(2), height: 6 }));
}

const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2592000];

/** Moments that are worth a line between two Unix times, at least `gap` pixels apart. */
function ticks(from, to, width, gap = 84) {
  const step = STEPS.find((size) => (size / (to - from)) * width >= gap) || STEPS[STEPS.length - 1];
  const found = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) found.push(at);
  return { step, found };
}

/** What each dependency says. */
function dependencies(told, now) {
  return card("Depends on", {}, h("ul", { class: "rows" }, Object.entries(told.dependencies).map(([name, one]) =>
    h("li", { data: { key: name } },
      mark(one.ok ? "ok" : one.required || !told.ready ? "bad" : "warn", name),
      h("span", { class: "grow small" }, one.ok ? "" : one.why),
      h("span", { class: "small quiet" }, `for ${span(Math.max(0, now - seconds(one.since)))}`)))));
}

const LEVELS = { error: "bad", critical: "bad", exception: "bad", warning: "warn" };

/** The same said again is one line, with the newest time and how often. */
function joined(lines) {
  const found = new Map();
  for (const line of lines) {
    const what = line.event + JSON.stringify(line.details);
    const known = found.get(what);
    if (known) known.times += 1;
    else found.set(what, { ...line, times: 1 });
  }
  return [...found.values()];
}

/** The last lines of the log that are worth reading; `open` names the detail that makes one a link. */
function said(told, now, { title = "Last said", open = {}, most = 14 } = {}) {
  const lines = joined(told.said).slice(0, most);
  const rest = (details) => Object.entries(details).filter(([, value]) => value !== "" && value !== null).map(([name, value]) => {
    const text = Array.isArray(value) ? value.join(", ") || "none" : String(value);
    const shown = open[name] && text ? h("button", { type: "button", class: "link", data: { open: open[name], name: text } }, text) : text;
    return h("span", { class: "pair" }, h("span", { class: "quiet" }, `${name} `), shown);
  });
  return card(title, { wide: true }, lines.length
    ? h("ol", { class: "said" }, lines.map((line) => h("li", { data: { key: line.number } },
      h("time", { class: "quiet" }, clock(line.time, now)),
      mark(LEVELS[line.level] || "idle", line.times > 1 ? `${line.event} ×${line.times}` : line.event),
      h("span", { class: "pairs small" }, rest(line.details)))))
    : h("p", { class: "quiet" }, "Nothing yet."));
}
