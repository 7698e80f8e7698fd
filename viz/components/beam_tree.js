const BOX = 38, STEP = 46, SMALL = 20, LEFT = 8; // px: a node, a row of kept ones, a row of dropped ones, the margin
const GAP = 30, LETTER = 8.2; // px between columns; of the code font at 13 px

const WORD = 14, WORDS = 26; // characters shown of a token, of several in one node

const shorten = (label, most) => (label.length > most ? `${label.slice(0, most - 1)}…` : label);
const number = (value) => value.toFixed(3).replace("-", "−");

// The nodes with their places. Two bands: above, the candidates kept after each step, the best on top; below, those that
// were looked at and dropped.
function layOut(data) {
  const names = ["column", "row", "label", "parent", "fate", "lives", "own", "percent", "sum"];
  const nodes = data.nodes.map((values, i) => ({
    i,
    ...Object.fromEntries(names.map((name, at) => [name, values[at]])),
  }));
  for (const node of nodes) node.said = node.column ? shorten(node.label, data.search ? WORD : WORDS) : "start";
  const keptRows = 1 + Math.max(0, ...nodes.filter((node) => node.fate !== "dropped").map((node) => node.row));
  const columns = 1 + Math.max(...nodes.map((node) => node.column)), keptIn = Array(columns).fill(0);
  for (const node of nodes) if (node.fate !== "dropped") keptIn[node.column] += 1;
  const wide = Array(columns).fill(44);
  for (const node of nodes) wide[node.column] = Math.max(wide[node.column], LETTER * node.said.length + 16);
  const at = wide.map((_, column) => LEFT + wide.slice(0, column).reduce((sum, width) => sum + width + GAP, 0));
  const band = keptRows * STEP + 12; // px: where the dropped ones begin
  for (const node of nodes) {
    node.dropped = node.fate === "dropped";
    node.x = at[node.column];
    node.width = LETTER * node.said.length + (node.dropped ? 0 : 16);
    if (!node.dropped) node.width = Math.max(44, node.width);
    node.y = node.dropped ? band + (node.row - keptIn[node.column]) * SMALL + SMALL / 2 : node.row * STEP + 4 + BOX / 2;
  }
  const height = Math.max(...nodes.map((node) => node.y)) + BOX / 2 + 8;
  return { nodes, band, width: at.at(-1) + wide.at(-1) + LEFT, height };
}

function pathTo(nodes, node) {
  const path = [];
  for (; node; node = nodes[node.parent]) path.unshift(node);
  return path;
}

// a node as a group: the line from its parent, its box, its words
function drawNode(node, parent, best) {
  const group = svgElement("g", { class: `node ${node.fate}` });
  group.classList.toggle("best", best.has(node));
  group.classList.toggle("dead", !node.lives);
  if (parent) {
    const x1 = parent.x + parent.width, x2 = node.x - (node.dropped ? 3 : 0), bend = (x2 - x1) / 2;
    group.append(
      svgElement("path", { d: `M${x1},${parent.y}C${x1 + bend},${parent.y} ${x2 - bend},${node.y} ${x2},${node.y}` }),
    );
  }
  if (!node.dropped) {
    group.append(svgElement("rect", { x: node.x, y: node.y - BOX / 2, width: node.width, height: BOX, rx: 7 }));
  }
  const text = (className, y, words) => {
    const element = svgElement("text", { class: className, x: node.x + (node.dropped ? 0 : node.width / 2), y });
    element.textContent = words;
    group.append(element);
  };
  text("label", node.y + (node.dropped || !node.column ? 4 : -2), node.said);
  if (!node.dropped && node.column) text("sum", node.y + 13, node.sum.toFixed(2));
  return group;
}

// Draws the tree and returns the groups of its nodes, and the line that leads to each node as [number, line].
function drawTree(svg, { nodes, band, width, height }, best) {
  for (const [name, value] of Object.entries({ width, height, viewBox: `0 0 ${width} ${height}` })) {
    svg.setAttribute(name, value);
  }
  const drawn = nodes.map((node) => drawNode(node, nodes[node.parent], best));
  // lines behind boxes, the dead behind the living, the best on top
  const rank = (node) => (best.has(node) ? 3 : node.lives ? 2 : node.dropped ? 0 : 1);
  const order = [...nodes].sort((a, b) => rank(a) - rank(b));
  const edges = svgElement("g", {});
  edges.append(...order.flatMap((node) => {
    const line = drawn[node.i].querySelector("path");
    if (!line) return [];
    line.setAttribute("class", drawn[node.i].getAttribute("class").replace("node", "edge"));
    return [line];
  }));
  svg.replaceChildren(edges, ...drawn);
  if (nodes.some((node) => node.dropped)) {
    const name = svgElement("text", { class: "band", x: LEFT, y: band + SMALL / 2 + 4 });
    name.textContent = "dropped";
    svg.append(name);
  }
  return [drawn, order.filter((node) => node.parent >= 0).map((node, i) => [node.i, edges.children[i]])];
}

