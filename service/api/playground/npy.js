/** NumPy's npy, version 1.0: the cheapest form of latents and pixels, without text or compression. */

const MAGIC = "\x93NUMPY\x01\x00";
const ALIGNMENT = 64;

/** Rows of numbers as float32 (N, D) in C order. */
export function writeNpy(rows) {
  const shape = `(${rows.length}, ${rows[0].length})`;
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }`;
  const unpadded = MAGIC.length + 2 + text.length + 1;
  const length = Math.ceil(unpadded / ALIGNMENT) * ALIGNMENT;
  const header = text.padEnd(length - MAGIC.length - 3) + "\n";
  const file = new Uint8Array(length + 4 * rows.length * rows[0].length);
  const size = String.fromCharCode(header.length & 255, header.length >> 8);
  for (const [i, letter] of [...(MAGIC + size + header)].entries()) file[i] = letter.charCodeAt(0);
  const view = new DataView(file.buffer, length);
  rows.flat().forEach((number, i) => view.setFloat32(4 * i, number, true));
  return file;
}

/** The shape of an array of bytes, and the bytes. */
export function readNpy(buffer) {
  const length = 10 + new DataView(buffer).getUint16(8, true);
  const header = new TextDecoder("latin1").decode(new Uint8Array(buffer, 10, length - 10));
  const shape = header.match(/'shape': \(([^)]*)\)/)[1].split(",").filter((part) => part.trim()).map(Number);
  return { shape, bytes: new Uint8Array(buffer, length) };
}
