function focused() {
  let at = document.activeElement;
  while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
  return at;
}

// what was clicked, or what the keyboard stood on: the middle of it, in pixels from the left
function origin(from) {
  const under = [...document.querySelectorAll(":hover")].at(-1);
  const small = [under, from].find((each) => each && each.getBoundingClientRect().width < innerWidth / 1.5);
  const box = small?.getBoundingClientRect();
  return box ? box.left + box.width / 2 : 0;
}

function render({ data, parentElement, setTriggerValue }) {
  const card = (parentElement.host || parentElement).closest(`.st-key-${data.of}`), from = focused();
  card.setAttribute("role", "dialog");
  card.setAttribute("aria-label", data.name);
  card.tabIndex = -1;
  card.toggleAttribute("data-left", origin(from) > innerWidth / 2);
  const main = card.closest("[data-testid=stMain]").getBoundingClientRect(); // beneath the sidebar it could not be clicked
  card.style.setProperty("--main-left", `${main.left}px`);
  card.focus({ preventScroll: true });
  const close = (event) => {
    if (event.key === "Escape" && !event.defaultPrevented) setTriggerValue("close", true);
  };
  addEventListener("keydown", close);
  return () => {
    removeEventListener("keydown", close);
    const lost = !focused() || focused() === document.body || card.contains(document.activeElement);
    if (lost && from?.isConnected) from.focus({ preventScroll: true });
  };
}
