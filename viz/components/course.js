// Everything is drawn from the data in hand: a scrub is one call of `show`, and tells the server nothing. Where one rests
// for a moment, Python is told, and answers with a style.
const FULL = 65535, TICK = 160, REST = 400; // a weight of 1; ms from checkpoint to checkpoint; ms until one rests
const HIGH = 118, LEFT = 34, RIGHT = 12, TOP = 8, BOTTOM = 18; // px of a panel of curves, and of its margins
const SVG = "http://www.w3.org/2000/svg";

function svg(kind, attributes, text) {
  const node = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

const number = (value, digits = 2) => value.toFixed(digits).replace("-", "−");

// A panel of curves over the steps: grid lines, lines, the moment that is marked, and a cursor that moves alone.
function panel(node, width, { steps, until, top, ticks, lines, level, moment }) {
  const inner = width - LEFT - RIGHT, first = steps[0];
  const x = (step) => LEFT + (step - first) / Math.max(1, until - first) * inner;
  const y = (value) => TOP + (1 - value / top) * (HIGH - TOP - BOTTOM);
  const parts = [];
  for (const tick of ticks) {
    parts.push(svg("line", { class: "mesh", x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick) }));
    parts.push(svg("text", { x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }, tick));
  }
  const every = [1, 2, 5, 10, 20, 50, 100, 200, 500].find((each) => (until - first) / each <= inner / 46) ?? 1000;
  for (let step = Math.ceil(first / every) * every; step <= until; step += every) {
    parts.push(svg("text", { x: x(step), y: HIGH - 4, "text-anchor": "middle" }, step));
  }
  if (level) parts.push(svg("line", { class: "level", x1: LEFT, x2: width - RIGHT, y1: y(level), y2: y(level) }));
  if (moment !== null) {
    const at = x(steps[moment]);
    parts.push(svg("line", { class: "moment", x1: at, x2: at, y1: TOP, y2: HIGH - BOTTOM }));
  }
  const dots = [];
  for (const { values, colour, kind, over } of lines) {
    const points = values.map((value, i) =>
      `${x((over ?? steps)[i]).toFixed(1)},${y(Math.min(value, top)).toFixed(1)}`
    );
    parts.push(svg("polyline", { class: kind, points: points.join(" "), style: `stroke:${colour}` }));
    if (!over) dots.push({ values, dot: svg("circle", { r: 3.5, style: `fill:${colour}` }) });
  }
  const cursor = svg("line", { class: "cursor", y1: TOP, y2: HIGH - BOTTOM });
  node.replaceChildren(...parts, cursor, ...dots.map(({ dot }) => dot));
  node.setAttribute("viewBox", `0 0 ${width} ${HIGH}`);
  return {
    at(i) {
      const here = x(steps[i]);
      cursor.setAttribute("x1", here);
      cursor.setAttribute("x2", here);
      for (const { values, dot } of dots) {
        dot.setAttribute("cx", here);
        dot.setAttribute("cy", y(Math.min(values[i], top)));
      }
    },
    nearest(px) {
      const step = first + (px - LEFT) / inner * (until - first);
      return steps.reduce((best, each, i) => Math.abs(each - step) < Math.abs(steps[best] - step) ? i : best, 0);
    },
  };
}

// What stands above a panel: a sample of each line, its name, and its number at the checkpoint.
function legend(node, entries) {
  const numbers = entries.map(() => el("b", ""));
  node.replaceChildren(...entries.map(({ name, colour, kind }, i) => {
    const sample = el("i", kind);
    if (colour) sample.style.setProperty("--colour", colour);
    return el("span", "", ...(kind ? [sample] : []), name, " ", numbers[i]);
  }));
  return numbers;
}

