// Plotly draws in pixels of the window, and no observer of sizes runs while a browser lays out paper. With a viewBox an
// SVG can be made smaller as a whole, by viz/paper.css.
function render() {
  const stop = new AbortController(), listening = { signal: stop.signal };
  const pictures = () => document.querySelectorAll(".js-plotly-plot .main-svg");
  const size = (svg) =>
    ["width", "height"].map((name) => parseFloat(svg.getAttribute(name)) || svg[name].baseVal.value);
  addEventListener(
    "beforeprint",
    () => pictures().forEach((svg) => svg.setAttribute("viewBox", `0 0 ${size(svg).join(" ")}`)),
    listening,
  );
  addEventListener("afterprint", () => pictures().forEach((svg) => svg.removeAttribute("viewBox")), listening);
  return () => stop.abort();
}
