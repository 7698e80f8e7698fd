// The headings of a page, in the order in which they are read; those of a component are in its own tree. What
// viz/ui/chapters.py opens is headed by the summary of an expander, of which Streamlit does not say that it heads anything.
const CHAPTER = "[class*=st-key-chapter_] > * > * > details > summary [data-testid=stMarkdownContainer]";
function headingsOf(main, own) {
  return [...main.querySelectorAll(`h2, ${CHAPTER}, [data-testid=stBidiComponentIsolated]`)].flatMap((each) => {
    if (each.matches(CHAPTER)) Object.assign(each, { role: "heading", ariaLevel: "2" });
    if (each.role === "heading" || each.tagName === "H2") return [each];
    return each.shadowRoot && each.shadowRoot !== own ? [...each.shadowRoot.querySelectorAll("h2")] : [];
  }).filter((each) => each.checkVisibility());
}

// A chapter has an address in which it is open: a link, which another tab can follow.
function itemOf(heading, i) {
  const item = numbered(i, "", heading.textContent), summary = heading.closest("summary");
  if (!summary) return item;
  const [, name] = summary.closest("[class*=st-key-chapter_]").className.match(/st-key-chapter_(\w+)/);
  const there = new URL(location.href), link = el("a", "", heading.textContent);
  there.searchParams.set(name, "true");
  link.href = there.href;
  link.dataset.i = i;
  return link;
}

function render({ parentElement }) {
  const list = parentElement.querySelector(".contents ol"),
    root = list.getRootNode(),
    main = root.host.closest("[data-testid=stMain]");
  let headings = [];
  const look = () => {
    headings = headingsOf(main, root);
    renew(list, headings.map((heading, i) => el("li", "", itemOf(heading, i))));
  };
  list.onclick = (event) => {
    const item = event.target.closest("button, a"), heading = headings[item?.dataset.i];
    if (!heading || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const summary = heading.closest("summary"), to = summary ?? heading;
    if (summary && !summary.parentNode.open) summary.click();
    if (to.tabIndex < 0) to.tabIndex = -1; // so that the keyboard goes on from there
    if (!summary) to.style.outline = "none";
    to.focus({ preventScroll: true });
    to.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  };
  look();
  // parts of a page come and go, those of components within trees of their own, of which no event tells
  const timer = setInterval(look, 200);
  return () => clearInterval(timer);
}
