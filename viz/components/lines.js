// For the pictures made of lines: what they say, how they look, and which line is under the pointer.
// `register` puts this before the script of each of them.

const quoted = (label) => `“${label}”`;
// opacity; the few lines of one token can be darker than all together
const strength = (weight, alone) => Math.max(alone ? 0.12 : 0.04, Math.min(1, alone ? Math.sqrt(weight) : weight));
const thickness = (weight) => 1 + 5 * Math.min(1, weight); // px

// In which words a picture speaks of a query, a key, and the two together, all quoted already.
const LOOKS = {
  query: (query) => `what ${query} looks at`,
  key: (key) => `all that look at ${key}`,
  both: (query, key) => `${query} looks at ${key}`,
  most: (query, key) => `${query} looks most at ${key}`,
};
// a row is what was looked at while its word was not there yet: the word itself does not look
const WRITES = {
  query: (query) => `what was looked at to write ${query}`,
  key: (key) => `all that was written looking at ${key}`,
  both: (query, key) => `to write ${query}, looked at ${key}`,
  most: (query, key) => `to write ${query}, looked most at ${key}`,
};

// The data of viz/components/lines.py. A focus is one query (a row of the map), one key (a column), or nothing.
function readMap({ view, weights, edges }, says = LOOKS) {
  const { labels, queries, keys, most } = view;
  const w = weights.getChild("w").toArray(), q = edges.getChild("q").toArray(), k = edges.getChild("k").toArray();
  const weight = (query, key) => w[query * keys.length + key]; // below 0: there is no such weight
  const lines = Array.from(q, (query, i) => ({ query, key: k[i], weight: weight(query, k[i]) })); // strongest first
  const named = { query: (i) => labels[queries[i]], key: (i) => labels[keys[i]] };
  const within = (cell, focus) =>
    (focus.query == null || cell.query === focus.query) && (focus.key == null || cell.key === focus.key);
  const isRest = (focus) => focus.query == null && focus.key == null;
  return {
    weight,
    named,
    lines,
    shown: (focus) => (isRest(focus) ? lines.slice(0, most) : lines.filter((line) => within(line, focus))),
    // the weights of the other side, all of them, whether drawn or not
    across: (
      focus,
    ) => (focus.query != null
      ? keys.map((_, key) => weight(focus.query, key))
      : queries.map((_, query) => weight(query, focus.key))),
    count(focus) {
      if (isRest(focus)) return view.count;
      const { query, key } = focus;
      return query != null
        ? `${view.counts.query[query]}, of ${says.query(quoted(named.query(query)))}`
        : `${view.counts.key[key]}, of ${says.key(quoted(named.key(key)))}`;
    },
    strongest(query) {
      const row = this.across({ query }), key = row.reduce((best, value, i) => (value > row[best] ? i : best), 0);
      return row[key] > 0
        ? `${says.most(named.query(query), named.key(key))}: ${row[key].toFixed(3)}`
        : `${named.query(query)} looks at nothing here`;
    },
    strongestTo(key) {
      const column = this.across({ key }),
        query = column.reduce((best, value, i) => (value > column[best] ? i : best), 0);
      return column[query] > 0
        ? `most of all, ${says.both(named.query(query), named.key(key))}: ${column[query].toFixed(3)}`
        : `nothing here looks at ${named.key(key)}`;
    },
    tell: (line, action) =>
      `${says.both(quoted(named.query(line.query)), quoted(named.key(line.key)))}: ${line.weight.toFixed(4)}${action}`,
  };
}

// While the pointer looks at another head (head_look.js), that head's lines stand here; then `rest` draws what was there.
// Returns what ends that.
function whileLookedAt(graph, svg, shape, rest) {
  const stop = new AbortController();
  document.addEventListener("regard:lines", ({ detail }) => {
    if (!detail) return rest();
    svg.replaceChildren(...detail.lines.map((line) => shape(line, false).element).reverse());
    graph.querySelectorAll(".number").forEach((number) => number.textContent = "");
    graph.querySelectorAll("button").forEach((button) => button.style.setProperty("--share", "0%"));
    graph.querySelector(".count").textContent = detail.count;
  }, { signal: stop.signal });
  return () => stop.abort();
}

