function render({ parentElement, setTriggerValue }) {
  const host = parentElement.host || parentElement;
  return watchVariable(host, "--st-background-color", (colour) => {
    if (!matchMedia("print").matches) setTriggerValue("theme", colour);
  });
}