function tell(nodes, node, search) {
  const chance = `${node.percent.toPrecision(3)} %`, end = node.fate === "finished";
  const written = pathTo(nodes, node).slice(1, end ? -1 : undefined).map((each) => each.label).join(" ");
  const fate = {
    kept: node.lives ? "kept" : "kept, but nothing that grew from it was",
    dropped: "looked at and dropped",
    finished: "finished",
  }[node.fate];
  const last = `${end ? "then the end" : quoted(node.label)}: ${chance}, log-probability ${number(node.own)}`;
  return `${written || "(nothing)"}\n${last}\nsum so far ${number(node.sum)}${search ? ` · ${fate}` : ""}`;
}

function candidateItem({ text, score, sum, tokens }, i, chosen, picks) {
  const cells = { rank: i, text: text || "(nothing)", score: number(score), sum: number(sum), tokens };
  const button = numbered(i, "", ...Object.entries(cells).map(([name, words]) => el("span", name, words)));
  button.disabled = !picks;
  button.setAttribute("aria-pressed", i === chosen);
  button.setAttribute(
    "aria-label",
    `candidate ${i}: ${text}, score ${number(score)}, log-probability ${number(sum)}, ${tokens} tokens`,
  );
  return el("li", "", button);
}

function render({ data, parentElement, setTriggerValue }) {
  const { candidates, chosen, picks, search } = data, tree = parentElement.querySelector(".beam"), tip = tipOf(tree);
  tree.setAttribute("aria-label", search ? "Beam search" : `The tree of ${data.what}`);
  tree.querySelector(".what").textContent = data.what;
  tree.querySelector("ol").setAttribute("aria-label", `${data.what}, the best first`);
  const svg = tree.querySelector("svg"), list = tree.querySelector("ol"), laid = layOut(data), nodes = laid.nodes;
  const ends = candidates.map((candidate) => nodes[candidate.node]);
  const [drawn, lineOf] = drawTree(svg, laid, new Set(ends.length ? pathTo(nodes, ends[0]) : []));

  const light = (node) => {
    const on = new Set(node ? pathTo(nodes, node).map((each) => each.i) : []);
    svg.toggleAttribute("data-lit", Boolean(node));
    drawn.forEach((group, i) => group.classList.toggle("on", on.has(i)));
    for (const [i, line] of lineOf) line.classList.toggle("on", on.has(i));
    list.querySelectorAll("button").forEach((button, i) =>
      button.classList.toggle("on", Boolean(node) && ends[i] === node)
    );
  };
  const pick = (node) => {
    const candidate = ends.indexOf(node);
    if (picks && candidate >= 0) {
      tip.hide();
      setTriggerValue("pick", candidate);
    }
  };
  const nodeOf = (event) => {
    const box = svg.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    const within = (node) =>
      x >= node.x && x <= node.x + node.width && Math.abs(y - node.y) <= (node.dropped ? SMALL : BOX) / 2;
    return nodes.find(within) ?? null;
  };
  svg.onmousemove = (event) => {
    const node = nodeOf(event);
    if (!node || !node.column) {
      light(null);
      tip.hide();
      return;
    }
    light(node);
    const pickable = picks && ends.includes(node);
    svg.style.cursor = pickable ? "pointer" : "";
    tip.show(tell(nodes, node, search) + (pickable ? `\n${data.click}` : ""), event.clientX, event.clientY);
  };
  svg.onmouseleave = () => {
    light(null);
    tip.hide();
  };
  svg.onclick = (event) => pick(nodeOf(event));

  const point = (event) => light(ends[indexOf(event)] ?? null);
  refill(list, candidates.map((candidate, i) => candidateItem(candidate, i, chosen, picks)), point, () => light(null));
  rove(list, [[...list.querySelectorAll("button:enabled")]], {
    start: list.querySelector("[aria-pressed=true]:enabled"),
  });
  list.onclick = (event) => pick(ends[indexOf(event)]);
  return () => tip.hide();
}
