const HIGHEST = 190, HALF = 260; // px: no arc is higher; an arc HALF wide is half as high
const ROUND = 90; // px: wide arcs are flat between their corners, so that they can be told apart where they end
const LOOP = 7; // px: the radius of the mark for a token that looks at itself
const ROOMY = 46; // px: the largest gap between the tokens of a short text

const rise = (width) => HIGHEST * (width / (width + HALF));

// an arc over [x1, x2] from a base line: upwards (-1) or downwards (1)
function arcPoints(x1, x2, base, way) {
  const [left, right] = x1 < x2 ? [x1, x2] : [x2, x1], round = Math.min(ROUND, (right - left) / 2);
  const height = way * rise(right - left), points = [];
  for (let i = 0; i <= 10; i++) {
    const angle = (i / 10) * (Math.PI / 2);
    points.push(left + round * (1 - Math.cos(angle)), base + height * Math.sin(angle));
  }
  for (let i = 10; i >= 0; i--) {
    const angle = (i / 10) * (Math.PI / 2);
    points.push(right - round * (1 - Math.cos(angle)), base + height * Math.sin(angle));
  }
  return points;
}

function loopPoints(x, base) {
  return Array.from({ length: 17 }, (_, i) => (i / 16) * 2 * Math.PI)
    .flatMap((angle) => [x + LOOP * Math.sin(angle), base - LOOP + LOOP * Math.cos(angle)]);
}

// a token as a button, with room for the number it sends to the one pointed at and the one it gets from there
function chipItem(label, i, { pressed, absent }) {
  const button = numbered(i, "", el("span", "text", label), el("span", "number out"), el("span", "number in"));
  if (pressed !== undefined) button.setAttribute("aria-pressed", pressed);
  return el("li", absent ? "absent" : "", button);
}

// Where the tokens stand: their middles, and the heights at which arcs begin, above and below them.
function placeChips(arcs, { labels, queries, keys }, lines) {
  const scroll = arcs.querySelector(".scroll"), strip = arcs.querySelector(".strip"), list = arcs.querySelector("ol");
  strip.style.setProperty("--gap", "4px");
  const spare = (scroll.clientWidth - list.offsetWidth) / Math.max(1, labels.length);
  strip.style.setProperty("--gap", `${4 + Math.max(0, Math.min(ROOMY, spare))}px`);
  const middles = [...list.children].map((item) => item.offsetLeft + item.offsetWidth / 2);
  let below = 0, above = 0;
  for (const { query, key } of lines) {
    const width = middles[queries[query]] - middles[keys[key]];
    if (width < 0) below = Math.max(below, rise(-width));
    else above = Math.max(above, width ? rise(width) : 2 * LOOP);
  }
  above += 8;
  strip.style.padding = `${above}px 0 ${below ? below + 10 : 4}px`;
  keepForPaper(strip);
  return { middles, top: above - 3, bottom: above + list.offsetHeight + 3 };
}

function arcOf(line, { queries, keys }, { middles, top, bottom }, alone) {
  const from = middles[queries[line.query]], to = middles[keys[line.key]];
  const points = queries[line.query] === keys[line.key]
    ? loopPoints(from, top)
    : arcPoints(from, to, from > to ? top : bottom, from > to ? -1 : 1);
  return {
    ...line,
    points,
    element: svgElement("path", {
      d: `M${points.map((value) => value.toFixed(1)).join(" ")}`,
      class: line.incoming ? "in" : "out",
      "stroke-opacity": strength(line.weight, alone),
      "stroke-width": thickness(line.weight),
    }),
  };
}

// a token's arcs: those it sends as a query, and those it gets as a key
function arcsOf(map, { query, key }) {
  const incoming = key == null ? [] : map.shown({ key }).filter((line) => line.query !== query);
  return [...(query == null ? [] : map.shown({ query })), ...incoming.map((line) => ({ ...line, incoming: true }))];
}

function render({ data, parentElement, setTriggerValue }) {
  const view = data.view, { labels, queries, keys, pinned, picks, opens } = view, map = readMap(data);
  const arcs = parentElement.querySelector(".arcs"), svg = arcs.querySelector("svg"), list = arcs.querySelector("ol");
  const scroll = arcs.querySelector(".scroll"), tip = tipOf(arcs);
  const rowOf = new Map(queries.map((position, row) => [position, row]));
  const columnOf = new Map(keys.map((position, column) => [position, column]));
  let chips = [], lines = [], places = null, current = null;

  const numbers = (name, positions, values) => {
    for (const chip of chips) chip.querySelector(`.${name}`).textContent = "";
    if (!values) return;
    positions.forEach((position, i) => {
      chips[position].querySelector(`.${name}`).textContent = shareText(values[i]);
    });
  };
  const draw = (position) => {
    current = position;
    const rest = position == null, query = rowOf.get(position), key = columnOf.get(position);
    lines = (rest ? map.shown({}) : arcsOf(map, { query, key })).map((line) => arcOf(line, view, places, !rest));
    svg.replaceChildren(...lines.map((line) => line.element).reverse());
    const out = query == null ? null : map.across({ query });
    numbers("out", keys, out);
    numbers("in", queries, key == null ? null : map.across({ key }));
    chips.forEach((chip, i) => {
      chip.style.setProperty("--share", `${40 * Math.max(0, Math.min(1, (out && out[columnOf.get(i)]) || 0))}%`);
    });
    const focuses = rest ? [{}] : [query == null ? null : { query }, key == null ? null : { key }].filter(Boolean);
    arcs.querySelector(".count").textContent = focuses.map((focus) => map.count(focus)).join("; ");
  };

  const resting = () => {
    tip.hide();
    draw(pinned >= 0 ? queries[pinned] : null);
  };
  pointAtWeights(svg, { map, lines: () => lines, tip, opens, setTriggerValue });
  const point = (event) => {
    const position = indexOf(event);
    if (position == null) return;
    draw(position);
    if (rowOf.has(position)) arcs.querySelector(".spoken").textContent = map.strongest(rowOf.get(position));
  };
  list.onclick = (event) => {
    const position = indexOf(event), row = rowOf.get(position), column = columnOf.get(position);
    if (event.shiftKey) {
      if (opens && pinned >= 0 && column != null && map.weight(pinned, column) >= 0) {
        setTriggerValue("open", [pinned, column]);
      }
    } else if (picks && row != null) setTriggerValue("pick", row === pinned ? -1 : row);
  };
  arcs.toggleAttribute("data-picks", picks);
  refill(
    list,
    labels.map((label, i) =>
      chipItem(label, i, {
        pressed: picks && rowOf.has(i) ? rowOf.get(i) === pinned : undefined,
        absent: !rowOf.has(i) && !columnOf.has(i),
      })
    ),
    point,
    resting,
  );
  chips = [...list.querySelectorAll("button")];
  rove(list, [chips], { start: chips[queries[pinned]] });
  places = placeChips(arcs, view, map.lines);
  resting();
  if (pinned >= 0) {
    const width = chips[queries[pinned]].offsetWidth;
    bringIntoSight(scroll, places.middles[queries[pinned]] - width / 2, width, true);
  }
  const resized = new ResizeObserver(() => {
    places = placeChips(arcs, view, map.lines);
    draw(current);
  });
  resized.observe(scroll);
  const unlook = whileLookedAt(arcs, svg, (line) => arcOf(line, view, places, false), resting);
  return () => {
    resized.disconnect();
    unlook();
  };
}
