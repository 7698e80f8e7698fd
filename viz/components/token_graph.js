const TALL = 440, LOWEST = 24, HIGHEST = 52; // px: the graph of a short text fills TALL, tokens stay readable

export default function ({ data, parentElement, setTriggerValue }) {
  const { queries, keys, pinned } = data.view, graph = parentElement.querySelector(".graph");
  const svg = graph.querySelector("svg"), left = graph.querySelector(".q");
  const height = Math.max(LOWEST, Math.min(HIGHEST, TALL / Math.max(queries.length, keys.length, 1)));
  graph.style.setProperty("--row", `${height}px`);
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
  const end = joinSides({ data, graph, setTriggerValue, shape, beside });
  if (pinned >= 0) bringIntoSight(graph.querySelector(".scroll"), pinned * height, height);
  return end;
}