function render({ data, parentElement, setTriggerValue }) {
  const { steps, until, losses, guess, previous, induction, names, labels, marked, locked, beside, alt } = data.view;
  const weights = data.maps.getChild("w").toArray(), n = labels.length, half = n * (n + 1) / 2;
  const host = parentElement.host || parentElement, root = parentElement.querySelector(".course");
  const [time, play, now, range] = [".time", ".play", ".now", "input"].map((name) => root.querySelector(name));
  const large = root.querySelector(".large"),
    canvas = large.querySelector("canvas"),
    frame = large.querySelector(".row");
  const strip = root.querySelector(".text"), heads = root.querySelector(".heads"), tip = tipOf(root);
  const spoken = root.querySelector(".spoken");
  // a run of Python in between draws anew what moves: where it is stays
  const state = root.state ??= { said: "", at: 0, head: 0, playing: false, row: null, cell: null };
  const last = steps.length - 1, best = marked.lastIndexOf(true);
  const weight = (at, head, t, s) =>
    s > t ? 0 : weights[(at * names.length + head) * half + t * (t + 1) / 2 + s] / FULL;

  const told = () => [parseInt(variable(root, "--at")) || 0, parseInt(variable(root, "--head")) || 0];
  const obey = () => {
    const [at, head] = told(), said = `${at} ${head}`;
    if (said !== state.said) Object.assign(state, { said, at, head });
    if (state.at > last || state.head >= names.length) state.said = ""; // the style was here before its data
    state.at = Math.min(state.at, last);
    state.head = Math.min(state.head, names.length - 1);
  };

  let colours = [], lookup = new Uint32Array(0), panels = [], numbers = {}, tiles = [];
  let resting = 0;

  const prepare = () => {
    if (!time.clientWidth) return;
    colours = variable(host, "--st-chart-categorical-colors").split(",").map((each) => each.trim());
    const sequential = palette(host);
    lookup = Uint32Array.from({ length: FULL + 1 }, (_, i) => sequential[Math.round(255 * Math.sqrt(i / FULL))]);
    const of = (i) => colours[(i + 2) % colours.length];
    const width = time.clientWidth, highest = Math.max(guess, ...losses.flatMap(({ values }) => values));
    const mesh = [1, 2, 4, 5, 10, 20, 50].find((each) => highest / each <= 4.5) ?? 100;
    const ticks = Array.from({ length: Math.floor(highest / mesh) + 1 }, (_, i) => i * mesh);
    const shared = { steps, until, moment: locked };
    const other = beside
      ? { over: beside.steps.filter((step) => step <= until), colour: "currentColor", kind: "beside" }
      : null;
    panels = [
      panel(root.querySelector(".loss"), width, {
        ...shared,
        top: highest * 1.02,
        ticks,
        level: guess,
        lines: [
          ...(other ? [{ ...other, values: beside.loss.slice(0, other.over.length) }] : []),
          ...losses.map(({ values }, i) => ({ values, colour: colours[i], kind: i ? "dotted" : "whole" })).reverse(),
        ],
      }),
      panel(root.querySelector(".score"), width, {
        ...shared,
        top: 1,
        ticks: [0, 0.5, 1],
        lines: [
          ...(other ? [{ ...other, values: beside.induction.slice(0, other.over.length) }] : []),
          ...names.map((_, i) => ({ values: previous.map((row) => row[i]), colour: of(i), kind: "dotted" })),
          ...names.map((_, i) => ({ values: induction.map((row) => row[i]), colour: of(i), kind: "whole" })),
        ],
      }),
    ];
    numbers = legend(root.querySelector('[data-of="loss"]'), [
      ...losses.map(({ name }, i) => ({ name, colour: colours[i], kind: i ? "dotted" : "whole" })),
      { name: `to guess costs ${number(guess)}`, kind: "level" },
      ...(beside ? [{ name: "the run that ships", kind: "beside" }] : []),
    ]);
    legend(root.querySelector('[data-of="score"]'), [
      { name: "Scores of each head: induction", kind: "whole" },
      { name: "previous token", kind: "dotted" },
      ...(locked === null ? [] : [{ name: "from here on both heads stay", kind: "moment" }]),
    ]);
    root.querySelectorAll("svg").forEach((each) => each.setAttribute("aria-label", alt));
    tiles = names.map((name, i) => {
      const tile = document.createElement("canvas"), button = numbered(i, "head");
      tile.width = tile.height = n;
      const swatch = el("i", "swatch"), scores = el("small", "");
      swatch.style.background = of(i);
      button.append(tile, swatch, el("span", "", name), scores);
      return { button, tile, scores };
    });
    heads.replaceChildren(...tiles.map(({ button }) => button));
    canvas.width = canvas.height = n;
    frame.style.setProperty("--n", n);
    const letters = (where) =>
      root.querySelector(where).replaceChildren(...labels.map((label) => el("span", "", label)));
    letters(".across");
    letters(".down");
    strip.replaceChildren(...labels.map((label, i) => {
      const chip = el("span", marked[i] ? "known" : "", label);
      chip.dataset.i = i;
      return chip;
    }));
    range.style.setProperty("--left", `${LEFT - 8}px`);
    range.style.setProperty(
      "--right",
      `${RIGHT - 8 + (until - steps[last]) / Math.max(1, until - steps[0]) * (width - LEFT - RIGHT)}px`,
    );
    show();
  };

  const paint = (context, head) => {
    const image = context.createImageData(n, n), pixels = new Uint32Array(image.data.buffer).fill(lookup[0]);
    let from = (state.at * names.length + head) * half;
    for (let t = 0; t < n; t++) for (let s = 0; s <= t; s++) pixels[t * n + s] = lookup[weights[from++]];
    context.putImageData(image, 0, 0);
  };

  const pointed = () => state.cell ?? [state.row ?? best, null];
  const point = () => {
    const [t, s] = pointed();
    frame.style.setProperty("--t", t);
    [...strip.children].forEach((chip, i) => {
      chip.style.setProperty("--weight", weight(state.at, state.head, t, i).toFixed(3));
      chip.classList.toggle("query", i === t);
      chip.classList.toggle("key", i === s);
    });
  };

  const show = () => {
    const { at, head } = state, step = steps[at];
    panels.forEach((each) => each.at(at));
    losses.forEach(({ values }, i) => numbers[i].textContent = number(values[at]));
    tiles.forEach(({ button, tile, scores }, i) => {
      paint(tile.getContext("2d"), i);
      button.setAttribute("aria-pressed", i === head);
      scores.textContent = `induction ${number(induction[at][i])}\nprevious ${number(previous[at][i])}`;
    });
    paint(canvas.getContext("2d"), head);
    canvas.setAttribute(
      "aria-label",
      `Where ${names[head]} looks after step ${step}. Arrow keys go from weight to weight.`,
    );
    const stay = locked === null || at < locked
      ? ""
      : at === locked
      ? " · from here on both heads stay"
      : " · both heads are there";
    now.replaceChildren(el("b", "", `step ${step}`), ` of ${until}${stay}`);
    range.value = at; // where Python or a resize moved it
    range.setAttribute("aria-valuetext", `step ${step}${stay}`);
    point();
    root.dataset.shown = `${step} ${names[head]}`;
  };

  const rest = () => {
    clearTimeout(resting);
    resting = setTimeout(() => {
      const said = `${state.at} ${state.head}`;
      if (said !== state.said) setTriggerValue("rest", { at: state.at, head: state.head });
      state.said = said;
    }, REST);
  };
  root.querySelectorAll("svg").forEach((node, i) => {
    const drag = (event) => {
      player.go(
        panels[i].nearest((event.clientX - node.getBoundingClientRect().left) * time.clientWidth / node.clientWidth),
      );
    };
    node.onpointerdown = (event) => {
      node.setPointerCapture(event.pointerId);
      drag(event);
    };
    node.onpointermove = (event) => event.buttons && drag(event);
  });
  heads.onclick = (event) => {
    const i = indexOf(event);
    if (i === null) return;
    state.head = i;
    show();
    if (!state.playing) rest();
  };

  const words = ([t, s]) =>
    s > t
      ? `“${labels[t]}” (${t}) cannot see “${labels[s]}” (${s}), which comes later`
      : `“${labels[t]}” (${t}) looks at “${labels[s]}” (${s}): ${number(weight(state.at, state.head, t, s), 3)}`;
  const cellAt = (event) => {
    const box = canvas.getBoundingClientRect(),
      cell = (size, along) => Math.max(0, Math.min(n - 1, Math.floor(along / size * n)));
    return [cell(box.height, event.clientY - box.top), cell(box.width, event.clientX - box.left)];
  };
  canvas.onmousemove = (event) => {
    state.cell = cellAt(event);
    point();
    tip.show(words(state.cell), event.clientX, event.clientY);
  };
  canvas.onclick = (event) => {
    state.row = cellAt(event)[0];
    point();
  };
  const leave = () => {
    state.cell = null;
    tip.hide();
    point();
  };
  canvas.onmouseleave = canvas.onblur = leave;
  const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  canvas.onkeydown = (event) => {
    if (event.key === "Escape") return leave();
    const by = STEPS[event.key];
    if (!by) return;
    event.preventDefault();
    const [t, s] = state.cell ?? [state.row ?? best, (state.row ?? best) - 1],
      within = (i, top) => Math.max(0, Math.min(top, i));
    const row = within(t + by[0], n - 1);
    state.cell = [row, within(s + by[1], row)];
    const box = canvas.getBoundingClientRect(), side = box.width / n;
    point();
    tip.show(words(state.cell), box.left + (state.cell[1] + 1) * side, box.top + (row + 1) * side);
    spoken.textContent = words(state.cell);
  };
  strip.onmouseover = (event) => {
    const chip = event.target.closest("[data-i]");
    if (!chip) return;
    state.cell = [+chip.dataset.i, null];
    point();
  };
  strip.onmouseleave = leave;
  strip.onclick = (event) => {
    const chip = event.target.closest("[data-i]");
    if (chip) state.row = +chip.dataset.i;
  };

  obey();
  prepare();
  const player = playerOf({ play, range }, state, {
    last,
    tick: TICK,
    named: "Play the training",
    show,
    rested: rest,
  });
  const resized = new ResizeObserver(prepare);
  resized.observe(time);
  const follow = () => {
    obey();
    show();
  };
  const ends = [
    watchVariable(host, "--st-chart-sequential-colors", prepare),
    watchVariable(root, "--at", follow),
    watchVariable(root, "--head", follow),
  ];
  return () => {
    player.end();
    clearTimeout(resting);
    resized.disconnect();
    ends.forEach((end) => end());
  };
}
