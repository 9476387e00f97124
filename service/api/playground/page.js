/** What every part of the page uses: its elements, its messages and how numbers are written. */

import { Refusal } from "./api.js";

/** The element of an id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Make an element; text among its children stays text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Say what happened to people who do not see it. */
export function say(text) {
  byId("status").textContent = text;
}

/** Show an error, which is a sentence, until it is closed or all is well again. */
export function complain(error) {
  if (!(error instanceof Refusal)) reportError(error);
  byId("trouble-text").textContent = error.message;
  byId("close-trouble").hidden = false;
}

/** Take the error away. Returns whether there was one. */
export function allIsWell() {
  const wasShown = !byId("close-trouble").hidden;
  byId("trouble-text").textContent = "";
  byId("close-trouble").hidden = true;
  return wasShown;
}

/** Three digits that count, and a real minus sign. */
export function written(number) {
  const size = Math.abs(number);
  const isWhole = Number.isInteger(number) || size >= 100;
  const text = isWhole ? Math.round(number).toLocaleString("en") : number.toPrecision(3);
  return (size > 0 && size < 0.001 ? number.toExponential(1) : text).replace("-", "−");
}

/** One figure with its unit and what it means. */
export function fact(name, value, unit, meaning) {
  const shown = make("dd", {}, make("strong", {}, value === null ? "–" : written(value)));
  if (unit) shown.append(" ", make("span", { class: "unit" }, unit));
  const box = make("div", {}, make("dt", {}, name), shown);
  if (meaning) box.append(make("dd", { class: "meaning" }, meaning));
  return box;
}
