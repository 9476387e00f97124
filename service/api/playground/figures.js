/** The measured figures of a model: what each is called, its unit, and a line that says what it means. */

import { fact } from "./page.js";

// By a figure's name, or how it begins: what it is called, its unit, its meaning. They are shown in this order.
const MEANINGS = {
  elbo: ["ELBO", "nats", "how well it explains an image, at least; higher is better"],
  rate: ["rate", "nats", "what z tells of an image"],
  distortion: ["distortion", "nats", "what z leaves out, −log p(x|z); lower is better"],
  nll: ["NLL", "nats", "−log p(x), by importance sampling; lower is better"],
  bits_per_dimension: ["bits", "a pixel value", "the same, shared out; lower is better"],
  mse: ["MSE", "", "of reconstructions, pixels being from 0 to 1; lower is better"],
  psnr: ["PSNR", "dB", "of reconstructions; higher is better"],
  ms_ssim: ["MS-SSIM", "", "how alike reconstructions look; 1 is equal"],
  ssim: ["SSIM", "", "how alike reconstructions look; 1 is equal"],
  sigma: ["sigma", "", "the decoder's noise, pixels being from 0 to 1"],
  scale: ["scale", "", "the decoder's logistic noise, pixels being from 0 to 1"],
  active_units: ["active units", "", "latent units that are in use"],
  mutual_information: ["information", "nats", "what z tells of which image it is"],
  prior_gap: ["prior gap", "nats", "how far all z are from the prior; lower means better samples"],
  frechet_classifier: ["Fréchet", "", "samples from images, as a classifier sees them; lower is better"],
  sliced_wasserstein: ["Wasserstein", "", "samples from images, in patches; lower is better"],
};
const FIRST = ["elbo", "rate", "mse", "psnr", "active_units"];
const ENDS = { standard: "standard prior", fitted: "fitted prior", train: "training images" };
const OF_TRAINING_IMAGES = "the same of training images: what the best samples would have";

/** The figures of a model: the first to be seen, and the others. */
export function figuresOf({ quality, prior }) {
  const first = [...FIRST, `frechet_classifier_${prior}`];
  const known = Object.keys(MEANINGS).flatMap((start) => namesOf(quality).filter((name) => startOf(name) === start));
  const names = [...known, ...namesOf(quality).filter((name) => !startOf(name))];
  const facts = (isFirst) => names.filter((name) => first.includes(name) === isFirst).map((name) => shown(name, quality));
  return { first: facts(true), others: facts(false) };
}

/** How many images of which kind the figures are of, as far as it is known. */
export function measuredOn(quality) {
  const split = ["test", "validation"].find((each) => `num_${each}_images` in quality);
  if (!split) return Object.keys(quality).length ? "measured on validation images" : "not measured yet";
  return `measured on ${quality[`num_${split}_images`].toLocaleString("en")} ${split} images`;
}

function namesOf(quality) {
  return Object.keys(quality).filter((name) => !name.startsWith("num_"));
}

function startOf(name) {
  return Object.keys(MEANINGS).find((start) => name === start || name.startsWith(`${start}_`));
}

function shown(name, quality) {
  const start = startOf(name);
  if (!start) return fact(name.replaceAll("_", " "), quality[name]);
  const [label, unit, meaning] = MEANINGS[start];
  const end = name.slice(start.length + 1);
  const words = ENDS[end] ?? end.replace(/^iw(\d+)$/, "$1 samples").replaceAll("_", " ");
  return fact(words ? `${label}, ${words}` : label, quality[name], unit, end === "train" ? OF_TRAINING_IMAGES : meaning);
}
