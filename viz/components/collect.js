// Asks the corners of the page for its pictures (corner_collect.js), once for each number, and sends them to Python.
const collectedFor = new Set();
function render({ data: { number, but, most }, setTriggerValue }) {
  if (collectedFor.has(number)) return;
  collectedFor.add(number);
  const done = (found) => setTriggerValue("collected", { number, ...found });
  document.dispatchEvent(new CustomEvent("regard:collect", { detail: { but, most, done } }));
}
