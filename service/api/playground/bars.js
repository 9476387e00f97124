/** Numbers as small bars around zero, one for each latent unit. */

const NAMESPACE = "http://www.w3.org/2000/svg";
const HEIGHT = 60;
const FILLED = 0.8;

/**
 * Draw bars into an SVG element.
 *
 * @param name Of the numbers, for people who do not see them.
 */
export function drawBars(svg, name, numbers) {
  const reach = Math.max(1, ...numbers.map(Math.abs));
  svg.setAttribute("viewBox", `0 0 ${numbers.length} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  const range = `from ${Math.min(...numbers).toFixed(2)} to ${Math.max(...numbers).toFixed(2)}`;
  svg.setAttribute("aria-label", `${name}: ${numbers.length} numbers ${range}`);
  const zero = shape("line", { x1: 0, x2: numbers.length, y1: HEIGHT / 2, y2: HEIGHT / 2 });
  svg.replaceChildren(zero, ...numbers.map((number, unit) => bar(number, unit, reach)));
}

function bar(number, unit, reach) {
  const height = (Math.abs(number) / reach) * (HEIGHT / 2);
  const y = number > 0 ? HEIGHT / 2 - height : HEIGHT / 2;
  const rectangle = shape("rect", { x: unit + (1 - FILLED) / 2, y, width: FILLED, height });
  const title = shape("title", {});
  title.textContent = `z${unit}: ${number.toFixed(3)}`;
  rectangle.append(title);
  return rectangle;
}

function shape(tag, attributes) {
  const element = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
