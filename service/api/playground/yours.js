/** An image of one's own: what the model sees in it and what it loses. */

import { drawBars } from "./bars.js";
import { curlLine, showCurl } from "./curl.js";
import { SLOTS } from "./holds.js";
import { latest } from "./latest.js";
import { Refusal } from "./api.js";
import { allIsWell, byId, complain, fact, say } from "./page.js";
import { copyOf, paintDifference, paintFile } from "./pixels.js";

const AMPLIFICATION = 4;

export class Yours {
  #api;
  #limits = null;
  #canScore = false;
  #file = null;
  #mu = [];
  #look = latest((file) => this.#see(file), complain);

  /**
   * @param turn Given the mu of the image, to be turned.
   */
  constructor(api, holds, turn) {
    this.#api = api;
    byId("difference-caption").textContent = `difference, ${AMPLIFICATION} times as bright`;
    byId("file").addEventListener("change", () => this.show(byId("file").files[0]));
    byId("turn-yours").addEventListener("click", () => {
      turn(this.#mu);
      byId("latent").scrollIntoView({ block: "nearest" });
    });
    for (const slot of SLOTS) {
      const picture = byId("reconstruction");
      byId(`hold-yours-${slot}`).addEventListener("click", () => holds.hold(slot, this.#mu, copyOf(picture)));
    }
    document.addEventListener("paste", (event) => {
      const [file] = event.clipboardData.files;
      if (file) this.show(file);
    });
    this.#takeDrops();
  }

  /** Begin with a model: the image that is there is looked at again. */
  start({ buckets }, limits) {
    this.#canScore = "score" in buckets;
    this.#limits = limits;
    if (this.#file) this.show(this.#file);
  }

  /** Look at an image file. */
  show(file) {
    if (!file || !this.#limits) return;
    allIsWell();
    this.#look(file);
  }

  async #see(file) {
    const max = this.#limits.max_body_bytes;
    if (file.size > max) {
      throw new Refusal(`The file has ${megabytes(file.size)}, and at most ${megabytes(max)} are taken.`, 413);
    }
    const [{ data: [posterior] }, { data: [item] }, scores] = await Promise.all([
      this.#api.send("encode", file),
      this.#api.send("reconstruct", file, { return_input: true }),
      this.#canScore ? this.#api.send("score", file) : null,
    ]);
    this.#file = file;
    this.#mu = posterior.mu;
    await paintFile(byId("original"), item.input_b64_json);
    await paintFile(byId("reconstruction"), item.b64_json);
    paintDifference(byId("difference"), byId("original"), byId("reconstruction"), AMPLIFICATION);
    drawBars(byId("mu"), "mu", posterior.mu);
    drawBars(byId("log-var"), "log_var", posterior.log_var);
    showLosses(item);
    showScore(scores?.data[0]);
    byId("seen").hidden = false;
    say(`${file.name} is encoded and reconstructed`);
    this.#showCurl(file);
  }

  #showCurl(file) {
    const line = curlLine(this.#api.url("reconstruct"), {
      headers: { "Content-Type": file.type, Accept: "image/png" },
      data: `@${file.name}`,
      output: "reconstruction.png",
      hasKey: Boolean(this.#api.key),
    });
    showCurl(byId("yours-curl"), line);
  }

  #takeDrops() {
    const drop = byId("drop");
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
    document.addEventListener("dragleave", () => drop.classList.remove("over"));
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      const [file] = event.dataTransfer.files;
      if (file) this.show(file);
      else complain(new Refusal("That was no file: save the image first, then drop its file here.", 0));
    });
  }
}

function showLosses({ mse, psnr, kl }) {
  byId("losses").replaceChildren(
    fact("mse", mse, "", "mean squared error of pixels from 0 to 1"),
    fact("psnr", psnr, "dB", "the same on a logarithmic scale; higher is better"),
    fact("kl", kl, "nats", "what z tells of this image"),
  );
}

function showScore(score) {
  byId("score").hidden = !score;
  if (!score) return;
  const strangeness = [
    fact("anomaly", score.anomaly, "", "how strange it is: 3 is usual, each 1 more e times as rare"),
    fact("percentile", score.percentile, "%", "of its validation images are less strange"),
  ];
  const isMeasured = score.anomaly !== null; // only where the checkpoint holds its own scores
  const elbo = fact("elbo", score.elbo, "nats", "how likely the model finds it, at least");
  byId("score").replaceChildren(...(isMeasured ? strangeness : []), elbo);
}

function megabytes(bytes) {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
