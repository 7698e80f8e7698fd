// A canvas that is drawn on as SVG: a pen that a component takes for a canvas's own, and what it drew as shapes.
const MOST_SHAPES = 128 * 128; // beyond, cells are the pixels of an image within the SVG; as in viz/figures/svg.py
const SVG_NS = "http://www.w3.org/2000/svg";

function shapeOf(name, attributes = {}, ...content) {
  const node = document.createElementNS(SVG_NS, name);
  for (const [key, value] of Object.entries(attributes)) if (value != null) node.setAttribute(key, value);
  node.append(...content);
  return node;
}

// The pixels of a canvas as a group of 1 x 1 cells: one path for each colour, of runs within a row; null if too many.
function cellsOf(canvas, budget) {
  const { width, height } = canvas, runs = new Map();
  if (!width || !height || width * height > budget.left) return null;
  const colours = new Uint32Array(canvas.getContext("2d").getImageData(0, 0, width, height).data.buffer);
  for (let y = 0; y < height; y++) {
    for (let x = 0, from = 0; x < width; x = from) {
      const colour = colours[y * width + x];
      for (from = x; from < width && colours[y * width + from] === colour; from++);
      if (colour >>> 24) {
        if (!runs.has(colour)) runs.set(colour, []);
        runs.get(colour).push(`M${x} ${y}h${from - x}v1h-${from - x}z`);
      }
    }
  }
  budget.left -= width * height;
  const group = shapeOf("g", { "shape-rendering": "crispEdges" });
  for (const [colour, d] of runs) {
    const rgba = [colour & 255, (colour >> 8) & 255, (colour >> 16) & 255], opacity = (colour >>> 24) / 255;
    group.append(
      shapeOf("path", { fill: hexOf(rgba), "fill-opacity": opacity < 1 ? opacity.toFixed(3) : null, d: d.join("") }),
    );
  }
  return group;
}

// The same, or an image, `width` x `height` large.
function canvasShape(canvas, x, y, width, height, budget, smooth) {
  const cells = smooth ? null : cellsOf(canvas, budget);
  if (cells) {
    cells.setAttribute("transform", `translate(${x} ${y}) scale(${width / canvas.width} ${height / canvas.height})`);
    return cells;
  }
  budget.pixels = true;
  const place = { x, y, width, height, preserveAspectRatio: "none", href: canvas.toDataURL() };
  return shapeOf("image", { ...place, style: smooth ? null : "image-rendering:pixelated" });
}

// What components call of a 2D context; the rest is not there, so that one who calls more fails where it is seen.
function svgPen(canvas, budget) {
  const real = CanvasRenderingContext2D.prototype, measure = document.createElement("canvas").getContext("2d");
  const group = shapeOf("g");
  let state = { matrix: new DOMMatrix(), dash: [] }, path = [];
  const stack = [], own = ["fillStyle", "strokeStyle", "lineWidth", "globalAlpha", "font", "textAlign", "textBaseline"];
  const pen = { canvas, group, lineCap: "butt", imageSmoothingEnabled: true };
  const start = { fillStyle: "black", strokeStyle: "black", lineWidth: 1, globalAlpha: 1, font: "10px sans-serif" };
  Object.assign(pen, start, { textAlign: "start", textBaseline: "alphabetic" });
  const put = (node, alpha = pen.globalAlpha) => {
    const { a, b, c, d, e, f } = state.matrix;
    if (!state.matrix.isIdentity) {
      node.setAttribute(
        "transform",
        `matrix(${[a, b, c, d, e, f].map((v) => +v.toFixed(4))})`,
      );
    }
    if (alpha < 1) node.setAttribute("opacity", +alpha.toFixed(4));
    group.append(node);
  };
  const stroked = () => ({
    fill: "none",
    ...paint("stroke", pen.strokeStyle),
    "stroke-width": pen.lineWidth,
    "stroke-linecap": pen.lineCap === "butt" ? null : pen.lineCap,
    "stroke-dasharray": state.dash.length ? state.dash.join(" ") : null,
  });
  const short = (value) => +value.toFixed(2);
  const box = (x, y, width, height) => ({ x: short(x), y: short(y), width: short(width), height: short(height) });
  return Object.assign(pen, {
    save: () => stack.push([{ ...state }, own.map((name) => pen[name])]),
    restore() {
      const [before, values] = stack.pop();
      state = before;
      own.forEach((name, i) => pen[name] = values[i]);
    },
    setTransform: (...m) => state.matrix = new DOMMatrix(m),
    translate: (x, y) => state.matrix = state.matrix.translate(x, y),
    scale: (x, y) => state.matrix = state.matrix.scale(x, y),
    rotate: (angle) => state.matrix = state.matrix.rotate(angle * 180 / Math.PI),
    setLineDash: (dash) => state.dash = dash,
    measureText: (text) => (measure.font = pen.font, real.measureText.call(measure, text)),
    beginPath: () => path = [],
    moveTo: (x, y) => path.push(`M${short(x)} ${short(y)}`),
    lineTo: (x, y) => path.push(`L${short(x)} ${short(y)}`),
    arc: (x, y, r) => path.push(`M${short(x - r)} ${short(y)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`),
    stroke: () => path.length && put(shapeOf("path", { d: path.join(""), ...stroked() })),
    fill: () => path.length && put(shapeOf("path", { d: path.join(""), ...paint("fill", pen.fillStyle) })),
    strokeRect: (...b) => put(shapeOf("rect", { ...box(...b), ...stroked() })),
    fillRect: (...b) => put(shapeOf("rect", { ...box(...b), ...paint("fill", pen.fillStyle) })),
    // all of it is wiped before it is drawn on; a part, to write a name there
    clearRect(...b) {
      if (group.childElementCount) put(shapeOf("rect", { ...box(...b), fill: "white" }), 1);
    },
    fillText(text, x, y, most) {
      const metrics = pen.measureText(text), { actualBoundingBoxAscent: up, actualBoundingBoxDescent: down } = metrics;
      const lower = pen.textBaseline === "middle" ? (up - down) / 2 : pen.textBaseline === "top" ? up : 0;
      const anchor = { center: "middle", right: "end", end: "end" }[pen.textAlign];
      const node = shapeOf("text", {
        x: short(x),
        y: short(y + lower),
        "text-anchor": anchor,
        "xml:space": "preserve",
      });
      node.setAttribute("style", `font:${pen.font}`);
      if (most < metrics.width) node.setAttribute("textLength", short(most));
      for (const [name, value] of Object.entries(paint("fill", pen.fillStyle))) node.setAttribute(name, value);
      node.textContent = text;
      put(node);
    },
    drawImage: (from, x, y, width, height) =>
      put(canvasShape(from, x, y, width, height, budget, pen.imageSmoothingEnabled)),
  });
}
