// One canvas: a tile for each head, layers downwards, heads to the right. Tiles are drawn at one pixel a cell and
// enlarged without smoothing, so that a cell stays a cell.
const LEFT = 58, TOP = 24, GAP = 4, LARGEST = 84, SMALLEST = 26;

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
  const { layers, heads, queries, keys } = data.shape;
  const maps = data.maps.getChild("w").toArray();
  const host = parentElement.host || parentElement;
  const grid = parentElement.querySelector(".grid"), canvas = grid.querySelector("canvas");
  const over = grid.querySelector(".over");
  const tile = document.createElement("canvas");
  tile.width = keys; tile.height = queries;
  let pitch = LARGEST;

  const draw = () => {
    const width = grid.clientWidth;
    if (!width) return;
    pitch = Math.max(SMALLEST, Math.min(LARGEST, Math.floor((width - LEFT) / heads)));
    const ratio = window.devicePixelRatio || 1, w = LEFT + pitch * heads, h = TOP + pitch * layers;
    canvas.width = w * ratio; canvas.height = h * ratio;
    canvas.style.width = `${w}px`; canvas.style.height = `${h}px`;
    for (const [name, value] of [["left", LEFT], ["top", TOP], ["pitch", pitch]]) grid.style.setProperty(`--${name}`, `${value}px`);
    const context = canvas.getContext("2d"), style = getComputedStyle(host), colour = palette(host);
    context.scale(ratio, ratio);
    context.imageSmoothingEnabled = keys > pitch * ratio;
    context.fillStyle = style.getPropertyValue("--st-text-color");
    context.font = `12px ${style.getPropertyValue("--st-font")}`;
    context.textBaseline = "middle";
    context.textAlign = "center";
    for (let head = 0; head < heads; head++) context.fillText(pitch > 52 ? `head ${head}` : head, LEFT + (head + 0.5) * pitch, TOP / 2);
    context.textAlign = "left";
    for (let layer = 0; layer < layers; layer++) context.fillText(`layer ${layer}`, 2, TOP + (layer + 0.5) * pitch);
    context.strokeStyle = style.getPropertyValue("--st-border-color");
    const pen = tile.getContext("2d"), image = pen.createImageData(keys, queries), pixels = new Uint32Array(image.data.buffer);
    for (let layer = 0; layer < layers; layer++) for (let head = 0; head < heads; head++) {
      const start = (layer * heads + head) * queries * keys;
      for (let i = 0; i < pixels.length; i++) pixels[i] = colour[maps[start + i]];
      pen.putImageData(image, 0, 0);
      const x = LEFT + head * pitch + GAP, y = TOP + layer * pitch + GAP, side = pitch - 2 * GAP;
      context.drawImage(tile, x, y, side, side);
      context.strokeRect(x - 0.5, y - 0.5, side + 1, side + 1);
    }
    canvas.dataset.drawn = String(performance.now());
  };

  const at = (event) => {
    const head = Math.floor((event.offsetX - LEFT) / pitch), layer = Math.floor((event.offsetY - TOP) / pitch);
    return head >= 0 && head < heads && layer >= 0 && layer < layers ? [layer, head] : null;
  };
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
    over.textContent = `layer ${place[0]}, head ${place[1]}`;
    over.style.left = `${Math.min(event.offsetX + 14, grid.clientWidth - 110)}px`;
    over.style.top = `${event.offsetY + 14}px`;
  };
  canvas.onmouseleave = () => { over.hidden = true; };
  canvas.onclick = (event) => { const place = at(event); if (place) setTriggerValue("pick", place); };
  canvas.onkeydown = (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const [layer, head] = chosen(), next = [layer + step[0], head + step[1]];
    if (next[0] >= 0 && next[0] < layers && next[1] >= 0 && next[1] < heads) setTriggerValue("pick", next);
  };

  draw();
  const resized = new ResizeObserver(draw);
  resized.observe(grid);
  let scale = getComputedStyle(host).getPropertyValue("--st-chart-sequential-colors");
  const themed = setInterval(() => {
    const now = getComputedStyle(host).getPropertyValue("--st-chart-sequential-colors");
    if (now !== scale) { scale = now; draw(); }
  }, 300);
  return () => { resized.disconnect(); clearInterval(themed); };
}
