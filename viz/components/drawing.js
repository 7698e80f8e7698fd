function render({ data, parentElement }) {
  const drawing = parentElement.querySelector(".drawing"), host = parentElement.host ?? parentElement;
  const stop = new AbortController();
  // drawn in Python, every word in it escaped there; also for paper, which may have other colours (corner_dom.js)
  const draw = () => drawing.innerHTML = data.light && host.style.colorScheme === "light" ? data.light : data.svg;
  draw();
  if (data.light) document.addEventListener("regard:paper", draw, { signal: stop.signal });
  return () => stop.abort();
}
