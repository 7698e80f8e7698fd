// the picture of each kind of step
function picturesOf(steps) {
  const { view, vectors, keys, values, numbers } = steps;
  const of = (symbol) => [S(symbol), el("span", "of", ` of “${view.labels[view.own]}”`)];
  const what = { q: "the query", k: "the key", v: "the value" };
  const stages = (after) =>
    ["q", "k"].filter((letter) => after !== "norm" || view.norms[`${letter}n`]).map((letter) => {
      const part = after === "rotation" ? letter : stage(steps, letter, after);
      return vector(steps, part, [written(part)], `${what[letter]} after its ${after}`);
    });
  const added = (name, part) =>
    vector(steps, part, name, { others: "the other heads' shares", bias: "the output bias" }[part]);
  const times = view.multiplier === 1 ? "" : `${view.multiplier} × `;
  const shares = [
    vectors.others && added([`+ ${times}other heads`], "others"),
    vectors.bias && added([`+ ${times}bias`], "bias"),
  ].filter(Boolean);
  const this_head = (sign) =>
    vector(steps, "o", [sign, S("o"), el("span", "of", " this head")], "what this head writes");
  const pictures = {
    stream: () => [vector(steps, "x", [S("x")], "the hidden vector x")],
    norm: () => [vector(steps, "n", [S("x̂")], "x after the norm")],
    project: () => [...stages("projection"), vector(steps, "v", [S("v")], what.v)],
    "head norm": () => stages("norm"),
    rotate: () =>
      ["q", "k"].flatMap((letter) => {
        const before = stage(steps, letter, "norm") === letter ? `${letter}p` : stage(steps, letter, "norm");
        return [
          vector(steps, before, [written(before), el("span", "of", " before")], `${what[letter]} before it is turned`),
          vector(steps, letter, [S(letter), el("span", "of", " turned")], `${what[letter]} turned`),
        ];
      }),
    compare: () => [
      table(steps, "compare", [
        named(...of("q")),
        strip(steps, "q", { says: "the query" }),
        el("div", "title", S("q"), " · ", S("k")),
      ], [matrix(steps, "K", keys, "the key"), bars(steps, "d", numbers.d, { kind: "q·k" })]),
      sizes(["q", vectors.q], ["k", keys]),
    ],
    softmax: () => [
      table(steps, "reckon", [named(), el("div", "title", "score ", S("s")), el("div", "title", "weight ", S("a"))], [
        number("s", numbers.s),
        bars(steps, "a", numbers.a, { kind: "weight", hue: "a", also: view.sink?.weight }),
      ], { sums: true, sink: true }),
    ],
    mix: () => [
      table(steps, "mix", [named(), el("div", "title", "weight ", S("a")), el("div", "title", "value ", S("v"))], [
        bars(steps, "a", numbers.a, { kind: "taken", hue: "a", also: view.sink?.weight }),
        matrix(steps, "V", values, "the value"),
      ], {
        sums: true,
        without: view.sink && `the sink, ${fixed(view.sink.weight)}, gives nothing`,
        footer: [
          named(S("z")),
          el("div", "title", "the sum of weight × value"),
          strip(steps, "z", { says: "the mix of the values" }),
        ],
      }),
      sizes(["v", values], ["z", vectors.z]),
    ],
    write: () => [vector(steps, "o", [S("o")], "what this head writes")],
    written: () => [
      this_head(""),
      ...shares,
      vector(steps, "together", ["= ", S("w")], "what all heads write"),
      vector(steps, "added", [S("ŵ"), el("span", "of", " normed")], "what is added to the residual stream"),
    ],
    add: () => [
      vector(steps, "x", [S("x")], "the hidden vector x"),
      ...(vectors.added
        ? [vector(steps, "added", [`+ ${times}`, S("ŵ")], "what is added to the residual stream")]
        : [this_head(`+ ${times}`), ...shares]),
      vector(steps, "after", ["= ", S("x′")], "the residual stream after attention"),
    ],
    behind: () => [vector(steps, "behind", [S("x″")], "the residual stream after the norm")],
  };
  const titles = { d: [S("q"), " · ", S("k")], p: ["scaled"], c: ["capped"], s: ["score ", S("s")] };
  for (const [kind, from, to] of view.chain) {
    const header = [named(), el("div", "title", ...titles[from]), el("div", "title", ...titles[to])];
    const shown = bars(steps, to, numbers[to], { kind: NUMBER_NAMES[to] });
    pictures[kind] = () => [table(steps, "reckon", header, [number(from, numbers[from]), shown])];
  }
  return view.steps.map(({ kind }) => pictures[kind]());
}

// one section a step: its number, its words, its picture, its line of arithmetic
function sectionsOf(steps) {
  const { view, R } = steps;
  return picturesOf(steps).map((picture, i) => {
    const { title, sentence } = view.steps[i], said = sentence.map((piece, at) => at % 2 ? S(piece) : piece);
    const body = el("div", "body", el("h2", "", title), el("p", "sentence", ...said), el("div", "picture", ...picture));
    if (view.steps[i].kind === "compare" && R < view.n) {
      body.querySelector(".sentence").append(
        ` Drawn are ${R} of the ${view.n} tokens: the query, the chosen key, their neighbours, and the largest weights; every sum runs over all ${view.n}.`,
      );
    }
    const line = el("p", "line");
    const step = el("section", "step", el("div", "count", `${i + 1}`), el("div", "", body, line));
    step.dataset.step = i;
    return step;
  });
}
