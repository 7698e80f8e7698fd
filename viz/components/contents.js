// The headings of a page, in the order in which they are read; those of a component are in its own tree.
function headingsOf(main, own) {
  return [...main.querySelectorAll("h2, [data-testid=stBidiComponentIsolated]")].flatMap((each) => {
    if (each.tagName === "H2") return [each];
    return each.shadowRoot && each.shadowRoot !== own ? [...each.shadowRoot.querySelectorAll("h2")] : [];
  }).filter((each) => each.checkVisibility());
}

function render({ parentElement }) {
  const list = parentElement.querySelector(".contents ol"),
    root = list.getRootNode(),
    main = root.host.closest("[data-testid=stMain]");
  let headings = [];
  const look = () => {
    headings = headingsOf(main, root);
    renew(list, headings.map((heading, i) => el("li", "", numbered(i, "", heading.textContent))));
  };
  list.onclick = (event) => {
    const heading = headings[indexOf(event)];
    if (!heading) return;
    if (heading.tabIndex < 0) heading.tabIndex = -1; // so that the keyboard goes on from there
    heading.style.outline = "none";
    heading.focus({ preventScroll: true });
    heading.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  };
  look();
  // parts of a page come and go, those of components within trees of their own, of which no event tells
  const timer = setInterval(look, 200);
  return () => clearInterval(timer);
}
