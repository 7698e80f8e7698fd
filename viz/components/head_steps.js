// Nine steps, each a section of pictures and one line of arithmetic. Everything drawn is a "part": a vector ("x", "q"),
// one token's row of a matrix ("K.3"), or one number of a token ("a.3"). Pointing at a part lights up its inputs and
// writes, in the step's line, how it was made. A part may be drawn several times.
const NARROWEST = 2.5, GAPPED = 7;  // px of a cell: below, a vector goes on in another line; above, cells stand apart

const column = (table, name = "w") => table.getChild(name).toArray();
const fixed = (value) => !Number.isFinite(value) ? "−∞" : (Math.abs(value) < 5e-5 ? 0 : value).toFixed(4).replace("-", "−");
const signed = (value) => value < 0 ? `(${fixed(value)})` : fixed(value);  // after an operator
const length = (vector) => Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));

function el(kind, name, ...content) {
  const node = document.createElement(kind);
  if (name) node.className = name;
  node.append(...content);
  return node;
}

// a symbol as mathematicians write it, in its colour: S("k", 3, 12) is k with index 3, its element 12
function S(symbol, index, element) {
  const node = el("i", "symbol", symbol);
  node.style.color = `var(--hue-${symbol}, inherit)`;
  if (index != null) node.append(el("sub", "", `${index}`));
  const written = el("span", "", node);
  if (element != null) written.append(`[${element}]`);
  return written;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const view = data.view, host = parentElement.host || parentElement, root = parentElement.querySelector(".path");
  const [stream, head, row] = ["stream", "head", "rows"].map((table) => (name) => column(data[table], name));
  const keys = column(data.keys), values = column(data.values), tokens = view.tokens, R = tokens.length;
  const vectors = {
    x: stream("x"), n: stream("normed"), o: stream("o"), others: stream("others"), bias: stream("bias"),
    after: stream("after"), q: head("q"), k: head("k"), v: head("v"), z: head("z"),
  };
  const [dots, scaled, scores, exponentials, weights] = ["dots", "scaled", "scores", "exponentials", "weights"].map(row);
  const D = vectors.x.length, K = vectors.q.length, gain = stream("gain"), shift = stream("shift");
  const divided = Math.abs(view.scale * Math.sqrt(K) - 1) < 1e-6;
  for (let r = 0; r < R; r++) {
    vectors[`K.${r}`] = keys.subarray(r * K, (r + 1) * K);
    vectors[`V.${r}`] = values.subarray(r * K, (r + 1) * K);
  }
  const every = (part, what = true) => Object.fromEntries(tokens.map((_, r) => [`${part}.${r}`, what]));
  const scaling = (r) => divided ? `${fixed(dots[r])} / √${K}` : `${fixed(dots[r])} × ${fixed(view.scale)}`;

  // how each part was made: what lights up (part -> all of it, or one element), and the line of arithmetic
  const projection = (part) => (i) => [
    { n: true },
    [S(part, null, i), ` = row ${i} of `, S("W", part), " · ", S("x̂"), " + bias = ",
      `${fixed(vectors[part][i] - head(`${part}_bias`)[i])} + ${signed(head(`${part}_bias`)[i])} = ${fixed(vectors[part][i])}`],
  ];
  const made = {
    x: (i) => [{}, [S("x", null, i), ` = ${fixed(vectors.x[i])}`]],
    n: (i) => [{ x: true }, [S("x̂", null, i), " = (", S("x", null, i), " − mean) / deviation × factor + summand = ",
      `(${fixed(vectors.x[i])} − ${signed(view.mean)}) / ${fixed(view.deviation)} × ${signed(gain[i])} + ${signed(shift[i])} = `,
      fixed(vectors.n[i])]],
    q: projection("q"), k: projection("k"), v: projection("v"),
    K: (i, r) => [{ q: i }, [S("q", null, i), " × ", S("k", tokens[r], i),
      ` = ${fixed(vectors.q[i])} × ${signed(vectors[`K.${r}`][i])} = ${fixed(vectors.q[i] * vectors[`K.${r}`][i])}`,
      ", one of the ", `${K} products in `, S("q"), " · ", S("k", tokens[r]), ` = ${fixed(dots[r])}`]],
    d: (_, r) => [{ q: true, [`K.${r}`]: true }, [S("q"), " · ", S("k", tokens[r]), ` = ${fixed(dots[r])}`,
      ` (“${view.labels[r]}”), the sum of ${K} products`]],
    s: (_, r) => [{ [`d.${r}`]: true }, Number.isFinite(scores[r])
      ? [S("s", tokens[r]), " = ", S("q"), " · ", S("k", tokens[r]), divided ? ` / √${K}` : " × scale", ` = ${scaling(r)} = ${fixed(scores[r])}`]
      : [`${scaling(r)} = ${fixed(scaled[r])}, but “${view.labels[r]}” (${tokens[r]}) comes after the query: `, S("s", tokens[r]), " = −∞"]],
    a: (_, r) => [every("s"), [S("a", tokens[r]), " = e", el("sup", "", S("s", tokens[r]), " − largest"), " / sum = e",
      el("sup", "", Number.isFinite(scores[r]) ? `${fixed(scores[r])} − ${signed(view.largest)}` : "−∞"),
      ` / ${fixed(view.denominator)} = ${fixed(exponentials[r])} / ${fixed(view.denominator)} = ${fixed(weights[r])}`]],
    V: (i, r) => [{ [`a.${r}`]: true, z: i }, [S("a", tokens[r]), " × ", S("v", tokens[r], i),
      ` = ${fixed(weights[r])} × ${signed(vectors[`V.${r}`][i])} = ${fixed(weights[r] * vectors[`V.${r}`][i])}, its part of `,
      S("z", null, i), ` = ${fixed(vectors.z[i])}`]],
    z: (i) => [{ ...every("a"), ...every("V", i) }, [S("z", null, i), " = ", ...mixture((r) => signed(vectors[`V.${r}`][i])),
      ` = ${fixed(vectors.z[i])}`]],
    o: (i) => [{ z: true }, [S("o", null, i), ` = row ${i} of `, S("W", "o"), " · ", S("z"), ` = ${fixed(vectors.o[i])}, a sum of ${K} products`]],
    others: (i) => [{}, [`the other heads' shares[${i}] = ${fixed(vectors.others[i])}`]],
    bias: (i) => [{}, [`bias[${i}] = ${fixed(vectors.bias[i])}`]],
    after: (i) => [{ x: i, o: i, others: i, bias: i }, [S("x′", null, i), " = ", S("x", null, i), " + ", S("o", null, i), " + others + bias = ",
      `${["x", "o", "others", "bias"].map((part, at) => at ? signed(vectors[part][i]) : fixed(vectors[part][i])).join(" + ")} = ${fixed(vectors.after[i])}`]],
  };
  // the largest terms of the weighted sum: weight × what(row) + …
  const mixture = (what) => {
    const best = [...tokens.keys()].sort((a, b) => weights[b] - weights[a]).filter((r) => weights[r] > 0);
    const terms = best.slice(0, 3).flatMap((r, at) => [at ? " + " : "", `${fixed(weights[r])} × `, what(r)]);
    return view.n > 3 && best.length > 3 ? [...terms, " + …"] : terms;
  };
  // what a step says while nothing in it is pointed at: the chosen key's number, or the step as a whole
  const largest = vectors.x.reduce((best, value, i) => Math.abs(value) > Math.abs(vectors.x[best]) ? i : best, 0);
  const resting = [
    () => [S("x"), `: ${D} numbers; the largest is `, S("x", null, largest), ` = ${fixed(vectors.x[largest])}, its length |`, S("x"), `| = ${fixed(length(vectors.x))}`],
    () => [`mean = ${fixed(view.mean)}, deviation = √(variance + ε) = ${fixed(view.deviation)}`],
    () => ["q", "k", "v"].flatMap((part, at) => [at ? ", " : "", S(part), " = ", S("W", part), S("x̂"), " + ", S("b", part)]),
    () => made.d(0, view.chosen)[1],
    () => made.s(0, view.chosen)[1],
    () => made.a(0, view.chosen)[1],
    () => [S("z"), " = ", ...mixture((r) => S("v", tokens[r]))],
    () => [S("o"), " = ", S("W", "o"), S("z"), `: from ${K} to ${D} numbers; its length |`, S("o"), `| = ${fixed(length(vectors.o))}`],
    () => ["lengths: |", S("x"), `| = ${fixed(length(vectors.x))}, |`, S("o"), `| = ${fixed(length(vectors.o))}, |others| = ${fixed(length(vectors.others))}, |bias| = ${fixed(length(vectors.bias))}, |`, S("x′"), `| = ${fixed(length(vectors.after))}`],
  ];

  // ---- pictures ----
  const ends = view.ends.map((colour) => colour.match(/\d+/g).map(Number));  // of the scale: most negative, most positive
  const register = (node, part) => {
    node.dataset.part = part;
    return node;
  };
  const saturation = (vector) => {  // a few elements are far larger than all others: they would pale the rest
    const sizes = Float32Array.from(vector, Math.abs).sort();
    return sizes[Math.floor(0.98 * (sizes.length - 1))] || sizes.at(-1) || 1;
  };

  const strip = (part, { full = saturation(vectors[part]), says, group = part } = {}) => {
    const node = register(el("div", "strip", el("canvas")), part), n = vectors[part].length;
    Object.assign(node.dataset, { group, full });
    node.tabIndex = group === part ? 0 : -1;
    node.setAttribute("role", "application");
    node.setAttribute("aria-label", `${says}: ${n} numbers. Arrow keys step through them.`);
    return node;
  };
  const layOut = () => {
    for (const node of root.querySelectorAll(".strip")) {
      const { part, full } = node.dataset, n = vectors[part].length, canvas = node.firstChild, width = canvas.clientWidth;
      if (!width) continue;
      let lines = 1;
      while (width / Math.ceil(n / lines) < NARROWEST && lines < n) lines++;
      const per = Math.ceil(n / lines);
      if (+node.dataset.per === per) { node.classList.toggle("gapped", width / per >= GAPPED); continue; }
      Object.assign(node.dataset, { per, lines });
      node.style.setProperty("--per", per);
      node.style.setProperty("--lines", lines);
      node.classList.toggle("gapped", width / per >= GAPPED);
      canvas.width = per; canvas.height = lines;
      const pen = canvas.getContext("2d"), image = pen.createImageData(per, lines);
      vectors[part].forEach((value, i) => {
        const [r, g, b] = ends[value < 0 ? 0 : 1];
        image.data.set([r, g, b, Math.round(255 * Math.min(1, Math.abs(value) / +full))], 4 * i);
      });
      pen.putImageData(image, 0, 0);
    }
  };
  const mark = (node, i, kind) => {
    const per = +node.dataset.per || vectors[node.dataset.part].length, lines = +node.dataset.lines || 1, box = el("div", `mark ${kind}`);
    box.style.left = `${100 * (i % per) / per}%`;
    box.style.top = `${100 * Math.floor(i / per) / lines}%`;
    box.style.width = `${100 / per}%`;
    box.style.height = `${100 / lines}%`;
    node.append(box);
  };

  const named = (...name) => el("div", "name", ...name);
  const size = (full) => `± ${full.toFixed(full < 0.995 ? 3 : 2)}`, upTo = (full) => el("div", "note", size(full));
  const sizes = (...pairs) => el("div", "note", "full colour: ", ...pairs.flatMap(([symbol, values], i) => [i ? ", " : "", S(symbol), ` ${size(saturation(values))}`]));
  const vector = (part, name, says) => el("div", "vector", named(...name), strip(part, { says }), upTo(saturation(vectors[part])));
  const tokenName = (r) => {
    const label = el("span", "token", view.labels[r]);
    const name = el("div", "name", el("span", "at", `${tokens[r]}`), label);
    name.title = `token ${tokens[r]}, “${view.labels[r]}”`;
    return name;
  };

  const low = (numbers) => Math.min(0, ...numbers.filter(Number.isFinite)), high = (numbers) => Math.max(0, ...numbers.filter(Number.isFinite));
  const bars = (part, numbers, { kind, hue }) => {
    const from = low([...numbers]), span = high([...numbers]) - from || 1;
    return (r) => {
      const value = numbers[r], bar = el("span", "fill"), track = el("span", "track", bar);
      const node = register(el("button", "bar", track, el("span", "number", fixed(value))), `${part}.${r}`);
      node.dataset.group = `${part}${kind}`;
      node.tabIndex = r === view.chosen ? 0 : -1;
      node.setAttribute("aria-label", `${kind} of token ${tokens[r]}, ${view.labels[r]}: ${fixed(value)}. Press to see where it comes from.`);
      if (Number.isFinite(value)) {
        bar.style.left = `${100 * (Math.min(0, value) - from) / span}%`;
        bar.style.width = `${100 * Math.abs(value) / span}%`;
        bar.style.background = hue ? `var(--hue-${hue})` : value < 0 ? view.ends[0] : view.ends[1];
      }
      else track.append(el("span", "why", "masked"));
      if (from < 0) { const zero = el("span", "zero"); zero.style.left = `${100 * -from / span}%`; track.append(zero); }
      return node;
    };
  };
  const number = (part, numbers) => (r) => register(el("span", "number from", fixed(numbers[r])), `${part}.${r}`);

  // a row for each drawn token, and a thin one where others are left out
  const table = (kind, header, cells, { sums = false, footer } = {}) => {
    const body = el("div", `table ${kind}`, el("div", "row header", ...header));
    const leftOut = (r) => {
      const first = r ? tokens[r - 1] + 1 : 0, next = r < R ? tokens[r] : view.n, count = next - first;
      if (count) body.append(el("div", "gap", `⋯ ${count} token${count > 1 ? "s" : ""}`, sums ? `, together ${fixed(view.left_out[r])}` : ""));
    };
    for (let r = 0; r < R; r++) {
      leftOut(r);
      const line = el("div", "row", tokenName(r), ...cells.map((cell) => cell(r)));
      line.classList.toggle("chosen", r === view.chosen);
      line.classList.toggle("own", r === view.own);
      line.classList.toggle("masked", !Number.isFinite(scores[r]));
      body.append(line);
    }
    leftOut(R);
    if (footer) body.append(el("div", "row footer", ...footer));
    return body;
  };
  const matrix = (letter, all, says) => {
    const full = saturation(all);
    return (r) => {
      const node = strip(`${letter}.${r}`, { full, says: `${says} of token ${tokens[r]}, ${view.labels[r]}`, group: letter });
      if (r === view.chosen) node.tabIndex = 0;
      return node;
    };
  };
  const of = (symbol) => [S(symbol), el("span", "of", ` of “${view.labels[view.own]}”`)];
  const pictures = [
    [vector("x", [S("x")], "the hidden vector x")],
    [vector("n", [S("x̂")], "x after the layer norm")],
    ["q", "k", "v"].map((part) => vector(part, [S(part)], { q: "the query", k: "the key", v: "the value" }[part])),
    [table("compare", [named(...of("q")), strip("q", { says: "the query" }), el("div", "title", S("q"), " · ", S("k"))],
      [matrix("K", keys, "the key"), bars("d", dots, { kind: "q·k" })]), sizes(["q", vectors.q], ["k", keys])],
    [table("reckon", [named(), el("div", "title", S("q"), " · ", S("k")), el("div", "title", "score ", S("s"))],
      [number("d", dots), bars("s", scores, { kind: "score" })])],
    [table("reckon", [named(), el("div", "title", "score ", S("s")), el("div", "title", "weight ", S("a"))],
      [number("s", scores), bars("a", weights, { kind: "weight", hue: "a" })], { sums: true })],
    [table("mix", [named(), el("div", "title", "weight ", S("a")), el("div", "title", "value ", S("v"))],
      [bars("a", weights, { kind: "taken", hue: "a" }), matrix("V", values, "the value")],
      { sums: true, footer: [named(S("z")), el("div", "title", "the sum of weight × value"), strip("z", { says: "the mix of the values" })] }),
      sizes(["v", values], ["z", vectors.z])],
    [vector("o", [S("o")], "what this head writes")],
    [vector("x", [S("x")], "the hidden vector x"), vector("o", ["+ ", S("o"), el("span", "of", " this head")], "what this head writes"),
      vector("others", ["+ other heads"], "the other heads' shares"), vector("bias", ["+ bias"], "the output bias"),
      vector("after", ["= ", S("x′")], "the residual stream after attention")],
  ];

  root.setAttribute("aria-label", `Layer ${view.layer}, head ${view.head}, query ${view.query}: nine steps from the hidden vector to the residual stream`);
  renew(root, pictures.map((picture, i) => {
    const { title, sentence } = view.steps[i], said = sentence.map((piece, at) => at % 2 ? S(piece) : piece);
    const body = el("div", "body", el("h3", "", title), el("p", "sentence", ...said), el("div", "picture", ...picture));
    if (i === 3 && R < view.n) body.querySelector(".sentence").append(
      ` Drawn are ${R} of the ${view.n} tokens: the query, the chosen key, their neighbours, and the largest weights; every sum runs over all ${view.n}.`);
    const line = el("p", "line");
    line.setAttribute("aria-live", "polite");
    const step = el("section", "step", el("div", "count", `${i + 1}`), el("div", "", body, line));
    step.dataset.step = i;
    return step;
  }));
  const views = new Map();  // part -> the elements that draw it
  for (const node of root.querySelectorAll("[data-part]")) views.set(node.dataset.part, [...(views.get(node.dataset.part) || []), node]);
  const lineOf = (i) => root.children[i].querySelector(".line");

  // ---- pointing ----
  let pointed = null;  // the element, and its index if it is a vector
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
    if (pointed) { const last = +pointed[0].closest(".step").dataset.step; if (last !== step) lineOf(last).replaceChildren(...resting[last]()); }
    pointed = [node, i];
    const [part, r] = node.dataset.part.split("."), [lit, words] = made[part](i, +r);
    root.classList.add("pointing");
    for (const [name, what] of Object.entries(lit)) for (const seen of views.get(name) || []) {
      seen.classList.add("lit");
      if (what !== true) mark(seen, what, "input");
    }
    node.classList.add("target");
    if (i != null) mark(node, i, "result");
    lineOf(step).replaceChildren(...words);
  };

  const partAt = (event) => event.target.closest("[data-part]");
  const indexAt = (node, event) => {
    const box = node.getBoundingClientRect(), per = +node.dataset.per, lines = +node.dataset.lines;
    const across = Math.min(per - 1, Math.max(0, Math.floor((event.clientX - box.left) / box.width * per)));
    const down = Math.min(lines - 1, Math.max(0, Math.floor((event.clientY - box.top) / box.height * lines)));
    return Math.min(vectors[node.dataset.part].length - 1, down * per + across);
  };
  const isStrip = (node) => node.classList.contains("strip");
  root.onpointermove = root.onpointerdown = (event) => {
    const node = partAt(event);
    if (!node) return rest();
    if (isStrip(node)) node.cursor = indexAt(node, event);
    point(node, isStrip(node) ? node.cursor : undefined);
  };
  root.onpointerleave = rest;
  root.listening?.abort();  // of an earlier drawing; focusin has no on… property
  root.listening = new AbortController();
  const { signal } = root.listening;
  const focus = (node) => {
    if (isStrip(node)) node.cursor = Math.min(vectors[node.dataset.part].length - 1, node.cursor ?? 0);
    point(node, isStrip(node) ? node.cursor : undefined);
  };
  root.addEventListener("focusin", (event) => { const node = partAt(event); if (node) focus(node); }, { signal });
  root.addEventListener("focusout", rest, { signal });
  root.onkeydown = (event) => {
    const node = partAt(event);
    if (!node) return;
    const across = { ArrowLeft: -1, ArrowRight: 1 }[event.key], down = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (isStrip(node) && across) {
      node.cursor = Math.min(vectors[node.dataset.part].length - 1, Math.max(0, (node.cursor ?? 0) + across));
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
    if (node) setTriggerValue("pick", tokens[+node.dataset.part.split(".")[1]]);
  };

  // the theme's colours as CSS variables, read again when the theme changes
  const colour = () => {
    const colours = getComputedStyle(host).getPropertyValue("--st-chart-categorical-colors").split(",");
    for (const [symbol, i] of Object.entries(view.hues)) root.style.setProperty(`--hue-${symbol}`, colours[i]);
  };
  colour();
  layOut();
  rest(true);
  const held = root.getRootNode().activeElement;
  if (held?.dataset.part) focus(held);
  let wide = root.clientWidth;
  const timer = setInterval(colour, 500), resized = new ResizeObserver(() => {
    if (wide === root.clientWidth) return;  // only a line of arithmetic got longer
    wide = root.clientWidth;
    layOut();
    rest(true);
  });
  resized.observe(root);
  return () => { clearInterval(timer); resized.disconnect(); };
}
