// One canvas as large as what is visible of the graph, drawn again with every scroll: 512 tokens x 6 layers x 8 lines
// each are 24,576 lines; an SVG of them takes 0.5 s for every step of scrolling, this 0.07 s. On paper, which does not
// scroll, it is as large as the graph.
const TALL = 460, LOWEST = 24, HIGHEST = 52; // px, as in the token graph
const MOST = 620, MOST_ON_PAPER = 32000; // px: a longer text scrolls; what browsers still draw
const DOT = 4, SIDE = 16; // px: the radius of a node; the room left and right of the outer columns
const SHADES = 16; // strengths told apart: lines of one shade are drawn in one go

const columnName = (column) => (column ? `after layer ${column - 1}` : "input");
const same = (a, b) => a === b || (a && b && a[0] === b[0] && a[1] === b[1]);

// The lines, and what is shown of them now: `focus` is the node that is followed, `shares` of which nodes it is made.
function readLayers({ view, edges }) {
  const { labels, layers, pinned } = view, n = labels.length;
  const [layer, q, k, w] = ["layer", "q", "k", "w"].map((name) => edges.getChild(name).toArray());
  const lines = Array.from(w, (weight, i) => ({ layer: layer[i], query: q[i], key: k[i], weight }));
  const byLayer = Array.from({ length: layers }, () => []);
  for (const line of lines) byLayer[line.layer].push(line);
  const nodeName = ([column, token]) => `${quoted(labels[token])} ${column ? columnName(column) : "at the input"}`;
  const height = Math.max(LOWEST, Math.min(HIGHEST, TALL / Math.max(1, n)));
  return {
    ...view,
    n,
    lines,
    byLayer,
    nodeName,
    height,
    pitch: 0,
    focus: null,
    shares: null,
    shown: [],
    over: null,
    cursor: pinned ?? [layers, n - 1],
  };
}

// How much of each node reaches one node along drawn lines: the products of weights along each path, summed over paths
// (attention rollout, Abnar & Zuidema 2020, without the residual stream). Column 0 is the input.
function sharesTo({ byLayer, n, others }, column, token) {
  const shares = Array.from({ length: column + 1 }, () => new Float64Array(n));
  shares[column][token] = 1;
  for (let l = column - 1; l >= 0; l--) {
    if (l in others) shares[l].set(shares[l + 1]); // without weights, a path goes straight on
    for (const { query, key, weight } of byLayer[l]) shares[l][key] += shares[l + 1][query] * weight;
  }
  return shares;
}

function lostText(total, shared) {
  const sum = `the numbers add up to ${total.toFixed(3)}`, lost = 1 - total;
  if (!shared) return `${sum}; rows of these maps add up to more than 1, so this is no share`;
  if (lost < 1e-6) return "the numbers add up to 1, nothing is lost";
  return lost < 0.0005
    ? "less than 0.001 is lost where no line is drawn"
    : `${sum}, ${lost.toFixed(3)} is lost where no line is drawn`;
}

// where things are on the canvas, which shows what the scrolled box shows
function placesOf(now, scroll) {
  const canvas = scroll.querySelector("canvas"), top = () => (now.whole ? 0 : scroll.scrollTop);
  const x = (column) => SIDE + column * now.pitch, y = (token) => (token + 0.5) * now.height - top();
  return {
    x,
    y,
    first: () => Math.max(0, Math.floor(top() / now.height)),
    placed: (line) => ({ ...line, points: [x(line.layer), y(line.key), x(line.layer + 1), y(line.query)] }),
    visible() {
      const first = top() / now.height - 1, last = (top() + canvas.clientHeight) / now.height;
      return now.shown.filter((line) =>
        Math.max(line.query, line.key) >= first && Math.min(line.query, line.key) <= last
      );
    },
    nodeAt(event) {
      const box = event.currentTarget.getBoundingClientRect(),
        px = event.clientX - box.left,
        py = event.clientY - box.top;
      const column = now.pitch ? Math.round((px - SIDE) / now.pitch) : 0,
        token = Math.floor((py + top()) / now.height);
      const near = column >= 0 && column <= now.layers && token >= 0 && token < now.n &&
        Math.hypot(px - x(column), py - y(token)) < 11;
      return near ? [column, token] : null;
    },
  };
}

