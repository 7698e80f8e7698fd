function render({ data, parentElement }) {
  // drawn in Python, every word in it escaped there
  parentElement.querySelector(".drawing").innerHTML = data.svg;
}
