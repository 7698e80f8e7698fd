// One canvas: a tile for each head, layers downwards, heads to the right. Tiles are drawn at one pixel a cell and
// enlarged without smoothing, so that a cell stays a cell.
const LARGEST = 84, SMALLEST = 26;
const THIN = 28; // px: a layer without attention, which is a name and no tiles
const TALL = 780, READABLE = 30; // a grid of many layers is at most so high, as long as a tile can be read
const MARKS = [0, 0.01, 0.1, 0.25, 0.5, 1], FEW_MARKS = [0, 0.1, 0.5, 1]; // of the colour scale, which follows the square root of the weight

// How large a tile is in `width` px: square, but for a small picture of many layers, which stays as high as it may be.
function measure({ layers, heads, compact, looks, others }, width) {
  const left = compact ? 0 : 58, top = compact ? 0 : 24; // px for the names
  let pitch = compact ? width / heads : Math.max(
    SMALLEST,
    Math.min(
      LARGEST,
      Math.floor((width - left) / heads),
      looks ? LARGEST : Math.max(READABLE, Math.floor(TALL / layers)), // it scrolls
    ),
  );
  const tall = compact ? Math.min(pitch, compact / layers) : pitch;
  if (compact && pitch < 1.6 * tall) pitch = tall;
  const starts = [top]; // px: where each layer begins, and where the last ends
  for (let layer = 0; layer < layers; layer++) {
    starts.push(starts[layer] + (layer in others && !compact ? Math.min(THIN, tall) : tall));
  }
  return {
    left,
    top,
    pitch,
    tall,
    gap: compact ? Math.min(1.5, tall / 8) : 4,
    width: left + pitch * heads,
    starts,
    height: starts[layers],
  };
}

const headName = (head, pitch) => pitch > 52 ? `head ${head}` : String(head);

function drawNames(context, { layers, heads, looks, others }, { left, top, pitch, starts }, style) {
  context.fillStyle = style.getPropertyValue("--st-text-color");
  context.font = `12px ${style.getPropertyValue("--st-font")}`;
  context.textBaseline = "middle";
  context.textAlign = "center";
  for (let head = 0; head < heads && !looks; head++) { // what scrolls has a line of names that stays
    context.fillText(headName(head, pitch), left + (head + 0.5) * pitch, top / 2);
  }
  context.textAlign = "left";
  for (let layer = 0; layer < layers; layer++) {
    const middle = (starts[layer] + starts[layer + 1]) / 2;
    context.fillText(`layer ${layer}`, 2, middle);
    if (layer in others) context.fillText(others[layer], left + 14, middle, pitch * heads - 24);
  }
}

function drawTiles(
  context,
  { layers, heads, queries, keys, compact, others },
  maps,
  { left, pitch, tall, gap, starts },
  colour,
) {
  const tile = document.createElement("canvas");
  tile.width = keys;
  tile.height = queries;
  const pen = tile.getContext("2d"),
    image = pen.createImageData(keys, queries),
    pixels = new Uint32Array(image.data.buffer);
  for (let layer = 0; layer < layers; layer++) {
    const y = starts[layer] + gap;
    if (layer in others) {
      if (!compact) context.strokeRect(left + gap, y, pitch * heads - 2 * gap, starts[layer + 1] - gap - y);
      continue;
    }
    for (let head = 0; head < heads; head++) {
      const start = (layer * heads + head) * queries * keys;
      for (let i = 0; i < pixels.length; i++) pixels[i] = colour[maps[start + i]];
      pen.putImageData(image, 0, 0);
      const x = left + head * pitch + gap, side = pitch - 2 * gap, high = tall - 2 * gap;
      context.drawImage(tile, x, y, side, high);
      if (!compact) context.strokeRect(x - 0.5, y - 0.5, side + 1, high + 1);
    }
  }
}

