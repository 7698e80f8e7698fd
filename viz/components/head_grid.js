// One canvas: a tile for each head, layers downwards, heads to the right. Tiles are drawn at one pixel a cell and
// enlarged without smoothing, so that a cell stays a cell.
const LARGEST = 84, SMALLEST = 26;
const TALL = 780, READABLE = 30; // a grid of many layers is at most so high, as long as a tile can be read
const MARKS = [0, 0.01, 0.1, 0.25, 0.5, 1], FEW_MARKS = [0, 0.1, 0.5, 1]; // of the colour scale, which follows the square root of the weight

// weight byte -> the theme's sequential colours, as RGBA in one 32-bit number
function palette(host) {
  const colours = getComputedStyle(host).getPropertyValue("--st-chart-sequential-colors").split(",").map((c) => {
    const hex = parseInt(c.trim().slice(1), 16);
    return [hex >> 16, (hex >> 8) & 255, hex & 255];
  });
  return Uint32Array.from({ length: 256 }, (_, byte) => {
    const at = (byte / 255) * (colours.length - 1), i = Math.min(Math.floor(at), colours.length - 2), f = at - i;
    const [r, g, b] = colours[i].map((c, j) => Math.round(c * (1 - f) + colours[i + 1][j] * f));
    return (255 << 24) | (b << 16) | (g << 8) | r;
  });
}

// How large a tile is in `width` px: square, but for a small picture of many layers, which stays as high as it may be.
function measure({ layers, heads, compact }, width) {
  const left = compact ? 0 : 58, top = compact ? 0 : 24; // px for the names
  let pitch = compact ? width / heads : Math.max(
    SMALLEST,
    Math.min(LARGEST, Math.floor((width - left) / heads), Math.max(READABLE, Math.floor(TALL / layers))),
  );
  const tall = compact ? Math.min(pitch, compact / layers) : pitch;
  if (compact && pitch < 1.6 * tall) pitch = tall;
  return {
    left,
    top,
    pitch,
    tall,
    gap: compact ? Math.min(1.5, tall / 8) : 4,
    width: left + pitch * heads,
    height: top + tall * layers,
  };
}

function drawNames(context, { layers, heads }, { left, top, pitch, tall }, style) {
  context.fillStyle = style.getPropertyValue("--st-text-color");
  context.font = `12px ${style.getPropertyValue("--st-font")}`;
  context.textBaseline = "middle";
  context.textAlign = "center";
  for (let head = 0; head < heads; head++) {
    context.fillText(pitch > 52 ? `head ${head}` : head, left + (head + 0.5) * pitch, top / 2);
  }
  context.textAlign = "left";
  for (let layer = 0; layer < layers; layer++) context.fillText(`layer ${layer}`, 2, top + (layer + 0.5) * tall);
}

function drawTiles(context, { layers, heads, queries, keys, compact }, maps, { left, top, pitch, tall, gap }, colour) {
  const tile = document.createElement("canvas");
  tile.width = keys;
  tile.height = queries;
  const pen = tile.getContext("2d"),
    image = pen.createImageData(keys, queries),
    pixels = new Uint32Array(image.data.buffer);
  for (let layer = 0; layer < layers; layer++) {
    for (let head = 0; head < heads; head++) {
      const start = (layer * heads + head) * queries * keys;
      for (let i = 0; i < pixels.length; i++) pixels[i] = colour[maps[start + i]];
      pen.putImageData(image, 0, 0);
      const x = left + head * pitch + gap, y = top + layer * tall + gap, side = pitch - 2 * gap, high = tall - 2 * gap;
      context.drawImage(tile, x, y, side, high);
      if (!compact) context.strokeRect(x - 0.5, y - 0.5, side + 1, high + 1);
    }
  }
}

function drawGrid(grid, host, shape, maps, sizes) {
  const canvas = grid.querySelector("canvas"),
    ratio = window.devicePixelRatio || 1,
    { left, top, pitch, tall, gap } = sizes;
  canvas.width = sizes.width * ratio;
  canvas.height = sizes.height * ratio;
  canvas.style.width = `${sizes.width}px`;
  canvas.style.height = `${sizes.height}px`;
  for (const [name, value] of Object.entries({ left, top, pitch })) grid.style.setProperty(`--${name}`, `${value}px`);
  const context = canvas.getContext("2d"), style = getComputedStyle(host);
  context.scale(ratio, ratio);
  context.imageSmoothingEnabled = shape.keys > pitch * ratio || shape.queries > tall * ratio;
  if (!shape.compact) drawNames(context, shape, sizes, style);
  context.strokeStyle = style.getPropertyValue("--st-border-color");
  drawTiles(context, shape, maps, sizes, palette(host));
  const colours = style.getPropertyValue("--st-chart-sequential-colors");
  grid.querySelector(".bar").style.background = `linear-gradient(to right, ${colours})`;
  grid.style.setProperty("--width", `${sizes.width - left - gap}px`);
  canvas.dataset.drawn = String(performance.now());
}

