// What the keyboard can go to: the page's title, and the stop of each picture that has one, by its name. Looked for anew
// with every visit, since the pictures come and go.
function targetsOf(main, own) {
  const title = main.querySelector("h1"), targets = title ? [["Skip to the content", title]] : [];
  for (const component of main.querySelectorAll("[data-testid=stBidiComponentIsolated]")) {
    const root = component.shadowRoot, named = root?.querySelector("[role][aria-label], ol[aria-label]");
    const stop = root?.querySelector("button:not([tabindex='-1']):enabled, [tabindex='0']");
    if (root && root !== own && named && stop) targets.push([named.ariaLabel.split(".")[0], stop]);
  }
  return targets;
}

function render({ parentElement }) {
  const bar = parentElement.querySelector(".skip"),
    root = bar.getRootNode(),
    main = root.host.closest("[data-testid=stMain]");
  let targets = [];
  const look = () => {
    targets = targetsOf(main, root);
    renew(bar, targets.map(([name], i) => numbered(i, "", name)));
    rove(bar, [[...bar.children]]);
  };
  const stop = new AbortController();
  bar.addEventListener("focusin", (event) => {
    if (!bar.contains(event.relatedTarget)) look();
  }, { signal: stop.signal });
  bar.addEventListener("keydown", look, { signal: stop.signal, capture: true }); // meanwhile more may have been drawn
  bar.onclick = (event) => {
    const target = targets[indexOf(event)]?.[1];
    if (!target) return;
    if (target.tabIndex < 0) target.tabIndex = -1; // a title takes the focus only when it is told to
    target.focus();
    target.scrollIntoView({ block: "center" });
  };
  look();
  // where this script is at hand already, it begins before the page's title is there
  const later = new MutationObserver(() => {
    look();
    if (targets.length) later.disconnect();
  });
  if (!targets.length) later.observe(main, { childList: true, subtree: true });
  return () => (stop.abort(), later.disconnect());
}
