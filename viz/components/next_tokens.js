const REST = 250; // ms after the slider was let go: arrow keys let it go at each step

const meaning = (t) =>
  t === 0
    ? "0: always the most probable token."
    : t === 1
    ? "1: as the model gave them."
    : t < 1
    ? "Below 1: likely tokens become likelier."
    : "Above 1: unlikely tokens get more of a chance.";

// the softmax at one temperature: the sum over the whole vocabulary was made beforehand, so each is exact
function probabilities({ logits, temperatures, log_sums }, i) {
  const t = temperatures[i];
  return logits.map((z, rank) => (t === 0 ? +(rank === 0) : between(Math.exp(z / t - log_sums[i]))));
}

// above temperature 0 none is quite 0 or 1, also where the machine's numbers end
const between = (p) => Math.min(1 - Number.EPSILON, Math.max(Number.MIN_VALUE, p));

function render({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector(".next"), list = box.querySelector(".rows");
  const slider = box.querySelector("input"), label = box.querySelector("output"), how = box.querySelector(".how");
  const names = data.others ? [...data.labels, `${data.others.toLocaleString("en")} others`] : data.labels;
  list.setAttribute("aria-label", data.name);
  list.replaceChildren(...names.map((name, i) => {
    const parts = [el("span", "label", name), el("span", "track", el("span")), el("span", "number")];
    const row = el("div", i < data.labels.length ? "row" : "row rest", ...parts);
    row.setAttribute("role", "listitem");
    return row;
  }));
  const draw = (i) => {
    const some = probabilities(data, i), rest = 1 - some.reduce((sum, p) => sum + p, 0);
    const all = data.others ? [...some, data.temperatures[i] ? between(rest) : 0] : some;
    all.forEach((p, row) => {
      list.children[row].children[1].firstChild.style.width = `${100 * p}%`;
      list.children[row].children[2].textContent = percent(p);
    });
    const t = data.temperatures[i];
    label.textContent = t.toFixed(2);
    slider.setAttribute("aria-valuetext", t.toFixed(2));
    how.textContent = data.moves ? meaning(t) : "";
  };
  // what Python says counts when it says something else than before; what is moved meanwhile is not taken back
  const told = JSON.stringify([data.temperatures, data.now]);
  if (box.told !== told) {
    box.told = told;
    slider.max = data.temperatures.length - 1;
    slider.value = data.now;
  }
  box.querySelector(".heat").hidden = !data.moves;
  clearTimeout(box.later);
  slider.oninput = () => {
    clearTimeout(box.later);
    draw(+slider.value);
  };
  slider.onchange = () => {
    clearTimeout(box.later);
    box.later = setTimeout(() => {
      box.told = JSON.stringify([data.temperatures, +slider.value]);
      setTriggerValue("set", +slider.value);
    }, REST);
  };
  draw(+slider.value);
}
