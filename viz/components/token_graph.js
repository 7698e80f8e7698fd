const LOWEST = 24, HIGHEST = 52; // px: tokens stay readable
const NARROW = 640; // px: on a phone a graph is lower, so that all of it is in sight
const BEYOND = 80; // px: a text that is too long for the graph's height may have so much more before it scrolls

function render({ data, parentElement, setTriggerValue }) {
  const { queries, keys, pinned, writes } = data.view, graph = parentElement.querySelector(".graph");
  const svg = graph.querySelector("svg"), left = graph.querySelector(".q");
  const heading = graph.querySelectorAll(".heading span");
  (writes ? ["written", "source"] : ["query: looks", "key: is looked at"])
    .forEach((text, i) => (heading[i].textContent = text));
  const tall = data.view.tall * (innerWidth < NARROW ? 0.7 : 1);
  const height = Math.max(LOWEST, Math.min(HIGHEST, tall / Math.max(queries.length, keys.length, 1)));
  graph.style.setProperty("--row", `${height}px`);
  graph.querySelector(".scroll").style.maxHeight = `${tall + BEYOND}px`;
  const shape = ({ query, key, weight }, alone) => {
    const y1 = (query + 0.5) * height, y2 = (key + 0.5) * height;
    const look = { "stroke-opacity": strength(weight, alone), "stroke-width": thickness(weight) };
    // in percent: on paper the picture is as wide as the paper, and no script is asked
    return {
      points: [0, y1, svg.clientWidth, y2],
      element: svgElement("line", { x1: 0, y1, x2: "100%", y2, ...look }),
    };
  };
  const beside = (button) => [left.getBoundingClientRect().right, button.getBoundingClientRect().top];
  const end = joinSides({ data, graph, setTriggerValue, shape, beside, says: writes ? WRITES : LOOKS });
  if (pinned >= 0) bringIntoSight(graph.querySelector(".scroll"), pinned * height, height);
  return end;
}
