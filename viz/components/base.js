// Of every component; `register` puts it first. A component's own script is a function `render`, which draws the data and
// may return what ends what it began.

// Streamlit calls what a script returns only when the component goes, not before it is drawn with other data: so each
// drawing ends what the last one in the same place began.
const begun = new WeakMap();
export default function (component) {
  const place = component.parentElement;
  const end = () => {
    begun.get(place)?.();
    begun.delete(place);
  };
  end();
  begun.set(place, render(component));
  const host = place.host ?? place;
  host.dataset.drawn = ""; // before, there is only the bare HTML
  host.regardCorner = component.data?.corner; // of a picture: what it takes along (corners.js)
  document.dispatchEvent(new Event("regard:drawn"));
  return end;
}

// An element with what is in it: text stays text.
function el(kind, name, ...content) {
  const node = document.createElement(kind);
  if (name) node.className = name;
  node.append(...content);
  return node;
}

// Button number i of a list; and which of them an event is about, or null.
function numbered(i, name, ...content) {
  const button = el("button", name, ...content);
  button.dataset.i = i;
  return button;
}
const indexOf = (event) => {
  const button = event.target.closest("button");
  return button ? +button.dataset.i : null;
};
