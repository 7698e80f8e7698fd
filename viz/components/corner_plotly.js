// A figure of plotly as SVG: [a group of shapes, its width, its height]. Plotly draws it once more out of sight, in light
// colours; Streamlit's `window.Plotly` is not promised to anybody, and without one what stands on the page is copied.
async function pictureOfPlotly(figure, host, light, budget) {
  const copy = lightCopy(host, light), box = figure.querySelector(".main-svg").getBoundingClientRect();
  const width = Math.round(box.width), height = Math.round(box.height);
  let text = null;
  try {
    const { meta: _, ...layout } = copy(figure.layout), drawn = { data: copy(figure.data), layout };
    Object.assign(layout, { width, height, autosize: false });
    const url = await window.Plotly.toImage(drawn, { format: "svg", width, height });
    text = decodeURIComponent(url.slice(url.indexOf(",") + 1));
  } catch { /* none, or another one */ }
  const svg = text
    ? new DOMParser().parseFromString(text, "image/svg+xml").documentElement
    : copiedLayers(figure, copy, width, height);
  const traces = figure._fullData ?? [];
  for (const layer of svg.querySelectorAll(".heatmaplayer")) {
    const plot = layer.closest(".subplot")?.classList[1] ?? "xy";
    const its = traces.filter((trace) => trace.type === "heatmap" && `${trace.xaxis}${trace.yaxis}` === plot);
    const images = [...layer.querySelectorAll("image")];
    for (const [i, image] of images.entries()) await cellsForImage(image, its[i], budget);
  }
  if (svg.querySelector("image")) budget.pixels = true;
  return [shapeOf("g", {}, svg), width, height];
}

// The layers of SVG that lie on one another on the page, in one.
function copiedLayers(figure, copy, width, height) {
  const svg = shapeOf("svg", { width, height, viewBox: `0 0 ${width} ${height}` });
  for (const layer of figure.querySelectorAll(".main-svg")) {
    const one = layer.cloneNode(true), nodes = [one, ...one.querySelectorAll("*")];
    one.querySelectorAll(".hoverlayer, .draglayer").forEach((each) => each.replaceChildren());
    for (const node of nodes) {
      const style = node.getAttribute("style");
      if (style) node.setAttribute("style", style.replace(/rgba?\([^)]*\)|#[0-9a-f]{6}/gi, (colour) => copy(colour)));
      for (const name of ["fill", "stroke"]) {
        if (node.hasAttribute(name)) node.setAttribute(name, copy(node.getAttribute(name)));
      }
    }
    svg.append(one);
  }
  return svg;
}

// Plotly draws a heatmap as an image. Of not too many cells, shapes stand in its place: vectors, which no program blurs.
async function cellsForImage(image, trace, budget) {
  const rows = trace?.z?.length, columns = trace?.z?.[0]?.length;
  if (!rows || !columns || rows * columns > budget.left || !evenly(trace.x) || !evenly(trace.y)) return;
  const picture = new Image();
  picture.src = image.getAttribute("href") ?? image.getAttributeNS("http://www.w3.org/1999/xlink", "href");
  await picture.decode();
  const cells = Object.assign(document.createElement("canvas"), { width: columns, height: rows });
  const whole = Object.assign(document.createElement("canvas"), { width: picture.width, height: picture.height });
  whole.getContext("2d").drawImage(picture, 0, 0);
  const from = whole.getContext("2d").getImageData(0, 0, whole.width, whole.height).data;
  const pen = cells.getContext("2d"), made = pen.createImageData(columns, rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const x = Math.floor((column + 0.5) * whole.width / columns), y = Math.floor((row + 0.5) * whole.height / rows);
      const at = 4 * (y * whole.width + x);
      made.data.set(from.slice(at, at + 4), 4 * (row * columns + column));
    }
  }
  pen.putImageData(made, 0, 0);
  const group = cellsOf(cells, budget);
  if (!group) return;
  const [x, y, width, height] = ["x", "y", "width", "height"].map((name) => parseFloat(image.getAttribute(name)) || 0);
  group.setAttribute("transform", `translate(${x} ${y}) scale(${width / columns} ${height / rows})`);
  image.replaceWith(group);
}

function evenly(places) {
  if (!places || places.length < 3) return true;
  const step = places[1] - places[0];
  return Array.from(places).every((place, i) => Math.abs(place - places[0] - i * step) < 1e-6 * Math.abs(step || 1));
}