function paintLines(pen, colour, drawn, { focus, over }, { placed }) {
  const shades = Array.from({ length: SHADES }, () => []);
  for (const line of drawn) shades[Math.ceil(strength(line.flow ?? line.weight, focus) * SHADES) - 1].push(line.points);
  pen.strokeStyle = colour("--st-primary-color");
  shades.forEach((points, shade) => {
    const value = (shade + 1) / SHADES;
    pen.globalAlpha = value;
    pen.lineWidth = 0.7 + 3.5 * value;
    pen.beginPath();
    for (const [x1, y1, x2, y2] of points) {
      pen.moveTo(x1, y1);
      pen.lineTo(x2, y2);
    }
    pen.stroke();
  });
  pen.globalAlpha = 1;
  if (over) {
    const [x1, y1, x2, y2] = placed(over).points;
    pen.strokeStyle = colour("--regard-accent");
    pen.lineWidth = 4;
    pen.beginPath();
    pen.moveTo(x1, y1);
    pen.lineTo(x2, y2);
    pen.stroke();
  }
}

function paintNodes(pen, colour, tall, { n, layers, shares, focus, pinned }, { x, y }, first) {
  pen.fillStyle = colour("--st-text-color");
  for (let token = first; token < n && y(token) < tall + DOT; token++) {
    for (let column = 0; column <= layers; column++) {
      const share = shares ? shares[column]?.[token] ?? 0 : 1;
      pen.globalAlpha = share > 0 ? 0.75 : 0.22;
      pen.beginPath();
      pen.arc(x(column), y(token), DOT, 0, 7);
      pen.fill();
    }
  }
  pen.globalAlpha = 1;
  for (const [node, name] of [[focus, "--st-primary-color"], [pinned, "--regard-accent"]]) {
    if (!node) continue;
    pen.strokeStyle = colour(name);
    pen.lineWidth = 3;
    pen.beginPath();
    pen.arc(x(node[0]), y(node[1]), DOT + 4, 0, 7);
    pen.stroke();
  }
}

function paintOn(canvas, host, now, places) {
  const width = canvas.clientWidth, tall = canvas.clientHeight, ratio = window.devicePixelRatio || 1;
  if (!width || !tall) return;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(tall * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(tall * ratio);
  }
  const pen = canvas.getContext("2d"), style = getComputedStyle(host);
  const colour = (name) => style.getPropertyValue(name).trim();
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, tall);
  pen.lineCap = "round";
  if (now.focus) {
    pen.fillStyle = colour("--st-secondary-background-color");
    pen.fillRect(0, places.y(now.focus[1]) - now.height / 2, width, now.height);
  }
  const drawn = places.visible().map(places.placed), first = places.first();
  paintOthers(pen, colour, tall, now, places, first);
  paintLines(pen, colour, drawn, now, places);
  paintNodes(pen, colour, tall, now, places, first);
  canvas.dataset.lines = drawn.length;
}

