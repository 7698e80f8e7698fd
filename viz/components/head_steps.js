// The steps that a layer has, each a section of pictures and one line of arithmetic. Everything drawn is a "part": a vector ("x", "q"),
// one token's row of a matrix ("K.3"), or one number of a token ("a.3"). Pointing at a part lights up its inputs and
// writes, in the step's line, how it was made. A part may be drawn several times.
const NARROWEST = 2.5, GAPPED = 7; // px of a cell: below, a vector goes on in another line; above, cells stand apart

// of the scale: most negative, most positive
const endsOf = (view) => view.ends.map((colour) => colour.match(/\d+/g).map(Number));
// ---- pictures ----
function asPart(node, part) {
  node.dataset.part = part;
  return node;
}

function saturation(vector) { // a few elements are far larger than all others: they would pale the rest
  const sizes = Float32Array.from(vector, Math.abs).sort();
  return sizes[Math.floor(0.98 * (sizes.length - 1))] || sizes.at(-1) || 1;
}

function strip({ vectors }, part, { full = saturation(vectors[part]), says, group = part } = {}) {
  const node = asPart(el("div", "strip", el("canvas")), part), n = vectors[part].length;
  Object.assign(node.dataset, { group, full });
  node.tabIndex = group === part ? 0 : -1;
  node.setAttribute("role", "application");
  node.setAttribute("aria-label", `${says}: ${n} numbers. Arrow keys step through them.`);
  return node;
}

function layOut(root, { view, vectors }) {
  const ends = endsOf(view);
  for (const node of root.querySelectorAll(".strip")) {
    const { part, full } = node.dataset, n = vectors[part].length, canvas = node.firstChild, width = canvas.clientWidth;
    if (!width) continue;
    let lines = 1;
    while (width / Math.ceil(n / lines) < NARROWEST && lines < n) lines++;
    const per = Math.ceil(n / lines);
    if (+node.dataset.per === per) {
      node.classList.toggle("gapped", width / per >= GAPPED);
      continue;
    }
    Object.assign(node.dataset, { per, lines });
    node.style.setProperty("--per", per);
    node.style.setProperty("--lines", lines);
    node.classList.toggle("gapped", width / per >= GAPPED);
    canvas.width = per;
    canvas.height = lines;
    const pen = canvas.getContext("2d"), image = pen.createImageData(per, lines);
    vectors[part].forEach((value, i) => {
      const [r, g, b] = ends[value < 0 ? 0 : 1];
      image.data.set([r, g, b, Math.round(255 * Math.min(1, Math.abs(value) / +full))], 4 * i);
    });
    pen.putImageData(image, 0, 0);
  }
}

function mark(node, i, kind, n) {
  const per = +node.dataset.per || n, lines = +node.dataset.lines || 1, box = el("div", `mark ${kind}`);
  box.style.left = `${100 * (i % per) / per}%`;
  box.style.top = `${100 * Math.floor(i / per) / lines}%`;
  box.style.width = `${100 / per}%`;
  box.style.height = `${100 / lines}%`;
  node.append(box);
}

const named = (...name) => el("div", "name", ...name);
const size = (full) => `± ${full.toFixed(full < 0.995 ? 3 : 2)}`;
const sizes = (...pairs) =>
  el(
    "div",
    "note",
    "full colour: ",
    ...pairs.flatMap(([symbol, values], i) => [i ? ", " : "", S(symbol), ` ${size(saturation(values))}`]),
  );

function vector(steps, part, name, says) {
  return el(
    "div",
    "vector",
    named(...name),
    strip(steps, part, { says }),
    el("div", "note", size(saturation(steps.vectors[part]))),
  );
}

function tokenName({ view, tokens }, r) {
  const label = el("span", "token", view.labels[r]);
  const name = el("div", "name", el("span", "at", `${tokens[r]}`), label);
  name.title = `token ${tokens[r]}, “${view.labels[r]}”`;
  return name;
}

