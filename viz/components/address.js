// Streamlit's links take a click with Ctrl, Cmd or Shift for a plain one: they are kept from seeing it, and the browser
// opens a tab or a window, as everywhere. Once in a window.
function letTheBrowserOpenTabs() {
  if (window.regardTabs) return;
  window.regardTabs = true;
  const withKey = (event) => event.ctrlKey || event.metaKey || event.shiftKey;
  const isLink = (node) => node.tagName === "A" && node.href;
  addEventListener(
    "click",
    (event) => {
      if (withKey(event) && event.composedPath().some(isLink)) event.stopPropagation();
    },
    true,
  );
}

// After Back or Forward, what a run that was still on its way says of the page before would be put over the page gone to,
// and end the way forward. Whatever a visitor does next ends that. Once in a window.
function keepTheWay() {
  if (window.regardWay) return;
  window.regardWay = true;
  let gone = false;
  const push = history.pushState.bind(history);
  addEventListener("popstate", (event) => (gone = event.isTrusted), true);
  for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => (gone = false), true);
  history.pushState = (state, title, url) => {
    if (!gone) push(state, title, url);
    else if (new URL(url, location.href).pathname === location.pathname) history.replaceState(state, title, url);
  };
}

function sameQuery(search, got) {
  const now = [...new URLSearchParams(search)].filter(([name]) => !name.startsWith("embed"));
  const names = new Set(now.map(([name]) => name));
  return names.size === Object.keys(got).length && now.every(([name, value]) => got[name] === value);
}

// the links to other pages hold what is chosen now, also where only a part of the page was drawn again
function renewLinks(path, { base, page, common, others }) {
  const root = new URL(base ? `/${base}/` : "/", location.origin);
  for (const link of document.querySelectorAll('[data-testid="stPageLink"] a[href]')) {
    // Streamlit writes them without what stands before the name, and of the first page nothing but the query
    const there = new URL(link.getAttribute("href"), root).pathname.replace(/(.)\/$/, "$1");
    const name = [page, ...Object.keys(others)].find((each) => path(each) === there);
    if (name === undefined) continue;
    if (name === page) {
      link.setAttribute("aria-current", "page");
      continue;
    }
    link.removeAttribute("aria-current");
    const query = [common, others[name]].filter(Boolean).join("&");
    link.href = there + (query && `?${query}`);
  }
}

function render({ data }) {
  // several parts of a page say the address, each when it was drawn: the last one said counts
  if (data.time < (window.regardAddress ?? 0)) return;
  window.regardAddress = data.time;
  letTheBrowserOpenTabs();
  keepTheWay();
  const path = (page) => `/${[data.base, page].filter(Boolean).join("/")}`;
  const here = path(data.page);
  let frame, late;
  const put = (left) => {
    // never over the address of another page: the path changes a moment later than this is drawn
    if (location.pathname.replace(/(.)\/$/, "$1") !== here) {
      if (left) frame = requestAnimationFrame(() => put(left - 1));
      return;
    }
    // a new session on an old page (the server was started again) was told an old address
    if (data.got && !sameQuery(location.search, data.got)) dispatchEvent(new PopStateEvent("popstate"));
    else {
      const embedded = location.search.slice(1).split("&").filter((each) => each.startsWith("embed"));
      const query = [data.query, ...embedded].filter(Boolean).join("&");
      if (location.search.slice(1) !== query) {
        history.replaceState(history.state, "", here + (query && `?${query}`) + location.hash);
      }
    }
    renewLinks(path, data);
    // Streamlit loads what draws links when it first needs it: they may come after this
    const n = new Set([data.page, ...Object.keys(data.others)]).size;
    const there = () => document.querySelectorAll(".st-key-pages a[href]").length >= n;
    if (there()) return;
    late = new MutationObserver(() => {
      if (!there()) return;
      late.disconnect();
      renewLinks(path, data);
    });
    late.observe(document.body, { childList: true, subtree: true });
  };
  put(120);
  return () => {
    cancelAnimationFrame(frame);
    late?.disconnect();
  };
}
