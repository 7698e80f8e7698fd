const ROOMY = 26; // words: a sentence of no more is set in large type

// the points of a curve that leaves one word downwards and reaches the other from above
function curve(x1, y1, x2, y2) {
  const bend = (y2 - y1) / 2, points = [];
  for (let i = 0; i <= 14; i++) {
    const t = i / 14, u = 1 - t, ends = u * u * u + 3 * u * u * t;
    points.push(
      ends * x1 + (1 - ends) * x2,
      u * u * u * y1 + 3 * u * u * t * (y1 + bend) + 3 * u * t * t * (y2 - bend) + t * t * t * y2,
    );
  }
  return points;
}

function render({ data, parentElement, setTriggerValue }) {
  const { queries, keys, aligned } = data.view, graph = parentElement.querySelector(".graph");
  const stage = graph.querySelector(".stage"), pairs = new Set(aligned.map(([query, key]) => `${query} ${key}`));
  graph.toggleAttribute("data-roomy", Math.max(queries.length, keys.length) <= ROOMY);
  // where a word is on the stage: the curves must follow when the lines of words break anew
  const [source, written] = [".k", ".q"].map((side) => graph.querySelector(side));
  const word = (list, i) => list.children[i].firstChild.getBoundingClientRect();
  const shape = ({ query, key, weight }, alone) => {
    const frame = stage.getBoundingClientRect(), from = word(source, key), to = word(written, query);
    const points = curve(
      (from.left + from.right) / 2 - frame.left,
      from.bottom - frame.top,
      (to.left + to.right) / 2 - frame.left,
      to.top - frame.top,
    );
    const element = svgElement("path", {
      d: `M${points.slice(0, 2)}L${points.slice(2)}`,
      "stroke-opacity": strength(weight, alone),
      "stroke-width": thickness(weight),
    });
    element.classList.toggle("aligned", pairs.has(`${query} ${key}`));
    return { points, element };
  };
  const beside = (button) => {
    const box = button.getBoundingClientRect();
    return [box.left, box.bottom];
  };
  return joinSides({ data, graph, setTriggerValue, shape, beside, says: WRITES, along: "across" });
}