// `also`: of the sink, which is no token: a number more, in row R
function bars({ view, tokens, R }, part, numbers, { kind, hue, also }) {
  const finite = [...numbers, also ?? 0].filter(Number.isFinite);
  const from = Math.min(0, ...finite), span = Math.max(0, ...finite) - from || 1;
  return (r) => {
    const value = r === R ? also : numbers[r], bar = el("span", "fill"), track = el("span", "track", bar);
    const node = asPart(el("button", "bar", track, el("span", "number", fixed(value))), `${part}.${r}`);
    node.dataset.group = `${part}${kind}`;
    node.tabIndex = r === view.chosen ? 0 : -1;
    node.setAttribute(
      "aria-label",
      `${kind} of ${whose(view, tokens, r)}: ${fixed(value)}. Press to see where it comes from.`,
    );
    if (Number.isFinite(value)) {
      bar.style.left = `${100 * (Math.min(0, value) - from) / span}%`;
      bar.style.width = `${100 * Math.abs(value) / span}%`;
      bar.style.background = hue ? `var(--hue-${hue})` : value < 0 ? view.ends[0] : view.ends[1];
    } else track.append(el("span", "why", "masked"));
    if (from < 0) {
      const zero = el("span", "zero");
      zero.style.left = `${100 * -from / span}%`;
      track.append(zero);
    }
    return node;
  };
}

const whose = (view, tokens, r) => r < tokens.length ? `token ${tokens[r]}, ${view.labels[r]}` : "the sink";
const number = (part, numbers) => (r) => asPart(el("span", "number from", fixed(numbers[r])), `${part}.${r}`);

// a row for each drawn token, and a thin one where others are left out; `sink`: with one for it; `without`: words instead
function table(steps, kind, header, cells, { sums = false, sink, without, footer } = {}) {
  const { view, tokens, R } = steps, { s: scores } = steps.numbers;
  const body = el("div", `table ${kind}`, el("div", "row header", ...header));
  const leftOut = (r) => {
    const first = r ? tokens[r - 1] + 1 : 0, next = r < R ? tokens[r] : view.n, count = next - first;
    if (count) {
      body.append(
        el(
          "div",
          "gap",
          `⋯ ${count} token${count > 1 ? "s" : ""}`,
          sums ? `, together ${fixed(view.left_out[r])}` : "",
        ),
      );
    }
  };
  for (let r = 0; r < R; r++) {
    leftOut(r);
    const line = el("div", "row", tokenName(steps, r), ...cells.map((cell) => cell(r)));
    line.classList.toggle("chosen", r === view.chosen && !(sink && view.sink?.chosen));
    line.classList.toggle("own", r === view.own);
    line.classList.toggle("masked", !Number.isFinite(scores[r]));
    body.append(line);
  }
  leftOut(R);
  if (sink && view.sink) {
    const name = el("div", "name", el("span", "at", `${view.n}`), el("span", "token", "sink"));
    const line = el("div", "row", name, number("s", { [R]: view.sink.score })(R), cells.at(-1)(R));
    line.classList.toggle("chosen", view.sink.chosen);
    body.append(line);
  }
  if (without) body.append(el("div", "gap", without));
  if (footer) body.append(el("div", "row footer", ...footer));
  return body;
}

function matrix(steps, letter, all, says) {
  const { view, tokens } = steps, full = saturation(all);
  return (r) => {
    const node = strip(steps, `${letter}.${r}`, {
      full,
      says: `${says} of token ${tokens[r]}, ${view.labels[r]}`,
      group: letter,
    });
    if (r === view.chosen) node.tabIndex = 0;
    return node;
  };
}

// ---- pointing ----
function pointer(root, { vectors }, made, resting) {
  const views = new Map(); // part -> the elements that draw it
  for (const node of root.querySelectorAll("[data-part]")) {
    views.set(node.dataset.part, [...(views.get(node.dataset.part) || []), node]);
  }
  const lineOf = (i) => root.children[i].querySelector(".line");
  let pointed = null; // the element, and its index if it is a vector
  const clear = () => {
    root.classList.remove("pointing");
    root.querySelectorAll(".mark").forEach((node) => node.remove());
    root.querySelectorAll(".lit, .target").forEach((node) => node.classList.remove("lit", "target"));
  };
  const rest = (force) => {
    if (!pointed && force !== true) return;
    pointed = null;
    clear();
    resting.forEach((words, i) => lineOf(i).replaceChildren(...words()));
  };
  const point = (node, i) => {
    if (pointed && pointed[0] === node && pointed[1] === i) return;
    clear();
    const step = +node.closest(".step").dataset.step;
    if (pointed) {
      const last = +pointed[0].closest(".step").dataset.step;
      if (last !== step) lineOf(last).replaceChildren(...resting[last]());
    }
    pointed = [node, i];
    const [part, r] = node.dataset.part.split("."), [lit, words] = made[part](i, +r);
    root.classList.add("pointing");
    for (const [name, what] of Object.entries(lit)) {
      for (const seen of views.get(name) || []) {
        seen.classList.add("lit");
        if (what !== true) {
          for (const each of [what].flat()) mark(seen, each, "input", vectors[seen.dataset.part].length);
        }
      }
    }
    node.classList.add("target");
    if (i != null) mark(node, i, "result", vectors[node.dataset.part].length);
    lineOf(step).replaceChildren(...words);
  };
  return { rest, point, said: () => (pointed ? lineOf(+pointed[0].closest(".step").dataset.step).textContent : "") };
}

