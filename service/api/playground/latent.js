/** One image and the sliders of its z, decoded while they move. */

import { curlLine, showCurl } from "./curl.js";
import { SLOTS } from "./holds.js";
import { latest } from "./latest.js";
import { allIsWell, byId, complain, make } from "./page.js";
import { copyOf, paint } from "./pixels.js";

const NUM_UNITS = 16;
const STEP = 0.02;
const MIN_REACH = 3;

export class Latent {
  #api;
  #z = [];
  #base = [];
  #rows = [];
  #decode = latest((movedAt) => this.#paint(movedAt), complain);

  /**
   * @param drawOne Gives a z that is drawn from the prior.
   */
  constructor(api, holds, drawOne) {
    this.#api = api;
    byId("reset").addEventListener("click", () => this.turn(this.#base));
    byId("random").addEventListener("click", async () => {
      try {
        this.turn(await drawOne());
      } catch (error) {
        complain(error);
      }
    });
    for (const slot of SLOTS) {
      byId(`hold-${slot}`).addEventListener("click", () => holds.hold(slot, this.#z, copyOf(byId("picture"))));
    }
    byId("sliders").addEventListener("input", (event) => this.#onMove(event));
    byId("more-units").addEventListener("click", () => this.#showUnits(byId("more-units").ariaExpanded !== "true"));
  }

  /** Begin with a model: a slider for each unit, the most active first, and the image of all zeros. */
  start({ latent_dim: num, unit_kl: kl }) {
    const units = [...Array(num).keys()];
    if (kl) units.sort((one, other) => kl[other] - kl[one]);
    this.#rows = units.map((unit) => row(unit, kl?.[unit]));
    byId("sliders").replaceChildren(...this.#rows.map(({ element }) => element));
    byId("more-units").hidden = num <= NUM_UNITS;
    this.#showUnits(false);
    this.turn(Array(num).fill(0));
  }

  /** Show an image by its z, to which Reset returns. */
  turn(z) {
    this.#base = [...z];
    this.#z = [...z];
    const reach = Math.max(MIN_REACH, Math.ceil(Math.max(...z.map(Math.abs))));
    for (const { unit, slider, value } of this.#rows) {
      Object.assign(slider, { min: -reach, max: reach, value: z[unit] });
      value.textContent = twoDigits(z[unit]);
    }
    return this.#decode(null);
  }

  #onMove(event) {
    const { unit, slider, value } = this.#rows.find(({ slider }) => slider === event.target);
    this.#z[unit] = Number(slider.value);
    value.textContent = twoDigits(this.#z[unit]);
    this.#decode(event.timeStamp);
  }

  async #paint(movedAt) {
    const z = [...this.#z];
    const { shape, bytes } = await this.#api.decode(z);
    paint(byId("picture"), shape, bytes);
    allIsWell();
    if (movedAt !== null) {
      requestAnimationFrame((now) => {
        byId("pace").textContent = `${Math.max(0, now - movedAt).toFixed(0)} ms from slider to picture`;
      });
    }
    const line = curlLine(this.#api.url("decode"), {
      headers: { "Content-Type": "application/json", Accept: "image/png" },
      data: JSON.stringify({ z: [z] }),
      output: "decoded.png",
      hasKey: Boolean(this.#api.key),
    });
    showCurl(byId("latent-curl"), line);
  }

  #showUnits(isEvery) {
    this.#rows.forEach(({ element }, i) => (element.hidden = !isEvery && i >= NUM_UNITS));
    byId("more-units").ariaExpanded = String(isEvery);
    byId("more-units").textContent = isEvery ? `Only the first ${NUM_UNITS}` : `All ${this.#rows.length} units`;
  }
}

function row(unit, kl) {
  const slider = make("input", { type: "range", id: `unit-${unit}`, step: STEP });
  const value = make("span", { "aria-hidden": "true" });
  const label = make("label", { for: slider.id }, make("var", {}, "z"), make("sub", {}, String(unit)));
  const element = make("div", { class: "unit-row" }, label, slider, value);
  if (kl !== undefined) label.append(make("small", { title: "What it tells of an image on average: its KL" }, `${kl.toFixed(1)} nats`));
  return { unit, slider, value, element };
}

function twoDigits(number) {
  const text = number.toFixed(2);
  return text === "-0.00" ? "0.00" : text.replace("-", "−");
}
