async function copy(text) {
  // browsers offer it to pages by https and to those of localhost only
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = Object.assign(document.createElement("textarea"), { value: text, readOnly: true });
  area.style.cssText = "position: fixed; opacity: 0";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("refused");
}

function render({ parentElement }) {
  const button = parentElement.querySelector("button"), done = parentElement.querySelector(".done");
  let timer;
  const say = (text) => {
    done.textContent = text;
    clearTimeout(timer);
    timer = setTimeout(() => (done.textContent = ""), 4000);
  };
  button.onclick = () => copy(location.href).then(() => say("Copied."), () => say(location.href));
  return () => {
    clearTimeout(timer);
    done.textContent = "";
  };
}
