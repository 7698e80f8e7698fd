// a word as a button with room for a number; `pressed`: whether it is pinned, undefined where none can be
function wordItem(label, i, pressed) {
  const button = numbered(i, "", el("span", "text", label), el("span", "number"));
  if (pressed !== undefined) button.setAttribute("aria-pressed", pressed);
  return el("li", "", button);
}

function showNumbers(list, values) {
  list.querySelectorAll("button").forEach((button, i) => {
    const value = values ? values[i] : null;
    button.querySelector(".number").textContent = shareText(value);
    button.style.setProperty("--share", `${100 * Math.max(0, Math.min(1, value ?? 0))}%`);
  });
}

// Two lists of words with lines between them (`.q` looks at `.k`): which lines are shown for what is pointed at, and
// what Python hears. `shape(line, alone)` gives a line's points and the element that draws it; `beside(button)` where a
// key's number is told without hiding a key; `says`: its words, as LOOKS; `along`: which arrow keys walk a list, the
// others change sides. Returns a function that ends it.
function joinSides({ data, graph, setTriggerValue, shape, beside, says, along = "down" }) {
  const { queries, keys, pinned, picks, opens } = data.view, map = readMap(data, says);
  const svg = graph.querySelector("svg"), tip = tipOf(graph);
  const lists = { query: graph.querySelector(".q"), key: graph.querySelector(".k") };
  graph.endSides?.(); // of the data before: its handlers would draw old lines between new words
  let lines = [], current = {};
  let touched = -1; // a query touched with a finger stays until another place is touched

  const inPixels = graph.querySelector(".drawn");
  const draw = (focus) => {
    current = focus;
    if (inPixels) keepForPaper(inPixels);
    const alone = focus.query != null || focus.key != null;
    lines = map.shown(focus).map((line) => ({ ...line, ...shape(line, alone) }));
    svg.replaceChildren(...lines.map((line) => line.element).reverse()); // the strongest on top
    showNumbers(lists.key, focus.query != null ? map.across(focus) : null);
    showNumbers(lists.query, focus.key != null ? map.across(focus) : null);
    graph.querySelector(".count").textContent = map.count(focus);
  };

  const unlook = whileLookedAt(graph, svg, shape, () => rest());
  const held = () => (pinned >= 0 ? pinned : touched);
  const rest = () => {
    tip.hide();
    draw(held() >= 0 ? { query: held() } : {});
  };
  pointAtWeights(svg, { map, lines: () => lines, tip, opens, setTriggerValue });

  const pointQuery = (event) => {
    const query = indexOf(event);
    if (query == null) return;
    draw({ query });
    graph.querySelector(".spoken").textContent = map.strongest(query);
  };
  const pointKey = (event) => {
    const key = indexOf(event);
    if (key == null) return;
    draw({ key });
    graph.querySelector(".spoken").textContent = map.strongestTo(key);
    if (!opens || held() < 0) return;
    const weight = map.weight(held(), key);
    if (weight >= 0) {
      tip.show(map.tell({ query: held(), key, weight }, OPENS), ...beside(event.target.closest("button")));
    }
  };
  refill(
    lists.query,
    queries.map((_, i) => wordItem(map.named.query(i), i, picks ? i === pinned : undefined)),
    pointQuery,
    rest,
  );
  refill(lists.key, keys.map((_, i) => wordItem(map.named.key(i), i)), pointKey, rest);
  const sides = [...graph.querySelectorAll("ol")].map((list) => [...list.querySelectorAll("button")]);
  rove(graph, sides, { along, start: lists.query.querySelector("[aria-pressed=true]") });
  graph.onpointerdown = (event) => {
    if (event.pointerType !== "touch" || lists.key.contains(event.target)) return;
    touched = lists.query.contains(event.target) ? indexOf(event) ?? -1 : -1;
  };
  lists.query.onclick = (event) => {
    const query = indexOf(event);
    if (query != null && picks) setTriggerValue("pick", query === pinned ? -1 : query);
  };
  lists.key.onclick = (event) => {
    const key = indexOf(event);
    if (key != null && opens && held() >= 0 && map.weight(held(), key) >= 0) setTriggerValue("open", [held(), key]);
  };
  graph.toggleAttribute("data-picks", picks);
  graph.toggleAttribute("data-opens", opens);
  rest();
  const resized = new ResizeObserver(() => draw(current));
  resized.observe(graph);
  return (graph.endSides = () => {
    resized.disconnect();
    unlook();
  });
}