function nameHeads(grid, { heads }, { pitch }) {
  grid.querySelector(".heads").replaceChildren(...Array.from({ length: heads }, (_, head) => {
    const name = document.createElement("span");
    name.textContent = headName(head, pitch);
    return name;
  }));
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
  if (shape.looks) nameHeads(grid, shape, sizes);
  context.strokeStyle = style.getPropertyValue("--st-border-color");
  drawTiles(context, shape, maps, sizes, palette(host));
  const colours = style.getPropertyValue("--st-chart-sequential-colors");
  grid.querySelector(".bar").style.background = `linear-gradient(to right, ${colours})`;
  grid.style.setProperty("--width", `${sizes.width - left - gap}px`);
  canvas.dataset.drawn = String(performance.now());
}

// heads that Python says are read together: a CSS variable like '"1.2 3.0"', so that the maps need not travel again
function outline(grid, shape, sizes) {
  const together = variable(grid, "--together").replaceAll('"', "").trim();
  const pairs = together ? together.split(" ").map((pair) => pair.split(".").map(Number)) : [];
  const box = grid.querySelector(".box");
  box.querySelectorAll(".also").forEach((frame) => frame.remove());
  box.append(...pairs.map(([layer, head]) => {
    const frame = document.createElement("div");
    frame.className = "also";
    frame.style.setProperty("--layer", layer);
    frame.style.setProperty("--head", head);
    moveFrame(frame, layer, shape, sizes);
    return frame;
  }));
  moveFrame(grid.querySelector(".chosen"), chosen(grid).layer, shape, sizes);
}

// a frame lies in the row of a layer; where all are as high, its style alone says where that is
function moveFrame(frame, layer, { others }, { starts }) {
  if (!Object.keys(others).length || !(layer >= 0 && layer + 1 < starts.length)) return;
  frame.style.setProperty("--start", `${starts[layer]}px`);
  frame.style.setProperty("--tall", `${starts[layer + 1] - starts[layer]}px`);
}

// what lies under the pointer: a cell of a head, or the name of a whole layer or column of heads
function placeAt(event, { heads, queries, keys, others }, { left, top, pitch, tall, gap, starts }) {
  const onNames = event.offsetY - event.target.parentElement.scrollTop < top; // which stay where they are
  const x = (event.offsetX - left) / pitch, head = Math.floor(x);
  const layer = onNames ? -1 : starts.findLastIndex((start) => start <= event.offsetY);
  if (x >= heads || layer + 1 >= starts.length || (x < 0 && layer < 0)) return null;
  if (x < 0 || layer in others) return { layer, head: -1, cell: null };
  if (layer < 0) return { layer: -1, head, cell: null };
  const inside = (fraction, size, n) => Math.floor((fraction * size - gap) / (size - 2 * gap) * n);
  const cell = [inside((event.offsetY - starts[layer]) / tall, tall, queries), inside(x - head, pitch, keys)];
  const real = cell[0] >= 0 && cell[0] < queries && cell[1] >= 0 && cell[1] < keys;
  return { layer, head, cell: real ? cell : null };
}

const named = ({ layer, head }, others) =>
  layer in others
    ? `layer ${layer}: ${others[layer]}, no attention weights`
    : layer < 0
    ? `head ${head} of every layer`
    : head < 0
    ? `all of layer ${layer}`
    : `layer ${layer}, head ${head}`;

// the head that is outlined
const chosen = (grid) => ({
  layer: parseInt(variable(grid, "--layer")),
  head: parseInt(variable(grid, "--head")),
});

// Tells the stage which head is looked at, and frames its tile. The stage is another component: head_look.js.
function lookAt(grid, place, move, spoken = false) {
  const one = place && place.layer >= 0 && place.head >= 0 ? place : null, frame = grid.querySelector(".looking");
  frame.hidden = !one;
  if (one) {
    for (const name of ["layer", "head"]) frame.style.setProperty(`--${name}`, one[name]);
    move(frame, one.layer);
  }
  document.dispatchEvent(new CustomEvent("regard:look", { detail: one && { ...one, spoken } }));
}

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

