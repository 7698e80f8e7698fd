// What Python was told, by the place: drawn again by the very change that is watched for, this would miss it.
const told = new WeakMap();

function render({ parentElement, setTriggerValue }) {
  const host = parentElement.host || parentElement, name = "--st-background-color";
  const tell = (colour) => {
    if (matchMedia("print").matches || told.get(host) === colour) return;
    if (told.has(host)) setTriggerValue("theme", colour);
    told.set(host, colour);
  };
  tell(variable(host, name));
  return watchVariable(host, name, tell);
}