// a layer without attention: a band with its name, which paths cross
function paintOthers(pen, colour, tall, { n, others, pitch }, { x, y }, first) {
  for (const [layer, what] of Object.entries(others)) {
    const left = x(Number(layer)) + DOT + 2, wide = pitch - 2 * DOT - 4;
    if (wide <= 0) continue;
    pen.fillStyle = colour("--st-secondary-background-color");
    pen.fillRect(left, 0, wide, tall);
    pen.strokeStyle = pen.fillStyle = colour("--st-text-color");
    pen.globalAlpha = 0.35;
    pen.lineWidth = 1;
    pen.setLineDash([2, 4]);
    pen.beginPath();
    for (let token = first; token < n && y(token) < tall + DOT; token++) {
      pen.moveTo(left, y(token));
      pen.lineTo(left + wide, y(token));
    }
    pen.stroke();
    pen.setLineDash([]);
    pen.globalAlpha = 0.8;
    pen.font = `13px ${colour("--st-font")}`;
    if (wide > 14) {
      pen.save();
      pen.translate(left + wide / 2, tall / 2);
      pen.rotate(-Math.PI / 2);
      pen.textAlign = "center";
      pen.textBaseline = "middle";
      const long = pen.measureText(what).width + 12;
      pen.clearRect(-long / 2, -9, long, 18); // the lines do not run through the name
      pen.globalAlpha = 1;
      pen.fillText(what, 0, 0, tall);
      pen.restore();
    }
    pen.globalAlpha = 1;
  }
}

// the names of tokens and columns, and what the canvas is for those who cannot see it
function name(graph, { labels, layers, how, about_others, n, height, picks, opens }) {
  graph.style.setProperty("--row", `${height}px`);
  const rows = labels.map((label) => el("li", "", el("span", "text", label), el("span", "number")));
  graph.querySelector("ol").replaceChildren(...rows);
  const heads = Array.from({ length: layers + 1 }, (_, column) => el("span", "", columnName(column)));
  graph.querySelector(".heading").replaceChildren(...heads);
  graph.querySelector(".said").textContent = how;
  graph.querySelector(".others").textContent = about_others
    ? ` ${about_others} A path goes straight through a layer without attention: what that moves from token to token has ` +
      "no weights, and is not in the numbers."
    : "";
  graph.querySelector("canvas").setAttribute(
    "aria-label",
    `${n} tokens by ${layers + 1} columns, joined by lines. Arrow keys choose a node` +
      (picks ? ", Enter keeps it" : "") + (opens ? ", Shift and Enter open its strongest line." : "."),
  );
}

// Follow a node's paths back to the input, or none's.
function follow(graph, now, node) {
  const shares = node ? sharesTo(now, ...node) : null;
  const shown = !node
    ? now.lines
    : now.lines.filter((line) => line.layer < node[0] && shares[line.layer + 1][line.query] > 0)
      .map((line) => ({ ...line, flow: shares[line.layer + 1][line.query] * line.weight }));
  Object.assign(now, { focus: node, over: null, shares, shown });
  graph.querySelectorAll("li").forEach((item, token) => {
    const value = shares ? shares[0][token] : null;
    item.querySelector(".number").textContent = shareText(value);
    item.style.setProperty("--share", `${100 * Math.min(1, value ?? 0)}%`);
  });
  const total = shares ? shares[0].reduce((sum, value) => sum + value, 0) : 0;
  graph.querySelector(".count").textContent = now.count +
    (node ? `. Back from ${now.nodeName(node)}: ${lostText(total, now.shared)}` : "");
  if (!node) return;
  const best = shares[0].reduce((least, value, token) => (value > shares[0][least] ? token : least), 0);
  const most = `${now.labels[best]}, ${shares[0][best].toFixed(3)}`;
  graph.querySelector(".spoken").textContent = `${now.nodeName(node)}: most comes from ${most}`;
}

