// Make an element's children what `fresh` says, and keep each that is there already. A browser fires no click where the
// pressed element is gone before the release, and a replaced one loses the keyboard's place: so data that comes in
// between changes elements, and replaces none of the same kind.
function renew(parent, fresh) {
  const kept = [...parent.childNodes];
  fresh.forEach((node, i) => {
    const old = kept[i];
    if (old?.nodeName !== node.nodeName) return old ? old.replaceWith(node) : parent.append(node);
    if (node.nodeType === Node.TEXT_NODE) {
      if (old.data !== node.data) old.data = node.data;
      return;
    }
    for (const { name } of [...old.attributes]) if (!node.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of node.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    renew(old, [...node.childNodes]);
  });
  for (const old of kept.slice(fresh.length)) old.remove();
}
