/** The curl line of what is on the screen, to be copied into a shell. */

import { make, say } from "./page.js";

const COPIED_MILLISECONDS = 1500;
const PLAIN = /^[A-Za-z0-9_@%+=:,./-]+$/;

/**
 * One line for sh. A key is not written out but taken from the variable API_KEY.
 *
 * @param url Of the operation.
 * @param headers By name.
 * @param data Of the body, `@name` for that of a file; null for GET.
 * @param output The file of the answer, null to print it.
 */
export function curlLine(url, { headers = {}, data = null, output = null, hasKey = false }) {
  const words = ["curl", "-fsS", quoted(url)];
  if (data !== null) words.push(data.startsWith("@") ? "--data-binary" : "-d", quoted(data));
  for (const [name, value] of Object.entries(headers)) words.push("-H", quoted(`${name}: ${value}`));
  if (hasKey) words.push("-H", '"Authorization: Bearer $API_KEY"');
  if (output !== null) words.push("-o", quoted(output));
  return words.join(" ");
}

/** Show a line in its place, with a button that copies it. */
export function showCurl(place, line) {
  place.hidden = false;
  if (!place.firstChild) {
    const code = make("code", { tabindex: "0", role: "group", "aria-label": "The same with curl" });
    const button = make("button", { type: "button" }, "Copy");
    button.addEventListener("click", () => copy(code, button));
    place.append(code, button);
  }
  place.firstChild.textContent = line;
}

function quoted(text) {
  return PLAIN.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

async function copy(code, button) {
  if (navigator.clipboard) await navigator.clipboard.writeText(code.textContent);
  else copySelected(code);
  button.textContent = "Copied";
  say("The curl line is copied.");
  setTimeout(() => (button.textContent = "Copy"), COPIED_MILLISECONDS);
}

/** Pages that came over plain HTTP from another machine have no clipboard but this. */
function copySelected(code) {
  getSelection().selectAllChildren(code);
  document.execCommand("copy");
  getSelection().removeAllRanges();
}
