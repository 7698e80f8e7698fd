// The report's own part: what Python does on the pages is done here. A click on a tile chooses a head, and its map and its
// lines are drawn from the weights in this file.
const NOTHING = 65535, UNIT = 10000, MOST_LINES = 3000, POOLED = 64; // viz/offline/report.py sends weights in UNITs
const EVENLY = [[0, "0"], [0.25, "0.25"], [0.5, "0.5"], [0.75, "0.75"], [1, "1"]];
const quote = (label) => `“${label}”`;

const unpacked = (units) => Float32Array.from(units, (unit) => unit === NOTHING ? -1 : unit / UNIT);

// The weights of one head, or the mean of several.
function weightsOf({ maps, shape }, heads) {
  const size = shape.rows * shape.columns, mean = new Float32Array(size);
  for (const [layer, head] of heads) {
    const start = (layer * shape.heads + head) * size;
    for (let i = 0; i < size; i++) {
      const unit = maps[start + i];
      mean[i] += unit === NOTHING ? 0 : unit / UNIT / heads.length;
    }
  }
  return mean;
}

// Bytes of all heads for the grid, each at most 64 x 64: the largest weight of every neighbourhood, on a square-root scale.
function gridOf({ maps, shape }) {
  const { layers, heads, rows, columns } = shape;
  const edges = (n) =>
    Array.from({ length: Math.min(n, POOLED) + 1 }, (_, i) => Math.floor(i * n / Math.min(n, POOLED)));
  const rowEdges = edges(rows),
    columnEdges = edges(columns),
    queries = rowEdges.length - 1,
    keys = columnEdges.length - 1;
  const bytes = new Uint8Array(layers * heads * queries * keys);
  for (let tile = 0; tile < layers * heads; tile++) {
    for (let q = 0; q < queries; q++) {
      for (let k = 0; k < keys; k++) {
        let most = 0;
        for (let i = rowEdges[q]; i < rowEdges[q + 1]; i++) {
          for (let j = columnEdges[k]; j < columnEdges[k + 1]; j++) {
            const unit = maps[(tile * rows + i) * columns + j];
            if (unit !== NOTHING && unit > most) most = unit;
          }
        }
        bytes[(tile * queries + q) * keys + k] = Math.round(255 * Math.sqrt(Math.min(most, UNIT) / UNIT));
      }
    }
  }
  return { bytes, queries, keys, whole: queries === rows && keys === columns };
}

// as viz/figures/numbers.py and edges.py say it
function wholePercent(share) {
  const value = 100 * share, whole = Math.floor(value + 0.5);
  if (value === 0 || value === 100 || (whole > 0 && whole < 100)) return `${whole} %`;
  if (value < 0.1) return "less than 0.1 %";
  return value > 99.9 ? "more than 99.9 %" : `${value.toFixed(1)} %`;
}
function countSentence({ shown, possible, kept, left }) {
  const said = `showing ${shown.toLocaleString("en")} of ${possible.toLocaleString("en")} line${
    possible === 1 ? "" : "s"
  }`;
  if (!(kept + left)) return said;
  const share = left && kept ? Math.min(kept / (kept + left), 1 - Number.EPSILON) : kept ? 1 : 0;
  return `${said}, ${wholePercent(share)} of the weight`;
}

// What `viz.offline.pictures.lines_data` makes of a map. `joined`: rows and columns are of one text.
function linesOf(weights, { rows, columns, joined, least, top }, pinned) {
  const n = columns.length, lines = [];
  const tally = () => ({ shown: 0, possible: 0, kept: 0, left: 0 });
  const all = tally(), byQuery = rows.map(tally), byKey = columns.map(tally);
  rows.forEach((_, query) => {
    const row = [];
    columns.forEach((_, key) => {
      const weight = weights[query * n + key];
      if (weight <= 0) return; // masked, or so small that it travelled as 0: no line can be drawn
      for (const each of [all, byQuery[query], byKey[key]]) each.possible++, each.left += weight;
      if (weight >= least) row.push({ query, key, weight });
    });
    lines.push(...(top && row.length > top ? row.sort((a, b) => b.weight - a.weight).slice(0, top) : row));
  });
  const count = (each, { weight }) => (each.shown++, each.kept += weight, each.left = Math.max(0, each.left - weight));
  lines.sort((a, b) => b.weight - a.weight);
  lines.forEach((line, i) => {
    for (const each of [byQuery[line.query], byKey[line.key]]) count(each, line);
    if (i < MOST_LINES) count(all, line);
  });
  const whole = (each) => (each.left < 1e-6 ? { ...each, left: 0 } : each); // sums of rounded numbers
  return {
    view: {
      labels: joined ? columns : [...rows, ...columns],
      queries: rows.map((_, i) => i),
      keys: columns.map((_, i) => (joined ? i : rows.length + i)),
      pinned,
      picks: true,
      opens: false,
      most: MOST_LINES,
      count: countSentence(whole(all)),
      counts: {
        query: byQuery.map((each) => countSentence(whole(each))),
        key: byKey.map((each) => countSentence(whole(each))),
      },
      tall: 440,
      writes: false,
    },
    weights: regard.table({ w: weights }),
    edges: regard.table({
      q: Uint16Array.from(lines, (line) => line.query),
      k: Uint16Array.from(lines, (line) => line.key),
    }),
  };
}

