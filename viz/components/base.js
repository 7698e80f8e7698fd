// Of every component; `register` puts it first.

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
