// How each number of the path through a head was made: what it came from, and the line of arithmetic that says so.
const column = (table, name = "w") => table.getChild(name).toArray();
const fixed = (value) =>
  !Number.isFinite(value) ? "−∞" : (Math.abs(value) < 5e-5 ? 0 : value).toFixed(4).replace("-", "−");
const signed = (value) => value < 0 ? `(${fixed(value)})` : fixed(value); // after an operator

// a symbol as mathematicians write it, in its colour: S("k", 3, 12) is k with index 3, its element 12
function S(symbol, index, element) {
  const node = el("i", "symbol", symbol);
  node.style.color = `var(--hue-${symbol}, inherit)`;
  if (index != null) node.append(el("sub", "", `${index}`));
  const written = el("span", "", node);
  if (element != null) written.append(`[${element}]`);
  return written;
}

// what Python sent: a vector for each part, and the numbers of each drawn token
function readSteps(data) {
  const view = data.view, tokens = view.tokens;
  const [stream, head, row] = ["stream", "head", "rows"].map((table) => (name) => column(data[table], name));
  const keys = column(data.keys), values = column(data.values);
  const vectors = {
    x: stream("x"),
    n: stream("normed"),
    o: stream("o"),
    others: stream("others"),
    bias: stream("bias"),
    after: stream("after"),
    q: head("q"),
    k: head("k"),
    v: head("v"),
    z: head("z"),
  };
  const K = vectors.q.length;
  tokens.forEach((_, r) => {
    vectors[`K.${r}`] = keys.subarray(r * K, (r + 1) * K);
    vectors[`V.${r}`] = values.subarray(r * K, (r + 1) * K);
  });
  return {
    view,
    tokens,
    vectors,
    keys,
    values,
    head,
    K,
    D: vectors.x.length,
    R: tokens.length,
    gain: stream("gain"),
    shift: stream("shift"),
    products: { K: column(data.keys, "product"), V: column(data.values, "product") },
    ...Object.fromEntries(["dots", "scaled", "scores", "exponentials", "weights"].map((name) => [name, row(name)])),
  };
}

// text with symbols in it: line`${S("x")} = 1`, to fill an element with
const line = (texts, ...between) => texts.flatMap((text, i) => [text, between[i] ?? ""].flat());

const every = ({ tokens }, part, what = true) => Object.fromEntries(tokens.map((_, r) => [`${part}.${r}`, what]));

// the largest terms of the weighted sum: weight × what(row) + …
function mixture({ view, tokens, weights }, what) {
  const best = [...tokens.keys()].sort((a, b) => weights[b] - weights[a]).filter((r) => weights[r] > 0);
  const terms = best.slice(0, 3).flatMap((r, at) => [at ? " + " : "", `${fixed(weights[r])} × `, what(r)]);
  return view.n > 3 && best.length > 3 ? [...terms, " + …"] : terms;
}

// of an element of a vector: what lights up (part -> all of it, or one element), and the line
function makingsOfVectors(steps) {
  const { view, vectors, head, K, gain, shift } = steps, at = (part, i) => fixed(vectors[part][i]);
  const projection = (part) => (i) => {
    const bias = signed(head(`${part}_bias`)[i]),
      sum = `${fixed(head(`${part}_projected`)[i])} + ${bias} = ${at(part, i)}`;
    return [{ n: true }, line`${S(part, null, i)} = row ${i} of ${S("W", part)} · ${S("x̂")} + bias = ${sum}`];
  };
  const normed = (i) => {
    const scaled = `(${at("x", i)} − ${signed(view.mean)}) / ${fixed(view.deviation)} × ${signed(gain[i])}`;
    const symbols = line`${S("x̂", null, i)} = (${S("x", null, i)} − mean) / deviation × factor + summand`;
    return [{ x: true }, line`${symbols} = ${scaled} + ${signed(shift[i])} = ${at("n", i)}`];
  };
  const mixed = (i) => {
    const terms = mixture(steps, (r) => signed(vectors[`V.${r}`][i]));
    return [{ ...every(steps, "a"), ...every(steps, "V", i) }, line`${S("z", null, i)} = ${terms} = ${at("z", i)}`];
  };
  const written = (i) => [
    { z: true },
    line`${S("o", null, i)} = row ${i} of ${S("W", "o")} · ${S("z")} = ${at("o", i)}, a sum of ${K} products`,
  ];
  const added = (i) => {
    const [first, ...more] = ["x", "o", "others", "bias"].map((part) => vectors[part][i]);
    const sum = [fixed(first), ...more.map(signed)].join(" + ");
    const symbols = line`${S("x′", null, i)} = ${S("x", null, i)} + ${S("o", null, i)} + others + bias`;
    return [{ x: i, o: i, others: i, bias: i }, line`${symbols} = ${sum} = ${at("after", i)}`];
  };
  return {
    x: (i) => [{}, line`${S("x", null, i)} = ${at("x", i)}`],
    n: normed,
    q: projection("q"),
    k: projection("k"),
    v: projection("v"),
    z: mixed,
    o: written,
    others: (i) => [{}, line`the other heads' shares[${i}] = ${at("others", i)}`],
    bias: (i) => [{}, line`bias[${i}] = ${at("bias", i)}`],
    after: added,
  };
}