function altOf(weights, rows, columns) {
  let most = 0;
  weights.forEach((weight, i) => weight > weights[most] ? most = i : 0);
  const [row, column] = [Math.floor(most / columns.length), most % columns.length];
  return `Heatmap of ${rows.length} by ${columns.length}. The largest weight is ${weights[most].toFixed(3)}, from ` +
    `${quote(rows[row])} to ${quote(columns[column])}.`;
}

function drawMap(place, weights, { rows, columns, scale, marks }, cell = null) {
  const view = { rows, columns, cell, scale: scale ?? { low: 0, high: 1, log: false }, marks: marks ?? EVENLY };
  regard.mount(place, "head_map", {
    view: { ...view, alt: altOf(weights, rows, columns) },
    weights: regard.table({ w: weights }),
  });
}

function drawTable(place, weights, { rows, columns }) {
  const table = document.createElement("table"),
    add = (parent, kind, text, scope) => {
      const cell = parent.appendChild(document.createElement(kind));
      cell.textContent = text;
      if (scope) cell.scope = scope;
      return cell;
    };
  const header = table.createTHead().insertRow(), body = table.createTBody();
  add(header, "td", "");
  columns.forEach((label, i) => add(header, "th", `${i} ${label}`, "col"));
  rows.forEach((label, i) => {
    const row = body.insertRow();
    add(row, "th", `${i} ${label}`, "row");
    columns.forEach((_, j) => {
      const weight = weights[i * columns.length + j];
      add(row, "td", weight < 0 ? "–" : weight.toFixed(4));
    });
  });
  place.replaceChildren(table);
}

const named = (heads) =>
  heads.length === 1
    ? `Layer ${heads[0][0]}, head ${heads[0][1]}`
    : `The mean of ${heads.length} heads: ${heads.map((pair) => pair.join(".")).join(", ")}`;

// The lines of a map, whose pinned query the reader chooses; returns what draws them again.
function linesIn(place, said) {
  let pinned = -1, weights = null;
  const draw = () =>
    regard.mount(place, "token_graph", linesOf(weights, said, pinned), (name, value) => {
      if (name === "pick") pin(value);
    });
  const pin = (row) => {
    pinned = row;
    draw();
    said.onPin?.(row);
  };
  return { pin, show: (fresh) => (weights = fresh, draw()) };
}

function drawHeads(section, heads) {
  const { rows, columns, others, exact } = heads, part = (name) => section.querySelector(`[data-show=${name}]`);
  const [n_layer, n_head] = [heads.n_layer, heads.n_head];
  const shape = { heads: n_head, rows: rows.length, columns: columns.length, layers: n_layer };
  const held = { maps: heads.maps.getChild("w").toArray(), shape }, grid = gridOf(held), place = part("grid");
  const title = section.querySelector(".stage-title"), numbers = section.querySelector(".numbers");
  const lines = exact ? linesIn(part("lines"), { ...heads, onPin: (row) => chips(row) }) : null;
  let chosen = [heads.head], shown = "";

  const chips = (selected) => {
    heads.chips.forEach(({ data, looks }, i) => {
      const clickable = looks && Boolean(lines);
      regard.mount(part(`chips-${i}`), "token_chips", {
        ...data,
        clickable,
        selected: clickable && selected >= 0 ? selected : null,
      }, (_, row) => lines.pin(row === selected ? -1 : row));
    });
  };
  const show = (which, cell = null, looked = false) => {
    const key = which.join(" "), weights = weightsOf(held, which);
    const at = cell && grid.whole && exact ? cell : null;
    title.textContent = named(which) +
      (at ? `: ${quote(rows[at[0]])} looks at ${quote(columns[at[1]])}` : looked ? ": click to keep it" : "");
    drawMap(part("map"), weights, heads, at);
    if (key !== shown) lines?.show(weights);
    shown = key;
  };
  const choose = (fresh) => {
    if (!fresh.length) return;
    chosen = fresh;
    const [layer, head] = fresh[0];
    place.style.setProperty("--layer", layer);
    place.style.setProperty("--head", head);
    place.style.setProperty("--together", `"${fresh.length > 1 ? fresh.map((pair) => pair.join(".")).join(" ") : ""}"`);
    section.dataset.head = fresh.map((pair) => pair.join(".")).join(" ");
    show(fresh);
    if (numbers.open) drawTable(numbers.querySelector("div"), weightsOf(held, chosen), heads);
  };
  const among = (layer, head) => {
    const pairs = [];
    for (let l = 0; l < n_layer; l++) {
      for (let h = 0; h < n_head; h++) {
        if ((layer < 0 || l === layer) && (head < 0 || h === head) && !(l in others)) pairs.push([l, h]);
      }
    }
    return pairs;
  };
  const picked = (_, { layer, head, add }) => {
    const fresh = among(layer, head), has = ([l, h]) => (pair) => pair[0] === l && pair[1] === h;
    if (!add) return choose(fresh);
    const gone = fresh.every((pair) => chosen.some(has(pair)));
    const rest = chosen.filter((pair) => !fresh.some(has(pair)));
    choose(gone ? rest : [...rest, ...fresh]);
  };
  place.style.setProperty("--layer", heads.head[0]); // the grid brings it to sight
  place.style.setProperty("--head", heads.head[1]);
  regard.mount(place, "head_grid", {
    shape: { layers: n_layer, heads: n_head, queries: grid.queries, keys: grid.keys, others, compact: 0, looks: true },
    maps: regard.table({ w: grid.bytes }),
  }, picked);
  document.addEventListener("regard:look", ({ detail }) => {
    if (!place.matches(":hover, :focus-within")) { // of another grid, or none any more
      if ("looks" in section.dataset) show(chosen);
      delete section.dataset.looks;
      return;
    }
    if (detail && !(detail.layer in others)) {
      section.dataset.looks = "";
      show([[detail.layer, detail.head]], detail.cell, true);
    } else show(chosen);
  });
  numbers.ontoggle = () => numbers.open && drawTable(numbers.querySelector("div"), weightsOf(held, chosen), heads);
  chips(-1);
  choose(chosen);
}