const shareText = (value) => (value == null ? "" : value < 0 ? "–" : value.toFixed(3));

function svgElement(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

// The line nearest to a point, or null beyond `reach` px. Each has `points`, a run of straight pieces [x, y, x, y …]:
// to search them is easier on hand and browser than a second, thick and invisible line over each.
function nearest(lines, x, y, reach = 7) {
  let best = null, least = reach * reach;
  for (const line of lines) {
    const p = line.points;
    for (let i = 0; i + 3 < p.length; i += 2) {
      const dx = p[i + 2] - p[i], dy = p[i + 3] - p[i + 1], length = dx * dx + dy * dy;
      const along = length ? Math.max(0, Math.min(1, ((x - p[i]) * dx + (y - p[i + 1]) * dy) / length)) : 0;
      const ex = x - p[i] - along * dx, ey = y - p[i + 1] - along * dy, distance = ex * ex + ey * ey;
      if (distance < least) {
        least = distance;
        best = line;
      }
    }
  }
  return best;
}

// Fill a list anew. `enter` and `leave` follow pointer and keyboard (of the focus events that bubble, none can be set
// as a property, and added ones would pile up).
function refill(list, items, enter, leave) {
  renew(list, items);
  list.onmouseover = enter;
  list.onmouseleave = leave;
  for (const button of list.querySelectorAll("button")) {
    button.onfocus = enter;
    button.onblur = leave;
  }
}

// scroll a box just so far that [start, start + size] is in sight; `across`: sideways
function bringIntoSight(box, start, size, across = false) {
  const [from, extent] = across ? ["scrollLeft", box.clientWidth] : ["scrollTop", box.clientHeight];
  if (start < box[from]) box[from] = start;
  if (start + size > box[from] + extent) box[from] = start + size - extent;
}

// Pointing at a line of `surface`: `mark(line or null)` whenever it changes, the tip says `tell(line)`, a click opens.
function pointAtLines(surface, { lines, tip, tell, mark, open }) {
  let over = null;
  const under = (event) => {
    const box = surface.getBoundingClientRect();
    return nearest(lines(), event.clientX - box.left, event.clientY - box.top);
  };
  const point = (line, event) => {
    if (line !== over) mark(over = line);
    surface.style.cursor = line && open ? "pointer" : "";
    if (line) tip.show(tell(line), event.clientX, event.clientY);
    else tip.hide();
  };
  surface.onmousemove = (event) => point(under(event), event);
  surface.onmouseleave = (event) => point(null, event);
  surface.onclick = (event) => {
    const line = under(event);
    if (line && open) {
      tip.hide();
      open(line);
    }
  };
}

// The same where each line is a weight of `map`: the tip tells it, a click sends Python its query and key.
const OPENS = "\nClick to see where this number comes from";
function pointAtWeights(surface, { map, lines, tip, opens, setTriggerValue }) {
  pointAtLines(surface, {
    tip,
    lines,
    tell: (line) => map.tell(line, opens ? OPENS : ""),
    mark: (over) => lines().forEach((line) => line.element.classList.toggle("over", line === over)),
    open: opens ? (line) => setTriggerValue("open", [line.query, line.key]) : null,
  });
}

// A picture whose lines are in pixels is printed as wide as it was drawn, and smaller as a whole: no observer of sizes
// runs while a browser lays out paper. lines.css does it, for what has the class `drawn`.
const PAPER = 690; // px between the margins of A4
function keepForPaper(box) {
  box.style.setProperty("--drawn", `${box.offsetWidth}px`);
  box.style.setProperty("--paper", Math.min(1, PAPER / Math.max(1, box.offsetWidth)));
}
