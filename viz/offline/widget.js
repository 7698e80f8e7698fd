// The grid of all heads in a cell of a notebook whose Python is there: a click tells it which head. `shown`, HTML, CSS and
// colours stand before this (viz/widget.py).
function render({ model, el }) {
  const host = document.createElement("div"), root = host.attachShadow({ mode: "open" });
  host.style.cssText = `${VARIABLES};background:var(--st-background-color)`;
  const style = document.createElement("style"), maps = model.get("maps");
  style.textContent = CSS_TEXT;
  root.innerHTML = HTML;
  root.prepend(style);
  el.append(host);
  const bytes = new Uint8Array(maps.buffer ?? maps, maps.byteOffset ?? 0, maps.byteLength);
  const outline = () => {
    const [layer, head] = model.get("chosen");
    host.style.setProperty("--layer", layer);
    host.style.setProperty("--head", head);
  };
  outline();
  model.on("change:chosen", outline);
  return shown({
    name: "head_grid",
    key: "head_grid",
    data: { shape: model.get("shape"), maps: { getChild: () => ({ toArray: () => bytes }) } },
    parentElement: root,
    setTriggerValue: (_, { layer, head }) => {
      if (layer < 0 || head < 0) return;
      model.set("chosen", [layer, head]);
      model.save_changes();
    },
    setStateValue: () => {},
  });
}
export default { render };