// what follows the pointer and the keys
function listen(canvas, scroll, now, places, { tip, paint, show, setTriggerValue }) {
  const { labels, pinned, picks, opens } = now;
  const pick = (node) => setTriggerValue("pick", same(node, pinned) ? [-1, -1] : node);
  const open = opens ? (line) => setTriggerValue("open", [line.layer, line.query, line.key]) : null;
  pointAtLines(canvas, {
    tip,
    open,
    lines: () => places.visible().map(places.placed),
    tell: (line) =>
      `layer ${line.layer}: ${quoted(labels[line.query])} looks at ${quoted(labels[line.key])}: ` +
      line.weight.toFixed(4) + (opens ? OPENS : ""),
    mark: (line) => {
      now.over = line;
      paint();
    },
  });
  const { onmousemove: pointMove, onmouseleave: pointLeave, onclick: pointClick } = canvas;
  canvas.onmousemove = (event) => {
    const node = places.nodeAt(event);
    if (node) {
      pointLeave(event);
      show(node);
      canvas.style.cursor = picks ? "pointer" : "";
      return;
    }
    show(pinned);
    pointMove(event);
  };
  canvas.onmouseleave = (event) => {
    pointLeave(event);
    show(pinned);
  };
  canvas.onclick = (event) => {
    const node = places.nodeAt(event);
    if (!node) pointClick(event);
    else if (picks) pick(node);
  };
  canvas.onkeydown = (event) => {
    const step = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    if (event.key === "Enter" && event.shiftKey) {
      const into = now.lines.filter((line) => line.layer + 1 === now.cursor[0] && line.query === now.cursor[1]);
      if (open && into.length) open(into.reduce((best, line) => (line.weight > best.weight ? line : best)));
    } else if (event.key === "Enter" && picks) pick(now.cursor);
    if (!step) return;
    event.preventDefault();
    const next = [now.cursor[0] + step[0], now.cursor[1] + step[1]];
    if (next[0] < 0 || next[0] > now.layers || next[1] < 0 || next[1] >= now.n) return;
    now.cursor = next;
    bringIntoSight(scroll, next[1] * now.height, now.height);
    show(next);
  };
  canvas.onfocus = () => {
    if (canvas.matches(":focus-visible")) show(now.cursor);
  };
  canvas.onblur = () => show(pinned);
  scroll.onscroll = () => {
    tip.hide();
    now.over = null;
    paint();
  };
}

function render({ data, parentElement, setTriggerValue }) {
  const now = readLayers(data), host = parentElement.host || parentElement;
  const graph = parentElement.querySelector(".layers"), scroll = graph.querySelector(".scroll"), tip = tipOf(graph);
  const canvas = graph.querySelector("canvas"), places = placesOf(now, scroll);
  name(graph, now);
  const paint = () => paintOn(canvas, host, now, places);
  const show = (node) => {
    if (!same(node, now.focus)) {
      follow(graph, now, node);
      paint();
    }
  };
  listen(canvas, scroll, now, places, { tip, paint, show, setTriggerValue });

  const stop = new AbortController(), { signal } = stop;
  let printing = false;
  const place = () => {
    now.whole = printing || host.style.colorScheme === "light"; // the latter: to be saved (corner_dom.js)
    canvas.style.height = `${Math.min(now.whole ? MOST_ON_PAPER : MOST, now.n * now.height)}px`;
    now.pitch = now.layers ? (canvas.clientWidth - 2 * SIDE) / now.layers : 0;
    const offset = canvas.getBoundingClientRect().left - graph.getBoundingClientRect().left, narrow = now.pitch < 96;
    graph.querySelectorAll(".heading span").forEach((span, column) => {
      span.style.left = `${offset + places.x(column)}px`;
      span.textContent = narrow ? (column ? column - 1 : "in") : columnName(column);
      span.title = columnName(column);
    });
    graph.toggleAttribute("data-narrow", narrow);
    keepForPaper(graph.querySelector(".body"));
    paint();
  };
  place();
  if (now.pinned) bringIntoSight(scroll, now.pinned[1] * now.height, now.height);
  follow(graph, now, now.pinned);
  paint();
  const resized = new ResizeObserver(place);
  resized.observe(graph);
  for (const when of ["beforeprint", "afterprint"]) {
    addEventListener(when, () => (printing = when === "beforeprint", place()), { signal });
  }
  const unwatch = watchVariable(host, "--st-text-color", place); // a canvas does not follow the theme by itself
  return () => {
    stop.abort();
    resized.disconnect();
    unwatch();
  };
}
