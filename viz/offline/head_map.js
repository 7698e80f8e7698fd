// One map of weights with the names of its rows and columns: a canvas of one pixel a cell, enlarged without smoothing.
const LARGEST = 26, SMALLEST = 2, READABLE = 12, TALL = 620; // px: of a cell, of a name, of all rows

const quoted = (label) => `“${label}”`;

function namesOf(list, labels, every) {
  list.replaceChildren(...labels.map((label, i) => el("span", "", i % every ? "" : label)));
}

function paint(canvas, weights, { rows, columns, scale }, colours) {
  canvas.width = columns.length;
  canvas.height = rows.length;
  const pen = canvas.getContext("2d"), image = pen.createImageData(columns.length, rows.length);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i++) {
    if (weights[i] < 0) continue; // there is no such weight
    const place = scale.log ? Math.log10(Math.max(weights[i], 1e-9)) : weights[i];
    const share = (place - scale.low) / (scale.high - scale.low);
    pixels[i] = colours[Math.round(255 * Math.max(0, Math.min(1, share)))];
  }
  pen.putImageData(image, 0, 0);
}

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

function render({ data, parentElement }) {
  const view = data.view, { rows, columns, scale } = view, weights = data.weights.getChild("w").toArray();
  const host = parentElement.host || parentElement, map = parentElement.querySelector(".map"), tip = tipOf(map);
  const canvas = map.querySelector("canvas"), frame = map.querySelector(".cell");
  const [left, top] = [map.querySelector(".queries"), map.querySelector(".keys")];
  const spoken = map.querySelector(".spoken"), bar = map.querySelector(".bar");
  let cell = 0, walked = [0, 0];

  const tell = ([row, column]) => {
    const weight = weights[row * columns.length + column];
    return `${quoted(rows[row])} looks at ${quoted(columns[column])}: ${weight < 0 ? "nothing" : weight.toFixed(4)}`;
  };
  const outline = (place) => {
    frame.hidden = !place;
    if (!place) return;
    frame.style.left = `${place[1] * cell}px`;
    frame.style.top = `${place[0] * cell}px`;
  };
  const draw = () => {
    if (!map.clientWidth) return;
    // the names of the rows first: what they leave is the map's
    const fits = Math.max(SMALLEST, Math.min(LARGEST, TALL / rows.length));
    map.style.setProperty("--cell", `${fits}px`);
    namesOf(left, rows, Math.ceil(READABLE / fits));
    const room = (map.clientWidth - left.offsetWidth - 2) / columns.length;
    cell = Math.max(SMALLEST, Math.min(fits, room));
    map.style.setProperty("--cell", `${cell}px`);
    map.style.setProperty("--columns", columns.length);
    map.style.setProperty("--rows", rows.length);
    const every = Math.ceil(READABLE / cell);
    namesOf(left, rows, every);
    namesOf(top, columns, every);
    paint(canvas, weights, view, palette(host));
    bar.style.background = `linear-gradient(to right, ${variable(host, "--st-chart-sequential-colors")})`;
    outline(view.cell);
    canvas.dataset.drawn = String(performance.now());
  };
  canvas.setAttribute("aria-label", `${view.alt} Arrow keys go from cell to cell.`);
  map.querySelector(".marks").replaceChildren(...view.marks.map(([at, text]) => {
    const mark = el("span", "", text);
    mark.style.left = `${100 * at}%`;
    return mark;
  }));
  const placeAt = (event) => {
    const place = [Math.floor(event.offsetY / cell), Math.floor(event.offsetX / cell)];
    return place[0] >= 0 && place[0] < rows.length && place[1] >= 0 && place[1] < columns.length ? place : null;
  };
  canvas.onmousemove = (event) => {
    const place = placeAt(event);
    outline(place);
    if (place) tip.show(tell(place), event.clientX, event.clientY);
    else tip.hide();
  };
  canvas.onmouseleave = canvas.onblur = () => {
    tip.hide();
    outline(view.cell);
  };
  canvas.onkeydown = (event) => {
    const step = STEPS[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const [row, column] = [walked[0] + step[0], walked[1] + step[1]];
    if (row < 0 || row >= rows.length || column < 0 || column >= columns.length) return;
    walked = [row, column];
    outline(walked);
    spoken.textContent = tell(walked);
    const box = canvas.getBoundingClientRect();
    tip.show(tell(walked), box.left + (column + 1) * cell, box.top + (row + 1) * cell);
  };
  draw();
  const resized = new ResizeObserver(draw);
  resized.observe(map);
  const end = watchVariable(host, "--st-chart-sequential-colors", draw);
  return () => {
    resized.disconnect();
    end();
  };
}
