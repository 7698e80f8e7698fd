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

// what Python sent: a vector for each part, and the numbers of each drawn token. What a layer does not have is not there
function readSteps(data) {
  const view = data.view, tokens = view.tokens;
  const [stream, head, value, row] = ["stream", "head", "value", "rows"].map((table) => (name) =>
    data[table].getChild(name)?.toArray()
  );
  const keys = column(data.keys), values = column(data.values);
  const turned = head("partner") !== undefined, normed = head("qn") !== undefined || head("kn") !== undefined;
  const vectors = {
    x: stream("x"),
    n: stream("normed"),
    o: stream("o"),
    others: stream("others"),
    bias: stream("bias"),
    together: stream("together"),
    added: stream("added"),
    after: stream("after"),
    behind: stream("behind"),
    q: head("q"),
    k: head("k"),
    qp: turned || normed ? head("qp") : undefined,
    kp: turned || normed ? head("kp") : undefined,
    qn: turned ? head("qn") : undefined, // else that is q
    kn: turned ? head("kn") : undefined,
    v: value("v"),
    z: value("z"),
  };
  for (const part of Object.keys(vectors)) if (!vectors[part]) delete vectors[part];
  const K = vectors.q.length, Kv = vectors.v.length;
  tokens.forEach((_, r) => {
    vectors[`K.${r}`] = keys.subarray(r * K, (r + 1) * K);
    vectors[`V.${r}`] = values.subarray(r * Kv, (r + 1) * Kv);
  });
  const numbers = { a: row("weights"), e: row("exponentials") };
  for (const part of ["d", "p", "c", "b", "s"]) if (row(part)) numbers[part] = row(part);
  return {
    view,
    tokens,
    vectors,
    keys,
    values,
    numbers,
    turned,
    normed,
    K,
    Kv,
    D: vectors.x.length,
    R: tokens.length,
    learned: (part) => [stream, head].map((table) => table(part)).find((found) => found), // a gain or a shift
    parted: (name) => name[0] === "v" ? value(name) : head(name),
    turning: { partner: head("partner"), side: head("side"), angle: head("angle"), frequency: head("frequency") },
    products: { K: column(data.keys, "product"), V: column(data.values, "product") },
    reads: view.norms.n ? "x̂" : "x", // what the projections read
  };
}

// a query or a key after its projection, its norm, its rotation: which part each is, and how it is written
const stage = ({ vectors }, letter, after) => {
  const wanted = { projection: `${letter}p`, norm: `${letter}n` }[after];
  return vectors[wanted] ? wanted : after === "projection" && vectors[`${letter}p`] ? `${letter}p` : letter;
};
const NAMES = { n: "x̂", together: "w", added: "ŵ", after: "x′", behind: "x″" };
const written = (part, element) => {
  const [, letter, of] = part.match(/^([qk])([pn])$/) || [];
  return letter ? S(letter, { p: "proj", n: "norm" }[of], element) : S(NAMES[part] || part, null, element);
};

// text with symbols in it: line`${S("x")} = 1`, to fill an element with
const line = (texts, ...between) => texts.flatMap((text, i) => [text, between[i] ?? ""].flat());

const every = ({ tokens }, part, what = true) => Object.fromEntries(tokens.map((_, r) => [`${part}.${r}`, what]));
const sinkRow = ({ view, R }, part) => view.sink ? { [`${part}.${R}`]: true } : {};

// the largest terms of the weighted sum: weight × what(row) + …
function mixture({ view, tokens, numbers }, what) {
  const weights = numbers.a,
    best = [...tokens.keys()].sort((a, b) => weights[b] - weights[a]).filter((r) => weights[r] > 0);
  const terms = best.slice(0, 3).flatMap((r, at) => [at ? " + " : "", `${fixed(weights[r])} × `, what(r)]);
  return view.n > 3 && best.length > 3 ? [...terms, " + …"] : terms;
}

// what is added to the stream, in order, and how the sum is written
const summands = ({ vectors }) =>
  vectors.added ? ["x", "added"] : ["x", "o", "others", "bias"].filter((part) => vectors[part]);
