/** The service, as this page calls it. Every address is relative to the page. */

import { readNpy, writeNpy } from "./npy.js";

const KEY = "api-key";
const JSON_TYPE = "application/json";
const NPY_TYPE = "application/x-npy";

/** A request that was not answered as hoped; its message is a sentence for people. */
export class Refusal extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export class Api {
  /** The model of requests, null for the default one. */
  model = null;

  get key() {
    return sessionStorage.getItem(KEY);
  }

  set key(key) {
    if (key) sessionStorage.setItem(KEY, key);
    else sessionStorage.removeItem(KEY);
  }

  /** The whole address of an operation. */
  url(path, query = {}) {
    const url = new URL(path, document.baseURI);
    url.hash = "";
    const named = this.model === null ? query : { model: this.model, ...query };
    for (const [name, value] of Object.entries(named)) url.searchParams.set(name, value);
    return url.href;
  }

  async models() {
    return (await this.#ask("GET", new URL("models", document.baseURI).href, {})).json();
  }

  /** Call an operation with a JSON body, given as text since seeds are too long for JavaScript's numbers. */
  async json(path, text) {
    return (await this.#post(path, text, JSON_TYPE, JSON_TYPE)).json();
  }

  /** Decode one z: shape (H, W, C) and bytes. */
  async decode(z) {
    const answer = await this.#post("decode", writeNpy([z]), NPY_TYPE, NPY_TYPE);
    const { shape, bytes } = readNpy(await answer.arrayBuffer());
    return { shape: shape.slice(1), bytes };
  }

  /** Send an image file to an operation. */
  async send(path, file, query = {}) {
    return (await this.#post(path, file, file.type || "application/octet-stream", JSON_TYPE, query)).json();
  }

  #post(path, body, type, accept, query = {}) {
    return this.#ask("POST", this.url(path, query), { body, headers: { "Content-Type": type, Accept: accept } });
  }

  async #ask(method, url, { body, headers = { Accept: JSON_TYPE } }) {
    const bearer = this.key ? { Authorization: `Bearer ${this.key}` } : {};
    let answer;
    try {
      answer = await fetch(url, { method, body, headers: { ...headers, ...bearer } });
    } catch {
      throw new Refusal("The service cannot be reached. Is it still running?", 0);
    }
    if (!answer.ok) throw await refusal(answer);
    return answer;
  }
}

async function refusal(answer) {
  try {
    const { title, detail } = await answer.json();
    return new Refusal(`${title}: ${detail}.`, answer.status);
  } catch {
    return new Refusal(`The service answered ${answer.status}.`, answer.status);
  }
}
