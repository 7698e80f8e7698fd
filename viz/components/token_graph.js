const TALL = 440, LOWEST = 24, HIGHEST = 52;  // px: the graph of a short text fills TALL, tokens stay readable
const MOST_LINES = 3000;  // over all tokens; one token's lines are always complete

export default function ({ data, parentElement, setTriggerValue }) {
  const { labels, threshold, pinned } = data.view, n = labels.length;
  const weights = data.weights.getChild("w").toArray();
  const graph = parentElement.querySelector(".graph"), svg = graph.querySelector("svg");
  const queries = graph.querySelector(".q"), keys = graph.querySelector(".k");
  const height = Math.max(LOWEST, Math.min(HIGHEST, TALL / n));
  graph.style.setProperty("--row", `${height}px`);
  const weight = (query, key) => weights[query * n + key];

  const row = (label, i, pressable) => {
    const item = document.createElement("li"), button = document.createElement("button");
    const text = document.createElement("span"), number = document.createElement("span");
    text.className = "text"; text.textContent = label;
    number.className = "number";
    button.append(text, number);
    button.dataset.i = i;
    if (pressable) button.setAttribute("aria-pressed", i === pinned);
    item.append(button);
    return item;
  };
  queries.replaceChildren(...labels.map((label, i) => row(label, i, true)));
  keys.replaceChildren(...labels.map((label, i) => row(label, i, false)));

  // which (query, key) pairs a focus shows: one query's, one key's, or everybody's
  const pairs = ({ query, key }) => {
    const shown = [];
    const add = (q, k) => { const w = weight(q, k); if (w >= threshold && w > 0) shown.push([w, q, k]); };
    for (let other = 0; other < n; other++) {
      if (query != null) add(query, other);
      else if (key != null) add(other, key);
      else for (let k = 0; k < n; k++) add(other, k);
    }
    return shown;
  };

  const numbers = (list, values) => list.querySelectorAll("button").forEach((button, i) => {
    const value = values ? values(i) : null;
    button.querySelector(".number").textContent = value == null ? "" : value.toFixed(3);
    button.style.setProperty("--share", value == null ? "0%" : `${100 * value}%`);
  });

  const draw = (focus) => {
    let shown = pairs(focus);
    const found = shown.length, alone = focus.query != null || focus.key != null;
    if (found > MOST_LINES && !alone) shown = shown.sort((a, b) => b[0] - a[0]).slice(0, MOST_LINES);
    const left = queries.offsetWidth, right = svg.clientWidth - keys.offsetWidth;
    svg.replaceChildren(...shown.map(([w, q, k]) => {
      const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
      const place = { x1: left, y1: (q + 0.5) * height, x2: right, y2: (k + 0.5) * height };
      for (const [name, value] of Object.entries(place)) line.setAttribute(name, value);
      line.setAttribute("stroke-opacity", Math.max(0.04, w));
      line.setAttribute("stroke-width", 1 + 5 * w);
      return line;
    }));
    numbers(keys, focus.query != null ? (k) => weight(focus.query, k) : null);
    numbers(queries, focus.key != null ? (q) => weight(q, focus.key) : null);
    // an honest count: of the lines and the weight that this focus could show
    const all = focus.query != null ? n : focus.key != null ? n : n * n;
    let total = 0, drawn = 0;
    for (let q = 0; q < n; q++) for (let k = 0; k < n; k++) {
      if ((focus.query == null || q === focus.query) && (focus.key == null || k === focus.key)) total += weight(q, k);
    }
    for (const [w] of shown) drawn += w;
    graph.querySelector(".count").textContent =
      `${shown.length} of ${all} lines, ${total ? (100 * drawn / total).toFixed(1) : "0"} % of the weight` +
      (focus.query != null ? `, of what “${labels[focus.query]}” looks at` : "") +
      (focus.key != null ? `, of all that look at “${labels[focus.key]}”` : "");
  };

  const resting = () => (pinned >= 0 && pinned < n ? { query: pinned } : {});
  const say = (query) => {
    let best = 0;
    for (let k = 1; k < n; k++) if (weight(query, k) > weight(query, best)) best = k;
    graph.querySelector(".spoken").textContent =
      `${labels[query]} looks most at ${labels[best]}: ${weight(query, best).toFixed(3)}`;
  };
  const index = (event) => { const b = event.target.closest("button"); return b ? +b.dataset.i : null; };
  queries.onmouseover = queries.onfocusin = (event) => {
    const query = index(event);
    if (query != null) { draw({ query }); say(query); }
  };
  keys.onmouseover = keys.onfocusin = (event) => { const key = index(event); if (key != null) draw({ key }); };
  queries.onmouseleave = keys.onmouseleave = queries.onfocusout = keys.onfocusout = () => draw(resting());
  queries.onclick = (event) => {
    const query = index(event);
    if (query != null) setTriggerValue("pick", query === pinned ? -1 : query);
  };
  draw(resting());
  const resized = new ResizeObserver(() => draw(resting()));
  resized.observe(graph);
  return () => resized.disconnect();
}
