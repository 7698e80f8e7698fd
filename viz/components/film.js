// All of it is in the browser: to play, to pull and to point asks nothing of the server.
const TICK = 450, FULL = 65535; // ms from token to token; what a weight of 1 is sent as

function bytes(n) {
  return n >= 1e6 ? `${(n / 1e6).toFixed(1)} MB` : `${Math.ceil(n / 1e3)} kB`;
}

// What could have been written at one step: two bars each, and what took a token out.
function candidateRows(view, numbers, at) {
  const { n_candidate: n, candidates, reasons, drawn } = view, first = at * n;
  return candidates[at].map((label, i) => {
    const p = numbers.probability[first + i], chance = numbers.chance[first + i], cut = reasons[numbers.cut[first + i]];
    const model = el("i", "model"), chances = el("i", "chances"), track = el("span", "track", model, chances);
    model.style.width = `${100 * p}%`;
    chances.style.width = `${100 * chance}%`;
    const row = numbered(i, "candidate", el("span", "label", label), track, el("span", "number", percent(p)));
    row.append(el("span", "number", cut ? `cut: ${cut}` : percent(chance)));
    const was = i === drawn[at];
    row.classList.toggle("cut", Boolean(cut));
    row.setAttribute("aria-current", was);
    row.disabled = was;
    row.setAttribute(
      "aria-label",
      `“${label}”: probability ${percent(p)}, ${cut ? `cut by ${cut}` : `chance ${percent(chance)}`}${
        was ? ", this one was taken" : ". Write on with this one instead."
      }`,
    );
    return row;
  });
}

// The row of tokens, all there from the start; `later` hides what was not written yet.
function chipsOf(row, view) {
  row.replaceChildren(...view.labels.map((label, i) => {
    const chip = numbered(i, i < view.n_before ? "chip" : "chip written", label);
    if (i >= view.n_before) chip.style.setProperty("--p", view.probability[i - view.n_before].toFixed(3));
    return el("li", "", chip);
  }));
  const chips = [...row.querySelectorAll("button")];
  rove(row, [chips], { start: chips[view.n_before] });
  return chips;
}

function render({ data, parentElement, setTriggerValue }) {
  const view = data.view, { labels, n_before, probability } = view, n_step = probability.length;
  const root = parentElement.querySelector(".film"), tip = tipOf(root);
  const [play, range, now, row, list, told, kept] = [
    ".play",
    "input",
    ".now",
    ".text",
    ".candidates",
    ".told",
    ".kept",
  ].map((name) => root.querySelector(name));
  const column = (name) => data.numbers.getChild(name).toArray();
  const numbers = { probability: column("probability"), chance: column("chance"), cut: column("cut") };
  const weights = data.rows.getChild("weight").toArray(),
    weight = (step, key) => weights[step * labels.length + key] / FULL;
  // where it is stays through a run of Python, unless that says otherwise than before
  const state = root.state ??= { said: "" }, said = `${view.written} ${view.at}`;
  if (state.said !== said) Object.assign(state, { said, at: view.at, playing: false });
  const chips = chipsOf(row, view), place = (i) => view.first + i; // of a long text, the first tokens are left out
  let pointed = null;

  const shade = () => {
    const { at } = state, here = n_before + at, step = Math.min(at, n_step - 1);
    const seen = chips.slice(0, here).map((_, key) => weight(step, key)), most = Math.max(...seen);
    chips.forEach((chip, i) => {
      chip.parentNode.hidden = i > here;
      // pointed at, a token shows who looked at it later; else all show how the present one looked at them
      const looked = pointed === null
        ? (i < here ? seen[i] / most : 0)
        : (i > pointed && i >= n_before && i <= here ? weight(i - n_before, pointed) : 0);
      chip.style.setProperty("--look", looked.toFixed(3));
      chip.classList.toggle("new", i === here);
    });
    row.classList.toggle("back", pointed !== null);
    return seen;
  };
  const show = () => {
    const { at } = state, seen = shade(), here = n_before + at;
    const strongest = seen.map((w, i) => [w, i]).sort((a, b) => b[0] - a[0]).slice(0, 4);
    now.replaceChildren(
      el("b", "", labels[here]),
      ` is token ${place(here)}, written ${view.skipped + at + 1} of ${view.skipped + n_step}`,
    );
    range.setAttribute("aria-valuetext", `token ${place(here)}, “${labels[here]}”`);
    list.replaceChildren(...candidateRows(view, numbers, at));
    const rest = view.rest[at];
    list.append(el("div", "rest", `${view.n_other.toLocaleString("en")} others share ${percent(rest)}`));
    told.replaceChildren(
      `It was chosen at “${labels[here - 1]}” (${place(here - 1)}), where ${view.who} looked most at `,
      ...strongest.flatMap(([w, i], n) => [n ? ", " : "", el("b", "", `“${labels[i]}” (${place(i)}) ${w.toFixed(3)}`)]),
      `. The choice was as open as one among ${Math.exp(view.entropy[at]).toFixed(1)} equally likely tokens.`,
    );
    kept.replaceChildren(
      `Keys and values kept: ${bytes(place(here) * view.n_byte)} of ${place(here)} tokens in ${view.n_layer} layers, `,
      `${bytes(view.n_byte)} more for each token.`,
    );
    root.dataset.shown = here;
    globalThis.regardFilm = { written: view.written, at: view.skipped + at }; // for what shows the same choice in another way
    dispatchEvent(new Event("regardFilm"));
  };
  const player = playerOf({ play, range }, state, { last: n_step - 1, tick: TICK, named: "Play the writing", show });

  const point = (event) => {
    const button = event.target.closest(".chip");
    pointed = button ? +button.dataset.i : null;
    shade();
    if (pointed === null) return tip.hide();
    const here = n_before + state.at, later = [];
    for (let i = Math.max(n_before, pointed + 1); i <= here; i++) later.push([weight(i - n_before, pointed), i]);
    const most = later.sort((a, b) => b[0] - a[0]).slice(0, 3).map(([w, i]) => `“${labels[i]}” ${w.toFixed(3)}`);
    const own = pointed >= n_before ? `, probability ${percent(probability[pointed - n_before])}` : "";
    const looked = most.length ? `\nMost looked at when these were chosen: ${most.join(", ")}` : "";
    tip.showAt(`“${labels[pointed]}” (${place(pointed)})${own}${looked}`, button.getBoundingClientRect());
  };
  const leave = () => {
    pointed = null;
    tip.hide();
    shade();
  };
  const stop = new AbortController();
  row.addEventListener("focusin", point, { signal: stop.signal });
  row.addEventListener("focusout", leave, { signal: stop.signal });
  row.onmouseover = point;
  row.onmouseleave = leave;
  row.onclick = (event) => {
    const i = indexOf(event);
    if (i !== null && i >= n_before) player.go(i - n_before);
  };
  list.onclick = (event) => {
    const i = indexOf(event);
    if (i !== null && i !== view.drawn[state.at]) setTriggerValue("branch", { step: state.at, candidate: i });
  };
  root.querySelector(".open").onclick = () => setTriggerValue("open", state.at);
  return () => {
    player.end();
    stop.abort();
  };
}