// the same of the numbers of a drawn token r
function makingsOfTokens(steps) {
  const { view, tokens, vectors, K, products, dots, scaled, scores, exponentials, weights } = steps;
  const scaling = (r) => view.divided ? `${fixed(dots[r])} / √${K}` : `${fixed(dots[r])} × ${fixed(view.scale)}`;
  const dot = (r) => line`${S("q")} · ${S("k", tokens[r])}`;
  const product = (i, r) => {
    const made = `${fixed(vectors.q[i])} × ${signed(vectors[`K.${r}`][i])} = ${fixed(products.K[r * K + i])}`;
    const symbols = line`${S("q", null, i)} × ${S("k", tokens[r], i)}`;
    return [{ q: i }, line`${symbols} = ${made}, one of the ${K} products in ${dot(r)} = ${fixed(dots[r])}`];
  };
  const score = (r) => {
    if (Number.isFinite(scores[r])) {
      const divided = view.divided ? ` / √${K}` : " × scale", made = `${scaling(r)} = ${fixed(scores[r])}`;
      return line`${S("s", tokens[r])} = ${dot(r)}${divided} = ${made}`;
    }
    const who = `“${view.labels[r]}” (${tokens[r]})`;
    return line`${scaling(r)} = ${fixed(scaled[r])}, but ${who} comes after the query: ${S("s", tokens[r])} = −∞`;
  };
  const weight = (r) => {
    const raised = el("sup", "", S("s", tokens[r]), " − largest"), sum = fixed(view.denominator);
    const power = el("sup", "", Number.isFinite(scores[r]) ? `${fixed(scores[r])} − ${signed(view.largest)}` : "−∞");
    const made = `${fixed(exponentials[r])} / ${sum} = ${fixed(weights[r])}`;
    return line`${S("a", tokens[r])} = e${raised} / sum = e${power} / ${sum} = ${made}`;
  };
  const share = (i, r) => {
    const made = `${fixed(weights[r])} × ${signed(vectors[`V.${r}`][i])} = ${fixed(products.V[r * K + i])}`;
    const symbols = line`${S("a", tokens[r])} × ${S("v", tokens[r], i)}`,
      all = line`${S("z", null, i)} = ${fixed(vectors.z[i])}`;
    return [{ [`a.${r}`]: true, z: i }, line`${symbols} = ${made}, its part of ${all}`];
  };
  return {
    K: product,
    d: (_, r) => [
      { q: true, [`K.${r}`]: true },
      line`${dot(r)} = ${fixed(dots[r])} (“${view.labels[r]}”), the sum of ${K} products`,
    ],
    s: (_, r) => [{ [`d.${r}`]: true }, score(r)],
    a: (_, r) => [every(steps, "s"), weight(r)],
    V: share,
  };
}

const makings = (steps) => ({ ...makingsOfVectors(steps), ...makingsOfTokens(steps) });

// what a step says while nothing in it is pointed at: the chosen key's number, or the step as a whole
function restingLines(steps, made) {
  const { view, tokens, vectors, D, K } = steps, size = (part) => fixed(view.lengths[part]);
  const length = (part) => line`|${S(part)}| = ${size(part)}`, largest = view.largest_element;
  const projected = (part) => line`${S(part)} = ${S("W", part)}${S("x̂")} + ${S("b", part)}`;
  return [
    () => {
      const most = line`${S("x", null, largest)} = ${fixed(vectors.x[largest])}`;
      return line`${S("x")}: ${D} numbers; the largest is ${most}, its length ${length("x")}`;
    },
    () => line`mean = ${fixed(view.mean)}, deviation = √(variance + ε) = ${fixed(view.deviation)}`,
    () => line`${projected("q")}, ${projected("k")}, ${projected("v")}`,
    () => made.d(0, view.chosen)[1],
    () => made.s(0, view.chosen)[1],
    () => made.a(0, view.chosen)[1],
    () => line`${S("z")} = ${mixture(steps, (r) => S("v", tokens[r]))}`,
    () => line`${S("o")} = ${S("W", "o")}${S("z")}: from ${K} to ${D} numbers; its length ${length("o")}`,
    () => {
      const others = `|others| = ${size("others")}, |bias| = ${size("bias")}`;
      return line`lengths: ${length("x")}, ${length("o")}, ${others}, |${S("x′")}| = ${size("after")}`;
    },
  ];
}