function listen(grid, { layers, heads, looks, others }, { at, pick, sight, move }) {
  const canvas = grid.querySelector("canvas"), tip = tipOf(grid);
  let walked = null; // where the arrow keys have come to, until Enter
  let kept = null; // the tile that was clicked last: what it chose is shown, until the pointer leaves it
  const rest = () => {
    tip.hide();
    walked = null;
    if (looks) lookAt(grid, null, move);
  };
  canvas.onmousemove = (event) => {
    const place = at(event);
    const same = kept && place && place.layer === kept.layer && place.head === kept.head;
    if (!same) kept = null;
    if (looks) lookAt(grid, same ? null : place, move);
    if (place && !(looks && place.layer >= 0 && place.head >= 0)) {
      tip.show(named(place, others), event.clientX, event.clientY);
    } else tip.hide();
  };
  canvas.onmouseleave = canvas.onblur = rest;
  canvas.onclick = (event) => {
    const place = at(event);
    if (!place) return;
    rest();
    kept = place;
    pick({ ...place, add: event.shiftKey || event.ctrlKey || event.metaKey });
  };
  canvas.onkeydown = (event) => {
    const step = STEPS[event.key], from = walked ?? chosen(grid);
    const enter = event.key === "Enter" || event.key === " ";
    if (event.key === "Escape") return rest();
    if (!step && !(enter && walked)) return;
    event.preventDefault();
    const place = step ? { layer: from.layer + step[0], head: from.head + step[1] } : walked;
    while (place.layer in others && step?.[0]) place.layer += step[0]; // to the next that has heads
    if (!(place.layer >= 0 && place.layer < layers && place.head >= 0 && place.head < heads)) return;
    if (place.layer in others) return;
    if (enter || !looks) return pick({ ...place, cell: null, add: enter && event.shiftKey });
    sight(walked = place);
    lookAt(grid, { ...place, cell: null }, move, true);
  };
}

// scroll the box of the grid just so far that a head's tile is seen
function bringToSight(grid, { layer }, { top, starts }) {
  if (!(layer >= 0 && layer + 1 < starts.length)) return;
  const box = grid.querySelector(".box"), start = starts[layer], end = starts[layer + 1];
  if (start < box.scrollTop + top) box.scrollTop = start - top;
  if (end > box.scrollTop + box.clientHeight) box.scrollTop = end - box.clientHeight;
}

function render({ data, parentElement, setTriggerValue }) {
  const shape = data.shape, compact = shape.compact, host = parentElement.host || parentElement;
  const maps = compact
    ? Uint8Array.from(atob(data.maps), (character) => character.charCodeAt(0))
    : data.maps.getChild("w").toArray();
  const grid = parentElement.querySelector(".grid");
  grid.classList.toggle("compact", Boolean(compact));
  grid.classList.toggle("looks", shape.looks);
  grid.querySelector(".marks").replaceChildren(...(compact ? FEW_MARKS : MARKS).map((mark) => {
    const text = document.createElement("span");
    text.textContent = mark;
    text.style.left = `${100 * Math.sqrt(mark)}%`;
    return text;
  }));
  grid.querySelector("canvas").setAttribute(
    "aria-label",
    `Attention maps of ${shape.layers} layers by ${shape.heads} heads. ` +
      (shape.looks ? "Arrow keys look from head to head, Enter keeps one." : "Arrow keys choose a head."),
  );
  let sizes = measure(shape, LARGEST * shape.heads);
  const draw = () => {
    if (!grid.clientWidth) return;
    sizes = measure(shape, grid.querySelector(".box").clientWidth);
    drawGrid(grid, host, shape, maps, sizes);
    outline(grid, shape, sizes);
    sight(chosen(grid));
  };
  const sight = (place) => bringToSight(grid, place, sizes);
  listen(grid, shape, {
    at: (event) => placeAt(event, shape, sizes),
    pick: (place) => setTriggerValue("pick", place),
    sight,
    move: (frame, layer) => moveFrame(frame, layer, shape, sizes),
  });
  draw();
  const resized = new ResizeObserver(draw);
  resized.observe(grid);
  const ends = [
    watchVariable(host, "--st-chart-sequential-colors", draw),
    watchVariable(grid, "--together", () => outline(grid, shape, sizes)),
    watchVariable(grid, "--layer", () => {
      outline(grid, shape, sizes);
      sight(chosen(grid));
    }),
  ];
  return () => {
    resized.disconnect();
    ends.forEach((end) => end());
  };
}
