const REST = 700; // ms that the film rests at a choice before that one is asked for: longer than it plays one

const count = (n, one) => `${n.toLocaleString("en")} ${one}${n === 1 ? "" : "s"}`;
const shown = (value) => String(+value.toFixed(2)); // of a setting
const fixed = (value) => value.toFixed(3).replace("-", "−");

// What each setting does to this very choice, with its numbers; `name(i)` is a token in words.
const FORMULAS = {
  repetition_penalty: (its, { repetition_penalty: by }, name) => {
    if (!its) return "1: nothing is done.";
    if (!its.n) return "No token is there already.";
    const how = its.before < 0 ? `${fixed(its.before)} · ${shown(by)}` : `${fixed(its.before)} / ${shown(by)}`;
    return `z of ${name(its.best)} = ${how} = ${fixed(its.after)}; so of ${count(its.n, "token")} that are there.`;
  },
  no_repeat_ngram: (its, _, name) => {
    if (!its) return "0: all may.";
    const some = its.out.slice(0, 3).map(name).join(", "), more = its.out.length > 3 ? ", …" : "";
    return its.out.length ? `z = −∞ for ${count(its.out.length, "token")}: ${some}${more}` : "None would repeat one.";
  },
  temperature: (its, { temperature: t }, name) => {
    if (t === 0) return `z of ${name(its.best)} = ${fixed(its.logit)} is the largest: always that one.`;
    const p = `p of ${name(its.best)} = e^(${fixed(its.logit)} / ${shown(t)} − ln Σ e^(z / ${shown(t)}))`;
    return `${p} = e^(${fixed(its.after)} − ${fixed(its.logSum)}) = ${percent(its.p)}`;
  },
  top_k: (its, { top_k: k }, name) =>
    its
      ? `Number ${k} is ${name(its.last)}, z = ${fixed(its.logit)} after the steps above: lower ones are cut, ${
        count(its.out, "token")
      }.`
      : "0: no limit.",
  top_p: (its, { top_p: p }) => {
    if (!its) return "1: no limit.";
    const sum = its.stays > 1 ? `p₁ + … + p of number ${its.stays.toLocaleString("en")}` : "p₁";
    const without = its.stays > 1 ? `, ${its.before.toFixed(6)} without the last` : "";
    return `${sum} = ${its.held.toFixed(6)} ≥ ${shown(p)}${without}: ${count(its.stays, "token")} may stay.`;
  },
  min_p: (its, { min_p: p }) =>
    its
      ? `${shown(p)} · ${percent(its.most)} = ${percent(its.least)}: ${count(its.stays, "token")} may stay.`
      : "0: no limit.",
  typical_p: (its, { typical_p: p }) =>
    its
      ? `H = ${its.entropy.toFixed(3)} nats; ${count(its.stays, "token")} with |−ln p − H| ≤ ${
        its.far.toFixed(3)
      } hold ${its.held.toFixed(4)} ≥ ${shown(p)}.`
      : "1: no limit.",
};
const NOT_AT_ALL = "At temperature 0 it changes nothing.", DRAWS = ["top_k", "top_p", "min_p", "typical_p"];

function settingsOf(list, view, state) {
  if (list.childElementCount) return; // they stay: one of them may be held by a pointer
  view.settings.forEach(([name, label, least, most, step]) => {
    const slider = el("input"), id = `slider-${name}`, title = el("label", "", label), told = el("span", "formula");
    Object.assign(slider, { type: "range", min: least, max: most, step, id });
    title.htmlFor = id;
    told.id = `formula-${name}`;
    slider.setAttribute("aria-describedby", told.id);
    slider.oninput = () => {
      state.settings = { ...state.settings, [name]: +slider.value };
      state.touched = true;
      state.draw();
    };
    list.append(el("li", "setting", title, slider, el("output"), told));
  });
}

