const NOTHING = 65535; // as in viz/figures/scale.py, with the thousandths and steps below
const digits = (value) => ((value >> 6) / 1000).toFixed(3);
const weightOf = (value) => ((value >> 6) - 0.5 + ((value & 63) + 0.5) / 64) / 1000;

// what stands on the page under a key that begins so
const drawnAs = (key, inside = "") => document.querySelector(`[class*="st-key-${key}"] ${inside}`);

function lieOver(element, box) {
  for (const side of ["left", "top", "width", "height"]) element.style[side] = `${box[side]}px`;
}

// The lines of a map as `viz.figures.edges` chooses them, the strongest first.
function linesOf(maps, start, { rows, columns, lines: { least, top, most } }) {
  const found = [];
  for (let query = 0; query < rows; query++) {
    const row = [];
    for (let key = 0; key < columns; key++) {
      const value = maps[start + query * columns + key], weight = value === NOTHING ? 0 : weightOf(value);
      if (weight > 1e-5 && weight >= least) row.push({ query, key, weight }); // a weight of 0 is 1e-5 at most here
    }
    found.push(...(top ? row.sort((a, b) => b.weight - a.weight).slice(0, top) : row));
  }
  return found.sort((a, b) => b.weight - a.weight).slice(0, most);
}

// Calls `look` with the head that the sliders have moved to, until the server's picture of it stands on the stage: then
// Python names it in the style of `host`. `screen` remembers from one drawing to the next that it is ahead.
function followSliders({ sliders, over, others }, host, screen, look, signal) {
  const inputs = () => sliders.map((name) => drawnAs(name, 'input[type="range"]'));
  const compare = () => {
    const chosen = variable(host, "--chosen").replaceAll('"', "").split(".").map(Number);
    const [layer, head] = inputs().map((input, i) => (input ? Number(input.value) : chosen[i]));
    const ahead = sliders.length > 0 && (layer !== chosen[0] || head !== chosen[1]);
    if (ahead && !others.includes(layer)) look({ detail: { layer, head, cell: null, ahead } });
    else if (screen.ahead) look({ detail: null });
    screen.ahead = ahead;
  };
  const afterPicture = () => {
    if (signal.aborted) return;
    if (over && !drawnAs(over, ".nsewdrag")) requestAnimationFrame(afterPicture);
    else compare();
  };
  if (screen.ahead) afterPicture();
  const observer = new MutationObserver((changes) => {
    const moved = inputs();
    if (changes.some(({ target }) => moved.includes(target))) compare();
  });
  observer.observe(document.body, { subtree: true, attributeFilter: ["aria-valuetext"] }); // says where a slider stands
  const end = watchVariable(host, "--chosen", () => screen.ahead && afterPicture());
  signal.addEventListener("abort", () => {
    observer.disconnect();
    end();
  });
}

const tell = (event, detail) => document.dispatchEvent(new CustomEvent(event, { detail }));

function render({ data, parentElement }) {
  const { heads, rows, columns, names, scale, over, title } = data.view, size = rows * columns;
  const maps = data.maps.getChild("w").toArray(), host = parentElement.host || parentElement;
  const canvas = parentElement.querySelector("canvas"), head = parentElement.querySelector(".title");
  const spoken = parentElement.querySelector(".spoken");
  canvas.width = columns;
  canvas.height = rows;
  let colours = palette(host), seen = null;

  const paint = (start) => {
    const pen = canvas.getContext("2d"), image = pen.createImageData(columns, rows);
    const pixels = new Uint32Array(image.data.buffer);
    for (let i = 0; i < size; i++) {
      if (maps[start + i] === NOTHING) continue; // blank, as on the picture beneath
      const weight = weightOf(maps[start + i]), place = scale.log ? Math.log10(Math.max(weight, 1e-9)) : weight;
      const share = (place - scale.low) / (scale.high - scale.low);
      pixels[i] = colours[Math.round(255 * Math.max(0, Math.min(1, share)))];
    }
    pen.putImageData(image, 0, 0);
  };
  const words = (start, cell) => {
    if (!cell || !names.length) return "";
    const value = maps[start + cell[0] * columns + cell[1]];
    const told = value === NOTHING ? "taken out" : digits(value);
    return `“${names[0][cell[0]]}” looks at “${names[1][cell[1]]}”: ${told}`;
  };
  const place = () => {
    const picture = over && drawnAs(over, ".nsewdrag"), heading = drawnAs(title);
    if (picture) lieOver(canvas, picture.getBoundingClientRect());
    if (heading) lieOver(head, heading.getBoundingClientRect());
    canvas.hidden = !picture;
    head.hidden = !heading;
  };
  const look = ({ detail }) => {
    seen = detail;
    if (!detail) {
      canvas.hidden = head.hidden = true;
      if (data.view.lines) tell("regard:lines", null);
      return;
    }
    const start = (detail.layer * heads + detail.head) * size, cell = names.length ? detail.cell : null;
    paint(start);
    const called = data.view.called[detail.layer * heads + detail.head] || "";
    const told = words(start, cell) || (detail.ahead ? "" : data.view.hint);
    head.children[0].textContent = `Layer ${detail.layer}, head ${detail.head}`;
    head.children[1].textContent = [called, told].filter(Boolean).join(" · ");
    if (detail.spoken) {
      spoken.textContent = `layer ${detail.layer}, head ${detail.head}` + (called ? `, ${called}` : "");
    }
    if (data.view.lines) {
      const count = `layer ${detail.layer}, head ${detail.head}, while you point at it`;
      tell("regard:lines", { lines: linesOf(maps, start, data.view), count });
    }
    place();
  };
  const stop = new AbortController();
  document.addEventListener("regard:look", look, { signal: stop.signal });
  followSliders(data.view, host, canvas, look, stop.signal);
  document.addEventListener("scroll", () => seen && place(), { signal: stop.signal, capture: true, passive: true });
  const end = watchVariable(host, "--st-chart-sequential-colors", () => {
    colours = palette(host);
    look({ detail: seen });
  });
  return () => {
    stop.abort();
    end();
  };
}