const SAID = { others: "others", bias: "bias" };

// of an element of a vector: what lights up (part -> all of it, or some elements), and the line
function makingsOfVectors(steps) {
  const { view, vectors, parted, learned, turning, Kv } = steps, at = (part, i) => fixed(vectors[part][i]);
  const projection = (part) => (i) => {
    const letter = part[0], product = parted(`${letter}_product`), symbols = written(part, i);
    const row = line`row ${i} of ${S("W", letter)} · ${S(steps.reads)}`, lit = { [view.norms.n ? "n" : "x"]: true };
    if (!product) return [lit, line`${symbols} = ${row} = ${at(part, i)}`];
    const sum = `${fixed(product[i])} + ${signed(parted(`${letter}_bias`)[i])} = ${at(part, i)}`;
    return [lit, line`${symbols} = ${row} + bias = ${sum}`];
  };
  // x̂ of x, and the like: `part` names the norm, `of` and `to` what it takes and gives
  const normed = (part, of, to) => (i) => {
    const { mean, size, centred, shifted } = view.norms[part], gain = learned(`${part}_gain`);
    const from = centred ? line`(${written(of, i)} − mean) / deviation` : line`${written(of, i)} / size`;
    const made = centred ? `(${at(of, i)} − ${signed(mean)}) / ${fixed(size)}` : `${at(of, i)} / ${fixed(size)}`;
    const symbols = line`${written(to, i)} = ${from} × factor${shifted ? " + summand" : ""}`;
    const summand = shifted ? ` + ${signed(learned(`${part}_shift`)[i])}` : "";
    return [{ [of]: true }, line`${symbols} = ${made} × ${signed(gain[i])}${summand} = ${at(to, i)}`];
  };
  const rotated = (part) => (i) => {
    const from = stage(steps, part, "norm") === part ? `${part}p` : stage(steps, part, "norm");
    const j = turning.partner[i];
    if (j < 0) return [{ [from]: i }, line`${written(part, i)} = ${written(from, i)} = ${at(part, i)}: not turned`];
    const sign = turning.side[i] < 0 ? "−" : "+", angle = turning.angle[i];
    const symbols = line`${written(part, i)} = ${written(from, i)} · cos θ ${sign} ${written(from, j)} · sin θ`;
    const made = `${at(from, i)} × ${signed(Math.cos(angle))} ${sign} ${signed(vectors[from][j])} × ${
      signed(Math.sin(angle))
    }`;
    const times = view.strength === 1 ? "" : `, times ${fixed(view.strength)},`;
    const turn = `θ = ${view.query} × ${turning.frequency[i].toPrecision(4)} = ${fixed(angle)} rad`;
    return [{ [from]: [i, j] }, line`${turn}; ${symbols} = ${made}${times} = ${at(part, i)}`];
  };
  const mixed = (i) => {
    const terms = mixture(steps, (r) => signed(vectors[`V.${r}`][i]));
    return [{ ...every(steps, "a"), ...every(steps, "V", i) }, line`${S("z", null, i)} = ${terms} = ${at("z", i)}`];
  };
  const given = (i) => [
    { z: true },
    line`${S("o", null, i)} = row ${i} of ${S("W", "o")} · ${S("z")} = ${at("o", i)}, a sum of ${Kv} products`,
  ];
  const total = (parts, to) => (i) => {
    const [first, ...more] = parts.map((part) => vectors[part][i]);
    const factor = to === "after" ? view.multiplier : 1, rest = more.map(signed).join(" + ");
    const names = parts.map((part) => SAID[part] ? [SAID[part]] : [written(part, i)]);
    const joined = names.slice(1).flatMap((name, n) => [n ? " + " : "", ...name]);
    const lit = Object.fromEntries(parts.map((part) => [part, i]));
    if (factor === 1) {
      const sum = [fixed(first), rest].filter(Boolean).join(" + ");
      return [lit, line`${written(to, i)} = ${names[0]} + ${joined} = ${sum} = ${at(to, i)}`];
    }
    const sum = `${fixed(first)} + ${view.multiplier} × (${rest})`;
    return [lit, line`${written(to, i)} = ${names[0]} + ${`${view.multiplier}`} × (${joined}) = ${sum} = ${at(to, i)}`];
  };
  const made = {
    x: (i) => [{}, line`${S("x", null, i)} = ${at("x", i)}`],
    v: projection("v"),
    z: mixed,
    o: given,
    others: (i) => [{}, line`the other heads' shares[${i}] = ${at("others", i)}`],
    bias: (i) => [{}, line`bias[${i}] = ${at("bias", i)}`],
    after: total(summands(steps), "after"),
  };
  if (view.norms.n) made.n = normed("n", "x", "n");
  for (const letter of ["q", "k"]) {
    const first = stage(steps, letter, "projection"), second = stage(steps, letter, "norm");
    made[letter] = projection(letter);
    if (first !== letter) made[first] = projection(first);
    if (view.norms[`${letter}n`]) made[second] = normed(`${letter}n`, first, second);
    if (steps.turned) made[letter] = rotated(letter);
  }
  if (vectors.added) {
    made.together = total(["o", "others", "bias"].filter((part) => vectors[part]), "together");
    made.added = normed("added", "together", "added");
  }
  if (vectors.behind) made.behind = normed("behind", "after", "behind");
  return made;
}