function render({ data, parentElement, setTriggerValue }) {
  const view = data.view, z = data.numbers.getChild("logit").toArray(), n = z.length, n_bar = view.labels.length;
  const root = parentElement.querySelector(".playground");
  const [where, list, told, rows, use, reset, details, table] = [
    ".where",
    ".settings",
    ".told",
    ".candidates",
    ".use",
    ".reset",
    "details",
    "table",
  ].map((name) => root.querySelector(name));
  // what is tried stays when another choice comes; what nobody has touched is as that one was drawn
  const state = root.state ??= { touched: false };
  if (!state.touched) state.settings = view.own;
  settingsOf(list, view, state);
  where.textContent = view.where;
  const known = new Map(view.there.map((i, place) => [i, view.names[place]])),
    labelOf = (i) => view.labels[i] ?? known.get(i);
  const name = (i) => labelOf(i) === undefined ? `the token of rank ${i}` : `“${labelOf(i)}”`;
  const n_other = n - n_bar;
  rows.replaceChildren(...[...view.labels, ...(n_other ? [`${count(n_other, "other")}`] : [])].map((label, i) => {
    const track = el("span", "track", el("i", "model"), el("i", "chances"));
    const row = el("div", "candidate", el("span", "label", label), track, el("span", "number"), el("span", "number"));
    row.setAttribute("role", "listitem");
    if (i === view.drawn) row.classList.add("was");
    if (i === n_bar) row.classList.add("rest");
    return row;
  }));

  let found;
  const sums = (values) => values.slice(n_bar).reduce((sum, each) => sum + each, 0);
  const cutOf = (i) => view.cut[found.cutBy.get(i)] ?? "";
  const numbers = () => {
    if (!details.open) return;
    const line = (kind, cells) => el("tr", "", ...cells.map((cell) => el(kind, "", String(cell))));
    const { probability, chance } = found;
    table.replaceChildren(
      line("th", ["rank", "token", "id", "logit", "probability", "chance", "cut by"]),
      ...view.labels.map((label, i) =>
        line("td", [i, label, view.ids[i], fixed(z[i]), probability[i].toFixed(9), chance[i].toFixed(9), cutOf(i)])
      ),
      ...(n_other
        ? [line("td", ["", "others", "", "", sums(probability).toFixed(9), sums(chance).toFixed(9), ""])]
        : []),
    );
  };
  const draw = state.draw = () => {
    const { settings } = state, greedy = settings.temperature === 0;
    found = warp(z, settings, view);
    const { probability, chance, kept, done } = found;
    view.settings.forEach(([each], i) => {
      const [, slider, output, formula] = list.children[i].children;
      // set anew only where it differs: a setting of a link may lie between two places of the slider
      if (slider.from !== settings[each]) slider.value = slider.from = settings[each];
      output.textContent = shown(settings[each]);
      slider.setAttribute("aria-valuetext", shown(settings[each]));
      const off = greedy && DRAWS.includes(each);
      slider.disabled = off;
      formula.textContent = off ? NOT_AT_ALL : FORMULAS[each](done[each], settings, name);
    });
    [...rows.children].forEach((row, i) => {
      const rest = i === n_bar, p = rest ? sums(probability) : probability[i], q = rest ? sums(chance) : chance[i];
      const reason = rest ? (q ? "" : "all cut") : cutOf(i) && `cut: ${cutOf(i)}`;
      const [label, track, model, draws] = row.children;
      track.children[0].style.width = `${100 * p}%`;
      track.children[1].style.width = `${100 * q}%`;
      model.textContent = percent(p);
      draws.textContent = reason || percent(q);
      row.classList.toggle("cut", Boolean(reason));
      const was = i === view.drawn ? ", was drawn" : "";
      row.setAttribute(
        "aria-label",
        `“${label.textContent}”: ${percent(p)}, ${reason || `chance ${percent(q)}`}${was}`,
      );
    });
    // of all of them it is 1, which their sum is but for rounding
    const mass = kept === n ? 1 : probability.reduce((sum, p, i) => chance[i] > 0 ? sum + p : sum, 0);
    const open = Math.exp(entropyOf(chance)).toFixed(1), before = Math.exp(entropyOf(probability)).toFixed(1);
    const words = [
      `${kept.toLocaleString("en")} of ${n.toLocaleString("en")} tokens may be drawn; the model gave them `,
      `${
        percent(Math.min(1, mass))
      }. As open as one choice among ${open} equally likely tokens (the model: ${before}).`,
    ];
    if (view.number !== null && kept) {
      const taken = pick(chance, view.number), same = taken === view.drawn;
      const instead = view.drawn === null || same ? "" : ` instead of ${name(view.drawn)}`;
      words.push(` The number of its seed, ${view.number.toFixed(6)}, draws `, el("b", "", name(taken)));
      words.push(same ? ", as it did." : `${instead}.`);
    }
    told.replaceChildren(...(kept ? words : ["Nothing is left that may be drawn."]));
    numbers();
  };
  details.ontoggle = numbers;
  reset.onclick = () => {
    Object.assign(state, { settings: view.own, touched: false });
    draw();
  };
  use.onclick = () => setTriggerValue("use", state.settings);

  clearTimeout(state.later);
  const follow = () => {
    clearTimeout(state.later);
    const film = globalThis.regardFilm;
    if (view.step === null || film?.written !== view.written || film.at === view.step) return;
    state.later = setTimeout(() => setTriggerValue("step", film.at), REST);
  };
  addEventListener("regardFilm", follow);
  draw();
  follow();
  return () => {
    clearTimeout(state.later);
    removeEventListener("regardFilm", follow);
  };
}