function drawView(article, view) {
  const place = article.querySelector("[data-show=view]");
  if (view.map) {
    const weights = unpacked(view.map.maps.getChild("w").toArray());
    if (view.map.lines) linesIn(place, view.map).show(weights);
    else drawMap(place, weights, view.map);
  }
  if (view.film) {
    const said = article.querySelector(".said");
    regard.mount(place, "film", view.film, (name) => {
      said.textContent = name === "branch"
        ? "To write on with another token, open this view in Regard: only there is a model."
        : "What is behind a choice is shown in Regard: open this view there.";
    });
  }
}

// What a browser drew of the other pictures, on white. Each in a scope of its own: their parts have the same names.
function drawDrawing(place, drawing) {
  const bytes = drawing.getChild("svg").toArray(), root = place.attachShadow({ mode: "open" });
  const svg = new DOMParser().parseFromString(new TextDecoder().decode(bytes), "image/svg+xml").documentElement;
  const style = document.createElement("style");
  style.textContent = "svg { display: block; max-width: 100%; height: auto; min-width: min(var(--wide), 600px) }" +
    "@media print { svg { min-width: 0; max-height: 220mm } }";
  place.parentElement.style.setProperty("--wide", `${svg.getAttribute("width")}px`);
  root.append(style, svg);
}

async function copyFrom(button) {
  const text = button.closest("figure").querySelector("pre");
  try {
    await navigator.clipboard.writeText(text.textContent);
    button.textContent = "Copied";
  } catch { // a browser that lets no page copy: it is marked, to be copied by hand
    getSelection().selectAllChildren(text);
    button.textContent = "Marked";
  }
  setTimeout(() => button.textContent = "Copy", 2500);
}

// Within a notebook: light or dark as what is around, whatever the machine prefers, and as high as what is in it.
function fitInto(frame, root) {
  const wear = () => {
    for (let at = frame; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      const [red, green, blue, opacity = 1] = (colour.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
      if (opacity && colour.startsWith("rgb")) return root.dataset.theme = red + green + blue < 384 ? "dark" : "light";
    }
  };
  wear();
  const themes = new MutationObserver(wear), around = frame.ownerDocument;
  for (const each of [around.documentElement, around.body]) themes.observe(each, { attributes: true });
  new ResizeObserver(() => frame.style.height = `${root.offsetHeight + 4}px`).observe(document.body);
}

(async () => {
  const data = await regard.read();
  document.querySelectorAll(".reading").forEach((section, i) => {
    const reading = data.readings[i];
    if (reading.heads) drawHeads(section, reading.heads);
    section.querySelectorAll(".view").forEach((article, j) => {
      drawView(article, reading.views[j]);
      article.querySelectorAll("[data-show=drawing]").forEach((place, k) =>
        drawDrawing(place, reading.views[j].drawings[k])
      );
    });
  });
  document.querySelectorAll("button.copy").forEach((button) => button.onclick = () => copyFrom(button));
  const dark = matchMedia("(prefers-color-scheme: dark)"), root = document.documentElement;
  const theme = document.querySelector("button.theme");
  if (theme) {
    theme.onclick = () => {
      const now = root.dataset.theme ?? (dark.matches ? "dark" : "light");
      root.dataset.theme = now === "dark" ? "light" : "dark";
    };
  }
  root.dataset.drawn = String(performance.now());
  const frame = globalThis.frameElement; // null in a page of its own
  if (frame) fitInto(frame, root);
})();