const NUMBER_NAMES = { d: "q·k", p: "scaled", c: "capped", s: "score" };

// the same of the numbers of a drawn token r
function makingsOfTokens(steps) {
  const { view, tokens, vectors, numbers, K, Kv, products } = steps, { a: weights, d: dots, s: scores } = numbers;
  const dot = (r) => line`${S("q")} · ${S("k", tokens[r])}`;
  const product = (i, r) => {
    const made = `${fixed(vectors.q[i])} × ${signed(vectors[`K.${r}`][i])} = ${fixed(products.K[r * K + i])}`;
    const symbols = line`${S("q", null, i)} × ${S("k", tokens[r], i)}`;
    return [{ q: i }, line`${symbols} = ${made}, one of the ${K} products in ${dot(r)} = ${fixed(dots[r])}`];
  };
  // what one step of the chain makes of the number before: in symbols, in numbers, and the result without a mask
  const link = ([kind, from, to], r) => {
    const before = from === "d" ? dot(r) : line`${NUMBER_NAMES[from]}`, number = fixed(numbers[from][r]);
    const unmasked = to === "s" ? view.unmasked[r] : numbers[to][r];
    if (kind === "scale") {
      const symbols = view.divided ? " / √" + K : " × scale",
        by = view.divided ? ` / √${K}` : ` × ${fixed(view.scale)}`;
      return [line`${before}${symbols}`, `${number}${by}`, unmasked];
    }
    if (kind === "cap") {
      const cap = `${view.cap}`;
      return [line`${cap} × tanh(${before} / ${cap})`, `${cap} × tanh(${number} / ${cap})`, unmasked];
    }
    return [line`${before} + ${S("b", tokens[r])}`, `${number} + ${signed(numbers.b[r])}`, unmasked];
  };
  const linked = (each) => (_, r) => {
    if (r === tokens.length) return [{}, line`${S("s", "sink")} = ${fixed(view.sink.score)}, learned by this head`];
    const [, from, to] = each, [symbols, made, result] = link(each, r), lit = { [`${from}.${r}`]: true };
    const name = to === "s" ? S("s", tokens[r]) : NUMBER_NAMES[to];
    if (to !== "s" || Number.isFinite(scores[r])) return [lit, line`${name} = ${symbols} = ${made} = ${fixed(result)}`];
    const who = `“${view.labels[r]}” (${tokens[r]})`;
    const why = tokens[r] > view.query && view.causal ? "comes after the query" : "is hidden from the query";
    return [lit, line`${made} = ${fixed(result)}, but ${who} ${why}: ${name} = −∞`];
  };
  const weight = (r) => {
    const raised = el("sup", "", S("s", tokens[r]), " − largest"), sum = fixed(view.denominator);
    const power = el("sup", "", Number.isFinite(scores[r]) ? `${fixed(scores[r])} − ${signed(view.largest)}` : "−∞");
    const made = `${fixed(numbers.e[r])} / ${sum} = ${fixed(weights[r])}`;
    return line`${S("a", tokens[r])} = e${raised} / sum = e${power} / ${sum} = ${made}`;
  };
  const ofSink = () => {
    const { score, exponential, weight: its } = view.sink, sum = fixed(view.denominator);
    const power = el("sup", "", `${fixed(score)} − ${signed(view.largest)}`);
    return line`${S("a", "sink")} = e${power} / ${sum} = ${`${fixed(exponential)} / ${sum} = ${fixed(its)}`}`;
  };
  const share = (i, r) => {
    const made = `${fixed(weights[r])} × ${signed(vectors[`V.${r}`][i])} = ${fixed(products.V[r * Kv + i])}`;
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
    ...Object.fromEntries(view.chain.map((each) => [each[2], linked(each)])),
    a: (_, r) => [{ ...every(steps, "s"), ...sinkRow(steps, "s") }, r === tokens.length ? ofSink() : weight(r)],
    V: share,
  };
}

