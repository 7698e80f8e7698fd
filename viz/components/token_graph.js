const TALL = 440, LOWEST = 24, HIGHEST = 52; // px: the graph of a short text fills TALL, tokens stay readable

export default function ({ data, parentElement, setTriggerValue }) {
  const { queries, keys, pinned } = data.view, graph = parentElement.querySelector(".graph");
  const svg = graph.querySelector("svg"), [left, right] = [".q", ".k"].map((side) => graph.querySelector(side));
  const height = Math.max(LOWEST, Math.min(HIGHEST, TALL / Math.max(queries.length, keys.length, 1)));
  graph.style.setProperty("--row", `${height}px`);
  const shape = ({ query, key, weight }, alone) => {
    const x1 = left.offsetWidth, x2 = svg.clientWidth - right.offsetWidth;
    const y1 = (query + 0.5) * height, y2 = (key + 0.5) * height;
    const look = { "stroke-opacity": strength(weight, alone), "stroke-width": thickness(weight) };
    return { points: [x1, y1, x2, y2], element: svgElement("line", { x1, y1, x2, y2, ...look }) };
  };
  const beside = (button) => [left.getBoundingClientRect().right, button.getBoundingClientRect().top];
  const end = joinSides({ data, graph, setTriggerValue, shape, beside });
  if (pinned >= 0) bringIntoSight(graph.querySelector(".scroll"), pinned * height, height);
  return end;
}
