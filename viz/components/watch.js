const variable = (element, name) => getComputedStyle(element).getPropertyValue(name);

// Calls `changed` when a CSS variable of the element does: with the theme, or with a style that Python sends. No event
// tells a script of that, so it is looked at. Returns what ends it.
function watchVariable(element, name, changed) {
  let last = variable(element, name);
  const timer = setInterval(() => {
    const now = variable(element, name);
    if (now !== last) changed(last = now);
  }, 100);
  return () => clearInterval(timer);
}