const makings = (steps) => ({ ...makingsOfVectors(steps), ...makingsOfTokens(steps) });

// what a step says while nothing in it is pointed at: the chosen key's number, or the step as a whole
function restingLines(steps, made) {
  const { view, tokens, vectors, D, K, Kv } = steps, size = (part) => fixed(view.lengths[part]);
  const length = (part) => line`|${S(part)}| = ${size(part)}`, largest = view.largest_element;
  const projected = (part) =>
    line`${written(stage(steps, part, "projection"))} = ${S("W", part)}${S(steps.reads)}${
      steps.parted(`${part}_bias`) ? line` + ${S("b", part)}` : ""
    }`;
  const sizeOf = (norm) => {
    const { mean, size: its, centred } = view.norms[norm];
    return centred
      ? `mean = ${fixed(mean)}, deviation = √(variance + ε) = ${fixed(its)}`
      : `size = √(mean of the squares + ε) = ${fixed(its)}`;
  };
  const bySymbol = (norm) => line`${S(norm[0])}: ${sizeOf(norm)}`;
  const lines = {
    stream: () => {
      const most = line`${S("x", null, largest)} = ${fixed(vectors.x[largest])}`;
      return line`${S("x")}: ${D} numbers; the largest is ${most}, its length ${length("x")}`;
    },
    norm: () => line`${sizeOf("n")}`,
    project: () => line`${projected("q")}, ${projected("k")}, ${projected("v")}`,
    "head norm": () => {
      const [first, second] = ["qn", "kn"].filter((norm) => view.norms[norm]).map(bySymbol);
      return second ? line`${first}; ${second}` : first;
    },
    rotate: () => {
      const first = steps.turning.partner.findIndex((partner) => partner >= 0);
      return made.q(first)[1];
    },
    compare: () => made.d(0, view.chosen)[1],
    ...Object.fromEntries(view.chain.map(([kind, , to]) => [kind, () => made[to](0, view.chosen)[1]])),
    softmax: () => made.a(0, view.sink?.chosen ? tokens.length : view.chosen)[1],
    mix: () => line`${S("z")} = ${mixture(steps, (r) => S("v", tokens[r]))}`,
    write: () => line`${S("o")} = ${S("W", "o")}${S("z")}: from ${Kv} to ${D} numbers; its length ${length("o")}`,
    written: () => line`${S("ŵ")} of ${S("w")}: ${sizeOf("added")}`,
    add: () => {
      const others = ["others", "bias"].filter((part) => vectors[part] && !vectors.added);
      const rest = others.map((part) => `, |${part}| = ${size(part)}`).join("");
      const own = vectors.added ? line`|${S("ŵ")}| = ${size("added")}` : length("o");
      return line`lengths: ${length("x")}, ${own}${rest}, |${S("x′")}| = ${size("after")}`;
    },
    behind: () => line`${sizeOf("behind")}`,
  };
  return view.steps.map(({ kind }) => lines[kind]);
}
