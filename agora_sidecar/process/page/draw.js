"use strict";
/* Elements, how one tree is made into another, and how quantities are written.
   Text only ever becomes text: nothing on this page reads markup. */

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element: attributes that are null or false are left out, `data` are its data-… . */
function h(tag, attributes, ...children) {
  return made(document.createElement(tag), attributes, children);
}

/** The same for a drawing. */
function s(tag, attributes, ...children) {
  return made(document.createElementNS(SVG, tag), attributes, children);
}

function made(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "data") for (const [key, text] of Object.entries(value)) element.dataset[key] = text;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === "") continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

/** Makes `old` look like `fresh`, and keeps what is the same: focus and scrolling survive. */
function patch(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || key(old) !== key(fresh)) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    // what the viewer opened stays open
    if (!fresh.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) old.removeAttribute(name);
  }
  for (const { name, value } of [...fresh.attributes]) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  patchChildren(old, fresh);
}

function patchChildren(old, fresh) {
  const known = new Map();
  for (const child of old.childNodes) if (key(child)) known.set(key(child), child);
  let place = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const kept = key(child) ? known.get(key(child)) : place && !key(place) ? place : null;
    if (!kept) {
      old.insertBefore(child, place);
    } else {
      if (kept !== place) old.insertBefore(kept, place);
      place = kept.nextSibling;
      patch(kept, child);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function key(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.dataset.key || "" : "";
}

const whole = new Intl.NumberFormat("en-US");

/** 12,345 or 1.2 million: short enough for a tile. */
function count(number) {
  if (number === null || number === undefined) return "–";
  if (number >= 1e6) return (number / 1e6).toFixed(number < 1e7 ? 1 : 0) + " M";
  return whole.format(Math.round(number));
}

/** 1 packet, 2 packets. */
function many(number, thing) {
  return `${count(number)} ${thing}${number === 1 ? "" : "s"}`;
}

function perSecond(rate) {
  if (rate === null) return "–";
  return rate && rate < 10 ? rate.toFixed(1) : count(rate);
}

/** A duration in its two largest units. */
function span(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "–";
  if (seconds < 0.9995) return `${(seconds * 1000).toFixed(seconds < 0.00995 ? 1 : 0)} ms`;
  if (seconds < 60) return `${seconds < 10 && seconds % 1 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => seconds >= size);
  const [unit, size] = units[first];
  const rest = units[first + 1];
  const more = rest ? Math.floor((seconds % size) / rest[1]) : 0;
  return `${Math.floor(seconds / size)} ${unit}` + (more && first < 3 ? ` ${more} ${rest[0]}` : "");
}

function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (bytes >= 1024 && at < units.length - 1) { bytes /= 1024; at += 1; }
  return `${bytes >= 10 || at === 0 ? Math.round(bytes) : bytes.toFixed(1)} ${units[at]}`;
}

/** Unix seconds or RFC 3339 as Unix seconds. */
function seconds(moment) {
  if (moment === null || moment === undefined) return null;
  return typeof moment === "number" ? moment : Date.parse(moment) / 1000;
}

/** 22:34:13, with the date where it is another day than `now`'s. */
function clock(moment, now) {
  const at = new Date(seconds(moment) * 1000);
  if (Number.isNaN(at.getTime())) return "–";
  const text = at.toISOString();
  const today = now === undefined || Math.abs(now - at / 1000) < 43200;
  return today ? text.slice(11, 19) : `${text.slice(5, 10)} ${text.slice(11, 16)}`;
}
