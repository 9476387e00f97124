/** The model card: measured quality and where the checkpoint comes from. */

import { curlLine, showCurl } from "./curl.js";
import { figuresOf, measuredOn } from "./figures.js";
import { byId, make } from "./page.js";

const COLOURS = { 1: "grey", 2: "grey and alpha", 3: "colour", 4: "colour and alpha" };

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
  const { first, others } = figuresOf(metadata);
  byId("measured-on").textContent = measuredOn(metadata.quality);
  byId("quality").replaceChildren(...first);
  byId("other-figures").replaceChildren(...others);
  byId("others").hidden = others.length === 0;
  byId("origin").replaceChildren(...origin(metadata).map(([name, text]) => entry(name, text)));
  const url = api.url(`models/${encodeURIComponent(metadata.name)}`);
  showCurl(byId("card-curl"), curlLine(url, { hasKey: Boolean(api.key) }));
}

/** What is known of it; of a model from elsewhere that may be little. */
function origin(metadata) {
  const { provenance: from } = metadata;
  const scale = metadata.likelihood_scale && `scale ${metadata.likelihood_scale.toPrecision(3)}`;
  const images = from.num_training_images && `${from.num_training_images.toLocaleString("en")} images`;
  const commit = from.commit && `commit ${from.commit.slice(0, 7)}`;
  const source = from.source_sha256 && `from a TorchScript file, SHA-256 ${from.source_sha256.slice(0, 12)}`;
  return [
    ["Data", listed(from.dataset, from.dataset_license, images)],
    ["Training", listed(from.preset, from.epochs && `${from.epochs} epochs`, commit, source)],
    ["Network", listed(metadata.architecture, `latent ${metadata.latent_dim}`)],
    ["Likelihood", listed(metadata.likelihood?.replace("_", " "), scale)],
    ["Prior", metadata.prior],
    ["Uploads", `cropped: ${metadata.preprocessing.crop}, then resized`],
    ["Served", `on ${metadata.device} in ${metadata.precision}`],
    ["Version", metadata.model_version],
    ["Created", metadata.created_at.slice(0, 10)],
  ];
}

function listed(...parts) {
  return parts.filter(Boolean).join(", ") || "not known";
}

function entry(name, text) {
  return make("div", {}, make("dt", {}, name), make("dd", {}, text));
}
