/** Pixels on canvases. */

// A smaller picture is shown with its pixels as squares, a larger one smoothly.
const SMALL_PIXELS = 96;

/** Have an element show the pixels of an image where they are few. */
export function showPixels(element, height, width) {
  element.classList.toggle("small", Math.max(height, width) <= SMALL_PIXELS);
}

/** Give a canvas the size of an image. */
export function fit(canvas, height, width) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  showPixels(canvas, height, width);
  return canvas;
}

/** Paint bytes of 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA) channels. */
export function paint(canvas, [height, width, channels], bytes) {
  fit(canvas, height, width);
  const image = new ImageData(width, height);
  const hasAlpha = channels % 2 === 0;
  const isGrey = channels < 3;
  for (let from = 0, to = 0; to < image.data.length; from += channels, to += 4) {
    image.data[to] = bytes[from];
    image.data[to + 1] = bytes[isGrey ? from : from + 1];
    image.data[to + 2] = bytes[isGrey ? from : from + 2];
    image.data[to + 3] = hasAlpha ? bytes[from + channels - 1] : 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** Paint a file that came as base64. */
export async function paintFile(canvas, base64) {
  const image = new Image();
  image.src = fileUrl(base64);
  await image.decode();
  fit(canvas, image.naturalHeight, image.naturalWidth);
  canvas.getContext("2d", { willReadFrequently: true }).drawImage(image, 0, 0);
}

/** The address of a PNG file that came as base64. */
export function fileUrl(base64) {
  return `data:image/png;base64,${base64}`;
}

/** A copy of an image or canvas as it is now. */
export function copyOf(source) {
  const copy = document.createElement("canvas");
  fit(copy, source.naturalHeight ?? source.height, source.naturalWidth ?? source.width);
  copy.getContext("2d").drawImage(source, 0, 0);
  return copy;
}

/** Paint |first - second| x factor. */
export function paintDifference(canvas, first, second, factor) {
  const { width, height } = fit(canvas, first.height, first.width);
  const [one, other] = [first, second].map((each) => each.getContext("2d").getImageData(0, 0, width, height).data);
  const image = new ImageData(width, height);
  image.data.forEach((_, i) => {
    image.data[i] = i % 4 === 3 ? 255 : factor * Math.abs(one[i] - other[i]);
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
}
