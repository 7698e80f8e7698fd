function render({ parentElement }) {
  const button = parentElement.querySelector("button"), done = parentElement.querySelector(".done");
  let timer;
  const say = (text) => {
    done.textContent = text;
    clearTimeout(timer);
    timer = setTimeout(() => (done.textContent = ""), 4000);
  };
  button.onclick = () => copyText(location.href).then(() => say("Copied."), () => say(location.href));
  return () => {
    clearTimeout(timer);
    done.textContent = "";
  };
}
