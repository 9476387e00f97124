/** The way between the two held images: a strip, and the same as an animation. */

import { curlLine, showCurl } from "./curl.js";
import { latest } from "./latest.js";
import { allIsWell, byId, complain, make } from "./page.js";
import { fileUrl, fit, showPixels } from "./pixels.js";

const HELP = {
  none: "Nothing is held yet: choose two images of the grid.",
  a: "A is held. Choose another image as B.",
  b: "B is held. Choose another image as A.",
};
const MAX_FRAMES_PER_SECOND = 30;
const MIN_WAY_SECONDS = 1.25;

export class Between {
  #api;
  #holds;
  #images = [];
  #player = null;
  #go = latest(() => this.#fetch(), complain);

  constructor(api, holds) {
    this.#api = api;
    this.#holds = holds;
    holds.addEventListener("change", () => this.#onChange());
    for (const id of ["mode", "steps"]) byId(id).addEventListener("change", () => this.#onChange());
    byId("position").addEventListener("input", () => {
      this.pause();
      this.#showFrame(Number(byId("position").value));
    });
    byId("play").addEventListener("click", () => (this.isPlaying ? this.pause() : this.#play()));
    byId("let-go").addEventListener("click", () => holds.letGo());
  }

  start(limits) {
    byId("steps").max = limits.max_images;
    this.#onChange();
  }

  get isPlaying() {
    return this.#player !== null;
  }

  pause() {
    cancelAnimationFrame(this.#player);
    this.#player = null;
    byId("play").textContent = "Play";
  }

  #onChange() {
    const { a, b } = this.#holds;
    const isWhole = Boolean(a && b);
    if (!isWhole) this.pause();
    byId("way").hidden = !isWhole;
    byId("between-curl").hidden = !isWhole;
    byId("between-help").hidden = isWhole;
    byId("between-help").textContent = HELP[a ? "a" : b ? "b" : "none"];
    if (isWhole) this.#go();
  }

  async #fetch() {
    const { a, b } = this.#holds;
    if (!a || !b) return;
    const asked = { from: a.z, to: b.z, steps: Number(byId("steps").value), mode: byId("mode").value };
    const body = JSON.stringify(asked);
    const answer = await this.#api.json("interpolate", body);
    const [width, height] = answer.size.split("x").map(Number);
    await this.#show(answer.data, height, width);
    allIsWell();
    const line = curlLine(this.#api.url("interpolate"), {
      headers: { "Content-Type": "application/json", Accept: "image/png" },
      data: body,
      output: "between.png",
      hasKey: Boolean(this.#api.key),
    });
    showCurl(byId("between-curl"), line);
  }

  async #show(data, height, width) {
    this.#images = data.map(({ b64_json: file }) => {
      const image = make("img", { alt: "", src: fileUrl(file) });
      showPixels(image, height, width);
      return image;
    });
    await Promise.all(this.#images.map((image) => image.decode()));
    byId("strip").replaceChildren(...this.#images);
    byId("position").max = this.#images.length - 1;
    fit(byId("frame"), height, width);
    this.#showFrame(Number(byId("position").value));
  }

  #showFrame(index) {
    const position = byId("position");
    position.value = index;
    position.setAttribute("aria-valuetext", `image ${index + 1} of ${this.#images.length}`);
    byId("frame").getContext("2d").drawImage(this.#images[index], 0, 0);
    this.#images.forEach((image, i) => image.classList.toggle("current", i === index));
  }

  /** There and back again, until it is paused; no image is left out. */
  #play() {
    byId("play").textContent = "Pause";
    let direction = 1;
    let shownAt = performance.now();
    const step = (now) => {
      this.#player = requestAnimationFrame(step);
      const last = this.#images.length - 1;
      const framesPerSecond = Math.min(MAX_FRAMES_PER_SECOND, last / MIN_WAY_SECONDS);
      if (now - shownAt < 1000 / framesPerSecond) return;
      shownAt = now;
      const index = Number(byId("position").value);
      if (index >= last) direction = -1;
      if (index <= 0) direction = 1;
      this.#showFrame(index + direction);
    };
    this.#player = requestAnimationFrame(step);
  }
}
