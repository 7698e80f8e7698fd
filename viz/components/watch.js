const variable = (element, name) => getComputedStyle(element).getPropertyValue(name);

// Calls `changed` when a CSS variable of the element does: with the theme, or with a style that Python sends. No event
// tells a script of that, so it is looked at; at once for paper, which has other colours. Returns what ends it.
function watchVariable(element, name, changed) {
  let last = variable(element, name);
  const look = () => {
    if (!element.isConnected) return; // it is being taken away, and has no style any more
    const now = variable(element, name);
    if (now !== last) changed(last = now);
  };
  const timer = setInterval(look, 100), paper = matchMedia("print");
  paper.addEventListener("change", look);
  document.addEventListener("regard:paper", look); // a picture is drawn to be saved, in light colours (corner_dom.js)
  return () => {
    clearInterval(timer);
    document.removeEventListener("regard:paper", look);
    paper.removeEventListener("change", look);
  };
}
