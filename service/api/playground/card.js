/** The model card: measured quality and where the checkpoint comes from. */

import { curlLine, showCurl } from "./curl.js";
import { byId, fact, make } from "./page.js";

const COLOURS = { 1: "grey", 2: "grey and alpha", 3: "colour", 4: "colour and alpha" };
// Unit and meaning of the figures that training measures.
const MEANINGS = {
  elbo: ["nats", "how well it explains an image, at least; higher is better"],
  rate: ["nats", "what z tells of an image"],
  distortion: ["nats", "what z leaves out, as the likelihood counts it; lower is better"],
  mse: ["", "error of reconstructions, squared, of pixels from 0 to 1"],
  active_units: ["", "latent units that are in use"],
  sigma: ["", "noise that the decoder reckons with, of pixels from 0 to 1"],
  scale: ["", "width of the decoder's logistic noise, of pixels from 0 to 1"],
};

/** Show a model in the head of the page and in its card. */
export function showModel(metadata, api) {
  const [channels, height, width] = metadata.image_shape;
  const images = `${width} × ${height} ${COLOURS[channels]}`;
  document.title = `${metadata.name} · VAE playground`;
  byId("name").textContent = metadata.name;
  byId("lede").replaceChildren(
    `A variational autoencoder: ${images} images, each told in ${metadata.latent_dim} numbers, `,
    make("var", {}, "z"),
    ", and drawn back from them.",
  );
  const known = Object.keys(MEANINGS).filter((name) => name in metadata.quality);
  const names = [...known, ...Object.keys(metadata.quality).filter((name) => !(name in MEANINGS))];
  const quality = names.map((name) =>
    fact(name.replaceAll("_", " "), metadata.quality[name], ...(MEANINGS[name] ?? [])),
  );
  byId("quality").replaceChildren(...quality);
  byId("origin").replaceChildren(...origin(metadata).map(([name, text]) => entry(name, text)));
  const url = api.url(`models/${encodeURIComponent(metadata.name)}`);
  showCurl(byId("card-curl"), curlLine(url, { hasKey: Boolean(api.key) }));
}

function origin(metadata) {
  const { provenance, quality } = metadata;
  const license = provenance.dataset_license ? `, ${provenance.dataset_license}` : "";
  const noise = metadata.likelihood_scale ?? quality.sigma;
  const commit = provenance.commit ? `, commit ${provenance.commit.slice(0, 7)}` : "";
  return [
    ["Data", `${provenance.dataset}${license}; ${provenance.num_training_images.toLocaleString("en")} images`],
    ["Training", `${provenance.preset}, ${provenance.epochs} epochs${commit}`],
    ["Network", `${metadata.architecture}, latent ${metadata.latent_dim}`],
    ["Likelihood", metadata.likelihood.replace("_", " ") + (noise ? `, scale ${noise}` : "")],
    ["Prior", metadata.prior],
    ["Uploads", `cropped: ${metadata.preprocessing.crop}, then resized`],
    ["Served", `on ${metadata.device} in ${metadata.precision}`],
    ["Version", metadata.model_version],
    ["Created", metadata.created_at.slice(0, 10)],
  ];
}

function entry(name, text) {
  return make("div", {}, make("dt", {}, name), make("dd", {}, text));
}
