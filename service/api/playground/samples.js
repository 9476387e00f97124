/** The grid of samples: what is asked for, also in the address; keys; holding an image. */

import { curlLine, showCurl } from "./curl.js";
import { latest } from "./latest.js";
import { allIsWell, byId, complain, make, say } from "./page.js";
import { copyOf, fileUrl, showPixels } from "./pixels.js";

const FIELDS = ["n", "seed", "temperature", "prior"];
// Short enough to be told to somebody.
const NUM_SEEDS = 100_000;
const ADDRESS_MILLISECONDS = 300;

export class Samples {
  #api;
  #holds;
  #turn;
  #items = [];
  #timer = 0;
  #draw = latest(() => this.#sample(), complain);

  /**
   * @param turn Given the z of an image that is chosen.
   */
  constructor(api, holds, turn) {
    this.#api = api;
    this.#holds = holds;
    this.#turn = turn;
    const form = byId("sampling");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.draw();
    });
    for (const name of FIELDS) byId(name).addEventListener("change", () => this.draw());
    byId("temperature").addEventListener("input", () => this.draw());
    byId("new-seed").addEventListener("click", () => this.#newSeed());
    byId("grid").addEventListener("keydown", (event) => this.#onKey(event));
    window.addEventListener("hashchange", () => (this.#readAddress() ? this.draw() : this.#writeAddress()));
    holds.addEventListener("change", () => this.#mark());
  }

  /** Begin with a model: what the address says, or a seed of its own. */
  async start(metadata, limits) {
    this.#items = [];
    byId("grid").replaceChildren();
    byId("n").max = limits.max_images;
    byId("prior-choice").hidden = metadata.prior !== "fitted";
    this.#readAddress();
    byId("seed").value ||= randomSeed();
    await this.draw();
  }

  /** Draw what the form asks for. */
  draw() {
    byId("temperature-value").textContent = Number(byId("temperature").value).toFixed(2);
    return this.#draw();
  }

  /** Draw one z as the form says, but for the seed. */
  async drawOne() {
    const answer = await this.#api.json("sample", this.#body({ n: "1", seed: randomSeed(), return_z: "true" }));
    return answer.data[0].z;
  }

  /** Hold the first two images, so that there is something between them. */
  holdFirstTwo() {
    const images = byId("grid").querySelectorAll("img");
    this.#items.slice(0, 2).forEach((item, i) => this.#holds.hold("ab"[i], item.z, copyOf(images[i])));
  }

  /** The z of the first image, where there is one. */
  get first() {
    return this.#items[0]?.z;
  }

  async #sample() {
    const shown = this.#body({});
    const answer = await this.#api.json("sample", this.#body({ return_z: "true" }));
    const [width, height] = answer.size.split("x").map(Number);
    this.#items = answer.data;
    await this.#show(height, width);
    allIsWell();
    say(`${answer.data.length} images, seed ${byId("seed").value}`);
    const headers = { "Content-Type": "application/json", Accept: "image/png" };
    const line = curlLine(this.#api.url("sample"), {
      headers,
      data: shown,
      output: "samples.png",
      hasKey: Boolean(this.#api.key),
    });
    showCurl(byId("samples-curl"), line);
    clearTimeout(this.#timer); // browsers bound how often an address may change
    this.#timer = setTimeout(() => this.#writeAddress(), ADDRESS_MILLISECONDS);
  }

  /** What the form asks for, as JSON; its numbers are kept as they were typed, seeds having up to 20 digits. */
  #body(changes) {
    const fields = {};
    for (const name of ["n", "seed", "temperature"]) fields[name] = asJson(byId(name).value.trim());
    if (!byId("prior-choice").hidden) fields.prior = JSON.stringify(byId("prior").value);
    const parts = Object.entries({ ...fields, ...changes }).map(([name, value]) => `"${name}":${value}`);
    return `{${parts.join(",")}}`;
  }

  async #show(height, width) {
    const grid = byId("grid");
    const num = this.#items.length;
    while (grid.children.length > num) grid.lastChild.remove();
    while (grid.children.length < num) grid.append(this.#tile(grid.children.length));
    grid.style.setProperty("--columns", Math.min(8, Math.ceil(Math.sqrt(num))));
    grid.style.setProperty("--aspect", `${width} / ${height}`);
    const images = [...grid.querySelectorAll("img")];
    images.forEach((image, i) => (image.src = fileUrl(this.#items[i].b64_json)));
    await Promise.all(images.map((image) => image.decode()));
    images.forEach((image) => showPixels(image, height, width));
    if (!grid.querySelector('[tabindex="0"]')) grid.firstChild.tabIndex = 0;
    this.#mark();
  }

  #tile(index) {
    const tile = make("button", { type: "button", tabindex: "-1" }, make("img", { alt: "" }));
    tile.addEventListener("click", () => this.#choose(index, this.#holds.next));
    tile.addEventListener("focus", () => this.#makeTabStop(tile));
    return tile;
  }

  #choose(index, slot) {
    const { z } = this.#items[index];
    this.#turn(z);
    this.#holds.hold(slot, z, copyOf(byId("grid").children[index].firstChild));
    say(`Image ${index + 1} is held as ${slot.toUpperCase()}`);
  }

  #mark() {
    [...byId("grid").children].forEach((tile, i) => {
      const slots = this.#holds.slotsOf(this.#items[i].z);
      const held = slots.map((slot) => slot.toUpperCase()).join(" and ");
      tile.querySelectorAll(".slot").forEach((badge) => badge.remove());
      tile.append(...slots.map((slot) => make("b", { class: `slot ${slot}`, "aria-hidden": "true" }, slot.toUpperCase())));
      tile.classList.toggle("held", slots.length > 0);
      tile.setAttribute("aria-label", `Image ${i + 1} of ${this.#items.length}${held && `, held as ${held}`}`);
    });
    byId("next-slot").textContent = this.#holds.next.toUpperCase();
    byId("next-slot").className = `slot ${this.#holds.next}`;
  }

  #onKey(event) {
    const tiles = [...byId("grid").children];
    const index = tiles.indexOf(event.target);
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (index < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const columns = tiles.filter((tile) => tile.offsetTop === tiles[0].offsetTop).length;
    const moves = { ArrowLeft: index - 1, ArrowRight: index + 1, ArrowUp: index - columns, ArrowDown: index + columns };
    const target = { ...moves, Home: 0, End: tiles.length - 1 }[key];
    if (target !== undefined) tiles[target]?.focus();
    else if (key === "a" || key === "b") this.#choose(index, key);
    else if (key === "n") this.#newSeed();
    else return;
    event.preventDefault();
  }

  #makeTabStop(tile) {
    for (const other of byId("grid").children) other.tabIndex = other === tile ? 0 : -1;
  }

  #newSeed() {
    byId("seed").value = randomSeed();
    this.draw();
  }

  /** Returns whether the address says anything of its own. */
  #readAddress() {
    const said = new URLSearchParams(location.hash.slice(1));
    const found = FIELDS.filter((name) => said.has(name));
    for (const name of found) byId(name).value = said.get(name);
    return found.length > 0;
  }

  #writeAddress() {
    const said = new URLSearchParams();
    if (this.#api.model !== null) said.set("model", this.#api.model);
    for (const name of FIELDS) if (byId(name).offsetParent) said.set(name, byId(name).value);
    history.replaceState(null, "", `#${said}`);
  }
}

/** A number as it was typed; what is none is a text, for the service to refuse. */
function asJson(value) {
  return /^-?(0|[1-9]\d*)(\.\d+)?$/.test(value) ? value : JSON.stringify(value);
}

function randomSeed() {
  return String(Math.floor(Math.random() * NUM_SEEDS));
}
