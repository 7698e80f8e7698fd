// One canvas: a tile for each head, layers downwards, heads to the right. Tiles are drawn at one pixel a cell and
// enlarged without smoothing, so that a cell stays a cell.
const LARGEST = 84, SMALLEST = 26;
const TALL = 780, READABLE = 30;  // a grid of many layers is at most so high, as long as a tile can be read
const MARKS = [0, 0.01, 0.1, 0.25, 0.5, 1], FEW_MARKS = [0, 0.1, 0.5, 1];  // of the colour scale, which follows the square root of the weight

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

export default function ({ data, parentElement, setTriggerValue }) {
  const { layers, heads, queries, keys, compact } = data.shape;
  const LEFT = compact ? 0 : 58, TOP = compact ? 0 : 24;  // px
  let GAP = 4, tall = LARGEST;
  const maps = compact
    ? Uint8Array.from(atob(data.maps), (character) => character.charCodeAt(0))
    : data.maps.getChild("w").toArray();
  const host = parentElement.host || parentElement;
  const grid = parentElement.querySelector(".grid"), canvas = grid.querySelector("canvas");
  const over = grid.querySelector(".over"), legend = grid.querySelector(".legend");
  grid.classList.toggle("compact", Boolean(compact));
  legend.querySelector(".marks").replaceChildren(...(compact ? FEW_MARKS : MARKS).map((mark) => {
    const text = document.createElement("span");
    text.textContent = mark;
    text.style.left = `${100 * Math.sqrt(mark)}%`;
    return text;
  }));
  const tile = document.createElement("canvas");
  tile.width = keys; tile.height = queries;
  let pitch = LARGEST;

  const draw = () => {
    const width = grid.clientWidth;
    if (!width) return;
    pitch = compact ? width / heads
      : Math.max(SMALLEST, Math.min(LARGEST, Math.floor((width - LEFT) / heads), Math.max(READABLE, Math.floor(TALL / layers))));
    // tiles are square, but for a small picture of many layers, which stays as high as it may be
    tall = compact ? Math.min(pitch, compact / layers) : pitch;
    if (compact && pitch < 1.6 * tall) pitch = tall;
    GAP = compact ? Math.min(1.5, tall / 8) : 4;
    const ratio = window.devicePixelRatio || 1, w = LEFT + pitch * heads, h = TOP + tall * layers;
    canvas.width = w * ratio; canvas.height = h * ratio;
    canvas.style.width = `${w}px`; canvas.style.height = `${h}px`;
    for (const [name, value] of [["left", LEFT], ["top", TOP], ["pitch", pitch]]) grid.style.setProperty(`--${name}`, `${value}px`);
    const context = canvas.getContext("2d"), style = getComputedStyle(host), colour = palette(host);
    context.scale(ratio, ratio);
    context.imageSmoothingEnabled = keys > pitch * ratio || queries > tall * ratio;
    context.fillStyle = style.getPropertyValue("--st-text-color");
    context.font = `12px ${style.getPropertyValue("--st-font")}`;
    context.textBaseline = "middle";
    context.textAlign = "center";
    for (let head = 0; head < heads && !compact; head++) context.fillText(pitch > 52 ? `head ${head}` : head, LEFT + (head + 0.5) * pitch, TOP / 2);
    context.textAlign = "left";
    for (let layer = 0; layer < layers && !compact; layer++) context.fillText(`layer ${layer}`, 2, TOP + (layer + 0.5) * tall);
    context.strokeStyle = style.getPropertyValue("--st-border-color");
    const pen = tile.getContext("2d"), image = pen.createImageData(keys, queries), pixels = new Uint32Array(image.data.buffer);
    for (let layer = 0; layer < layers; layer++) for (let head = 0; head < heads; head++) {
      const start = (layer * heads + head) * queries * keys;
      for (let i = 0; i < pixels.length; i++) pixels[i] = colour[maps[start + i]];
      pen.putImageData(image, 0, 0);
      const x = LEFT + head * pitch + GAP, y = TOP + layer * tall + GAP, side = pitch - 2 * GAP, high = tall - 2 * GAP;
      context.drawImage(tile, x, y, side, high);
      if (!compact) context.strokeRect(x - 0.5, y - 0.5, side + 1, high + 1);
    }
    const listed = style.getPropertyValue("--st-chart-sequential-colors");
    legend.querySelector(".bar").style.background = `linear-gradient(to right, ${listed})`;
    grid.style.setProperty("--width", `${w - LEFT - GAP}px`);
    outline();
    canvas.dataset.drawn = String(performance.now());
  };

  // heads that Python says are read together: a CSS variable like '"1.2 3.0"', so that the maps need not travel again
  const together = () => getComputedStyle(grid).getPropertyValue("--together").replaceAll('"', "").trim();
  let outlined = null;
  const outline = () => {
    outlined = together();
    const pairs = outlined ? outlined.split(" ").map((pair) => pair.split(".").map(Number)) : [];
    grid.querySelectorAll(".also").forEach((frame) => frame.remove());
    grid.append(...pairs.map(([layer, head]) => {
      const frame = document.createElement("div");
      frame.className = "also";
      frame.style.setProperty("--layer", layer); frame.style.setProperty("--head", head);
      return frame;
    }));
  };

  // what lies under the pointer: a cell of a head, or the name of a whole layer or column of heads
  const at = (event) => {
    const x = (event.offsetX - LEFT) / pitch, y = (event.offsetY - TOP) / tall;
    const head = Math.floor(x), layer = Math.floor(y);
    if (x >= heads || y >= layers || (x < 0 && y < 0)) return null;
    if (x < 0) return { layer, head: -1, cell: null };
    if (y < 0) return { layer: -1, head, cell: null };
    const inside = (fraction, size, n) => Math.floor((fraction * size - GAP) / (size - 2 * GAP) * n);
    const cell = [inside(y - layer, tall, queries), inside(x - head, pitch, keys)];
    const real = cell[0] >= 0 && cell[0] < queries && cell[1] >= 0 && cell[1] < keys;
    return { layer, head, cell: real ? cell : null };
  };
  const named = ({ layer, head }) => layer < 0 ? `head ${head} of every layer` : head < 0 ? `all of layer ${layer}` : `layer ${layer}, head ${head}`;
  const chosen = () => {
    const style = getComputedStyle(grid);
    return [parseInt(style.getPropertyValue("--layer")), parseInt(style.getPropertyValue("--head"))];
  };
  canvas.setAttribute("aria-label",
    `Attention maps of ${layers} layers by ${heads} heads. Arrow keys choose a head.`);
  canvas.onmousemove = (event) => {
    const place = at(event);
    over.hidden = !place;
    if (!place) return;
    over.textContent = named(place);
    over.style.left = `${Math.min(event.offsetX + 14, grid.clientWidth - 110)}px`;
    over.style.top = `${event.offsetY + 14}px`;
  };
  canvas.onmouseleave = () => { over.hidden = true; };
  canvas.onclick = (event) => {
    const place = at(event);
    if (place) setTriggerValue("pick", { ...place, add: event.shiftKey || event.ctrlKey || event.metaKey });
  };
  canvas.onkeydown = (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const [layer, head] = chosen(), next = [layer + step[0], head + step[1]];
    if (next[0] >= 0 && next[0] < layers && next[1] >= 0 && next[1] < heads) {
      setTriggerValue("pick", { layer: next[0], head: next[1], cell: null, add: false });
    }
  };

  draw();
  const resized = new ResizeObserver(draw);
  resized.observe(grid);
  let scale = getComputedStyle(host).getPropertyValue("--st-chart-sequential-colors");
  const themed = setInterval(() => {
    const now = getComputedStyle(host).getPropertyValue("--st-chart-sequential-colors");
    if (now !== scale) { scale = now; draw(); }
    if (together() !== outlined) outline();
  }, 100);
  return () => { resized.disconnect(); clearInterval(themed); };
}
