/** The two images that are held, A and B: each its z and a picture of it. */

export const SLOTS = ["a", "b"];

/** Tells `change`. */
export class Holds extends EventTarget {
  #held = { a: null, b: null };
  /** Where the next image that is chosen goes. */
  next = "a";

  get a() {
    return this.#held.a;
  }

  get b() {
    return this.#held.b;
  }

  get isEmpty() {
    return !this.a && !this.b;
  }

  /** Hold an image, and the next one in the other slot. */
  hold(slot, z, picture) {
    this.#held[slot] = { z: [...z], picture };
    this.next = slot === "a" ? "b" : "a";
    this.dispatchEvent(new Event("change"));
  }

  letGo() {
    this.#held = { a: null, b: null };
    this.next = "a";
    this.dispatchEvent(new Event("change"));
  }

  /** Where a z is held, among the slots. */
  slotsOf(z) {
    return SLOTS.filter((slot) => this[slot] && this[slot].z.every((number, i) => number === z[i]));
  }
}
