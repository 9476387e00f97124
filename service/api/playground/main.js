/** Builds the page once and hands each part what it needs. */

import { Api } from "./api.js";
import { Between } from "./between.js";
import { showModel } from "./card.js";
import { Holds } from "./holds.js";
import { Latent } from "./latent.js";
import { latest } from "./latest.js";
import { allIsWell, byId, complain, make } from "./page.js";
import { Samples } from "./samples.js";
import { Yours } from "./yours.js";

const UNAUTHORIZED = 401;

class Page {
  #api = new Api();
  #holds = new Holds();
  #latent = new Latent(this.#api, this.#holds, () => this.#samples.drawOne());
  #samples = new Samples(this.#api, this.#holds, (z) => this.#latent.turn(z));
  #between = new Between(this.#api, this.#holds);
  #yours = new Yours(this.#api, this.#holds, (z) => this.#latent.turn(z));

  /** Show a model, by its name, or the default one. */
  start = latest((name) => this.#start(name), (error) => this.#onTrouble(error));

  constructor() {
    byId("model").addEventListener("change", () => this.start(byId("model").value));
    window.addEventListener("hashchange", () => {
      const name = modelInAddress();
      if (name !== null && name !== byId("model").value) this.start(name);
    });
    byId("key-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#useKey(byId("key").value);
    });
    byId("forget-key").addEventListener("click", () => this.#useKey(null));
    byId("close-trouble").addEventListener("click", allIsWell);
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.#onEscape(event.target));
  }

  async #start(name) {
    const { data, default: standard, limits } = await this.#api.models();
    const metadata = data.find((each) => each.name === name) ?? data.find((each) => each.name === standard);
    this.#api.model = metadata.name === standard ? null : metadata.name;
    this.#showChoice(data, metadata.name);
    showModel(metadata, this.#api);
    this.#holds.letGo();
    this.#latent.start(metadata);
    this.#between.start(limits);
    this.#yours.start(metadata, limits);
    byId("main").hidden = false;
    await this.#samples.start(metadata, limits);
    if (!this.#samples.first) return;
    this.#latent.turn(this.#samples.first);
    this.#samples.holdFirstTwo();
  }

  #showChoice(models, chosen) {
    byId("key-form").hidden = true;
    byId("forget-key").hidden = !this.#api.key;
    byId("chooser").hidden = models.length < 2;
    byId("model").replaceChildren(...models.map(({ name }) => make("option", { value: name }, name)));
    byId("model").value = chosen;
  }

  #useKey(key) {
    this.#api.key = key;
    byId("key").value = "";
    allIsWell();
    this.start(byId("model").value);
  }

  #onTrouble(error) {
    if (error.status === UNAUTHORIZED) {
      byId("main").hidden = true;
      byId("forget-key").hidden = true;
      byId("key-form").hidden = false;
      byId("key").focus();
      if (!this.#api.key) return;
    }
    complain(error);
  }

  #onEscape(target) {
    if (allIsWell()) return;
    if (this.#between.isPlaying) this.#between.pause();
    else if (!target.closest("input, select")) this.#holds.letGo();
  }
}

function modelInAddress() {
  return new URLSearchParams(location.hash.slice(1)).get("model");
}

new Page().start(modelInAddress());