// heads that Python says are read together: a CSS variable like '"1.2 3.0"', so that the maps need not travel again
function outline(grid) {
  const together = variable(grid, "--together").replaceAll('"', "").trim();
  const pairs = together ? together.split(" ").map((pair) => pair.split(".").map(Number)) : [];
  grid.querySelectorAll(".also").forEach((frame) => frame.remove());
  grid.append(...pairs.map(([layer, head]) => {
    const frame = document.createElement("div");
    frame.className = "also";
    frame.style.setProperty("--layer", layer);
    frame.style.setProperty("--head", head);
    return frame;
  }));
}

// what lies under the pointer: a cell of a head, or the name of a whole layer or column of heads
function placeAt(event, { layers, heads, queries, keys }, { left, top, pitch, tall, gap }) {
  const x = (event.offsetX - left) / pitch, y = (event.offsetY - top) / tall;
  const head = Math.floor(x), layer = Math.floor(y);
  if (x >= heads || y >= layers || (x < 0 && y < 0)) return null;
  if (x < 0) return { layer, head: -1, cell: null };
  if (y < 0) return { layer: -1, head, cell: null };
  const inside = (fraction, size, n) => Math.floor((fraction * size - gap) / (size - 2 * gap) * n);
  const cell = [inside(y - layer, tall, queries), inside(x - head, pitch, keys)];
  const real = cell[0] >= 0 && cell[0] < queries && cell[1] >= 0 && cell[1] < keys;
  return { layer, head, cell: real ? cell : null };
}

const named = ({ layer, head }) =>
  layer < 0 ? `head ${head} of every layer` : head < 0 ? `all of layer ${layer}` : `layer ${layer}, head ${head}`;

function listen(grid, { layers, heads }, at, pick) {
  const canvas = grid.querySelector("canvas"), tip = tipOf(grid);
  canvas.onmousemove = (event) => {
    const place = at(event);
    if (place) tip.show(named(place), event.clientX, event.clientY);
    else tip.hide();
  };
  canvas.onmouseleave = tip.hide;
  canvas.onclick = (event) => {
    const place = at(event);
    if (place) pick({ ...place, add: event.shiftKey || event.ctrlKey || event.metaKey });
  };
  canvas.onkeydown = (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const layer = parseInt(variable(grid, "--layer")) + step[0], head = parseInt(variable(grid, "--head")) + step[1];
    if (layer >= 0 && layer < layers && head >= 0 && head < heads) pick({ layer, head, cell: null, add: false });
  };
}

export default function ({ data, parentElement, setTriggerValue }) {
  const shape = data.shape, compact = shape.compact, host = parentElement.host || parentElement;
  const maps = compact
    ? Uint8Array.from(atob(data.maps), (character) => character.charCodeAt(0))
    : data.maps.getChild("w").toArray();
  const grid = parentElement.querySelector(".grid");
  grid.classList.toggle("compact", Boolean(compact));
  grid.querySelector(".marks").replaceChildren(...(compact ? FEW_MARKS : MARKS).map((mark) => {
    const text = document.createElement("span");
    text.textContent = mark;
    text.style.left = `${100 * Math.sqrt(mark)}%`;
    return text;
  }));
  grid.querySelector("canvas").setAttribute(
    "aria-label",
    `Attention maps of ${shape.layers} layers by ${shape.heads} heads. Arrow keys choose a head.`,
  );
  let sizes = measure(shape, LARGEST * shape.heads);
  const draw = () => {
    if (!grid.clientWidth) return;
    sizes = measure(shape, grid.clientWidth);
    drawGrid(grid, host, shape, maps, sizes);
    outline(grid);
  };
  listen(grid, shape, (event) => placeAt(event, shape, sizes), (place) => setTriggerValue("pick", place));
  draw();
  const resized = new ResizeObserver(draw);
  resized.observe(grid);
  const ends = [
    watchVariable(host, "--st-chart-sequential-colors", draw),
    watchVariable(grid, "--together", () => outline(grid)),
  ];
  return () => {
    resized.disconnect();
    ends.forEach((end) => end());
  };
}