const isStrip = (node) => node.classList.contains("strip");

function indexAt(node, event, n) {
  const box = node.getBoundingClientRect(), per = +node.dataset.per, lines = +node.dataset.lines;
  const across = Math.min(per - 1, Math.max(0, Math.floor((event.clientX - box.left) / box.width * per)));
  const down = Math.min(lines - 1, Math.max(0, Math.floor((event.clientY - box.top) / box.height * lines)));
  return Math.min(n - 1, down * per + across);
}

// what follows the pointer, the focus and the keys; returns what points at an element as the focus does
function listen(root, { view, vectors, tokens }, { rest, point: pointAt, said }, setTriggerValue) {
  const partAt = (event) => event.target.closest("[data-part]"), n = (node) => vectors[node.dataset.part].length;
  root.onpointermove = root.onpointerdown = (event) => {
    const node = partAt(event);
    if (!node) return rest();
    if (isStrip(node)) node.cursor = indexAt(node, event, n(node));
    pointAt(node, isStrip(node) ? node.cursor : undefined);
  };
  root.onpointerleave = rest;
  root.listening?.abort(); // of an earlier drawing; focusin has no on… property
  root.listening = new AbortController();
  const { signal } = root.listening;
  const point = (node, i) => {
    pointAt(node, i);
    root.nextElementSibling.textContent = said();
  }; // aloud: by keyboard only
  const focus = (node) => {
    if (isStrip(node)) node.cursor = Math.min(n(node) - 1, node.cursor ?? 0);
    point(node, isStrip(node) ? node.cursor : undefined);
  };
  root.addEventListener("focusin", (event) => {
    const node = partAt(event);
    if (node) focus(node);
  }, { signal });
  root.addEventListener("focusout", rest, { signal });
  root.onkeydown = (event) => {
    const node = partAt(event);
    if (!node) return;
    const across = { ArrowLeft: -1, ArrowRight: 1 }[event.key], down = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (isStrip(node) && across) {
      node.cursor = Math.min(n(node) - 1, Math.max(0, (node.cursor ?? 0) + across));
      point(node, node.cursor);
    } else if (down) {
      const group = [...node.closest(".step").querySelectorAll(`[data-group="${node.dataset.group}"]`)];
      const next = group[group.indexOf(node) + down];
      if (!next) return;
      node.tabIndex = -1;
      next.tabIndex = 0;
      next.cursor = node.cursor;
      next.focus();
    } else return;
    event.preventDefault();
  };
  root.onclick = (event) => {
    const node = event.target.closest("button.bar");
    // behind the last token: the sink
    if (node) setTriggerValue("pick", tokens[+node.dataset.part.split(".")[1]] ?? view.n);
  };
  return focus;
}

function render({ data, parentElement, setTriggerValue }) {
  const steps = readSteps(data), view = steps.view;
  const host = parentElement.host || parentElement, root = parentElement.querySelector(".path");
  root.setAttribute(
    "aria-label",
    `Layer ${view.layer}, head ${view.head}, query ${view.query}: ${view.steps.length} steps from the hidden vector to the residual stream`,
  );
  renew(root, sectionsOf(steps));
  const made = makings(steps), pointing = pointer(root, steps, made, restingLines(steps, made)), { rest } = pointing;
  const focus = listen(root, steps, pointing, setTriggerValue);

  // the theme's colours as CSS variables, one a symbol
  const colour = () => {
    const colours = variable(host, "--st-chart-categorical-colors").split(",");
    for (const [symbol, i] of Object.entries(view.hues)) root.style.setProperty(`--hue-${symbol}`, colours[i]);
  };
  colour();
  layOut(root, steps);
  rest(true);
  const held = root.getRootNode().activeElement;
  if (held?.dataset.part) focus(held);
  let wide = root.clientWidth;
  const unwatch = watchVariable(host, "--st-chart-categorical-colors", colour),
    resized = new ResizeObserver(() => {
      if (wide === root.clientWidth) return; // only a line of arithmetic got longer
      wide = root.clientWidth;
      layOut(root, steps);
      rest(true);
    });
  resized.observe(root);
  return () => {
    unwatch();
    resized.disconnect();
  };
}
